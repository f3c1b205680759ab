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

namespace {

// x with A x = b for a symmetric positive definite A, by elimination; empty where a pivot is not above `least`.
std::vector<double> solve(std::vector<std::vector<double>> a, std::vector<double> b, double least) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    if (!(a[k][k] > least)) return {};
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = a[i][k] / a[k][k];
      for (size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

}  // namespace

MomentFit fit_moments(const Table& q, const std::vector<std::vector<double>>& phi, std::span<const double> mu) {
  const size_t n = phi.size();
  require(n == mu.size(), "fit_moments", Loc::here(), n, " features and ", mu.size(), " moments");
  std::vector<std::vector<double>> centred = phi;  // φ − μ: its mean is to be 0
  double scale = 0;
  for (size_t k = 0; k < n; ++k)
    for (double& x : centred[k]) x -= mu[k], scale = std::max(scale, std::fabs(x));
  const auto tilt = [&](const std::vector<double>& lambda) {
    std::vector<double> reward(q.size(), 0.0);
    for (size_t k = 0; k < n; ++k)
      for (size_t i = 0; i < reward.size(); ++i) reward[i] += lambda[k] * centred[k][i];
    return posterior(q, reward, 1);
  };
  // Newton's method on the convex log Σ q e^{Λ·(φ−μ)}: its gradient is E φ − μ, its Hessian the covariance of φ.
  std::vector<double> lambda(n, 0.0);
  for (int iteration = 0; iteration < 100; ++iteration) {
    const Posterior at = tilt(lambda);
    std::vector<double> error(n);
    std::vector<std::vector<double>> covariance(n, std::vector<double>(n));
    double worst = 0, shift = 0;
    for (size_t k = 0; k < n; ++k) {
      error[k] = at.table.mean(centred[k]);
      worst = std::max(worst, std::fabs(error[k]));
      shift += lambda[k] * mu[k];
    }
    for (size_t k = 0; k < n; ++k)
      for (size_t l = 0; l < n; ++l) {
        std::vector<double> product = centred[k];
        for (size_t i = 0; i < product.size(); ++i) product[i] *= centred[l][i] - error[l];
        covariance[k][l] = at.table.mean(product);
      }
    const std::vector<double> step = solve(covariance, error, 1e-14 * scale * scale);
    if (step.empty()) break;  // a moment on the edge of what can be reached also ends here, before its error does
    if (worst <= 1e-14 * scale) return {lambda, at.table, at.log_z + shift};
    double descent = 0;  // how fast log Z falls at the first of the step
    for (size_t k = 0; k < n; ++k) descent += error[k] * step[k];
    std::vector<double> next(n);
    double length = 2;
    do {  // half the step while it overshoots; near the optimum the whole step is right and log Z is all rounding
      length /= 2;
      for (size_t k = 0; k < n; ++k) next[k] = lambda[k] - length * step[k];
    } while (worst > 1e-6 * scale && length > 1e-9 && tilt(next).log_z > at.log_z - length * descent / 4);
    lambda = next;
  }
  throw DataError("no distribution near the prior has these moments: each must lie inside what the features can reach");
}

}  // namespace gradus
