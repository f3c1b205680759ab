// A fine-tuned run on disk: a checkpoint whose metadata say what the tuning stands on (its options, the prior and its
// hash, the prompts) and how far it has come (the KL coefficient, the moving mean), with the value network and the
// replayed sequences in arrays of their own.
#pragma once

#include <memory>

#include "apps/commands.h"
#include "apps/console.h"
#include "apps/run_folder.h"
#include "models/run/checkpoint.h"
#include "rl/learner.h"
#include "rl/rewards/reward.h"

namespace gradus {

struct TunedRun {
  Checkpoint policy;  // its model is the policy, its step that of the tuning
  Checkpoint prior;   // frozen
  TuneConfig config;
  std::vector<std::string> prompts;  // their texts; an empty one is what the run starts from
  std::vector<std::vector<int32_t>> prompt_tokens;
  World world;  // all but the prompt

  // Puts back into a new learner and what it stands on what the checkpoint remembers; nothing in a new run.
  void restore(RolloutSource& source, Method& method, Learner& learner) const;
  // Writes everything; the old checkpoint stays if that fails.
  void save(const RolloutSource& source, const Method& method, const Learner& learner, const std::string& path);
};

// A new run from the prior of command.run, or with --resume the one in command.out. UsageError and DataError as
// INTERFACE has them: a policy without parameters, prompts that leave no room for --max-tokens, a prior that changed.
// A run that goes on is locked, in `folder`, before it is read.
TunedRun open_tuned_run(TuneCommand& command, std::optional<RunFolder>& folder, Console& console);

}  // namespace gradus
