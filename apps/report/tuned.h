// The report of a fine-tuned run: curves beside the optimum, texts before and after, and, in a world small enough to
// enumerate, the policy, the prior and the posterior side by side.
#pragma once

#include <string>

#include "apps/report/facts.h"

namespace gradus {

std::string page_of_tuned(const RunFacts& facts);

}  // namespace gradus
