// Rollouts: sequences of a world drawn from a policy.
#pragma once

#include "engine/rng.h"
#include "models/language_model.h"
#include "rl/sequences.h"

namespace gradus {

struct Rollouts {
  Sequences sequences;
  // The sampler's own log-probability of each sequence, [N]: of other products than the scorer's, so of other last
  // bits. For checks and for proposals; a gradient uses token_log_probs().
  std::vector<double> log_prob;
};

// `count` sequences of the world, independent draws. Draw t of sequence i is a function of (rng, first + i, t) and the
// model alone: how a batch is cut into calls changes nothing.
Rollouts roll_out(const LanguageModel& policy, const World& world, const Rng& rng, int64_t first, int64_t count);

}  // namespace gradus
