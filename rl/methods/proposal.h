// Proposal: the model μ that f-DPG draws from. Off-policy, every weight counts π/μ.
//
//   policy    π itself
//   fixed     the prior q
//   adaptive  a copy of an earlier policy, replaced as soon as the policy is nearer to the target
//
// The fixed one never draws what q excludes. Where the policy can say that, f'(1) − f'(∞) of it would be missing from
// the mean, so it is refused where the texts can be listed.
//
// Nearer (KL-adaptive DPG, Khalifa et al. 2021, algorithm 2) means KL(p‖π) < KL(p‖μ) beyond doubt. The difference is
// E_p[log μ − log π], estimated from the batch with the weights p/μ; it must be kDoubt standard errors below 0.
#pragma once

#include <memory>

#include "models/language_model.h"
#include "rl/experience.h"
#include "rl/methods/method.h"

namespace gradus {

// What is said of a policy whose fixed proposal does not draw all that it can say.
inline constexpr const char* kBeyondPrior =
    "--proposal fixed never draws what the prior excludes, and the policy can say that; use --proposal policy or "
    "adaptive";

class Proposal {
 public:
  static constexpr double kDoubt = 3;
  // `name` is a row of the table in proposal.cpp: DataError for an unknown one. ShapeError without the model it needs.
  Proposal(const std::string& name, const MethodModels& models);
  static std::vector<std::string> names();

  const LanguageModel* model() const { return own_ ? own_.get() : fixed_; }  // null: the policy
  // From a batch of its own, as the step begins, with log p of its sequences.
  void consider(const Experience& e);
  // After the step: becomes the policy that was better at its beginning.
  void learn();
  Params* params();  // of the adaptive one, else null

 private:
  const LanguageModel* policy_;
  const LanguageModel* fixed_ = nullptr;
  std::unique_ptr<LanguageModel> own_, better_;
  bool replace_ = false;
};

}  // namespace gradus
