// What a policy draws, measured beside the steps: on prompts that it is not trained on, which says whether it has
// learnt the task or its prompts; or on those of a run whose steps draw nothing, since they learn from texts that were
// given.
#pragma once

#include "apps/tuned_run.h"

namespace gradus {

// "held_out_reward" (null without a reward), "held_out_kl", of gdc "held_out_moments" and "held_out_pointwise", as the
// steps have them, and, with a second reward, "held_out_watch": means over a
// batch of --batch sequences, all held-out prompts in turn. To the rewards they come behind the prompts of the run.
// What is drawn is a function of (seed, step) and the policy. REQUIRES: there are such prompts.
Json measure_held_out(const TunedRun& run, const LanguageModel& acting, const Features& features,
                      const RewardFunction& watch, Shards& shards, int64_t step);

// "kl", "kl_stderr", "entropy" and, with a second reward, "watch": means over a batch of --batch sequences, the prompts
// of the run in turn.
Json measure_policy(const TunedRun& run, const RewardFunction& watch, Shards& shards, int64_t step);

}  // namespace gradus
