// gradus tune --trace STEP FILE.html: a real step of fine-tuning as a page to step through.
#pragma once

#include "apps/commands.h"
#include "rl/step_trace.h"
#include "rl/tuner.h"

namespace gradus {

// UsageError if the command, which goes on after step `done`, will not do the step, if the step shows earlier batches
// again, or if it is more than a page can show; WriteError where the page cannot be written: better said before the run
// begins. `prompt` tokens are in the longest prompt.
void refuse_long_trace(const TuneCommand& command, const TuneConfig& config, int64_t done, const LanguageModel& policy,
                       const LanguageModel& prior, const Tuner& tuner, int64_t prompt);

}  // namespace gradus
