// What is true of a world small enough to enumerate: the objective J = E_π[r] − β KL(π‖q) of a policy π, its gradient,
// and the best that any policy can do, the posterior π* = q e^{r/β} / Z with J* = β log Z. For every policy
// J* − J(π) = β KL(π‖π*): raising J is variational inference of the posterior over sequences, with evidence e^{r/β}.
//
// The posterior itself is rl/tables/posterior.h, of a table made of the enumerated log-probabilities. All lists run over the
// sequences of one enumeration, [N], natural log, double.
#pragma once

#include "rl/worlds/enumerate.h"
#include "rl/policy_gradient.h"

namespace gradus {

struct Objective {
  double objective;  // E[r] − β KL
  double reward;     // E_π[r]
  double kl;         // KL(π‖q); infinite where π > 0 and q = 0
  double entropy;    // −E_π[log π], nats
};
Objective exact_objective(std::span<const double> log_pi, std::span<const double> log_q, std::span<const double> reward,
                          double kl_coef);

// Σ_x weight(x) ∇ log π(x), flat, by autodiff through the teacher-forced log-probabilities of the sequences, in chunks
// of about kChunkSlots slots. Sequences of weight 0 are left out.
// REQUIRES: prompt and draws fit into what the policy sees at once.
std::vector<double> weighted_score(const LanguageModel& policy, const World& world, const Sequences& sequences,
                                   std::span<const double> weight, Shards& shards);
inline constexpr int64_t kChunkSlots = 4096;

// ∇J = Σ_x π(x) (r − β log(π/q) − J) ∇ log π(x). (The derivative of the π inside log adds −β E[∇ log π] = 0, and for
// the same reason J, or any constant, may be subtracted; with J the sum has no large terms that cancel.)
// DataError where KL(π‖q) is infinite.
std::vector<double> exact_gradient(const LanguageModel& policy, const World& world, const Sequences& sequences,
                                   std::span<const double> log_pi, std::span<const double> log_q,
                                   std::span<const double> reward, double kl_coef, Shards& shards);

}  // namespace gradus
