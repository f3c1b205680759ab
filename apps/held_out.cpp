#include "apps/held_out.h"

#include <numeric>

#include "apps/json_number.h"
#include "rl/rollout.h"
#include "rl/teacher_forcing.h"

namespace gradus {

static double mean(std::span<const double> x) { return std::accumulate(x.begin(), x.end(), 0.0) / double(x.size()); }

Json measure_held_out(const TunedRun& run, const LanguageModel& acting, const RewardFunction& reward,
                      const RewardFunction& watch, Shards& shards, int64_t step) {
  const int64_t B = run.config.batch, P = std::ssize(run.held_out);
  std::vector<int32_t> of, of_all;
  for (int64_t b = 0; b < B; ++b) {
    of.push_back(int32_t(((step - 1) * B + b) % P));
    of_all.push_back(int32_t(std::ssize(run.prompts)) + of.back());
  }
  shards.begin({.seed = uint64_t(run.config.seed), .step = step}, B);
  const Rng rng(uint64_t(run.config.seed), Stream::kSample, step);
  const Sequences drawn = roll_out(acting, run.world, run.held_out_tokens, of, rng, shards).sequences;
  PaddedBatch batch;
  batch.fill(run.held_out_tokens, of, drawn);
  const auto log_prob = [&](const LanguageModel& model) {
    return sum_over_draws(batch, token_log_probs(model, shards, batch, run.world.temperature));
  };
  const std::vector<double> q = log_prob(*run.prior);
  std::vector<double> kl = log_prob(acting);
  for (size_t b = 0; b < kl.size(); ++b) kl[b] -= q[b];
  Json record{{"held_out_reward", run.config.is_gdc() ? Json() : json_number(mean(reward(drawn, of_all)))},
              {"held_out_kl", json_number(mean(kl))}};
  if (watch) record["held_out_watch"] = json_number(mean(watch(drawn, of_all)));
  return record;
}

}  // namespace gradus
