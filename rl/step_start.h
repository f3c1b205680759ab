// Parameters and optimiser as a step of several updates begins, for one that is cut short between them: by then neither
// the state of before the step nor that after it is there.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/optim.h"

namespace gradus {

class StepStart {
 public:
  static constexpr int64_t kCopies = 3;  // of as many numbers as there are parameters

  void keep(const Params& params, const AdamW& optimizer) {
    params_.assign(params.data().begin(), params.data().end());
    m_ = optimizer.m;
    v_ = optimizer.v;
    steps_ = optimizer.steps;
  }
  // REQUIRES: what keep() was given last.
  void restore(Params& params, AdamW& optimizer) const {
    std::ranges::copy(params_, params.edit().begin());
    optimizer.m = m_;
    optimizer.v = v_;
    optimizer.steps = steps_;
  }

 private:
  std::vector<real> params_, m_, v_;
  int64_t steps_ = 0;
};

}  // namespace gradus
