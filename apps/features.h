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
  // Of --feature NAME[:ARG]=MOMENT and --pointwise NAME[:ARG]; prompts[p] is prompt p. A hard constraint
  // allows a text where its reward has its largest value (Reward::largest). UsageError and DataError as Reward, of
  // another form than that, for a constraint with a weight, and for two of one name. Refers to the tokenizer and the
  // ranks, as Reward does.
  NamedFeatures(const std::vector<std::string>& feature, const std::vector<std::string>& pointwise,
                const Tokenizer& tokenizer, const std::vector<Prompt>& prompts, Comm& ranks = one_rank());
  // Of the terms of a reward, which is their sum: each counts with its weight.
  NamedFeatures(const std::vector<std::string>& terms, const Tokenizer& tokenizer, const std::vector<Prompt>& prompts,
                Comm& ranks = one_rank());

  Features features;

 private:
  std::deque<Reward> rewards_;  // stay where they are
};

// Sets Λ from worlds that are listed, one for each prompt, or from samples of the prior, and returns p over them. All
// prompts are equally likely.
MomentFit fit_listed(Features& features, std::span<const Enumeration> all);
MomentFit fit_sampled(Features& features, const LanguageModel& prior, const World& world,
                      std::span<const std::vector<int32_t>> prompts, int64_t seed);
// How many samples: the same number for each prompt, in all about 10,000, but at least 100 for each.
int64_t lambda_samples(size_t prompts);

}  // namespace gradus
