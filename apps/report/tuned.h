// The report of a fine-tuned run: curves against what is possible, texts before and after, and in a small world policy,
// prior and posterior side by side.
#pragma once

#include <string>

#include "apps/report/facts.h"

namespace gradus {

std::string page_of_tuned(const RunFacts& facts);

}  // namespace gradus
