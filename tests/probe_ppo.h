// A probe of the seam of rl/methods: PPO (Schulman et al. 2017) with generalised advantages and the KL in the reward,
// as a method of its own. Ratios are those of draws. tests/test_probes.cpp compares its gradient with the enumerated
// objective Σ_t min(ρ_t A_t, clip(ρ_t, 1 ± ε) A_t).
#pragma once

#include <cmath>

#include "rl/methods/method.h"
#include "rl/tables/estimators.h"

namespace gradus::testing {

struct PpoOptions {
  double clip = 0.2;                         // ε
  double lambda = 1;                         // of the advantages
  bool value = false;                        // with a value network
  const LanguageModel* behaviour = nullptr;  // draws, where it is not the policy as the step begins
};

class Ppo : public Method {
 public:
  explicit Ppo(PpoOptions options) : options_(options) {}

  Needs needs() const override { return {.value = options_.value}; }
  const LanguageModel* behaviour() const override { return options_.behaviour; }

  void prepare(Experience& e, double kl_coef) override {
    const PaddedBatch& batch = e.batch;
    e.returns.assign(e.reward.size(), 0);
    e.advantage.assign(e.reward.size(), 0);
    for (int64_t b = 0; b < batch.B; ++b) {
      const size_t first = size_t(b * batch.T + batch.first_slot(b)), n = size_t(batch.length[size_t(b)]);
      std::vector<double> reward(n), value(n, 0.0);
      for (size_t t = 0; t < n; ++t) {
        const size_t i = first + t;
        reward[t] = e.reward[i] - (kl_coef > 0 ? kl_coef * (e.log_mu[i] - e.log_q[i]) : 0);
        if (options_.value) value[t] = e.value[i];
      }
      const std::vector<double> a = generalised_advantages(reward, value, 1, options_.lambda);
      for (size_t t = 0; t < n; ++t) {
        e.advantage[first + t] = a[t];
        e.returns[first + t] = a[t] + value[t];
      }
    }
  }

  Weights weigh(const Experience& e, const Scores& now) const override {
    Weights w{.log_pi = e.advantage};
    for (size_t i = 0; i < w.log_pi.size(); ++i) {
      const double ratio = std::exp(now.log_pi[i] - e.log_mu[i]), a = e.advantage[i];
      const bool clipped = a > 0 ? ratio > 1 + options_.clip : ratio < 1 - options_.clip;
      w.log_pi[i] = clipped ? 0 : ratio * a;
    }
    if (!options_.value) return w;
    w.value = e.returns;
    for (size_t i = 0; i < w.value.size(); ++i) w.value[i] -= now.value[i];
    return w;
  }

 private:
  const PpoOptions options_;
};

}  // namespace gradus::testing
