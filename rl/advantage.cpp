#include "rl/advantage.h"

#include "rl/estimators.h"

namespace gradus {

static double kl_from(const PaddedBatch& batch, int64_t b, int64_t first, std::span<const double> log_pi,
                      std::span<const double> log_q) {
  double kl = 0;
  for (int64_t t = first; t < batch.end_slot(b); ++t) {
    const size_t i = size_t(b * batch.T + t);
    kl += log_pi[i] - log_q[i];
  }
  return kl;
}

std::vector<double> returns(const PaddedBatch& batch, std::span<const double> reward, std::span<const double> log_pi,
                            std::span<const double> log_q, double kl_coef) {
  std::vector<double> value(reward.begin(), reward.end());
  if (kl_coef > 0)  // 0 times an infinite log-ratio is 0
    for (int64_t b = 0; b < batch.B; ++b)
      value[size_t(b)] -= kl_coef * kl_from(batch, b, batch.first_slot(b), log_pi, log_q);
  return value;
}

std::vector<double> on_every_draw(const PaddedBatch& batch, std::span<const double> value) {
  std::vector<double> a(size_t(batch.B * batch.T), 0.0);
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) a[size_t(b * batch.T + t)] = value[size_t(b)];
  return a;
}

std::vector<double> advantages(const PaddedBatch& batch, std::span<const double> reward, std::span<const double> log_pi,
                               std::span<const double> log_q, const AdvantageOptions& options) {
  std::vector<double> value = returns(batch, reward, log_pi, log_q, options.kl_coef);
  if (options.baseline == Baseline::kLeaveOneOut) value = leave_one_out_advantages(value);
  std::vector<double> a = on_every_draw(batch, value);
  if (!options.reward_to_go || options.kl_coef == 0) return a;  // the reward comes with the last draw
  for (int64_t s = 0; s < batch.B; ++s) {
    double spent = 0;  // β times the log-ratio of the draws before this one
    for (int64_t t = batch.first_slot(s); t < batch.end_slot(s); ++t) {
      const size_t i = size_t(s * batch.T + t);
      a[i] += spent;
      spent += options.kl_coef * (log_pi[i] - log_q[i]);
    }
  }
  return a;
}

}  // namespace gradus
