// A real step of a learner as a trace to walk through: it is recorded while it runs (Learner::record), and afterwards
// its last update is computed again on one tape, op by op, in the place where the policy was.
//
//   StepRecord record;
//   tuner.record(&record);
//   tuner.step(step, optimizer, lr, clip);
//   Trace trace = trace_of(record, policy, prior, {.options = options, .method = *tuner.method, ...});
//   write_file_atomically("step.html", step_page(trace));                 // or walk(trace)
#pragma once

#include "rl/step_scenes.h"

namespace gradus {

// The scenes of the step and, between them, its last update: forward and backward pass in their parts, and what the
// optimisers make of it, that of the value network too (its parameters begin with value.). The loss and the gradients
// of the parameters are the learner's, to the bit. ShapeError where the step did not end or batches were shown again.
Trace trace_of(const StepRecord& record, const LanguageModel& policy, const LanguageModel& prior,
               const StepContext& context);

// How large the graph of an update on `rows` sequences of T slots is at most.
TraceSize trace_size(const LanguageModel& policy, const LanguageModel& prior, const Method& method, int64_t rows,
                     int64_t T, double temperature);

}  // namespace gradus
