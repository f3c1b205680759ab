// Exact values in a world small enough to enumerate: the objective J = E_π[r] − β KL(π‖q) of a policy π, and its
// optimum over all policies, the posterior π* = q e^{r/β} / Z with J* = β log Z. For every policy J* − J(π) = β
// KL(π‖π*): raising J is variational inference of the posterior over sequences, with evidence e^{r/β}.
//
// The posterior itself is rl/tables/posterior.h, of a table made of the enumerated log-probabilities; the gradient of J
// is rl/exact_gradient.h. All lists run over the sequences of one enumeration, [N], natural log, double.
#pragma once

#include "rl/worlds/enumerate.h"

namespace gradus {

struct Objective {
  double objective;  // E[r] − β KL
  double reward;     // E_π[r]
  double kl;         // KL(π‖q), never negative; infinite where π > 0 and q = 0
  double entropy;    // −E_π[log π], nats
};
// The sequences must be all of both.
Objective exact_objective(std::span<const double> log_pi, std::span<const double> log_q, std::span<const double> reward,
                          double kl_coef);

}  // namespace gradus
