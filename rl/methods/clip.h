// The clipped objective of PPO (Schulman et al. 2017, arXiv 1707.06347), min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) of a draw
// with the ratio ρ = π/μ and the advantage A: once the ratio has gone ε in the direction in which the objective rises,
// it rises no further.
#pragma once

#include "rl/methods/method.h"

namespace gradus {

double clipped_objective(double ratio, double advantage, double epsilon);
// Whether that is flat there: then its gradient is 0, else that of ρ A, which is ρ A ∇log π.
bool is_clipped(double ratio, double advantage, double epsilon);

// The rule of these weights, for MethodMath.
inline constexpr const char* kRuleOfClip = "wₜ = ρₜ Aₜ, ρₜ = π/μ; 0 where ρₜ is past 1 ± ε on the side of Aₜ";

// The weights ρ A, 0 where it is clipped, of every draw of a batch, with ρ, and how many draws are clipped. e.log_mu
// and e.advantage are read.
Weights clipped_weights(const Experience& e, std::span<const double> log_pi, double epsilon);

}  // namespace gradus
