// SIGINT and SIGTERM: the first asks the loop to stop after its step, the second ends the process at once.
#pragma once

namespace gradus {

void catch_interrupts();
bool interrupted();

}  // namespace gradus
