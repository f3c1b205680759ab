#include "apps/features.h"

#include <algorithm>
#include <cmath>

#include "rl/rollout.h"

namespace gradus {

NamedFeatures::NamedFeatures(const std::vector<std::string>& feature, const std::vector<std::string>& pointwise,
                             const Tokenizer& tokenizer, std::vector<std::string> prompts) {
  const auto add = [&](const std::string& name) {
    rewards_.emplace_back(std::vector<std::string>{name}, tokenizer);
    features.names.push_back(name);
    features.of.push_back(text_reward(rewards_.back(), tokenizer, prompts));
  };
  for (const std::string& spec : feature) {
    const auto [name, moment] = split_feature(spec);
    if (std::ranges::count(features.names, name) > 0) throw UsageError(text("--feature ", name, " is given twice"));
    add(name);
    features.moments.push_back(moment);
  }
  for (const std::string& name : pointwise) add(name);
}

NamedFeatures::NamedFeatures(const std::vector<std::string>& terms, const Tokenizer& tokenizer,
                             std::vector<std::string> prompts) {
  for (const std::string& term : terms) {
    rewards_.emplace_back(std::vector<std::string>{term}, tokenizer);
    features.names.push_back(term);
    features.of.push_back(text_reward(rewards_.back(), tokenizer, prompts));
    features.moments.push_back(std::nan(""));  // none is wanted
    features.lambda.push_back(1);
  }
}

// Of sequences that all begin from the one prompt.
static std::vector<double> values_of(const Features& features, const Sequences& sequences) {
  return features.values(sequences, std::vector<int32_t>(size_t(sequences.size()), 0));
}

MomentFit fit_listed(Features& features, const Enumeration& all) {
  return features.fit(Table::of_logs(all.log_prob[0]), values_of(features, all.sequences), false);
}

MomentFit fit_sampled(Features& features, const LanguageModel& prior, const World& world, int64_t seed) {
  const Rng rng(uint64_t(seed), Stream::kSample, 0);
  const Rollouts drawn = roll_out(prior, world, rng, 0, kLambdaSamples);
  const Table q = Table::of_logs(std::vector<double>(size_t(kLambdaSamples), -std::log(double(kLambdaSamples))));
  return features.fit(q, values_of(features, drawn.sequences), true);
}

}  // namespace gradus
