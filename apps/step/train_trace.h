// gradus train --trace STEP FILE.html: a real training step as a page to step through.
#pragma once

#include "apps/commands.h"
#include "engine/step/trace.h"
#include "models/run/checkpoint.h"
#include "models/text/corpus.h"

namespace gradus {

// UsageError if the command will not do the step, or if a step of the model is more than a page can show, WriteError
// where the page cannot be written: better said before the run begins.
void refuse_long_trace(const TrainCommand& command, const Checkpoint& run, const Corpus& corpus);

// A step that has run forward and backward, before its update.
struct TracedStep {
  int64_t step;
  Batch& batch;
  double loss;                     // as the log has it
  std::span<const real> gradient;  // as the optimiser gets it, with this rate and this factor of the clipping
  double lr, factor;
};
// The step of the whole batch: computed again on one tape with attention and recurrent layers in their parts; the loss
// and the gradients of the parameters are those of the run, to the bit, and the update is what its optimiser will do.
Trace trace_of(const TracedStep& step, Checkpoint& run);

}  // namespace gradus
