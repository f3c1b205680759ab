// The ranks of a job: processes that `mpirun -n R` has started together, on one machine or on many. This is the one
// place that knows MPI; a build without MPI=1 has only programs that run alone.
//
// Rank 0 leads: it alone writes and talks, and it ends the job. The others compute until it tells them to stop. Who of
// them is asked to stop, by a signal, or fails, tells rank 0, and waits for its word.
#pragma once

#include <string>

#include "engine/comm.h"
#include "engine/long_loop.h"

namespace gradus {

// All of the job; joins it at the first call. UsageError where there are several processes and this build
// knows no MPI.
Comm& ranks_of_job();

// How many of them run on this machine and share its memory, this one counted.
int ranks_on_machine();

// How this process learns of signals, and how it is told that another rank has got one. Without it: not at all.
struct StopSign {
  bool (*is_asked)();
  void (*ask)();
};
void stop_job_by(StopSign sign);

// Thrown out of an exchange on rank 0 where the job cannot go on: another rank has failed, or has been silent for a
// while after a signal, as one is that is gone. The state of before the exchange is whole.
struct JobEnds : Interrupted {};

// What ended the job from elsewhere: a rank that failed, with its exit code and sentence; 0 and empty: none did.
struct JobFailure {
  int code = 0;
  std::string sentence;
};
const JobFailure& failure_of_job();

// The last call of every rank, with its exit code and, if that is not 0, the sentence that says why. Rank 0 ends all
// others; they wait for it. Returns the exit code.
int leave_job(int code, const std::string& sentence);

}  // namespace gradus
