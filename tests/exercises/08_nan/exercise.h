// The loss of a policy: how surprised it is by the right answers, less a tenth of how undecided it is.
#pragma once

#include "engine/ops.h"

namespace gradus::lesson {

// x [N,K], w [K,V], target [N] → scalar:
//   1/N Σ_n −log p[n, target[n]]  −  1/10 · 1/N Σ_n H(p[n]),   p = softmax(x w),   H(p) = −Σ_v p_v log p_v
Tensor policy_loss(const Tensor& x, const Tensor& w, std::span<const int32_t> target);

}  // namespace gradus::lesson
