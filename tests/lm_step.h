// One training step of a language model, as a program makes it: shards forward, weights, shards backward.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/parallel.h"
#include "models/language_model.h"

namespace gradus::testing {

// Tokens and next tokens of B sequences of T.
struct Batch {
  int64_t B, T;
  std::vector<int32_t> tokens, targets;
  // Numbers below `vocabulary`, without meaning and always the same.
  static Batch numbered(int64_t B, int64_t T, int64_t vocabulary, uint32_t seed = 1) {
    Batch batch{B, T, std::vector<int32_t>(size_t(B * T)), std::vector<int32_t>(size_t(B * T))};
    uint32_t h = seed * 2654435761u;
    for (auto* ids : {&batch.tokens, &batch.targets})
      for (int32_t& id : *ids) {
        h = h * 1664525 + 1013904223;
        id = int32_t((h >> 8) % uint32_t(vocabulary));
      }
    return batch;
  }
};

class LmStep {
 public:
  explicit LmStep(int shards, int threads)
      : shards_(shards, threads), rows_(size_t(shards_.size())), loss_(size_t(shards_.size())) {}

  // Mean loss over all tokens of the batch; leaves the gradient of that mean in gradient().
  double run(const LanguageModel& model, const StepInfo& info, const Batch& batch) {
    shards_.begin(info, batch.B);
    weight_.assign(size_t(batch.B * batch.T), real(1.0 / double(batch.B * batch.T)));
    std::fill(loss_.begin(), loss_.end(), 0);
    shards_.each([&](int s) {
      const size_t first = size_t(shards_.first(s) * batch.T), count = size_t(shards_.count(s) * batch.T);
      const Tensor logits = model.logits(std::span(batch.tokens).subspan(first, count), shards_.count(s), batch.T);
      Tensor& rows = rows_[size_t(s)];
      rows = model.rung().softmax_cross_entropy(logits, std::span(batch.targets).subspan(first, count), Loc::here());
      for (const real x : rows.span()) loss_[size_t(s)] += double(x);
    });
    shards_.each([&](int s) {
      shards_.tape(s).seed(rows_[size_t(s)], std::span(weight_).first(size_t(shards_.count(s) * batch.T)));
      shards_.tape(s).backward();
    });
    double sum = 0;
    for (const double loss : loss_) sum += loss;
    return sum / double(batch.B * batch.T);
  }
  std::span<const real> gradient(const LanguageModel& model) { return shards_.gradient(model.params()); }
  Shards& shards() { return shards_; }

 private:
  Shards shards_;
  std::vector<Tensor> rows_;
  std::vector<double> loss_;
  std::vector<real> weight_;
};

}  // namespace gradus::testing
