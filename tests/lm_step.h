// One training step of a language model, as a program makes it: shards forward, weights, shards backward.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/loss.h"

namespace gradus::testing {

// Tokens and next tokens of B sequences of T.
struct TokenBatch {
  int64_t B, T;
  std::vector<int32_t> tokens, targets;
  // Numbers below `vocabulary`, without meaning and always the same.
  static TokenBatch numbered(int64_t B, int64_t T, int64_t vocabulary, uint32_t seed = 1) {
    TokenBatch batch{B, T, std::vector<int32_t>(size_t(B * T)), std::vector<int32_t>(size_t(B * T))};
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
  explicit LmStep(int shards, int threads) : shards_(shards, threads), loss_(shards_) {}

  // Mean loss over all tokens of the batch; leaves the gradient of that mean in gradient().
  double run(const LanguageModel& model, const StepInfo& info, const TokenBatch& batch) {
    const double tokens = double(batch.B * batch.T);
    batch_.B = batch.B, batch_.T = batch.T;
    batch_.inputs = batch.tokens;
    batch_.targets = batch.targets;
    const double nats = loss_.forward(model, batch_, info);
    loss_.backward(1 / tokens);
    return nats / tokens;
  }
  std::span<const real> gradient(const LanguageModel& model) { return shards_.gradient(model.params()); }
  Shards& shards() { return shards_; }

 private:
  Shards shards_;
  BatchLoss loss_;
  Batch batch_;
};

}  // namespace gradus::testing
