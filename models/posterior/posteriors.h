// Posteriors over the parameters of a family that is trained in steps, p(θ | data) ∝ p(data | θ) N(θ; 0, s²): the ways
// to have one, a row each, and what all of them share. A run with a posterior has a PosteriorModel for its model
// (models/posterior/posterior_model.h), which is a LanguageModel like any other; nothing else knows that there are
// several.
#pragma once

#include <memory>
#include <string>

#include "models/language_model.h"
#include "models/posterior/options.h"

namespace gradus {

class PosteriorModel;
struct ChainStep;
struct Transition;

struct PosteriorKind {
  const char* name;
  const char* title;  // as a sentence has it
  // Of those that sample by Markov chains, the step of a chain (models/posterior/chains.h). Null: a guide, which an
  // optimiser fits.
  Transition (*advance)(const ChainStep& step) = nullptr;
  bool own_step = false;  // its steps begin at --lr, which must be above 0, and then have a size that it finds itself
};
const std::vector<PosteriorKind>& posteriors();
const PosteriorKind* posterior_of(const PosteriorOptions& options);  // null for none; DataError for an unknown name

// The net, which is only declared, or with a posterior its PosteriorModel.
std::unique_ptr<LanguageModel> with_posterior(std::unique_ptr<LanguageModel> net, const PosteriorOptions& options);
// The model as one with a posterior; null for one without.
const PosteriorModel* posterior_in(const LanguageModel& model);

}  // namespace gradus
