// PPO (Schulman et al. 2017, arXiv 1707.06347) as it fine-tunes language models (Ziegler et al. 2019, arXiv
// 1909.08593):
//
//   maximise  Σ_t min(ρ_t A_t, clip(ρ_t, 1 ± ε) A_t),   ρ_t = π/μ of a draw
//   minimise  ½ Σ_t (V_t − (A_t + V_t before))²
//
// with A by GAE, and V a critic that has an encoder of its own.
// The KL to the prior is part of the rewards, as everywhere in gradus; --kl-target adapts β to it. In the first pass
// over a batch every ratio is 1, and the gradient is that of REINFORCE with these advantages. Ratios are of single
// draws, and A with the KL in it stays that of the policy which drew, so that later passes are biased; the clip is what
// keeps that bias small, and --stop-kl ends a step before it.
#include "rl/methods/clip.h"
#include "rl/methods/returns.h"
#include "rl/tune_values.h"

namespace gradus {
namespace {

class Ppo : public Method {
 public:
  explicit Ppo(const TuneConfig& options)
      : rewards_({.entropy_coef = options.entropy_coef,
                  .full_kl = options.full_kl(),
                  .gamma = options.gamma,
                  .reward_to_go = true}),
        lambda_(options.gae),
        epsilon_(options.clip_ratio) {}

  Needs needs() const override { return {.value = true, .own_critic = true, .kl = rewards_.full_kl}; }

  void prepare(Experience& e, double kl_coef) override {
    rewards_.kl_coef = kl_coef;
    estimate_advantages(e, rewards_of_draws(e, e.log_pi, rewards_), rewards_.gamma, lambda_);
  }

  Weights weigh(const Experience& e, const Scores& now) const override {
    Weights w = clipped_weights(e, now.log_pi, epsilon_);
    if (rewards_.full_kl) w.kl = weights_of_rows(e.batch, rewards_);
    w.value = errors_of(e.returns, now.value);
    return w;
  }

  MethodMath math() const override {
    return {.credit = rule_of_rewards(rewards_),
            .returns = "Rₜ = Aₜ + Vₜ, what the critic is to say",
            .advantage = text("Aₜ = δₜ + γ λ Aₜ₊₁, δₜ = cₜ + γ Vₜ₊₁ − Vₜ, γ = ", rewards_.gamma, ", λ = ", lambda_,
                              "; V and A are 0 after the last"),
            .weight = kRuleOfClip};
  }

 private:
  ReturnOptions rewards_;  // with the β of this step
  const double lambda_, epsilon_;
};

}  // namespace

std::unique_ptr<Method> make_ppo(const TuneConfig& options, const MethodModels&) {
  return std::make_unique<Ppo>(options);
}

}  // namespace gradus
