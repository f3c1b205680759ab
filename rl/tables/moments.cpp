// rl/tables/moments.h.
#include "rl/tables/moments.h"

#include <algorithm>

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

using Lists = std::vector<std::vector<double>>;

// Outcomes behind prompts: prompt[i] of outcome i, all of one where it is empty.
class Prompts {
 public:
  explicit Prompts(std::span<const int32_t> prompt)
      : prompt_(prompt), count_(prompt.empty() ? 1 : size_t(std::ranges::max(prompt)) + 1) {}
  size_t count() const { return count_; }
  size_t of(size_t i) const { return prompt_.empty() ? 0 : size_t(prompt_[i]); }

  // x minus its mean under p, a table of all prompts, behind the prompt of each outcome.
  std::vector<double> centred(const Table& p, std::vector<double> x) const {
    std::vector<Sum> mean(count_);
    for (size_t i = 0; i < x.size(); ++i)
      if (p.p[i] > 0) mean[of(i)] += p.p[i] * x[i] * double(count_);
    for (size_t i = 0; i < x.size(); ++i) x[i] -= mean[of(i)];
    return x;
  }

 private:
  std::span<const int32_t> prompt_;
  size_t count_;
};

// p ∝ q e^r behind each prompt, and the mean of log Z_c.
struct Tilted {
  Table table;
  double log_z;
};
Tilted tilt(const Table& q, std::span<const double> r, const Prompts& prompts) {
  Lists exponents(prompts.count());
  for (size_t i = 0; i < r.size(); ++i) exponents[prompts.of(i)].push_back(q.log_p[i] + r[i]);
  const double share = 1 / double(prompts.count()), log_share = std::log(share);
  std::vector<double> log_z, log_p(r.size());  // q(x|c) is q over the share of its prompt
  Sum mean;
  for (const std::vector<double>& x : exponents) {
    log_z.push_back(log_sum_exp(x) - log_share);
    mean += share * log_z.back();
  }
  for (size_t i = 0; i < r.size(); ++i) log_p[i] = q.log_p[i] + r[i] - log_z[prompts.of(i)];
  return {Table::of_logs(std::move(log_p)), mean};
}

// The covariance of φ behind a prompt, its mean over the prompts.
Lists covariance(const Table& p, const Lists& phi, const Prompts& prompts) {
  const size_t n = phi.size();
  Lists off, c(n, std::vector<double>(n));
  for (const std::vector<double>& one : phi) off.push_back(prompts.centred(p, one));
  for (size_t k = 0; k < n; ++k)
    for (size_t l = 0; l < n; ++l) {
      std::vector<double> product = off[k];
      for (size_t i = 0; i < product.size(); ++i) product[i] *= off[l][i];
      c[k][l] = p.mean(product);
    }
  return c;
}

}  // namespace

MomentFit fit_moments(const Table& q, const Lists& phi, std::span<const double> mu, std::span<const int32_t> prompt) {
  const size_t n = phi.size();
  require(n == mu.size(), "fit_moments", Loc::here(), n, " features and ", mu.size(), " moments");
  require(prompt.empty() || prompt.size() == q.size(), "fit_moments", Loc::here(), prompt.size(), " prompts of ",
          q.size(), " outcomes");
  const Prompts prompts(prompt);
  Lists centred = phi;  // φ − μ: its mean is to be 0
  double scale = 0;
  for (size_t k = 0; k < n; ++k)
    for (double& x : centred[k]) x -= mu[k], scale = std::max(scale, std::fabs(x));
  const auto tilted = [&](const std::vector<double>& lambda) {
    std::vector<double> exponent(q.size(), 0.0);
    for (size_t k = 0; k < n; ++k)
      for (size_t i = 0; i < exponent.size(); ++i) exponent[i] += lambda[k] * centred[k][i];
    return tilt(q, exponent, prompts);
  };
  // Newton's method on the convex mean of log Σ q e^{Λ·(φ−μ)}: its gradient is E φ − μ, its Hessian the covariance of
  // φ.
  std::vector<double> lambda(n, 0.0);
  for (int iteration = 0; iteration < 100; ++iteration) {
    const Tilted at = tilted(lambda);
    std::vector<double> error(n);
    double worst = 0, shift = 0;
    for (size_t k = 0; k < n; ++k) {
      error[k] = at.table.mean(centred[k]);
      worst = std::max(worst, std::fabs(error[k]));
      shift += lambda[k] * mu[k];
    }
    const std::vector<double> step = solve(covariance(at.table, centred, prompts), error, 1e-14 * scale * scale);
    if (n > 1 && step.empty() && iteration == 0)
      throw DataError(
          "one of these features follows from the others under the prior, so Lambda is not unique; leave it out");
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
    } while (worst > 1e-6 * scale && length > 1e-9 && tilted(next).log_z > at.log_z - length * descent / 4);
    lambda = next;
  }
  throw DataError("no distribution near the prior has these moments: each must lie inside what the features can reach");
}

std::vector<double> lambda_errors(const MomentFit& fit, const Lists& phi, std::span<const int32_t> prompt) {
  const Prompts prompts(prompt);
  const size_t n = phi.size();
  Lists off;
  for (const std::vector<double>& one : phi) off.push_back(prompts.centred(fit.table, one));
  const Lists h = covariance(fit.table, phi, prompts);
  std::vector<double> errors;
  for (size_t k = 0; k < n; ++k) {
    std::vector<double> unit(n, 0.0);
    unit[k] = 1;
    const std::vector<double> row = solve(h, unit, 0);  // of H⁻¹
    Sum variance;                                       // of row · Σ p (φ−m), draw by draw
    for (size_t i = 0; i < fit.table.size() && !row.empty(); ++i) {
      double influence = 0;
      for (size_t l = 0; l < n; ++l) influence += row[l] * off[l][i];
      variance += fit.table.p[i] * fit.table.p[i] * influence * influence;
    }
    errors.push_back(row.empty() ? std::nan("") : std::sqrt(variance));
  }
  return errors;
}

}  // namespace gradus
