#include "rl/tables/frontier.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>

#include "rl/tables/moments.h"
#include "rl/tables/posterior.h"

namespace gradus {
namespace {

// Probability of each reward, ascending.
std::map<double, double> rewards_of(const Table& q, std::span<const double> r) {
  std::map<double, double> levels;
  for (size_t i = 0; i < r.size(); ++i)
    if (q.p[i] > 0) levels[r[i]] += q.p[i];
  return levels;
}

}  // namespace

std::vector<FrontierPoint> frontier_points(const Table& q, std::span<const double> r, int points) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::map<double, double> levels = rewards_of(q, r);
  std::vector<FrontierPoint> all{{.beta = kInfinity, .reward = q.mean(r), .kl = 0}};
  if (levels.size() < 2) return all;
  const double most = -std::log(levels.rbegin()->second);
  for (int k = 1; k + 1 < points; ++k) {
    const double share = double(k) / (points - 1), beta = kl_coef_for(q, r, most * share * share);
    const Table p = posterior(q, r, beta).table;
    all.push_back({.beta = beta, .reward = p.mean(r), .kl = kl(p, q)});
  }
  all.push_back({.beta = 0, .reward = levels.rbegin()->first, .kl = most});
  return all;
}

// KL(π‖q) = KL(π‖p) + KL(p‖q) for the p ∝ q e^{Λr} with E_p[r] = E_π[r]: what is asked for is KL(π‖p).
double kl_to_frontier(const Table& pi, const Table& q, std::span<const double> r) {
  const double mean = pi.mean(r), from_q = kl(pi, q);
  const std::map<double, double> levels = rewards_of(q, r);
  if (!std::isfinite(from_q) || levels.size() < 2) return from_q;
  for (const auto& end : {*levels.begin(), *levels.rbegin()})  // only the worst, or the best outcomes are left
    if (std::fabs(mean - end.first) <= 1e-12 * (levels.rbegin()->first - levels.begin()->first))
      return from_q + std::log(end.second);
  return kl(pi, fit_moments(q, {{r.begin(), r.end()}}, std::vector{mean}).table);
}

BestOfN best_of_n(const Table& q, std::span<const double> r, int64_t n) {
  BestOfN best{.n = n, .reward = 0, .kl = 0, .kl_usual = std::log(double(n)) - double(n - 1) / double(n)};
  const std::map<double, double> levels = rewards_of(q, r);
  // From the best down, so that the small probability of a rare one is not lost beside 1: of what is not above, F, a
  // share is of this level. F^N − (F (1 − share))^N
  double above = 0;
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
    const auto [reward, p] = *level;
    const bool last = std::next(level) == levels.rend();
    const double share = last ? 1 : std::min(1.0, p / (1 - above)), log_f = std::log1p(-above);
    const double chosen = std::exp(double(n) * log_f) * -std::expm1(double(n) * std::log1p(-share));
    best.reward += chosen * reward;
    best.kl += kl_term(chosen, std::log(chosen), last ? 1 - above : p, last ? log_f : std::log(p));
    above = std::min(1.0, above + p);
  }
  return best;
}

}  // namespace gradus
