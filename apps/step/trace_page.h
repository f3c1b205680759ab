// The page of a step that --trace asked for.
#pragma once

#include <string>

#include "apps/console.h"
#include "engine/step/trace.h"

namespace gradus {

// `what` it shows: "step 3 token by token". One that cannot be written does not end the run: returns why, or "".
std::string write_trace(const Trace& trace, const std::string& what, const std::string& file, Console& console);

}  // namespace gradus
