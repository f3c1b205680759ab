// Worlds with a Tuner in them, for the tests of fine-tuning.
#pragma once

#include <map>

#include "engine/optim.h"
#include "models/families.h"
#include "rl/tuner.h"
#include "rl/worlds/known_worlds.h"
#include "tests/exact_worlds.h"

namespace gradus::testing {

// r of every sequence of an enumeration, looked up.
inline RewardFunction table_reward(const Sequences& sequences, std::span<const double> reward) {
  auto table = std::make_shared<std::map<std::vector<int32_t>, double>>();
  for (int64_t i = 0; i < sequences.size(); ++i) {
    const auto draws = sequences.draws(i);
    (*table)[{draws.begin(), draws.end()}] = reward[size_t(i)];
  }
  return [table](const Sequences& s, std::span<const int32_t>) {
    std::vector<double> r;
    for (int64_t i = 0; i < s.size(); ++i) r.push_back(table->at({s.draws(i).begin(), s.draws(i).end()}));
    return r;
  };
}

// A prior, a policy that begins as its copy, and everything around a Tuner.
struct TunedWorld {
  std::unique_ptr<LanguageModel> prior, policy;
  World world;
  std::vector<std::vector<int32_t>> prompts;
  RewardFunction reward;
  TuneConfig options;
  Shards shards;
  Tuner tuner;
  AdamW optimizer;

  TunedWorld(std::unique_ptr<LanguageModel> q, World w, RewardFunction r, TuneConfig o, int threads = 1,
             std::vector<std::vector<int32_t>> several = {})
      : prior(std::move(q)),
        policy(clone(*prior)),
        world(std::move(w)),
        prompts(several.empty() ? std::vector<std::vector<int32_t>>{world.prompt} : std::move(several)),
        reward(std::move(r)),
        options(std::move(o)),
        shards(2, threads),
        tuner(*policy, *prior, prompts, world, reward, options, shards),
        optimizer(policy->params(), {.weight_decay = 0}) {}

  // Steps first + 1 .. last, with a cosine to 0 at `last`.
  void train(int64_t last, double lr, int64_t first = 0) {
    const Schedule schedule{lr, 0, 0, last};
    for (int64_t step = first + 1; step <= last; ++step) {
      tuner.step(step, optimizer, schedule.at(step), 1);
    }
  }
  KnownWorlds known(int64_t most = kMaxSequences) const { return KnownWorlds(*prior, prompts, world, reward, most); }
};

}  // namespace gradus::testing
