// The report of a trained run: its loss beside known marks, its samples on the way, its data and configuration.
#pragma once

#include <string>

#include "apps/report/facts.h"

namespace gradus {

std::string page_of_trained(const RunFacts& facts);

}  // namespace gradus
