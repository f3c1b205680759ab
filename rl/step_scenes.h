// A recorded step of a learner told in scenes (engine/step/trace.h), in the order in which the numbers come about: the
// texts that were drawn, their tokens with probabilities, what each is paid, its return, baseline and advantage, then
// ratio, weight and loss of each update; and behind the update the policy before and after. Every number is one of the
// record's, or follows from it by the line that is shown.
#pragma once

#include "engine/step/trace.h"
#include "models/text/tokenizer.h"
#include "rl/methods/method.h"
#include "rl/step_record.h"
#include "rl/tune_values.h"
#include "rl/worlds/known_worlds.h"

namespace gradus {

// What the exact answers say of a policy, and of every text behind the first prompt.
struct KnownPolicy {
  Truth truth;
  KnownWorlds::Known world;
};

// What is known around a step.
struct StepContext {
  const TuneConfig& options;
  const Method& method;
  const Tokenizer& tokenizer;
  std::vector<std::string> prompts;                    // their texts; an empty one is the start
  std::string aim;                                     // "the reward contains:cat"
  std::optional<KnownPolicy> before = {}, after = {};  // where the world can be listed
};

std::vector<TraceScene> opening_scenes(const StepRecord& record, const StepContext& context);
std::vector<TraceScene> closing_scenes(const StepRecord& record, const StepContext& context);

// The minibatch of an update. REQUIRES: it is one of the record's.
Experience minibatch_of(const StepRecord& record, const UpdateRecord& update);

}  // namespace gradus
