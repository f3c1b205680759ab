// A probe of the seam of rl/methods and rl/source.h: DPO (Rafailov et al. 2023) on pairs, as a method of its own, and a
// source of fixed pairs. tests/test_probes.cpp compares its gradient with the enumerated objective log σ(Δ), where
// Δ = β (log π/q of the chosen sequence − log π/q of the rejected one).
#pragma once

#include <cmath>

#include "rl/methods/method.h"
#include "rl/source.h"

namespace gradus::testing {

class Dpo : public Method {
 public:
  // `behaviour` draws the pairs where they are not given; null: the policy.
  explicit Dpo(double beta, const LanguageModel* behaviour = nullptr) : beta_(beta), behaviour_(behaviour) {}

  Needs needs() const override { return {.whole_groups = true}; }
  const LanguageModel* behaviour() const override { return behaviour_; }

  // Of two sequences without roles the one of greater reward is the chosen one; of equal ones none is.
  void prepare(Experience& e, double) override {
    if (!e.role.empty()) return;
    const std::vector<double> r = sum_over_draws(e.batch, e.reward);
    e.role.assign(r.size(), kRejected);
    for (size_t x = 0; x < r.size(); ++x)
      for (size_t y = 0; y < r.size(); ++y)
        if (e.group[x] == e.group[y] && r[x] > r[y]) e.role[x] = kChosen;
  }

  Weights weigh(const Experience& e, const Scores& now) const override {
    std::vector<double> rise = sum_over_draws(e.batch, now.log_pi), w(rise.size(), 0.0);
    const std::vector<double> q = sum_over_draws(e.batch, e.log_q);
    for (size_t b = 0; b < rise.size(); ++b) rise[b] -= q[b];
    for (size_t c = 0; c < w.size(); ++c)
      for (size_t r = 0; r < w.size(); ++r)
        if (e.group[c] == e.group[r] && e.role[c] == kChosen && e.role[r] == kRejected) {
          w[c] = beta_ / (1 + std::exp(beta_ * (rise[c] - rise[r])));  // β σ(−Δ)
          w[r] = -w[c];
        }
    return {.log_pi = on_every_draw(e.batch, w)};
  }

 private:
  const double beta_;
  const LanguageModel* behaviour_;
};

// The same pairs in every step: sequences 2i, chosen, and 2i + 1, rejected.
class PairSource : public Source {
 public:
  PairSource(World world, const Sequences& pairs) : world_(std::move(world)) {
    pairs_.sequences = pairs;
    pairs_.batch.fill(world_.prompt, pairs);
    pairs_.reward.assign(size_t(pairs_.batch.B * pairs_.batch.T), 0);
    for (int64_t b = 0; b < pairs.size(); ++b) {
      pairs_.group.push_back(int32_t(b / 2));
      pairs_.role.push_back(b % 2 == 0 ? kChosen : kRejected);
    }
  }
  const World& world() const override { return world_; }
  std::span<Experience* const> draw(int64_t, const LanguageModel&) override { return {&only_, 1}; }

 private:
  const World world_;
  Experience pairs_;
  Experience* only_ = &pairs_;
};

}  // namespace gradus::testing
