// The walk through a Trace in a terminal, with single keys.
#pragma once

#include "engine/step/trace.h"

namespace gradus {

// Until q or the end of the input. The terminal is as it was afterwards, also when a signal ends the program.
// REQUIRES: standard input and output are a terminal.
void walk(const Trace& trace);

}  // namespace gradus
