#include "rl/worlds/exact.h"

#include <algorithm>
#include <cmath>

#include "rl/advantage.h"

namespace gradus {

Objective exact_objective(std::span<const double> log_pi, std::span<const double> log_q, std::span<const double> reward,
                          double kl_coef) {
  require(log_pi.size() == log_q.size() && log_pi.size() == reward.size(), "exact_objective", Loc::here(),
          log_pi.size(), ", ", log_q.size(), " and ", reward.size(), " numbers for the same sequences");
  Objective j{0, 0, 0, 0};
  for (size_t i = 0; i < log_pi.size(); ++i) {
    const double pi = std::exp(log_pi[i]);
    if (pi == 0) continue;
    j.reward += pi * reward[i];
    j.kl += pi * (log_pi[i] - log_q[i]);
    j.entropy -= pi * log_pi[i];
  }
  j.objective = j.reward - (kl_coef > 0 ? kl_coef * j.kl : 0);
  return j;
}

std::vector<double> weighted_score(const LanguageModel& policy, const World& world, const Sequences& sequences,
                                   std::span<const double> weight, Shards& shards) {
  require(int64_t(weight.size()) == sequences.size(), "weighted_score", Loc::here(), weight.size(), " weights for ",
          sequences.size(), " sequences");
  std::vector<int64_t> order;
  for (int64_t i = 0; i < sequences.size(); ++i)
    if (weight[size_t(i)] != 0) order.push_back(i);
  // Equal lengths together: little padding.
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return sequences.draws(a).size() < sequences.draws(b).size(); });
  std::vector<double> gradient(size_t(policy.params().size()), 0.0);
  PolicyGradient step(policy, shards);
  PaddedBatch batch;
  const int64_t longest = int64_t(world.prompt.size()) + world.max_tokens;
  const size_t chunk = size_t(std::max<int64_t>(1, kChunkSlots / longest));
  for (size_t first = 0; first < order.size(); first += chunk) {
    const auto which = std::span(order).subspan(first, std::min(chunk, order.size() - first));
    batch.fill(world.prompt, sequences, which);
    std::vector<double> w;
    for (const int64_t i : which) w.push_back(weight[size_t(i)]);
    step.forward(batch, world.temperature);
    const std::span<const real> part = step.backward(on_every_draw(batch, w));
    for (size_t k = 0; k < gradient.size(); ++k) gradient[k] += double(part[k]);
  }
  return gradient;
}

std::vector<double> exact_gradient(const LanguageModel& policy, const World& world, const Sequences& sequences,
                                   std::span<const double> log_pi, std::span<const double> log_q,
                                   std::span<const double> reward, double kl_coef, Shards& shards) {
  const Objective j = exact_objective(log_pi, log_q, reward, kl_coef);
  if (!std::isfinite(j.objective))
    throw DataError(
        "KL(policy, prior) is infinite: the policy can say what the prior never says, so J has no gradient");
  std::vector<double> weight(log_pi.size());
  for (size_t i = 0; i < weight.size(); ++i) {
    const double pi = std::exp(log_pi[i]);
    if (pi == 0) continue;
    const double kl = kl_coef > 0 ? kl_coef * (log_pi[i] - log_q[i]) : 0;
    weight[i] = pi * (reward[i] - kl - j.objective);
  }
  return weighted_score(policy, world, sequences, weight, shards);
}

}  // namespace gradus
