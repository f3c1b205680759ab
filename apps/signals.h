// SIGINT, SIGTERM and SIGHUP: the first asks the loop to stop after its step, the second ends the process at once.
// A step that goes on for more than a second after the first is spoken of on stderr, if `tells`.
// Before catch_interrupts() each ends the process at once: nothing has been trained that could be lost.
#pragma once

namespace gradus {

void catch_interrupts(bool tells);
bool interrupted();

}  // namespace gradus
