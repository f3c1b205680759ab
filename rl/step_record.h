// StepRecord: one step of a learner as the numbers that it was made of, for people who look at it (rl/step_trace.h).
// The learner copies them here as they are (Learner::record) and reads none of them back.
#pragma once

#include <optional>

#include "engine/optim.h"
#include "rl/experience.h"
#include "rl/scores.h"

namespace gradus {

// What an optimiser was given: parameters and its own state as they were, and the gradient of the loss by them.
struct OptimiserInput {
  std::vector<real> parameters, gradient;
  AdamW state;
  double lr, factor;  // factor: that of the clipping
};

// One update of the policy. Arrays [B,T] are of its minibatch, laid out as the rows of the batch.
struct UpdateRecord {
  std::vector<int64_t> rows;  // of the batch, those of its minibatch
  Scores now;                 // of the policy that the update changed
  Weights weights;            // as the method made them
  Weights descent = {};       // the same as they went backward: the gradient of the loss by each score
  std::optional<OptimiserInput> policy = {};
  std::optional<OptimiserInput> value = {};  // of the value network, where there is one
};

struct StepRecord {
  int64_t step = 0;
  double kl_coef = 0, temperature = 1;
  Experience batch = {};  // the fresh one, as the method prepared it
  std::vector<UpdateRecord> updates = {};
  Scores after = {};  // of the same draws by the policy that the step made; empty where the step did not end
};

// Σ over the draws of (gradient of the loss by a score) · score of the policy: the loss of which the gradient of an
// update is one, with the weights held constant. The value network has its own and is left out.
double loss_of(const UpdateRecord& update, const PaddedBatch& minibatch);

}  // namespace gradus
