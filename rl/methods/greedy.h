// The ε-greedy policy of action values: with probability 1 − ε the token of the largest logit (of equal ones the
// first), else a uniform draw of those that may follow. It is a language model like any other, whose logits are the
// logarithms of these probabilities, so that sampler, enumeration and log μ need to know nothing of it.
#pragma once

#include "models/language_model.h"

namespace gradus {

class EpsilonGreedy : public LanguageModel {
 public:
  // Refers to `values`, whose logits are Q. The logits of this model are meant for `temperature`, which divides them.
  EpsilonGreedy(const LanguageModel& values, double epsilon, double temperature);

  int64_t width() const override { return values_.width(); }
  Tensor head(const Tensor& features) const override { return choose(values_.head(features)); }
  Tensor logits(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    return choose(values_.logits(tokens, B, T));
  }
  State start(int64_t B) const override { return values_.start(B); }
  std::span<const double> counts() const override { return values_.counts(); }

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    return values_.features(tokens, B, T);
  }
  Tensor advance(State& state, std::span<const int32_t> tokens) const override {
    return choose(values_.next(state, tokens));
  }
  Tensor choose(const Tensor& q) const;  // [N,V] → [N,V]

  const LanguageModel& values_;
  const double epsilon_, temperature_;
};

}  // namespace gradus
