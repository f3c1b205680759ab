// REINFORCE (Williams 1992) with a baseline: w_t = R_t − b_t, where R is the return with the KL and entropy terms in
// it. With the leave-one-out baseline it is RLOO (Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740). Sequences
// that another policy μ drew, or the policy before an update, count π/μ, a ratio of whole sequences.
//
// In the later updates of a step the KL and the entropy in R are those of the policy as it is then, R gains −(β + α)
// log(π/π_start), and only the baseline stays: the mean of each gradient is ∇J where the policy stands.
#include <cmath>

#include "rl/methods/baselines.h"
#include "rl/methods/returns.h"
#include "rl/tables/running_moments.h"
#include "rl/tune_values.h"

namespace gradus {
namespace {

class Reinforce : public Method {
 public:
  explicit Reinforce(const TuneConfig& options)
      : baseline_(baseline_named(options.baseline)),
        returns_({.entropy_coef = options.entropy_coef,
                  .full_kl = options.full_kl(),
                  .gamma = options.gamma,
                  .reward_to_go = options.reward_to_go}) {}

  Needs needs() const override {
    return {.value = baseline_.needs_value, .kl = returns_.full_kl, .least_batch = baseline_.least_batch};
  }

  void prepare(Experience& e, double kl_coef) override {
    returns_.kl_coef = kl_coef;
    e.credit = rewards_of_draws(e, e.log_pi, returns_);
    e.returns = returns_of(e.batch, e.credit, returns_);
    e.baseline = baseline_.make({.e = e,
                                 .whole = at_first_draw(e.batch, e.returns),
                                 .importance = importance_of(e, e.log_pi),
                                 .moving = moving_.value()});
    e.advantage = errors_of(e.returns, e.baseline);
  }

  Weights weigh(const Experience& e, const Scores& now) const override {
    Weights w{.log_pi = moved(e.advantage, e.returns, returns_of_draws(e, now.log_pi, returns_, now.kl)),
              .importance = importance_of(e, now.log_pi)};
    if (returns_.full_kl) w.kl = weights_of_rows(e.batch, returns_);
    if (baseline_.needs_value) w.value = errors_of(e.returns, now.value);
    return w;
  }

  MethodMath math() const override {
    return {.credit = rule_of_rewards(returns_),
            .returns = rule_of_returns(returns_),
            .advantage = text("Aₜ = Rₜ − bₜ, b: ", baseline_.help),
            .weight = "wₜ = Aₜ",
            .later = "wₜ = Aₜ + (Rₜ now − Rₜ as the step began)"};
  }

  void learn(const Experience& fresh) override {
    RunningMoments mean;
    for (const double r : at_first_draw(fresh.batch, fresh.returns)) mean.add(r);
    moving_.add(mean.mean()[0]);
  }

  std::vector<NamedNumbers> state() const override { return {{"moving", {moving_.sum, moving_.weight}}}; }
  void restore(std::span<const NamedNumbers> state) override {
    for (const NamedNumbers& part : state)
      if (part.name == "moving") moving_ = {.sum = part.values.at(0), .weight = part.values.at(1)};
  }

 private:
  const Baseline& baseline_;
  ReturnOptions returns_;  // with the β of this step
  MovingMean moving_;
};

}  // namespace

std::unique_ptr<Method> make_reinforce(const TuneConfig& options, const MethodModels&) {
  return std::make_unique<Reinforce>(options);
}

}  // namespace gradus
