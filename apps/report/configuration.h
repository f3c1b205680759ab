// The end of both pages: the options of a run, from the table of its options, and the command that repeats it.
#pragma once

#include <string>
#include <vector>

#include "apps/report/page.h"
#include "models/run/options.h"

namespace gradus {

// Adds all options, those that differ from their row in `usual` in bold, then `more` facts, and the command: `begin`,
// then the options in bold.
void add_configuration(Page& page, const std::vector<Option>& rows, const std::vector<Option>& usual,
                       const std::string& begin, const std::vector<Page::Fact>& more = {});

}  // namespace gradus
