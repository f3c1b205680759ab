// A Trace as a page for the browser: the graph and the walk through it, in one file that loads nothing from elsewhere.
#pragma once

#include <string>

#include "engine/step/trace.h"

namespace gradus {

std::string step_page(const Trace& trace);
// The same of a step that is on a tape, on which backward has run.
inline std::string step_page(Tape& tape, const std::string& name, const std::string& title) {
  return step_page(record_trace(tape, name, title));
}

}  // namespace gradus
