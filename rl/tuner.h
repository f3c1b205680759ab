// Tuner: a learner on its own rollouts, with the source and the method that the options name; what `gradus tune` runs.
#pragma once

#include "rl/learner.h"

namespace gradus {

struct TunerParts {
  TunerParts(const MethodModels& models, std::vector<std::vector<int32_t>> prompts, World world, RewardFunction reward,
             const TuneConfig& options, Shards& shards, Features features)
      : source(std::move(prompts), std::move(world), std::move(reward), options, shards, std::move(features)),
        method(make_method(options, {models.policy, models.prior, source.prompts()})) {}

  RolloutSource source;
  std::unique_ptr<Method> method;
};

struct Tuner : TunerParts, Learner {
  Tuner(LanguageModel& policy, const LanguageModel& prior, std::vector<std::vector<int32_t>> prompts, World world,
        RewardFunction reward, const TuneConfig& options, Shards& shards, Features features = {})
      : TunerParts({.policy = &policy, .prior = &prior}, std::move(prompts), std::move(world), std::move(reward),
                   options, shards, std::move(features)),
        Learner(policy, prior, source, *method, options, shards) {}
};

// Of fine-tuning, whatever the model was trained with: without weight decay.
inline AdamW tuning_optimizer(const LanguageModel& policy) {
  return AdamW(policy.params(), {.beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0});
}

}  // namespace gradus
