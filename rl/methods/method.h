// Method: a way to make the weights w of ∇ = E[ Σ_t w_t ∇ log π(y_t | y_<t) ]. Each method is one file of this folder
// and one row of the table in rl/methods/methods.cpp. rl/learner.h runs it and rl/exact_gradient.h enumerates it,
// through the same calls.
//
// A method sees numbers in double and never a tape, so no gradient flows through its weights.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rl/experience.h"
#include "rl/scores.h"

namespace gradus {

class Params;
struct TuneConfig;  // rl/tune_values.h

// A named part of the state that a method keeps from step to step.
struct NamedNumbers {
  std::string name;
  std::vector<double> values;
};

// One number about a batch, by the name that it has in the log.
struct Figure {
  const char* name;
  double value;
};

struct Estimate {
  double value, error;  // and its standard error
};

// The lines of mathematics of a method, for people who look at a step: what a draw is paid with its KL and entropy, its
// return, its advantage, its weight. Empty where a method makes no such thing.
struct MethodMath {
  std::string credit = {}, returns = {}, advantage = {}, weight;
  std::string later = {};  // the weight in the later updates of a step, where its rule is another
};

class Method {
 public:
  virtual ~Method() = default;

  virtual Needs needs() const { return {}; }
  // The model that sequences are drawn from; null: the policy.
  virtual const LanguageModel* behaviour() const { return nullptr; }
  // The model that acts as the method has learnt, where the logits of the policy are action values and their softmax
  // means nothing; null: the policy.
  virtual const LanguageModel* acting() const { return nullptr; }

  // Once a batch, as the step begins: reward, log μ, log q, log π and value are known; makes returns and advantage.
  // kl_coef is the β of this step.
  virtual void prepare(Experience& e, double kl_coef) = 0;
  // The weights of a minibatch of prepared experience, from its scores under the current policy. A mean is taken of
  // them: over the sequences of the minibatch, of `value` over its draws.
  virtual Weights weigh(const Experience& minibatch, const Scores& now) const = 0;
  virtual MethodMath math() const { return {}; }
  // After the step: updates the method's own state, such as a moving mean, from the fresh batch.
  virtual void learn(const Experience& fresh) { (void)fresh; }

  virtual bool has_target() const { return false; }  // and descends a divergence to it, in the place of raising J
  // After prepare(): of each sequence [B] a number whose mean under the policy is the objective that is raised. Empty
  // where that is J, E[r] − β KL(π‖q).
  virtual std::vector<double> objective(const Experience& e) const {
    (void)e;
    return {};
  }
  // What it has seen in the batch that prepare() was given last, for the log.
  virtual std::vector<Figure> figures() const { return {}; }
  // The state for a checkpoint; restore() takes what state() returned.
  virtual std::vector<NamedNumbers> state() const { return {}; }
  virtual void restore(std::span<const NamedNumbers> state) { (void)state; }
  // The parameters of a model that the method changes by itself, also for a checkpoint; null if it has none.
  virtual Params* own_params() { return nullptr; }
  // What the method has learnt of the constant Z of its target; none where it has no target or each prompt has its own.
  virtual std::optional<Estimate> z() const { return {}; }
};

// The models around a method that wants models of its own.
struct MethodModels {
  const LanguageModel *policy = nullptr, *prior = nullptr;
  int64_t prompts = 1;  // that sequences continue
};
// The method that options.algorithm names. DataError, which lists the known names, for an unknown one.
std::unique_ptr<Method> make_method(const TuneConfig& options, const MethodModels& models = {});
std::vector<std::string> method_names();

}  // namespace gradus
