#include "rl/rollout.h"

#include "models/sampler.h"

namespace gradus {

Rollouts roll_out(const LanguageModel& policy, const World& world, const Rng& rng, int64_t first, int64_t count) {
  Rollouts r{Sequences(world.end_id), std::vector<double>(size_t(count), 0.0)};
  const std::vector<std::vector<int32_t>> prompts(size_t(count), world.prompt);
  std::vector<std::vector<int32_t>> draws(static_cast<size_t>(count));
  std::vector<char> ended(size_t(count), false);
  Sampler sampler(policy, prompts, {world.temperature, 0, 1}, rng, first);
  int64_t open = count;
  for (int64_t t = 0; t < world.max_tokens && open > 0; ++t) {
    sampler.next();
    for (size_t i = 0; i < draws.size(); ++i) {
      if (ended[i]) continue;  // the sampler goes on behind the end mark; nobody listens
      const int32_t token = sampler.tokens()[i];
      draws[i].push_back(token);
      r.log_prob[i] += sampler.log_probs()[i];
      if (token != world.end_id) continue;
      ended[i] = true;
      --open;
    }
  }
  for (const auto& d : draws) r.sequences.add(d);
  return r;
}

}  // namespace gradus
