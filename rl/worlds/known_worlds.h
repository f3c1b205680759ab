// Exact values of a policy in worlds small enough to enumerate, one world for each prompt, all equally likely: the
// objective without noise, its maximum, and the KL from the policy to the posterior that reaches it.
#pragma once

#include <optional>

#include "rl/worlds/exact.h"

namespace gradus {

struct Truth {
  Objective at;   // of the policy; `objective` includes α times the entropy
  double j_star;  // the most that any policy reaches: (β+α) log Σ (q^β e^r)^{1/(β+α)}, or max r where β + α = 0
  std::optional<double> kl_to_posterior, kl_from_posterior;  // KL(π‖π*), KL(π*‖π); none where β + α = 0
};

class KnownWorlds {
 public:
  // DataError where there are more than `most` sequences, over all prompts. The prior and the reward are asked once.
  KnownWorlds(const LanguageModel& prior, const std::vector<std::vector<int32_t>>& prompts, const World& world,
              const RewardFunction& reward, int64_t most);

  // J* − J(π) = (β+α) KL(π‖π*) for every policy. `policy` must not say what the prior excludes, or KL is infinite.
  Truth of(const LanguageModel& policy, double kl_coef, double entropy_coef = 0);
  int64_t sequences() const;

  // The policy's log-probabilities, prior's and posterior's (empty without one) of the sequences of prompt p, as of the
  // last of().
  struct Known {
    World world;
    Sequences sequences;
    std::vector<double> log_q, reward, log_pi, log_posterior;
  };
  const std::vector<Known>& worlds() const { return worlds_; }

 private:
  void enumerate_policy(Known& known, const LanguageModel& policy) const;

  const LanguageModel& prior_;
  RewardFunction reward_;
  int64_t most_;
  std::vector<Known> worlds_;
};

}  // namespace gradus
