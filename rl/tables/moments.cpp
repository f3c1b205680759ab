// rl/tables/moments.h.
#include "rl/tables/moments.h"

#include <algorithm>

#include "rl/tables/posterior.h"

namespace gradus {
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

// E[φ_k (φ_l − mean_l)].
std::vector<std::vector<double>> covariance(const Table& p, const std::vector<std::vector<double>>& phi,
                                            std::span<const double> mean) {
  const size_t n = phi.size();
  std::vector<std::vector<double>> c(n, std::vector<double>(n));
  for (size_t k = 0; k < n; ++k)
    for (size_t l = 0; l < n; ++l) {
      std::vector<double> product = phi[k];
      for (size_t i = 0; i < product.size(); ++i) product[i] *= phi[l][i] - mean[l];
      c[k][l] = p.mean(product);
    }
  return c;
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
    double worst = 0, shift = 0;
    for (size_t k = 0; k < n; ++k) {
      error[k] = at.table.mean(centred[k]);
      worst = std::max(worst, std::fabs(error[k]));
      shift += lambda[k] * mu[k];
    }
    const std::vector<double> step = solve(covariance(at.table, centred, error), error, 1e-14 * scale * scale);
    if (n > 0 && step.empty())
      break;  // a moment on the edge of what can be reached also ends here, before its error does
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

std::vector<double> lambda_errors(const MomentFit& fit, const std::vector<std::vector<double>>& phi,
                                  std::span<const double> mu) {
  const size_t n = phi.size();
  std::vector<std::vector<double>> centred = phi;
  for (size_t k = 0; k < n; ++k)
    for (double& x : centred[k]) x -= mu[k];
  const std::vector<std::vector<double>> h = covariance(fit.table, centred, std::vector<double>(n, 0.0));
  std::vector<double> errors;
  for (size_t k = 0; k < n; ++k) {
    std::vector<double> unit(n, 0.0);
    unit[k] = 1;
    const std::vector<double> row = solve(h, unit, 0);  // of H⁻¹
    Sum variance;                                       // of row · Σ p (φ−μ), draw by draw
    for (size_t i = 0; i < fit.table.size() && !row.empty(); ++i) {
      double influence = 0;
      for (size_t l = 0; l < n; ++l) influence += row[l] * centred[l][i];
      variance += fit.table.p[i] * fit.table.p[i] * influence * influence;
    }
    errors.push_back(row.empty() ? std::nan("") : std::sqrt(variance));
  }
  return errors;
}

}  // namespace gradus
