// The features of GDC, or the terms of a reward, as a command line names them, with the rewards that compute them; and
// Λ for a prior.
#pragma once

#include <deque>

#include "rl/gdc.h"
#include "rl/rewards/reward.h"
#include "rl/worlds/enumerate.h"

namespace gradus {

class NamedFeatures {
 public:
  // Of --feature NAME[:ARG]=MOMENT and --pointwise NAME[:ARG]; prompts[p] is the text of prompt p. UsageError and
  // DataError as Reward, of another form than that, and for two of one name. Refers to the tokenizer.
  NamedFeatures(const std::vector<std::string>& feature, const std::vector<std::string>& pointwise,
                const Tokenizer& tokenizer, std::vector<std::string> prompts);
  // Of the terms of a reward, which is their sum: each counts with its weight.
  NamedFeatures(const std::vector<std::string>& terms, const Tokenizer& tokenizer, std::vector<std::string> prompts);

  Features features;

 private:
  std::deque<Reward> rewards_;  // stay where they are
};

inline constexpr int64_t kLambdaSamples = 10'000;
// Sets Λ from a listed world, or from kLambdaSamples samples of the prior; returns p over them.
MomentFit fit_listed(Features& features, const Enumeration& all);
MomentFit fit_sampled(Features& features, const LanguageModel& prior, const World& world, int64_t seed);

}  // namespace gradus
