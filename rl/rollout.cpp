#include "rl/rollout.h"

#include <numeric>

#include "models/sampler.h"

namespace gradus {

static void append(const std::vector<Drawn>& drawn, Rollouts& r) {
  for (const Drawn& d : drawn) {
    r.sequences.add(d.tokens);
    r.log_prob.push_back(std::accumulate(d.log_probs.begin(), d.log_probs.end(), 0.0));
  }
}

static SampleOptions options_of(const World& world) {
  return {.temperature = world.temperature, .end_id = world.end_id, .max_tokens = world.max_tokens};
}

Rollouts roll_out(const LanguageModel& policy, const World& world, const Rng& rng, int64_t first, int64_t count) {
  Tape tape;
  const Tape::Use use(tape);
  const std::vector<int32_t> of(size_t(count), 0);
  Rollouts r{Sequences(world.end_id), {}};
  append(draw_sequences(policy, {&world.prompt, 1}, of, options_of(world), rng, first), r);
  return r;
}

Rollouts roll_out(const LanguageModel& policy, const World& world, std::span<const std::vector<int32_t>> prompts,
                  std::span<const int32_t> of, const Rng& rng, Shards& shards) {
  std::vector<std::vector<Drawn>> drawn(size_t(shards.size()));
  shards.each([&](int s) {
    const int64_t first = shards.first(s), count = shards.count(s);
    drawn[size_t(s)] =
        draw_sequences(policy, prompts, of.subspan(size_t(first), size_t(count)), options_of(world), rng, first);
  });
  Rollouts r{Sequences(world.end_id), {}};
  for (const std::vector<Drawn>& part : drawn) append(part, r);
  return r;
}

}  // namespace gradus
