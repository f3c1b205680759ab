// Given: the product of two matrices.
#pragma once

#include "engine/ops.h"

namespace gradus::lesson {

/// y = a b:  y[m,n] = Σ_k a[m,k] b[k,n].   a [M,K], b [K,N], y [M,N]
inline void product_forward(Op& op) {
  const int64_t M = op.shape(0)[0], K = op.shape(0)[1], N = op.shape(1)[1];
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      real sum = 0;
      for (int64_t k = 0; k < K; ++k) sum += op.x(0)[m * K + k] * op.x(1)[k * N + n];
      op.y()[m * N + n] = sum;
    }
}
void product_backward(Op& op);

inline Tensor product(const Tensor& a, const Tensor& b, Loc where = Loc::here()) {
  static constexpr OpKind kind{"product", product_forward, product_backward};
  return record(kind, {a, b}, {a.dim(0), b.dim(1)}, nullptr, where);
}

}  // namespace gradus::lesson
