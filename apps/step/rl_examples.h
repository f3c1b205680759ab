// The steps of reinforcement learning that `gradus step` walks through: a real learner (rl/tuner.h) in the world of
// four sentences, where everything is known exactly.
#pragma once

#include <span>

#include "engine/step/trace.h"

namespace gradus {

struct RlExample {
  const char *name, *title;
  int64_t first_seed;                                      // of the draws: so chosen that the texts differ
  Trace (*trace)(const RlExample& example, int64_t seed);  // 1, 2, ...: other draws
};
// reinforce, ppo.
std::span<const RlExample> rl_examples();

}  // namespace gradus
