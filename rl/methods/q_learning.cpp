// Q-learning (Watkins and Dayan 1992): the logits of the run are action values Q(h,a), and descend the squared error of
// temporal differences of each draw,
//
//   δ_t = r_t + γ max_a Q'(h_{t+1}, a) − Q(h_t, y_t),   no second term after the last draw,   w_t = δ_t on the logit
//
// The draws come from the ε-greedy policy of Q; what has been learnt is the greedy one. The KL to the prior has no part
// in it. Two algorithms:
//
//   q    Q is a table (--model tabular), Q' = Q
//   dqn  Q is a network (Mnih et al. 2015), Q' a copy of it that is renewed every --target-every steps; earlier batches
//        are shown again (--replay), whoever drew them
//
// Q begins as the logits of the prior, which are not in units of the reward, and has to unlearn them. The step on the
// error is AdamW's, not Q + α δ.
//
// With the rewards of texts and γ = 1, V of the start is the largest reward that a text can have.
#include <cmath>

#include "models/families.h"
#include "rl/methods/greedy.h"
#include "rl/methods/method.h"
#include "rl/tune_values.h"

namespace gradus {
namespace {

class QLearning : public Method {
 public:
  // Without a policy, which some ask for its needs alone, it cannot act.
  QLearning(const TuneConfig& options, const LanguageModel* policy, bool has_target_network)
      : policy_(policy), gamma_(options.gamma), every_(options.target_every) {
    if (!policy) return;
    explorer_.emplace(*policy, options.epsilon, options.temperature);
    greedy_.emplace(*policy, 0, options.temperature);
    if (has_target_network) target_ = clone(*policy);
  }

  Needs needs() const override { return {.logit = true, .other = target_ ? target_.get() : policy_}; }
  const LanguageModel* behaviour() const override { return explorer_ ? &*explorer_ : nullptr; }
  const LanguageModel* acting() const override { return greedy_ ? &*greedy_ : nullptr; }
  void prepare(Experience&, double) override {}

  Weights weigh(const Experience& e, const Scores& now) const override {
    const PaddedBatch& batch = e.batch;
    Weights w{.logit = std::vector<double>(now.logit.size(), 0.0)};
    for (int64_t b = 0; b < batch.B; ++b)
      for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) {
        const size_t i = size_t(b * batch.T + t);
        const double next = t + 1 < batch.end_slot(b) ? now.largest[i + 1] : 0;
        w.logit[i] = e.reward[i] + gamma_ * next - now.logit[i];
      }
    return w;
  }

  MethodMath math() const override {
    return {.weight = "wₜ = δₜ = rₜ + γ max Q′ₜ₊₁ − Qₜ on the logit, which is Q; no second term after the last"};
  }

  void learn(const Experience&) override {
    if (target_ && ++age_ % every_ == 0) target_->params().copy_from(policy_->params());
  }

  std::vector<NamedNumbers> state() const override { return {{"target_age", {double(age_)}}}; }
  void restore(std::span<const NamedNumbers> state) override {
    for (const NamedNumbers& part : state)
      if (part.name == "target_age") {
        const double age = part.values.at(0);
        if (!(age >= 0 && age <= 1e15) || age != std::floor(age))
          throw DataError(text("the steps of the target network that were saved are ", age, ", not a whole number"));
        age_ = int64_t(age);
      }
  }
  Params* own_params() override { return target_ ? &target_->params() : nullptr; }

 private:
  const LanguageModel* policy_;
  std::optional<EpsilonGreedy> explorer_, greedy_;
  std::unique_ptr<LanguageModel> target_;
  const double gamma_;
  const int64_t every_;
  int64_t age_ = 0;  // steps
};

}  // namespace

std::unique_ptr<Method> make_q(const TuneConfig& options, const MethodModels& models) {
  if (models.policy && models.policy->counts().empty())
    throw DataError(text("--algorithm q needs a table, a run of gradus train --model tabular; for a ",
                         family_of(models.policy->options().model).name, " there is --algorithm dqn"));
  return std::make_unique<QLearning>(options, models.policy, false);
}
std::unique_ptr<Method> make_dqn(const TuneConfig& options, const MethodModels& models) {
  return std::make_unique<QLearning>(options, models.policy, true);
}

}  // namespace gradus
