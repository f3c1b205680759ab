// rl/tables/moments.h.
#include "rl/tables/moments.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "rl/tables/eigen.h"

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

// x_k of all features, in the combinations of the rows of `weights`.
Lists combined(const Lists& weights, const Lists& x, size_t size) {
  Lists y(weights.size(), std::vector<double>(size, 0.0));
  for (size_t r = 0; r < weights.size(); ++r)
    for (size_t k = 0; k < x.size(); ++k)
      for (size_t i = 0; i < size; ++i) y[r][i] += weights[r][k] * x[k][i];
  return y;
}

// Combinations of the features, each with its weights of all of them. `free` ones vary, independently of each other;
// `fixed` ones are constant behind every prompt, so that no Λ moves them. Each feature is measured in its range, and
// whether two depend on each other is asked of the outcomes that can be, not of how likely they are.
struct Directions {
  Lists free, fixed;
};
Directions directions(const Table& q, const Lists& phi, const Prompts& prompts) {
  constexpr double kDependent = 1e-12;  // of the largest variance; rounding leaves 1e-16
  std::vector<double> outcomes(prompts.count(), 0.0), same(q.size(), 0.0), range;
  for (size_t i = 0; i < q.size(); ++i) outcomes[prompts.of(i)] += q.p[i] > 0;
  for (size_t i = 0; i < q.size(); ++i)
    if (q.p[i] > 0) same[i] = 1 / (outcomes[prompts.of(i)] * double(prompts.count()));
  Lists scaled = phi;
  for (std::vector<double>& x : scaled) {
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < x.size(); ++i)
      if (q.p[i] > 0) least = std::min(least, x[i]), most = std::max(most, x[i]);
    range.push_back(most > least ? most - least : 1);
    for (double& value : x) value = (value - least) / range.back();
  }
  const size_t n = phi.size();
  std::vector<double> matrix;
  for (const std::vector<double>& row : covariance(Table::of(same), scaled, prompts))
    matrix.insert(matrix.end(), row.begin(), row.end());
  const Eigen e = symmetric_eigen(std::move(matrix), int64_t(n));
  Directions d;
  for (size_t r = 0; r < n; ++r) {
    std::vector<double> weights(n);
    for (size_t k = 0; k < n; ++k) weights[k] = e.vectors[r * n + k] / range[k];
    (e.values[r] > kDependent * e.values[0] ? d.free : d.fixed).push_back(std::move(weights));
  }
  return d;
}

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// As in "a - 0.5 b", of weights whose largest is 1.
std::string sum_of(std::span<const double> weights, std::span<const std::string> names) {
  std::string sum;
  for (size_t k = 0; k < weights.size(); ++k) {
    if (std::fabs(weights[k]) < 5e-4) continue;
    const double size = std::round(1000 * std::fabs(weights[k])) / 1000;
    const std::string sign = sum.empty() ? (weights[k] < 0 ? "-" : "") : weights[k] < 0 ? " - " : " + ";
    sum += sign + (size == 1 ? "" : text(size, " ")) + (names.empty() ? text("feature ", k + 1) : names[k]);
  }
  return sum;
}

// What a combination of the features is over the outcomes, at least and at most, a mean over the prompts.
struct Range {
  double least = 0, most = 0;
};
Range range_of(std::span<const double> weights, const Table& q, const Lists& phi, const Prompts& prompts) {
  std::vector<Range> of(prompts.count(), {INFINITY, -INFINITY});
  for (size_t i = 0; i < q.size(); ++i) {
    if (q.p[i] == 0) continue;
    double x = 0;
    for (size_t k = 0; k < phi.size(); ++k) x += weights[k] * phi[k][i];
    Range& here = of[prompts.of(i)];
    here = {std::min(here.least, x), std::max(here.most, x)};
  }
  Range mean;
  for (const Range& r : of) mean.least += r.least / double(of.size()), mean.most += r.most / double(of.size());
  return mean;
}

// Refuses moments of which a combination of the features cannot be what they make it.
void require_within(std::vector<double> weights, const Table& q, const Lists& phi, std::span<const double> mu,
                    const Prompts& prompts, std::span<const std::string> names) {
  double largest = 0;
  for (const double w : weights)
    if (std::fabs(w) > std::fabs(largest) * (1 + 1e-9)) largest = w;
  if (largest == 0 || !std::isfinite(largest)) return;
  for (double& w : weights) w /= largest;
  const Range r = range_of(weights, q, phi, prompts);
  double size = 0;
  for (size_t k = 0; k < weights.size(); ++k) size += std::fabs(weights[k] * mu[k]);
  const double wanted = dot(weights, mu), rounding = 1e-9 * (size + std::fabs(r.least) + std::fabs(r.most));
  if (wanted >= r.least - rounding && wanted <= r.most + rounding && r.most - r.least <= rounding) return;
  if (wanted > r.least + rounding && wanted < r.most - rounding) return;
  const auto number = [](double x) { return text(std::round(1e6 * x) / 1e6 + 0.0); };
  throw DataError(text("these moments cannot be met together: ", sum_of(weights, names),
                       r.most - r.least <= rounding ? text(" is ", number(r.least))
                                                    : text(" lies between ", number(r.least), " and ", number(r.most)),
                       prompts.count() > 1 ? ", a mean over the prompts," : " in all that was seen,",
                       " and the moments make it ", number(wanted)));
}

// Newton's method on the convex mean of log Σ q e^{θ·ψ}: its gradient is E ψ, its Hessian the covariance of ψ. Sets θ
// so that E ψ = 0, and returns the table; none where there is no such θ, which then has gone far in a direction of
// ascent.
std::optional<Tilted> minimise(const Table& q, const Lists& psi, const Prompts& prompts, std::vector<double>& theta) {
  const size_t n = psi.size();
  double scale = 0;
  for (const std::vector<double>& one : psi)
    for (size_t i = 0; i < one.size(); ++i)
      if (q.p[i] > 0) scale = std::max(scale, std::fabs(one[i]));
  const auto tilted = [&](const std::vector<double>& by) {
    std::vector<double> exponent(q.size(), 0.0);
    for (size_t k = 0; k < n; ++k)
      for (size_t i = 0; i < exponent.size(); ++i) exponent[i] += by[k] * psi[k][i];
    return tilt(q, exponent, prompts);
  };
  theta.assign(n, 0.0);
  for (int iteration = 0; iteration < 100; ++iteration) {
    Tilted at = tilted(theta);
    std::vector<double> error(n);
    double worst = 0;
    for (size_t k = 0; k < n; ++k) {
      error[k] = at.table.mean(psi[k]);
      worst = std::max(worst, std::fabs(error[k]));
    }
    const std::vector<double> step = solve(covariance(at.table, psi, prompts), error, 1e-14 * scale * scale);
    if (n > 0 && step.empty())
      return {};  // a moment on the edge of what can be reached also ends here, before its error does
    if (worst <= 1e-14 * scale) return at;
    const double descent = dot(error, step);  // how fast log Z falls at the first of the step
    std::vector<double> next(n);
    double length = 2;
    do {  // half the step while it overshoots; near the optimum the whole step is right and log Z is all rounding
      length /= 2;
      for (size_t k = 0; k < n; ++k) next[k] = theta[k] - length * step[k];
    } while (worst > 1e-6 * scale && length > 1e-9 && tilted(next).log_z > at.log_z - length * descent / 4);
    theta = next;
  }
  return {};
}

// Refuses moments for which Λ has gone to infinity. Near its direction is a simple one that tells why.
[[noreturn]] void refuse(std::vector<double> lambda, const Table& q, const Lists& phi, std::span<const double> mu,
                         const Prompts& prompts, std::span<const std::string> names) {
  double largest = 0;
  for (const double x : lambda) largest = std::max(largest, std::fabs(x));
  for (const double unit : {1.0, 0.5, 0.25, 0.01}) {
    std::vector<double> simple = lambda;
    for (double& x : simple) x = unit * std::round(x / largest / unit);
    require_within(simple, q, phi, mu, prompts, names);
  }
  require_within(std::move(lambda), q, phi, mu, prompts, names);
  throw DataError("no distribution near the prior has these moments: each must lie inside what the features can reach");
}

}  // namespace

MomentFit fit_moments(const Table& q, const Lists& phi, std::span<const double> mu, std::span<const int32_t> prompt,
                      std::span<const std::string> names) {
  require(phi.size() == mu.size(), "fit_moments", Loc::here(), phi.size(), " features and ", mu.size(), " moments");
  require(prompt.empty() || prompt.size() == q.size(), "fit_moments", Loc::here(), prompt.size(), " prompts of ",
          q.size(), " outcomes");
  const Prompts prompts(prompt);
  const Directions d = directions(q, phi, prompts);
  for (const std::vector<double>& fixed : d.fixed) require_within(fixed, q, phi, mu, prompts, names);
  Lists centred = phi;  // φ − μ: its mean is to be 0
  for (size_t k = 0; k < phi.size(); ++k)
    for (double& x : centred[k]) x -= mu[k];
  std::vector<double> theta, lambda(phi.size(), 0.0);
  std::optional<Tilted> met = minimise(q, combined(d.free, centred, q.size()), prompts, theta);
  for (size_t r = 0; r < theta.size(); ++r)
    for (size_t k = 0; k < lambda.size(); ++k) lambda[k] += theta[r] * d.free[r][k];
  if (!met) refuse(std::move(lambda), q, phi, mu, prompts, names);
  const double shift = dot(lambda, mu);
  return {std::move(lambda), std::move(met->table), met->log_z + shift};
}

std::vector<double> lambda_errors(const MomentFit& fit, const Lists& phi, std::span<const int32_t> prompt) {
  const Prompts prompts(prompt);
  const Directions d = directions(fit.table, phi, prompts);
  const Lists psi = combined(d.free, phi, fit.table.size());
  const size_t n = psi.size();
  Lists off;
  for (const std::vector<double>& one : psi) off.push_back(prompts.centred(fit.table, one));
  const Lists h = covariance(fit.table, psi, prompts);
  std::vector<double> errors;
  for (size_t k = 0; k < phi.size(); ++k) {
    std::vector<double> of_lambda;  // how Λ_k depends on the θ of each free combination
    for (const std::vector<double>& free : d.free) of_lambda.push_back(free[k]);
    const std::vector<double> row = solve(h, of_lambda, 0);  // of H⁻¹, in the combinations
    Sum variance;                                            // of row · Σ p (φ−m), draw by draw
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
