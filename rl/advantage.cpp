#include "rl/advantage.h"

#include <algorithm>

namespace gradus {

std::vector<double> returns_of_draws(const PaddedBatch& batch, std::span<const double> reward,
                                     std::span<const double> log_pi, std::span<const double> log_q,
                                     const AdvantageOptions& options) {
  std::vector<double> g(size_t(batch.B * batch.T), 0.0);
  for (int64_t b = 0; b < batch.B; ++b) {
    double rest = reward[size_t(b)];  // the reward comes with the last draw
    for (int64_t t = batch.end_slot(b) - 1; t >= batch.first_slot(b); --t) {
      const size_t i = size_t(b * batch.T + t);
      if (options.kl_coef > 0) rest -= options.kl_coef * (log_pi[i] - log_q[i]);  // 0 times an infinite log-ratio is 0
      if (options.entropy_coef != 0) rest -= options.entropy_coef * log_pi[i];
      g[i] = rest;
    }
    if (options.reward_to_go) continue;
    std::fill(g.begin() + b * batch.T + batch.first_slot(b), g.begin() + b * batch.T + batch.end_slot(b), rest);
  }
  return g;
}

std::vector<double> returns(const PaddedBatch& batch, std::span<const double> reward, std::span<const double> log_pi,
                            std::span<const double> log_q, double kl_coef, double entropy_coef) {
  const std::vector<double> g = returns_of_draws(
      batch, reward, log_pi, log_q, {.kl_coef = kl_coef, .reward_to_go = true, .entropy_coef = entropy_coef});
  std::vector<double> value(reward.begin(), reward.end());
  for (int64_t b = 0; b < batch.B; ++b)
    if (batch.length[size_t(b)] > 0) value[size_t(b)] = g[size_t(b * batch.T + batch.first_slot(b))];
  return value;
}

std::vector<double> on_every_draw(const PaddedBatch& batch, std::span<const double> value) {
  std::vector<double> a(size_t(batch.B * batch.T), 0.0);
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) a[size_t(b * batch.T + t)] = value[size_t(b)];
  return a;
}

// b of each sequence: the mean of weight · R over the others of its group.
static std::vector<double> leave_one_out(std::span<const double> value, const BaselineInput& input) {
  const auto group = [&](size_t b) { return input.group.empty() ? 0 : size_t(input.group[b]); };
  const auto weighted = [&](size_t b) { return input.weight.empty() ? value[b] : input.weight[b] * value[b]; };
  std::vector<double> sum, size;
  for (size_t b = 0; b < value.size(); ++b) {
    const size_t g = group(b);
    if (g >= sum.size()) sum.resize(g + 1), size.resize(g + 1);
    sum[g] += weighted(b);
    ++size[g];
  }
  std::vector<double> baseline;
  for (size_t b = 0; b < value.size(); ++b) {
    const size_t g = group(b);
    require(size[g] >= 2, "advantages", Loc::here(), "leave-one-out in a group of one has nothing to compare with");
    baseline.push_back((sum[g] - weighted(b)) / (size[g] - 1));
  }
  return baseline;
}

std::vector<double> advantages(const PaddedBatch& batch, std::span<const double> reward, std::span<const double> log_pi,
                               std::span<const double> log_q, const AdvantageOptions& options,
                               const BaselineInput& input) {
  std::vector<double> a = returns_of_draws(batch, reward, log_pi, log_q, options), baseline(size_t(batch.B), 0.0);
  if (options.baseline == Baseline::kLeaveOneOut)
    baseline = leave_one_out(returns(batch, reward, log_pi, log_q, options.kl_coef, options.entropy_coef), input);
  if (options.baseline == Baseline::kMoving) baseline.assign(size_t(batch.B), input.moving);
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) {
      const size_t i = size_t(b * batch.T + t);
      a[i] -= options.baseline == Baseline::kValue ? input.value[i] : baseline[size_t(b)];
      if (!input.weight.empty()) a[i] *= input.weight[size_t(b)];
    }
  return a;
}

}  // namespace gradus
