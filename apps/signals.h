// SIGINT, SIGTERM and SIGHUP: the first asks the loop to stop after its step, the second ends the process at once.
// A step that goes on for more than a second after the first is spoken of on stderr, if `tells`.
// Before catch_interrupts() each ends the process at once: nothing has been trained that could be lost.
#pragma once

namespace gradus {

void catch_interrupts(bool tells);
bool interrupted();

// In a job of several ranks (engine/io/mpi.h) rank 0 alone stops, for all, and saves: on the others interrupted() stays
// false, and was_signalled() is what they tell it. mpirun may send a signal more than once, so a second one ends
// nothing.
void stop_with_job(bool leads);
bool was_signalled();
void interrupt();  // as a signal does

}  // namespace gradus
