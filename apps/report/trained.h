// The report of a trained run: its loss beside reference values, samples during training, data and configuration.
#pragma once

#include <string>

#include "apps/report/facts.h"

namespace gradus {

std::string page_of_trained(const RunFacts& facts);

}  // namespace gradus
