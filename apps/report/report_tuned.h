// The report of a fine-tuned run: curves against what is possible, texts before and after, and in a small world policy,
// prior and posterior side by side.
#pragma once

#include <string>

#include "apps/report/run_log.h"

namespace gradus {

bool is_tuned(const RunLog& log);
std::string page_of_tuned(const std::string& name, const RunLog& log);

}  // namespace gradus
