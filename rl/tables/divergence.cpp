// rl/tables/divergence.h. Every sum is one line of mathematics over outcomes; the small functions above handle its
// zeros.
#include "rl/tables/divergence.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "models/table.h"

namespace gradus {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void same_size(const char* op, const Table& a, const Table& b) {
  require(a.size() == b.size(), op, Loc::here(), "tables of ", a.size(), " and ", b.size(), " outcomes");
}

// Σ_i f(i).
template <class F>
double sum_over(size_t n, F&& f) {
  Sum sum;
  for (size_t i = 0; i < n; ++i) sum += f(i);
  return sum;
}

// p (log p − log q), where 0·anything = 0.
double information(double p, double log_p, double log_q) { return p == 0 ? 0 : p * (log_p - log_q); }
// (p−q)²/q, where 0/0 = 0.
double chi2_term(double p, double q) { return p == q ? 0 : (p - q) * ((p - q) / q); }
// x − log(1+x) ≥ 0. Near 0 the difference would cancel: there it is x² (1/2 − x/3 + x²/4 − ...), cut where x¹⁷ is
// nothing.
double log1p_gap(double x) {
  if (std::fabs(x) > 0.1) return x - std::log1p(x);
  double sum = 0;
  for (int k = 18; k >= 2; --k) sum = 1.0 / k - x * sum;
  return x * x * sum;
}

double forward_kl(const Outcome& x) { return kl_term(x.t, x.log_t, x.p, x.log_p); }
double forward_kl_slope(double u) { return -std::exp(-u); }  // −1/τ
double forward_kl_flow(const Outcome& x, double) { return -x.t; }

double reverse_kl(const Outcome& x) { return kl_term(x.p, x.log_p, x.t, x.log_t); }
double reverse_kl_slope(double u) { return u + 1; }

double js(const Outcome& x) {
  const double m = (x.p + x.t) / 2;
  if (m < 1e-300) return 0;  // and what it adds is below
  return (kl_term(x.p, x.log_p, m, std::log(m)) + kl_term(x.t, x.log_t, m, std::log(m))) / 2;
}
double js_slope(double u) {  // ½ log(2τ/(1+τ))
  return (kLog2 + std::min(u, 0.0) - std::log1p(std::exp(-std::fabs(u)))) / 2;
}

double tv(const Outcome& x) { return std::fabs(x.p - x.t) / 2; }
double tv_slope(double u) { return u > 0 ? 0.5 : u < 0 ? -0.5 : 0; }  // ½ sign(τ−1)

double chi2_of_target(const Outcome& x) { return chi2_term(x.t, x.p); }
double chi2_of_target_slope(double u) { return -std::expm1(-2 * u); }  // 1 − 1/τ²
double chi2_of_target_flow(const Outcome& x, double u) {
  if (x.p > 0) return x.p * chi2_of_target_slope(u);
  return x.t > 0 ? -kInfinity : 0;
}

double chi2_of_policy(const Outcome& x) { return chi2_term(x.p, x.t); }
double chi2_of_policy_slope(double u) { return 2 * std::expm1(u); }  // 2(τ−1)

double hellinger(const Outcome& x) {  // √p − √t = (p − t) / (√p + √t), without cancellation
  const double d = x.p == x.t ? 0 : (x.p - x.t) / (std::sqrt(x.p) + std::sqrt(x.t));
  return d * d / 2;
}
double hellinger_slope(double u) { return -std::expm1(-u / 2) / 2; }  // ½(1 − 1/√τ)

// (e^{au} − 1)/a, which for a → 0 is u.
double power_log(double a, double u) { return a == 0 ? u : std::expm1(a * u) / a; }

// (τ^A − Aτ + A − 1)/(A(A−1)) for τ = e^u near 1, where it would cancel: Σ_k u^k/k! (1 + A + ... + A^{k−2}), k ≥ 2.
double alpha_gap(double a, double u) {
  double sum = 0, power = u, coefficient = 0;  // u^k/k!
  for (int k = 2; k < 20; ++k) {
    power *= u / k;
    coefficient = 1 + a * coefficient;
    sum += power * coefficient;
  }
  return sum;
}

// f(τ) = (τ^A − Aτ + A − 1)/(A(A−1)) of Cressie and Read 1984, written so that nothing cancels near its limits: A = 0
// is KL(t‖π), 1 is KL(π‖t), ½ is four times Hellinger, 2 and −1 are half of the two χ².
Divergence alpha(std::string name, double a) {
  const auto slope = [a](double u) { return power_log(a - 1, u); };  // (τ^{A−1} − 1)/(A−1)
  const auto term = [a, slope](const Outcome& x) {
    if (x.log_p == x.log_t) return 0.0;
    if (x.log_t == -kInfinity) return a < 1 ? x.p / (1 - a) : kInfinity;
    if (x.log_p == -kInfinity) return a > 0 ? x.t / a : kInfinity;
    const double u = x.log_p - x.log_t;
    if (std::fabs(u) * (1 + std::fabs(a)) < 0.1) return x.t * alpha_gap(a, u);
    return a < 0.5 ? (x.t * power_log(a, u) - (x.p - x.t)) / (a - 1) : (x.p * slope(u) - (x.p - x.t)) / a;
  };
  const auto flow = [a, slope](const Outcome& x, double u) {
    if (x.p > 0) return x.p * slope(u);
    return x.t == 0 || a > 0 ? 0 : a == 0 ? -x.t : -kInfinity;
  };
  return {.name = std::move(name),
          .help = "A number: 0 forward-kl, 1 reverse-kl: (τ^A − Aτ + A − 1)/(A(A−1))",
          .term = term,
          .slope = slope,
          .flow = flow};
}
constexpr const char kAlpha[] = "alpha:";

const std::vector<Divergence>& rows() {
  static const std::vector<Divergence> all{
      {.name = "reverse-kl", .help = "KL(π‖t): τ log τ", .term = reverse_kl, .slope = reverse_kl_slope},
      {.name = "forward-kl",
       .help = "KL(t‖π): −log τ",
       .term = forward_kl,
       .slope = forward_kl_slope,
       .flow = forward_kl_flow},
      {.name = "js",
       .help = "Jensen-Shannon, halved: ½ τ log(2τ/(τ+1)) + ½ log(2/(τ+1))",
       .term = js,
       .slope = js_slope},
      {.name = "tv", .help = "total variation: ½|τ−1|", .term = tv, .slope = tv_slope},
      {.name = "chi2",
       .help = "χ²(t‖π): (1−τ)²/τ",
       .term = chi2_of_target,
       .slope = chi2_of_target_slope,
       .flow = chi2_of_target_flow},
      {.name = "chi2-reverse", .help = "χ²(π‖t): (τ−1)²", .term = chi2_of_policy, .slope = chi2_of_policy_slope},
      {.name = "hellinger", .help = "squared Hellinger: ½(1−√τ)²", .term = hellinger, .slope = hellinger_slope},
  };
  return all;
}

Outcome outcome(const Table& p, const Table& t, size_t i) { return {p.p[i], p.log_p[i], t.p[i], t.log_p[i]}; }

template <class Term>
double sum_of_terms(const Term& term, const Table& p, const Table& t) {
  same_size("f_divergence", p, t);
  return sum_over(p.size(), [&](size_t i) { return term(outcome(p, t, i)); });
}

}  // namespace

Sum& Sum::operator+=(double x) {
  const double sum = sum_ + x;
  if (std::isfinite(sum)) lost_ += std::fabs(sum_) >= std::fabs(x) ? (sum_ - sum) + x : (x - sum) + sum_;
  sum_ = sum;
  return *this;
}

Table Table::of(std::vector<double> probabilities, Loc where) {
  Table t{std::move(probabilities), {}};
  t.log_p.reserve(t.size());
  for (double p : t.p) {
    require(std::isfinite(p) && p >= 0, "Table", where, p, " is not a probability");
    t.log_p.push_back(std::log(p));
  }
  return t;
}

Table Table::of_logs(std::vector<double> log_probabilities, Loc where) {
  Table t{{}, std::move(log_probabilities)};
  t.p.reserve(t.log_p.size());
  for (double l : t.log_p) {
    require(l < kInfinity, "Table", where, l, " is not the logarithm of a probability");  // also NaN
    t.p.push_back(std::exp(l));
  }
  return t;
}

Table Table::of_logits(std::span<const double> z) {
  const double log_z = log_sum_exp(z);
  std::vector<double> logs(z.begin(), z.end());
  for (double& l : logs) l -= log_z;
  return of_logs(std::move(logs));
}

double Table::mean(std::span<const double> f) const {
  require(f.size() == size(), "Table::mean", Loc::here(), f.size(), " values for ", size(), " outcomes");
  return sum_over(size(), [&](size_t i) { return p[i] == 0 ? 0 : p[i] * f[i]; });
}

double log_sum_exp(std::span<const double> x) {
  const double top = x.empty() ? -kInfinity : *std::max_element(x.begin(), x.end());
  if (!std::isfinite(top)) return top;
  return top + std::log(sum_over(x.size(), [&](size_t i) { return std::exp(x[i] - top); }));
}

double kl_term(double p, double log_p, double q, double log_q) {
  if (p == 0) return q;
  const double x = (q - p) / p;  // log(p/q) is −log(1+x), exact where p and q are near each other
  return x >= -0.5 && x <= 1 ? p * log1p_gap(x) : p * (log_p - log_q) + (q - p);
}

double entropy(const Table& p) {
  return sum_over(p.size(), [&](size_t i) { return information(p.p[i], 0, p.log_p[i]); });
}

double cross_entropy(const Table& p, const Table& q) {
  same_size("cross_entropy", p, q);
  return sum_over(p.size(), [&](size_t i) { return information(p.p[i], 0, q.log_p[i]); });
}

double kl(const Table& p, const Table& q) { return sum_of_terms(reverse_kl, p, q); }
double chi2(const Table& p, const Table& q) { return sum_of_terms(chi2_of_policy, p, q); }
double total_variation(const Table& p, const Table& q) { return sum_of_terms(tv, p, q); }
double hellinger2(const Table& p, const Table& q) { return sum_of_terms(hellinger, p, q); }
double jensen_shannon(const Table& p, const Table& q) { return sum_of_terms(js, p, q); }

std::vector<double> log_ratios(const Table& p, const Table& q) {
  same_size("log_ratios", p, q);
  std::vector<double> u(p.size());
  for (size_t i = 0; i < u.size(); ++i) u[i] = p.log_p[i] == q.log_p[i] ? 0 : p.log_p[i] - q.log_p[i];
  return u;
}

std::vector<double> score_gradient(const Table& pi, std::span<const double> f) {
  const double mean = pi.mean(f);
  std::vector<double> g(pi.size());
  for (size_t j = 0; j < g.size(); ++j) g[j] = pi.p[j] == 0 ? 0 : pi.p[j] * (f[j] - mean);
  return g;
}

std::vector<double> entropy_gradient(const Table& pi) {
  std::vector<double> g = score_gradient(pi, pi.log_p);
  for (double& x : g) x = -x;
  return g;
}

std::span<const Divergence> divergences() { return rows(); }
std::vector<std::string> divergence_names() {
  std::vector<std::string> names = names_of(rows());
  names.push_back(std::string(kAlpha) + "A");
  return names;
}
static std::optional<Divergence> find_divergence(std::string_view name) {
  for (const Divergence& row : rows())
    if (row.name == name) return row;
  if (!name.starts_with(kAlpha)) return {};
  const std::string_view number = name.substr(sizeof kAlpha - 1);
  double a = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), a);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(a)) return {};
  return alpha(std::string(name), a);
}
bool is_divergence(const std::string& name) { return find_divergence(name).has_value(); }
Divergence divergence_named(std::string_view name) {
  if (std::optional<Divergence> found = find_divergence(name)) return *std::move(found);
  throw_unknown("divergence", name, divergence_names());
}

double f_divergence(const Divergence& f, const Table& pi, const Table& t) { return sum_of_terms(f.term, pi, t); }

std::vector<double> f_gradient(const Divergence& f, const Table& pi, const Table& t) {
  std::vector<double> g = log_ratios(pi, t);
  for (size_t i = 0; i < g.size(); ++i) {
    const Outcome x = outcome(pi, t, i);
    g[i] = f.flow ? f.flow(x, g[i]) : x.p > 0 ? x.p * f.slope(g[i]) : 0;
  }
  const double sum = sum_over(g.size(), [&](size_t i) { return g[i]; });  // E_π[f']
  for (size_t j = 0; j < g.size(); ++j)
    if (std::isfinite(g[j]) && pi.p[j] > 0) g[j] -= pi.p[j] * sum;
  return g;
}

Comparison compare(const Table& a, const Table& b) {
  return {.kl_ab = kl(a, b),
          .kl_ba = kl(b, a),
          .js = jensen_shannon(a, b),
          .tv = total_variation(a, b),
          .chi2_ab = chi2(a, b),
          .chi2_ba = chi2(b, a),
          .hellinger2 = hellinger2(a, b),
          .entropy_a = entropy(a),
          .entropy_b = entropy(b),
          .cross_entropy_ab = cross_entropy(a, b)};
}

}  // namespace gradus
