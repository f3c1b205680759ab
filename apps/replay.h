// The replayed batches of a fine-tuned run in its archive, as the lists replay.N.tokens, lengths, prompts, reward,
// log_mu and log_q. apps/tuned_run.cpp reads and writes the rest of the run.
#pragma once

#include "apps/tuned_run.h"

namespace gradus {

// Batch number `batch`, each number checked as if somebody else had written it. DataError names the list.
// REQUIRES: run.prompt_tokens and run.world are laid out.
Experience read_replayed(ArchiveReader& in, const TunedRun& run, size_t batch);
void write_replayed(ArchiveWriter& out, size_t batch, const Experience& e);

}  // namespace gradus
