#include "apps/held_out.h"

#include <numeric>

#include "engine/io/json_number.h"
#include "rl/rollout.h"
#include "rl/teacher_forcing.h"

namespace gradus {

static double mean(std::span<const double> x) { return std::accumulate(x.begin(), x.end(), 0.0) / double(x.size()); }

Json measure_held_out(const TunedRun& run, const LanguageModel& acting, const Features& features,
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
  const std::vector<double> values = features.values(drawn, of_all);
  Json record{{"held_out_reward", run.config.is_gdc() ? Json() : json_number(mean(features.rewards(values)))},
              {"held_out_kl", json_number(mean(kl))}};
  if (run.config.is_gdc()) {
    Json moments = Json::array(), pointwise = Json::array();
    for (size_t f = 0, F = features.of.size(); f < F; ++f) {
      std::vector<double> column;
      for (size_t b = 0; b < kl.size(); ++b) column.push_back(values[b * F + f]);
      (f < features.count() ? moments : pointwise).push_back(json_number(mean(column)));
    }
    record["held_out_moments"] = std::move(moments);
    if (!pointwise.empty()) record["held_out_pointwise"] = std::move(pointwise);
  }
  if (watch) record["held_out_watch"] = json_number(mean(watch(drawn, of_all)));
  return record;
}

}  // namespace gradus
