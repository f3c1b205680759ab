// REINFORCE (Williams 1992) with a baseline: w_t = R_t − b_t, where R is the return with the KL and entropy terms in
// it. Sequences that another policy μ drew, or the policy before an update, count π/μ, a ratio of whole sequences.
#include <cmath>

#include "rl/methods/baselines.h"
#include "rl/methods/method.h"
#include "rl/methods/returns.h"
#include "rl/tables/running_moments.h"
#include "rl/tune_values.h"

namespace gradus {
namespace {

class Reinforce : public Method {
 public:
  explicit Reinforce(const TuneConfig& options)
      : baseline_(baseline_named(options.baseline)),
        entropy_coef_(options.entropy_coef),
        reward_to_go_(options.reward_to_go) {}

  Needs needs() const override { return {.value = baseline_.needs_value, .least_batch = baseline_.least_batch}; }

  // DataError where KL(π‖q) counts and q excludes a sequence.
  void prepare(Experience& e, double kl_coef) override {
    for (const double q : sum_over_draws(e.batch, e.log_q))
      if (!std::isfinite(q) && kl_coef > 0)
        throw DataError("the policy drew a sequence that the prior excludes: KL(policy, prior) is infinite");
    ReturnOptions options{.kl_coef = kl_coef, .entropy_coef = entropy_coef_, .reward_to_go = reward_to_go_};
    e.returns = returns_of_draws(e, e.log_pi, options);
    const std::vector<double> b = baseline_.make({.e = e,
                                                  .whole = at_first_draw(e.batch, e.returns),
                                                  .importance = importance_of(e, e.log_pi),
                                                  .moving = moving_.value()});
    e.advantage = e.returns;
    for (size_t i = 0; i < b.size(); ++i) e.advantage[i] -= b[i];
  }

  Weights weigh(const Experience& e, const Scores& now) const override {
    Weights w{.log_pi = e.advantage, .importance = importance_of(e, now.log_pi)};
    if (!baseline_.needs_value) return w;
    w.value = e.returns;  // least squares: −∇ ½ (value − R)²
    for (size_t i = 0; i < w.value.size(); ++i) w.value[i] -= now.value[i];
    return w;
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
  const double entropy_coef_;
  const bool reward_to_go_;
  MovingMean moving_;
};

}  // namespace

std::unique_ptr<Method> make_reinforce(const TuneConfig& options, const MethodModels&) {
  return std::make_unique<Reinforce>(options);
}

}  // namespace gradus
