// A Trace as a page for the browser: the graph and the walk through it, in one file that loads nothing from elsewhere.
#pragma once

#include <string>

#include "apps/step/trace.h"

namespace gradus {

std::string step_page(const Trace& trace);

}  // namespace gradus
