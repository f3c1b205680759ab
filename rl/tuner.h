// Tuner: a learner with the source and the method that the options name, which is what `gradus tune` runs: on its own
// rollouts, or on pairs of texts where there are any.
#pragma once

#include "rl/learner.h"

namespace gradus {

struct TunerParts {
  TunerParts(const MethodModels& models, std::vector<std::vector<int32_t>> prompts, World world, RewardFunction reward,
             const TuneConfig& options, Shards& shards, Features features, TokenPairs given)
      : source(std::move(prompts), world, std::move(reward), options, shards, std::move(features)),
        pairs(given.size() > 0 ? std::make_unique<PairSource>(std::move(given), std::move(world), options) : nullptr),
        method(make_method(options, {models.policy, models.prior, source.prompts()})) {}

  RolloutSource source;
  std::unique_ptr<PairSource> pairs;
  std::unique_ptr<Method> method;
};

struct Tuner : TunerParts, Learner {
  Tuner(LanguageModel& policy, const LanguageModel& prior, std::vector<std::vector<int32_t>> prompts, World world,
        RewardFunction reward, const TuneConfig& options, Shards& shards, Features features = {}, TokenPairs given = {})
      : TunerParts({.policy = &policy, .prior = &prior}, std::move(prompts), std::move(world), std::move(reward),
                   options, shards, std::move(features), std::move(given)),
        Learner(policy, prior, pairs ? static_cast<Source&>(*pairs) : source, *method, options, shards) {}
};

// Of fine-tuning, whatever the model was trained with: without weight decay.
inline AdamW tuning_optimizer(const LanguageModel& policy) {
  return AdamW(policy.params(), {.beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0});
}

}  // namespace gradus
