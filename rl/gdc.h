// GDC, generation with distributional control (Khalifa, Elsahar and Dymetman 2021, arXiv 2012.11635). Of all
// distributions over texts that keep hard constraints b and in which features φ have the means μ, its target
//
//   p(x) = q(x) b(x) e^{Λ·φ(x)} / Z
//
// is the nearest to the prior q in KL(p‖q). It is the posterior q e^{r/β} / Z of the reward r = Λ·φ + log b with β = 1
// (Korbak et al. 2022, arXiv 2206.00761), so that source, learner and exact worlds know rewards alone. With several
// prompts each has its own p and Z, and Λ is one for all (rl/tables/moments.h).
#pragma once

#include "rl/sequences.h"
#include "rl/tables/moments.h"

namespace gradus {

struct Features {
  std::vector<std::string> names = {};    // of φ, then of b, as a person gave them
  std::vector<RewardFunction> of = {};    // the same; those of b give 1 where a text is allowed, else 0
  std::vector<double> moments = {};       // μ of each φ
  std::vector<double> lambda = {};        // Λ of each φ
  std::vector<double> lambda_error = {};  // its standard error where it was fitted to samples, else empty

  bool empty() const { return names.empty(); }
  size_t count() const { return moments.size(); }  // of φ

  // φ and b of every sequence, [N,F]. DataError for a b that is neither 0 nor 1.
  std::vector<double> values(const Sequences& sequences, std::span<const int32_t> prompt) const;
  // r = Λ·φ + log b of every sequence, [N], from values().
  std::vector<double> rewards(std::span<const double> values) const;
  // The same of sequences. Refers to this object.
  RewardFunction reward() const;

  // Sets Λ from the table of a prior's sequences and their values() (exactly), or of samples of it, each of probability
  // 1/N, and returns p. Of several prompts q is one table, and prompt[i] the prompt of outcome i, as in fit_moments().
  // DataError, with the range that was seen, where a moment is out of reach.
  MomentFit fit(const Table& q, std::span<const double> values, bool sampled, std::span<const int32_t> prompt = {});
};

// "NAME[:ARG]=MOMENT" in two. UsageError for another form or a moment that is not finite.
std::pair<std::string, double> split_feature(const std::string& spec);

}  // namespace gradus
