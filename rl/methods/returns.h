// Returns: the reward that each draw of a batch is credited with, from the rewards and the log-probabilities. A method
// subtracts a baseline (rl/methods/baselines.h) from them.
//
// Return of a sequence: R = Σ_t r_t − β Σ_t (log π_t − log q_t) − α Σ_t log π_t, the sampled form of E[r] − β KL(π‖q) +
// α H(π), the KL as k1. Both terms are rewards like any other: as a loss, k1 and log π would have gradient 0 on average
// and k3 the gradient of KL(q‖π) (tests/test_policy_gradient.cpp shows it).
//
// Since log π = (log π − log q) + log q, the entropy bonus is a KL coefficient of β + α and the reward r − α log q: the
// optimum is q^{β/(β+α)} e^{r/(β+α)} / Z.
#pragma once

#include "rl/experience.h"

namespace gradus {

struct ReturnOptions {
  double kl_coef = 0;       // β ≥ 0
  double entropy_coef = 0;  // α ≥ 0
  // false: every draw gets the return of its whole sequence. true: only the rewards from that draw onward. The mean of
  // the gradient is the same.
  bool reward_to_go = false;
};

// [B,T], 0 in padding. log_pi [B,T] is that of the policy whose KL and entropy count; e.reward and e.log_q are read.
std::vector<double> returns_of_draws(const Experience& e, std::span<const double> log_pi, const ReturnOptions& options);

// π/μ of each sequence, [B], from log π of its draws, [B,T].
std::vector<double> importance_of(const Experience& e, std::span<const double> log_pi);

}  // namespace gradus
