#include "rl/worlds/exact.h"

#include <cmath>

#include "rl/tables/divergence.h"

namespace gradus {

Objective exact_objective(std::span<const double> log_pi, std::span<const double> log_q, std::span<const double> reward,
                          double kl_coef) {
  require(log_pi.size() == log_q.size() && log_pi.size() == reward.size(), "exact_objective", Loc::here(),
          log_pi.size(), ", ", log_q.size(), " and ", reward.size(), " numbers for the same sequences");
  Objective j{0, 0, 0, 0};
  for (size_t i = 0; i < log_pi.size(); ++i) {
    const double pi = std::exp(log_pi[i]);
    j.kl += kl_term(pi, log_pi[i], std::exp(log_q[i]), log_q[i]);
    if (pi == 0) continue;
    j.reward += pi * reward[i];
    j.entropy -= pi * log_pi[i];
  }
  j.objective = j.reward - (kl_coef > 0 ? kl_coef * j.kl : 0);
  return j;
}

}  // namespace gradus
