// The frontier of fine-tuning on a table: the most E[r] that a policy can have at each KL(π‖q), reached by q e^{r/β} /
// Z; and the points of best-of-N beside it.
#pragma once

#include <span>
#include <vector>

#include "rl/tables/divergence.h"

namespace gradus {

struct FrontierPoint {
  double beta, reward, kl;
};
// From q itself (β infinite) to its best outcomes (β = 0), `points` ≥ 2 of them at KLs whose roots are equally far
// apart. Where r is constant on q it is q alone.
std::vector<FrontierPoint> frontier_points(const Table& q, std::span<const double> r, int points);

// KL(π‖q) minus the least KL of any policy with the same E[r]; 0 on the frontier.
double kl_to_frontier(const Table& pi, const Table& q, std::span<const double> r);

struct BestOfN {
  int64_t n;
  double reward, kl;  // exact
  double kl_usual;    // log N − (N−1)/N, an upper bound that a discrete world does not reach (Beirami et al. 2024)
};
// Of N independent draws from q the first of the best: p_N(x) = q(x)/Q(r(x)) (F(r(x))^N − F(r(x)−)^N), where Q(r) is
// the probability of a reward r and F its distribution.
BestOfN best_of_n(const Table& q, std::span<const double> r, int64_t n);

}  // namespace gradus
