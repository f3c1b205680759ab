// rl/tables/posterior.h.
#include "rl/tables/posterior.h"

#include <algorithm>
#include <limits>

namespace gradus {

Posterior posterior(const Table& q, std::span<const double> r, double beta) {
  require(beta > 0, "posterior", Loc::here(), "beta is ", beta, ", must be above 0");
  require(r.size() == q.size(), "posterior", Loc::here(), r.size(), " rewards for ", q.size(), " outcomes");
  double top = -std::numeric_limits<double>::infinity();  // the best reward that q allows
  for (size_t i = 0; i < r.size(); ++i)
    if (q.p[i] > 0) top = std::max(top, r[i]);
  std::vector<double> logs = q.log_p;
  for (size_t i = 0; i < logs.size(); ++i)
    if (q.p[i] > 0) logs[i] += (r[i] - top) / beta;
  const double below = log_sum_exp(logs);  // log Σ q e^{(r − top)/β}
  for (double& l : logs) l -= below;
  return {Table::of_logs(std::move(logs)), below + top / beta, top + beta * below};
}

double objective(const Table& pi, const Table& q, std::span<const double> r, double beta) {
  return pi.mean(r) - (beta == 0 ? 0 : beta * kl(pi, q));
}

std::vector<double> objective_gradient(const Table& pi, const Table& q, std::span<const double> r, double beta) {
  std::vector<double> g = score_gradient(pi, r);
  if (beta == 0) return g;
  const std::vector<double> dkl = f_gradient(divergence_named("reverse-kl"), pi, q);
  for (size_t j = 0; j < g.size(); ++j) g[j] -= beta * dkl[j];
  return g;
}

std::vector<Table> ascend(const Table& q, std::span<const double> r, double beta, double rate,
                          std::span<const int> steps) {
  std::vector<double> z = q.log_p;
  std::vector<Table> reached;
  int n = 0;
  for (int wanted : steps) {
    for (; n < wanted; ++n) {
      const std::vector<double> g = objective_gradient(Table::of_logits(z), q, r, beta);
      for (size_t j = 0; j < z.size(); ++j) z[j] += rate * g[j];
    }
    reached.push_back(Table::of_logits(z));
  }
  return reached;
}

double kl_coef_for(const Table& q, std::span<const double> r, double target) {
  const auto kl_at = [&](double beta) { return kl(posterior(q, r, beta).table, q); };
  double best = -std::numeric_limits<double>::infinity(), most = 0, scale = 0;
  for (size_t i = 0; i < r.size(); ++i)
    if (q.p[i] > 0) {
      if (r[i] > best) best = r[i], most = 0;
      if (r[i] == best) most += q.p[i];
    }
  for (size_t i = 0; i < r.size(); ++i)
    if (q.p[i] > 0) scale = std::max(scale, best - r[i]);
  if (!(target >= 1e-12 && target < -std::log(most)))
    throw DataError(text("no beta gives a KL of ", target, ": it must be from 1e-12 to below ", -std::log(most)));
  double low = scale * 1e-3, high = scale;  // KL falls as β grows
  while (kl_at(low) < target && low > scale * 1e-12) low /= 2;
  while (kl_at(high) > target) high *= 2;
  while (true) {
    const double middle = std::sqrt(low) * std::sqrt(high);
    if (!(low < middle && middle < high)) return middle;
    (kl_at(middle) > target ? low : high) = middle;
  }
}

}  // namespace gradus
