// rl/tables/estimators.h.
#include "rl/tables/estimators.h"

#include <algorithm>
#include <numeric>

namespace gradus {

double Moments::total_variance() const {
  Sum sum;
  for (double v : variance) sum += v;
  return sum;
}

Moments score_moments(const Table& pi, const Table& sampler, std::span<const double> c) {
  std::vector<double> squares(c.begin(), c.end());
  for (double& x : squares) x *= x;
  const double mean = sampler.mean(c), square = sampler.mean(squares);
  Moments m;
  for (size_t j = 0; j < pi.size(); ++j) {
    const double p = pi.p[j], at = sampler.p[j];  // the score is 1−p with probability `at`, else −p
    m.mean.push_back(at * c[j] - p * mean);
    const double second = at * squares[j] * (1 - p) * (1 - p) + (square - at * squares[j]) * p * p;
    m.variance.push_back(second - m.mean[j] * m.mean[j]);
  }
  return m;
}

std::vector<double> squared_score_norms(const Table& pi) {
  const double square = pi.mean(pi.p);
  std::vector<double> n;
  for (double p : pi.p) n.push_back(1 - 2 * p + square);
  return n;
}

double best_constant(const Table& pi, std::span<const double> f) {
  const std::vector<double> norms = squared_score_norms(pi);
  std::vector<double> weighted(f.begin(), f.end());
  for (size_t i = 0; i < norms.size(); ++i) weighted[i] *= norms[i];
  return -pi.mean(weighted) / pi.mean(norms);
}

std::vector<double> best_constants(const Table& pi, std::span<const double> f) {
  const double mean = pi.mean(f);
  std::vector<double> c;
  for (size_t j = 0; j < pi.size(); ++j) {  // E[s_j² f] = p ((1−p)² f_j + p (E f − p f_j)), E[s_j²] = p (1−p)
    const double p = pi.p[j];
    c.push_back(p == 0 || p == 1 ? 0 : -((1 - p) * (1 - p) * f[j] + p * (mean - p * f[j])) / (1 - p));
  }
  return c;
}

double kl_estimate(KlEstimate k, double u) {
  return k == KlEstimate::k1 ? u : k == KlEstimate::k2 ? u * u / 2 : std::expm1(-u) + u;
}
double kl_estimate_slope(KlEstimate k, double u) {
  return k == KlEstimate::k1 ? 1 : k == KlEstimate::k2 ? u : -std::expm1(-u);
}

double effective_sample_size(std::span<const double> weights) {
  Sum sum, squares;
  for (double w : weights) sum += w, squares += w * w;
  return squares == 0 ? 0 : sum * (sum / squares);
}

double self_normalised_mean(std::span<const double> weights, std::span<const double> f) {
  Sum sum, weighted;
  for (size_t i = 0; i < weights.size(); ++i) sum += weights[i], weighted += weights[i] * f[i];
  return weighted / sum;
}

std::vector<double> leave_one_out_means(std::span<const double> values, std::span<const int32_t> group) {
  const auto group_of = [&](size_t i) { return group.empty() ? 0 : size_t(group[i]); };
  std::vector<double> sum, size, means;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t g = group_of(i);
    if (g >= sum.size()) sum.resize(g + 1), size.resize(g + 1);
    sum[g] += values[i];
    ++size[g];
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t g = group_of(i);
    require(size[g] >= 2, "leave_one_out", Loc::here(), "leave-one-out in a group of one has nothing to compare with");
    means.push_back((sum[g] - values[i]) / (size[g] - 1));
  }
  return means;
}

std::vector<double> leave_one_out_advantages(std::span<const double> rewards) {
  std::vector<double> a = leave_one_out_means(rewards);
  for (size_t i = 0; i < a.size(); ++i) a[i] = rewards[i] - a[i];
  return a;
}

std::vector<double> normalised_advantages(std::span<const double> rewards) {
  const double n = double(rewards.size());
  require(n >= 2, "normalised_advantages", Loc::here(), "a group of ", n, " has no spread");
  const auto [least, most] = std::minmax_element(rewards.begin(), rewards.end());
  if (*least == *most) return std::vector<double>(rewards.size(), 0.0);
  const double mean = std::accumulate(rewards.begin(), rewards.end(), 0.0) / n;
  double squares = 0;
  for (double r : rewards) squares += (r - mean) * (r - mean);
  std::vector<double> a;
  for (double r : rewards) a.push_back((r - mean) / std::sqrt(squares / (n - 1)));
  return a;
}

std::vector<double> generalised_advantages(std::span<const double> rewards, std::span<const double> values,
                                           double gamma, double lambda) {
  require(rewards.size() == values.size(), "generalised_advantages", Loc::here(), rewards.size(), " rewards and ",
          values.size(), " values");
  std::vector<double> a(rewards.size());
  double next_value = 0, next = 0;
  for (size_t t = a.size(); t-- > 0;) {
    const double delta = rewards[t] + gamma * next_value - values[t];
    a[t] = next = delta + gamma * lambda * next;
    next_value = values[t];
  }
  return a;
}

}  // namespace gradus
