// gradus train --trace STEP FILE.html: a real training step as a page to step through.
#pragma once

#include "apps/commands.h"
#include "apps/console.h"
#include "engine/parallel.h"
#include "models/run/checkpoint.h"
#include "models/text/corpus.h"

namespace gradus {

// UsageError if the command will not do the step, or if a step of the model is more than a page can show, WriteError
// where the page cannot be written: better said before the run begins.
void refuse_long_trace(const TrainCommand& command, const Checkpoint& run, const Corpus& corpus);

// The page of the step that the first shard has just done. A page that cannot be written does not end the run: returns
// why, or "".
std::string write_trace(Shards& shards, int64_t step, const Checkpoint& run, const std::string& file, Console& console);

}  // namespace gradus
