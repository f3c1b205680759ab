// Method: a way to make the weights w of ∇ = E[ Σ_t w_t ∇ log π(y_t | y_<t) ]. Each is a page of this folder and a row
// of the table in rl/methods/methods.cpp; rl/learner.h runs it and rl/exact_gradient.h enumerates it, through the same
// calls.
//
// A method sees numbers in double on the host and never a tape: what it makes is a constant to the gradient.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rl/experience.h"
#include "rl/scores.h"

namespace gradus {

struct TuneConfig;  // rl/tune_values.h

// A part of what a method remembers from step to step.
struct NamedNumbers {
  std::string name;
  std::vector<double> values;
};

class Method {
 public:
  virtual ~Method() = default;

  virtual Needs needs() const { return {}; }
  // The model that sequences are drawn from; null: the policy.
  virtual const LanguageModel* behaviour() const { return nullptr; }

  // Once a batch, as the step begins: reward, log μ, log q, log π and value are known; makes returns and advantage.
  // kl_coef is the β of this step.
  virtual void prepare(Experience& e, double kl_coef) = 0;
  // The weights of a minibatch of prepared experience, from what the policy says of it now. A mean is taken of them:
  // over the sequences of the minibatch, of `value` over its draws.
  virtual Weights weigh(const Experience& minibatch, const Scores& now) const = 0;
  // After the step: what its fresh batch has taught.
  virtual void learn(const Experience& fresh) { (void)fresh; }

  // What a checkpoint keeps, and back. restore() is given what state() gave.
  virtual std::vector<NamedNumbers> state() const { return {}; }
  virtual void restore(std::span<const NamedNumbers> state) { (void)state; }
};

// The method that options.algorithm names. DataError, which lists those that there are, for an unknown name.
std::unique_ptr<Method> make_method(const TuneConfig& options);
std::vector<std::string> method_names();

}  // namespace gradus
