#include "rl/rollout.h"

#include <algorithm>
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
  // A row for each sequence, which all ranks get: log-probability, number of draws, the draws.
  const int64_t B = std::ssize(of), width = 2 + world.max_tokens;
  std::vector<double> rows(size_t(B * width));
  shards.each([&](int s) {
    const int64_t first = shards.first(s), count = shards.count(s);
    auto row = rows.begin() + first * width;
    for (const Drawn& d :
         draw_sequences(policy, prompts, of.subspan(size_t(first), size_t(count)), options_of(world), rng, first)) {
      row[0] = std::accumulate(d.log_probs.begin(), d.log_probs.end(), 0.0);
      row[1] = double(d.tokens.size());
      std::ranges::copy(d.tokens, row + 2);
      row += width;
    }
  });
  shards.gather_by_sequence(rows);
  Rollouts r{Sequences(world.end_id), {}};
  std::vector<int32_t> draws;
  for (auto row = rows.begin(); row != rows.end(); row += width) {
    r.log_prob.push_back(row[0]);
    draws.assign(row + 2, row + 2 + int64_t(row[1]));
    r.sequences.add(draws);
  }
  return r;
}

}  // namespace gradus
