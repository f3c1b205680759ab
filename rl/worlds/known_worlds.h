// Exact values of a policy in worlds small enough to enumerate, one world for each prompt, all equally likely: the
// objective without noise, its maximum, and the KL from the policy to the posterior that reaches it.
#pragma once

#include <optional>

#include "rl/worlds/exact.h"

namespace gradus {

// When rewards count, where γ < 1: with the draw that they are paid on, discounted by γ for each draw before it. `paid`
// gives them as a RewardFunction may (rl/sequences.h); without it a text is paid with its last draw.
struct Discount {
  double gamma = 1;
  RewardFunction paid = {};
};

struct Truth {
  // Of the policy; `objective` includes α times the entropy. With γ < 1 it is the discounted sum of all its parts,
  // whose optimum is that of the soft values (rl/worlds/values.h); reward, kl and entropy stay those of whole texts.
  Objective at;
  double j_star;  // the most that any policy reaches: (β+α) log Σ (q^β e^r)^{1/(β+α)}, or max r where β + α = 0
  std::optional<double> kl_to_posterior, kl_from_posterior;  // KL(π‖π*), KL(π*‖π); none where β + α = 0
};

class KnownWorlds {
 public:
  // DataError where there are more than `most` sequences, over all prompts. The prior and the reward are asked once.
  KnownWorlds(const LanguageModel& prior, const std::vector<std::vector<int32_t>>& prompts, const World& world,
              const RewardFunction& reward, int64_t most, Discount discount = {});

  // With γ = 1, J* − J(π) = (β+α) KL(π‖π*) for every policy. `policy` must not say what the prior excludes, or KL is
  // infinite.
  Truth of(const LanguageModel& policy, double kl_coef, double entropy_coef = 0);
  int64_t sequences() const;

  // The policy's log-probabilities, prior's and posterior's (empty without one) of the sequences of prompt p, as of the
  // last of().
  struct Known {
    World world;
    Sequences sequences;
    std::vector<double> log_q, reward, log_pi, log_posterior;
    std::vector<double> paid = {};  // where there is a discount
  };
  const std::vector<Known>& worlds() const { return worlds_; }

 private:
  void ask_rewards(Known& known) const;
  void compare(const Known& known, Truth& truth) const;
  void enumerate_policy(Known& known, const LanguageModel& policy) const;
  void discount(Known& known, double kl_coef, double entropy_coef, Truth& truth) const;

  const LanguageModel& prior_;
  RewardFunction reward_;
  Discount discount_;
  int64_t most_;
  std::vector<Known> worlds_;
};

}  // namespace gradus
