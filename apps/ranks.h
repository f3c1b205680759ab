// What `train` and `tune` settle with the other ranks of their job (engine/io/mpi.h) before the first step.
#pragma once

#include <string>
#include <vector>

#include "apps/console.h"
#include "engine/comm.h"
#include "models/run/checkpoint.h"

namespace gradus {

// The ranks of the job of this command. UsageError for what works in one process only, `alone` if it is not empty: "the
// page of a step", ...
Comm& ranks_for(const std::string& alone);

// Something in which all ranks must be equal; `what` as it stands behind "has": "another text".
struct Fact {
  std::string what, value;
};
// Compares them, at most kMostFacts, in their order, and the precision, version and processor before them: DataError on
// rank 0 for the first in which another rank differs, with the ranks and, of a short one, the value.
inline constexpr size_t kMostFacts = 8;
void require_agreement(Comm& ranks, const std::string& command, const std::vector<Fact>& facts);
// A hash of the parameters and the moments of the optimiser as they are: of weights that a file brought, and of those
// that each rank has drawn itself.
std::string state_hash(const Checkpoint& run);

// "2 ranks of 1 thread" or "2 threads", and a note where ranks have no shard to work on.
std::string workers(const Comm& ranks, int threads);
void note_idle(Console& console, const Comm& ranks, int64_t shards);

}  // namespace gradus
