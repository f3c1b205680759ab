#include "apps/held_out.h"

#include <cmath>
#include <numeric>

#include "engine/io/json_number.h"
#include "rl/rollout.h"
#include "rl/tables/running_moments.h"
#include "rl/teacher_forcing.h"

namespace gradus {

namespace {

double mean(std::span<const double> x) { return std::accumulate(x.begin(), x.end(), 0.0) / double(x.size()); }

// --batch sequences, which continue prompts in turn, with what the models say of them, [B].
struct Drawn {
  Sequences sequences;
  std::vector<int32_t> of;  // the prompt of each
  std::vector<double> log_pi, kl;
};
Drawn draw(const TunedRun& run, const LanguageModel& acting, const std::vector<std::vector<int32_t>>& prompts,
           Shards& shards, int64_t step) {
  const int64_t B = run.config.batch, P = std::ssize(prompts);
  std::vector<int32_t> of;
  for (int64_t b = 0; b < B; ++b) of.push_back(int32_t(((step - 1) * B + b) % P));
  shards.begin({.seed = uint64_t(run.config.seed), .step = step}, B);
  const Rng rng(uint64_t(run.config.seed), Stream::kSample, step);
  Sequences drawn = roll_out(acting, run.world, prompts, of, rng, shards).sequences;
  PaddedBatch batch;
  batch.fill(prompts, of, drawn);
  const auto log_prob = [&](const LanguageModel& model) {
    return sum_over_draws(batch, token_log_probs(model, shards, batch, run.world.temperature));
  };
  const std::vector<double> q = log_prob(*run.prior), log_pi = log_prob(acting);
  std::vector<double> kl = log_pi;
  for (size_t b = 0; b < kl.size(); ++b) kl[b] -= q[b];
  return {std::move(drawn), std::move(of), log_pi, std::move(kl)};
}

}  // namespace

Json measure_held_out(const TunedRun& run, const LanguageModel& acting, const Features& features,
                      const RewardFunction& watch, Shards& shards, int64_t step) {
  const Drawn drawn = draw(run, acting, run.held_out_tokens, shards, step);
  std::vector<int32_t> of_all;
  for (const int32_t p : drawn.of) of_all.push_back(int32_t(std::ssize(run.prompts)) + p);
  const std::vector<double> values = features.values(drawn.sequences, of_all);
  const bool rewarded = !run.config.is_gdc() && !features.empty();
  Json record{{"held_out_reward", rewarded ? json_number(mean(features.rewards(values))) : Json()},
              {"held_out_kl", json_number(mean(drawn.kl))}};
  if (run.config.is_gdc()) {
    Json moments = Json::array(), pointwise = Json::array();
    for (size_t f = 0, F = features.of.size(); f < F; ++f) {
      std::vector<double> column;
      for (size_t b = 0; b < drawn.kl.size(); ++b) column.push_back(values[b * F + f]);
      (f < features.count() ? moments : pointwise).push_back(json_number(mean(column)));
    }
    record["held_out_moments"] = std::move(moments);
    if (!pointwise.empty()) record["held_out_pointwise"] = std::move(pointwise);
  }
  if (watch) record["held_out_watch"] = json_number(mean(watch(drawn.sequences, of_all)));
  return record;
}

Json measure_policy(const TunedRun& run, const RewardFunction& watch, Shards& shards, int64_t step) {
  const Drawn drawn = draw(run, *run.policy.model, run.prompt_tokens, shards, step);
  RunningMoments kl;
  for (const double x : drawn.kl) kl.add(x);
  Json record{{"kl", json_number(kl.mean()[0])},
              {"kl_stderr", json_number(std::sqrt(kl.variance()[0] / double(kl.count())))},
              {"entropy", json_number(-mean(drawn.log_pi))}};
  if (watch) record["watch"] = json_number(mean(watch(drawn.sequences, drawn.of)));
  return record;
}

}  // namespace gradus
