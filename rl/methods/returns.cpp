#include "rl/methods/returns.h"

#include <algorithm>
#include <cmath>

namespace gradus {

std::vector<double> returns_of_draws(const Experience& e, std::span<const double> log_pi,
                                     const ReturnOptions& options) {
  const PaddedBatch& batch = e.batch;
  std::vector<double> g(size_t(batch.B * batch.T), 0.0);
  for (int64_t b = 0; b < batch.B; ++b) {
    double rest = 0;
    for (int64_t t = batch.end_slot(b) - 1; t >= batch.first_slot(b); --t) {
      const size_t i = size_t(b * batch.T + t);
      rest += e.reward[i];
      if (options.kl_coef > 0) rest -= options.kl_coef * (log_pi[i] - e.log_q[i]);  // 0 times an infinite ratio is 0
      if (options.entropy_coef != 0) rest -= options.entropy_coef * log_pi[i];
      g[i] = rest;
    }
    if (options.reward_to_go) continue;
    std::fill(g.begin() + b * batch.T + batch.first_slot(b), g.begin() + b * batch.T + batch.end_slot(b), rest);
  }
  return g;
}

std::vector<double> importance_of(const Experience& e, std::span<const double> log_pi) {
  std::vector<double> ratio = sum_over_draws(e.batch, log_pi);
  const std::vector<double> mu = sum_over_draws(e.batch, e.log_mu);
  for (size_t b = 0; b < ratio.size(); ++b) ratio[b] = std::exp(ratio[b] - mu[b]);
  return ratio;
}

}  // namespace gradus
