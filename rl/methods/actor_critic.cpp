// Actor-critic (Barto, Sutton and Anderson 1983; Sutton and Barto 2018, chapter 13.5): each draw is credited with the
// error of temporal differences of a critic V,
//
//   δ_t = r_t + γ V(h_{t+1}) − V(h_t),   V = 0 after the last draw
//   actor w_t = δ_t,   critic V(h_t) → r_t + γ V(h_{t+1}), the right side a constant
//
// The critic is a value network with an encoder of its own. Where V is that of the policy the mean of the gradient is
// the one of REINFORCE at γ = 1 (below it the factor γ^t is left out, returns.h); until then it is biased, with far
// less variance. Sequences that another policy drew, or the policy before an update, count π/μ, a ratio of whole
// sequences.
//
// In the later updates of a step the KL and the entropy in r_t are those of the policy as it is then. The critic's
// values and its targets stay those of the step's beginning; its errors count π/μ too.
#include "rl/methods/returns.h"
#include "rl/tune_values.h"

namespace gradus {
namespace {

class ActorCritic : public Method {
 public:
  explicit ActorCritic(const TuneConfig& options)
      : rewards_({.entropy_coef = options.entropy_coef,
                  .full_kl = options.full_kl(),
                  .gamma = options.gamma,
                  .reward_to_go = true}) {}

  Needs needs() const override { return {.value = true, .own_critic = true, .kl = rewards_.full_kl}; }

  void prepare(Experience& e, double kl_coef) override {
    rewards_.kl_coef = kl_coef;
    estimate_advantages(e, rewards_of_draws(e, e.log_pi, rewards_), rewards_.gamma, 0);  // λ = 0: A = δ
  }

  Weights weigh(const Experience& e, const Scores& now) const override {
    Weights w{.log_pi = moved(e.advantage, rewards_of_draws(e, e.log_pi, rewards_),
                              rewards_of_draws(e, now.log_pi, rewards_, now.kl)),
              .value = errors_of(e.returns, now.value),
              .importance = importance_of(e, now.log_pi)};
    if (rewards_.full_kl) w.kl = weights_of_rows(e.batch, rewards_);
    return w;
  }

  MethodMath math() const override {
    return {.credit = rule_of_rewards(rewards_),
            .returns = "Rₜ = cₜ + γ Vₜ₊₁, what the critic is to say",
            .advantage = text("Aₜ = δₜ = cₜ + γ Vₜ₊₁ − Vₜ, γ = ", rewards_.gamma, "; V is 0 after the last draw"),
            .weight = "wₜ = Aₜ",
            .later = "wₜ = Aₜ + (cₜ now − cₜ as the step began)"};
  }

 private:
  ReturnOptions rewards_;  // with the β of this step
};

}  // namespace

std::unique_ptr<Method> make_actor_critic(const TuneConfig& options, const MethodModels&) {
  return std::make_unique<ActorCritic>(options);
}

}  // namespace gradus
