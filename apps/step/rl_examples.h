// The steps of reinforcement learning that `gradus step` walks through: a real learner (rl/tuner.h) in the world of
// four sentences, where everything is known exactly.
#pragma once

#include <span>

#include "engine/step/trace.h"

namespace gradus {

struct RlExample {
  const char *name, *title;
  Trace (*trace)(const RlExample& example);
};
// reinforce, ppo.
std::span<const RlExample> rl_examples();

}  // namespace gradus
