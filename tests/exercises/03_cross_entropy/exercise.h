// Given: the loss of a language model. A row of logits z becomes probabilities p = softmax(z); the loss is −log of the
// probability of the target.
#pragma once

#include <algorithm>
#include <cmath>

#include "engine/ops.h"

namespace gradus::lesson {

struct CrossEntropy {
  const int32_t* target;  // [N]
  real* p;                // [N,V], softmax of each row
};

/// y[n] = −log p[n, target[n]],   p[n,v] = e^z[n,v] / Σ_u e^z[n,u].   z [N,V], y [N]
inline void cross_entropy_forward(Op& op) {
  const auto& s = op.get<CrossEntropy>();
  const int64_t N = op.shape(0)[0], V = op.shape(0)[1];
  for (int64_t n = 0; n < N; ++n) {
    const real *z = op.x(0) + n * V, largest = *std::max_element(z, z + V);  // e^(z − largest) cannot overflow
    real *p = s.p + n * V, sum = 0;
    for (int64_t v = 0; v < V; ++v) sum += p[v] = std::exp(z[v] - largest);
    for (int64_t v = 0; v < V; ++v) p[v] /= sum;
    op.y()[n] = std::log(sum) - (z[s.target[n]] - largest);
  }
}
void cross_entropy_backward(Op& op);

inline Tensor cross_entropy(const Tensor& z, std::span<const int32_t> target, Loc where = Loc::here()) {
  static constexpr OpKind kind{"cross_entropy", cross_entropy_forward, cross_entropy_backward};
  Arena& arena = Tape::current(where).arena();
  auto* saved = arena.make<CrossEntropy>(arena.copy(target).data(), arena.reals(z.numel()));
  return record(kind, {z}, {z.dim(0)}, saved, where);
}

}  // namespace gradus::lesson
