#include "apps/features.h"

#include <algorithm>
#include <cmath>

#include "engine/long_loop.h"
#include "rl/rollout.h"

namespace gradus {

// 1 where a reward is at its largest value, else 0.
static RewardFunction constraint(const std::string& name, const RewardFunction& reward) {
  const double largest = Reward::largest(name);
  return [=](const Sequences& sequences, std::span<const int32_t> prompt) {
    std::vector<double> b = reward(sequences, prompt);
    for (double& x : b) {
      if (x > largest)
        throw DataError(text("--pointwise ", name, " is ", x, " for a text; a hard constraint must be ", largest,
                             " where a text is allowed, and less elsewhere"));
      x = x == largest ? 1 : 0;
    }
    return b;
  };
}

NamedFeatures::NamedFeatures(const std::vector<std::string>& feature, const std::vector<std::string>& pointwise,
                             const Tokenizer& tokenizer, const std::vector<Prompt>& prompts) {
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
  for (const std::string& name : pointwise) {
    add(name);
    features.of.back() = constraint(name, features.of.back());
  }
}

NamedFeatures::NamedFeatures(const std::vector<std::string>& terms, const Tokenizer& tokenizer,
                             const std::vector<Prompt>& prompts) {
  for (const std::string& term : terms) {
    rewards_.emplace_back(std::vector<std::string>{term}, tokenizer);
    features.names.push_back(term);
    features.of.push_back(text_reward(rewards_.back(), tokenizer, prompts));
    features.moments.push_back(std::nan(""));  // none is wanted
    features.lambda.push_back(1);
  }
}

MomentFit fit_listed(Features& features, std::span<const Enumeration> all) {
  const double log_prompts = std::log(double(all.size()));
  std::vector<double> log_q, values;
  std::vector<int32_t> prompt;
  for (size_t c = 0; c < all.size(); ++c) {
    const std::vector<int32_t> same(size_t(all[c].sequences.size()), int32_t(c));
    for (const double x : all[c].log_prob[0]) log_q.push_back(x - log_prompts);
    const std::vector<double> here = features.values(all[c].sequences, same);
    values.insert(values.end(), here.begin(), here.end());
    prompt.insert(prompt.end(), same.begin(), same.end());
  }
  return features.fit(Table::of_logs(std::move(log_q)), values, false, prompt);
}

static int64_t samples_of_each(size_t prompts) { return std::max<int64_t>(100, 10'000 / int64_t(prompts)); }
int64_t lambda_samples(size_t prompts) { return int64_t(prompts) * samples_of_each(prompts); }

MomentFit fit_sampled(Features& features, const LanguageModel& prior, const World& world,
                      std::span<const std::vector<int32_t>> prompts, int64_t seed) {
  const Rng rng(uint64_t(seed), Stream::kSample, 0);
  const int64_t each = samples_of_each(prompts.size()), all = lambda_samples(prompts.size());
  std::vector<double> values;
  std::vector<int32_t> prompt;
  const LongLoop loop("sampling the prior for Λ, sequences", all);
  for (size_t c = 0; c < prompts.size(); ++c) {
    loop.at(int64_t(prompt.size()));
    World here = world;
    here.prompt = prompts[c];
    const Rollouts drawn = roll_out(prior, here, rng, int64_t(prompt.size()), each);
    const auto same = std::vector<int32_t>(size_t(each), int32_t(c));
    const std::vector<double> phi = features.values(drawn.sequences, same);
    values.insert(values.end(), phi.begin(), phi.end());
    prompt.insert(prompt.end(), same.begin(), same.end());
  }
  return features.fit(Table::of_logs(std::vector<double>(size_t(all), -std::log(double(all)))), values, true, prompt);
}

}  // namespace gradus
