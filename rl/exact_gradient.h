// The gradient of a method, without a learner: its exact mean over all sequences of a world, and its mean and variance
// when it is estimated from samples. Both make weights as the learner does, by method.prepare and method.weigh.
#pragma once

#include "rl/learner.h"
#include "rl/worlds/exact.h"

namespace gradus {

// E[Σ_t w_t ∇ score_t], flat, in the order of the policy's parameters, where the sequences of a group of `group` are
// independent draws from μ: a sum over all ordered groups. Weights of one sequence alone take groups of 1; a method
// that compares sequences takes 2 or 3, N^group groups of N sequences, of whose weights the mean is taken. The first of
// a group is its row 0.
//
// sequences and log_mu are of one enumeration, [N]: log μ by the method's behaviour, else by the policy; those of
// probability 0 are left out. `reward` is what a RewardFunction makes of them. `value` is what a critic says before
// each draw, sequence after sequence; empty: 0, as of one that has learnt nothing. The sum is made in chunks of about
// kChunkSlots slots, or in one where group > 1. DataError where kl_coef > 0 and the prior excludes a sequence that is
// drawn. REQUIRES: prompt and draws fit into what the policy sees at once.
std::vector<double> exact_gradient(Method& method, const LanguageModel& policy, const LanguageModel& prior,
                                   const World& world, const Sequences& sequences, std::span<const double> log_mu,
                                   std::span<const double> reward, double kl_coef, Shards& shards, int64_t group = 1,
                                   std::span<const double> value = {});
inline constexpr int64_t kChunkSlots = 4096;

struct EstimatedGradient {
  // Flat, in the order of the parameters. `variance` is that of one sequence's contribution; where the method
  // compares sequences that of a batch's mean times the size of the batch. NaN where there is one contribution only.
  std::vector<double> mean, variance;
  // Means over the samples, each times π/μ; kl is that of k1 = log π − log q, objective what the method raises,
  // with γ < 1 the discounted sum of its parts.
  Objective objective = {};
  double kl_stderr = 0;  // of that mean
  double objective_stderr = 0;
  int64_t samples = 0;
};

// The same from `samples` sequences, in batches of options.batch where the method compares them (then rounded up to
// whole batches), drawn from the method's behaviour, else from the policy. Of the options batch, seed, kl_coef and
// gamma are read. The number of threads changes no bit. `value` says of sequences what a critic says before each of
// their draws; none: 0. DataError where the prior excludes a sequence that is drawn and β > 0.
EstimatedGradient estimate_gradient(Method& method, const LanguageModel& policy, const LanguageModel& prior,
                                    const World& world, const RewardFunction& reward, const TuneConfig& options,
                                    int64_t samples, int threads, const RewardFunction& value = {});

// Bytes that each takes, beside the models and the sequences.
double exact_gradient_bytes(Method& method, const LanguageModel& policy, const LanguageModel& prior, const World& world,
                            Shards& shards);
double estimate_gradient_bytes(Method& method, const LanguageModel& policy, const LanguageModel& prior,
                               const World& world, const TuneConfig& options);

}  // namespace gradus
