// Given: one head of causal attention over one sequence of T rows with D channels.
#pragma once

#include <cmath>

#include "engine/ops.h"

namespace gradus::lesson {

struct Attention {
  real* P;  // [T,T]: how much row t takes of row j; 0 for j > t
};

/// y_t = Σ_{j≤t} P_tj v_j,   P_t = softmax_{j≤t}(q_t·k_j / √D).   q, k, v, y [T,D]
inline void attention_forward(Op& op) {
  const int64_t T = op.shape(0)[0], D = op.shape(0)[1];
  const real *q = op.x(0), *k = op.x(1), *v = op.x(2);
  for (int64_t t = 0; t < T; ++t) {
    real *p = op.get<Attention>().P + t * T, *y = op.y() + t * D, sum = 0;
    for (int64_t j = 0; j < T; ++j) {
      real score = 0;
      for (int64_t d = 0; d < D; ++d) score += q[t * D + d] * k[j * D + d];
      sum += p[j] = j <= t ? std::exp(score / std::sqrt(real(D))) : 0;
    }
    for (int64_t d = 0; d < D; ++d) y[d] = 0;
    for (int64_t j = 0; j <= t; ++j) {
      p[j] /= sum;
      for (int64_t d = 0; d < D; ++d) y[d] += p[j] * v[j * D + d];
    }
  }
}
void attention_backward(Op& op);

inline Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, Loc where = Loc::here()) {
  static constexpr OpKind kind{"attention", attention_forward, attention_backward};
  Arena& arena = Tape::current(where).arena();
  auto* saved = arena.make<Attention>(arena.reals(q.dim(0) * q.dim(0)));
  return record(kind, {q, k, v}, q.shape(), saved, where);
}

}  // namespace gradus::lesson
