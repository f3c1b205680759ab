#include "rl/methods/returns.h"

#include <algorithm>
#include <cmath>

#include "rl/tables/estimators.h"

namespace gradus {

std::vector<double> rewards_of_draws(const Experience& e, std::span<const double> log_pi, const ReturnOptions& options,
                                     std::span<const double> row_kl) {
  const PaddedBatch& batch = e.batch;
  const std::span<const double> kl_of_row = row_kl.empty() ? std::span(e.row_kl) : row_kl;
  std::vector<double> r(size_t(batch.B * batch.T), 0.0);
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) {
      const size_t i = size_t(b * batch.T + t);
      r[i] = e.reward[i];
      if (options.entropy_coef != 0) r[i] -= options.entropy_coef * log_pi[i];
      if (options.kl_coef == 0) continue;  // 0 times an infinite ratio is 0
      if (!std::isfinite(e.log_q[i]))
        throw DataError("the policy drew a sequence that the prior excludes: KL(policy, prior) is infinite");
      if (!options.full_kl)
        r[i] -= options.kl_coef * (log_pi[i] - e.log_q[i]);
      else if (t + 1 < batch.end_slot(b))
        r[i] -= options.kl_coef * options.gamma * kl_of_row[i + 1];  // that of its own row does not follow from it
    }
  return r;
}

std::vector<double> returns_of_draws(const Experience& e, std::span<const double> log_pi, const ReturnOptions& options,
                                     std::span<const double> row_kl) {
  const PaddedBatch& batch = e.batch;
  std::vector<double> g = rewards_of_draws(e, log_pi, options, row_kl);
  for (int64_t b = 0; b < batch.B; ++b) {
    const auto first = g.begin() + b * batch.T + batch.first_slot(b), end = first + batch.length[size_t(b)];
    double rest = 0;
    for (auto x = end; x != first;) {
      --x;
      *x = rest = *x + options.gamma * rest;
    }
    if (!options.reward_to_go) std::fill(first, end, rest);
  }
  return g;
}

std::vector<double> moved(std::span<const double> x, std::span<const double> before, std::span<const double> now) {
  std::vector<double> y(x.begin(), x.end());
  for (size_t i = 0; i < y.size(); ++i) y[i] += now[i] - before[i];
  return y;
}

void estimate_advantages(Experience& e, std::span<const double> reward, double gamma, double lambda) {
  const PaddedBatch& batch = e.batch;
  e.advantage.assign(reward.size(), 0);
  e.returns.assign(reward.size(), 0);
  for (int64_t b = 0; b < batch.B; ++b) {
    const size_t first = size_t(b * batch.T + batch.first_slot(b)), n = size_t(batch.length[size_t(b)]);
    const std::vector<double> a =
        generalised_advantages(reward.subspan(first, n), std::span(e.value).subspan(first, n), gamma, lambda);
    for (size_t t = 0; t < n; ++t) {
      e.advantage[first + t] = a[t];
      e.returns[first + t] = a[t] + e.value[first + t];
    }
  }
}

std::vector<double> weights_of_rows(const PaddedBatch& batch, const ReturnOptions& options) {
  std::vector<double> w(size_t(batch.B * batch.T), 0.0);
  for (int64_t b = 0; b < batch.B; ++b) {
    double weight = -options.kl_coef;
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) {
      w[size_t(b * batch.T + t)] = weight;
      if (!options.reward_to_go) weight *= options.gamma;
    }
  }
  return w;
}

std::vector<double> errors_of(std::span<const double> target, std::span<const double> value) {
  std::vector<double> error(target.begin(), target.end());
  for (size_t i = 0; i < error.size(); ++i) error[i] -= value[i];
  return error;
}

std::vector<double> importance_of(const Experience& e, std::span<const double> log_pi) {
  std::vector<double> ratio = sum_over_draws(e.batch, log_pi);
  const std::vector<double> mu = sum_over_draws(e.batch, e.log_mu);
  for (size_t b = 0; b < ratio.size(); ++b) ratio[b] = std::exp(ratio[b] - mu[b]);
  return ratio;
}

}  // namespace gradus
