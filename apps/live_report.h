// The page of a run that is still going on: renewed every two seconds, or less often where it would take more than one
// hundredth of the time.
#pragma once

#include <algorithm>

#include "apps/commands.h"
#include "apps/run.h"

namespace gradus {

class LiveReport {
 public:
  explicit LiveReport(const RunFolder& folder) : folder_(folder) {}
  // Call it after each step. If a page cannot be written, the end of the run will say so.
  void renew() {
    if (!folder_.is_written() || since_.seconds() < pause_) return;
    const Stopwatch writing;
    try_write_report(folder_.path());
    pause_ = std::max(kPause, 100 * writing.seconds());
    since_.restart();
  }

 private:
  static constexpr double kPause = 2;
  const RunFolder& folder_;
  Stopwatch since_;  // the page was written
  double pause_ = kPause;
};

}  // namespace gradus
