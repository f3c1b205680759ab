// KL-regularised rewards on a table, where everything is exact: J(π) = E_π[r] − β KL(π‖q), its optimum, its gradient.
//
// The optimum is a Bayesian posterior over outcomes, π*(x) = q(x) e^{r(x)/β} / Z, with J* = β log Z and, for every π,
// J* − J(π) = β KL(π‖π*) (Korbak, Perez and Buckley 2022, arXiv 2205.11275).
//
// The same function is one step of the soft-Bellman recursion: with q(·|h) and the values Q(h,·) in the place of the
// rewards, j_star is V(h) = β log Σ q e^{Q/β} and the table is π*(·|h).
#pragma once

#include <span>
#include <vector>

#include "rl/tables/divergence.h"

namespace gradus {

struct Posterior {
  Table table;  // π*
  double log_z, j_star;
};
// β > 0 or ShapeError. Large r/β does not overflow.
Posterior posterior(const Table& q, std::span<const double> r, double beta);

// J(π) and ∇J with respect to the logits of π. β = 0 leaves E[r].
double objective(const Table& pi, const Table& q, std::span<const double> r, double beta);
std::vector<double> objective_gradient(const Table& pi, const Table& q, std::span<const double> r, double beta);

// Exact gradient ascent z ← z + rate ∇J from z = log q: π after each of these numbers of steps, which must not fall.
std::vector<Table> ascend(const Table& q, std::span<const double> r, double beta, double rate,
                          std::span<const int> steps);

// The β at which KL(π*‖q) is `target`. DataError unless 1e-12 ≤ target < −log q(best outcomes), which β → 0 approaches.
double kl_coef_for(const Table& q, std::span<const double> r, double target);

}  // namespace gradus
