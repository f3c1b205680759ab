// A value network: b_φ(h) = w · f(h) + c on the features f that the policy makes of a prefix h, fitted to the returns
// by least squares. A stop-gradient separates it from the policy: it reads the features and never changes them.
#pragma once

#include "engine/ops.h"
#include "engine/optim.h"
#include "models/language_model.h"

namespace gradus {

class ValueNetwork {
 public:
  // All 0 at the start: the first advantages are the returns themselves. Parameters value.weight [1,C], value.bias [1].
  explicit ValueNetwork(const LanguageModel& policy);
  ValueNetwork(const ValueNetwork&) = delete;

  Tensor operator()(const Tensor& features) const;  // [N,C] → [N,1], on the current tape
  Params& params() { return params_; }
  const Params& params() const { return params_; }

 private:
  Params params_;
  Tensor w_, b_;
};

}  // namespace gradus
