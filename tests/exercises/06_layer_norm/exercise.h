// Given: layer normalisation, without gain and bias.
#pragma once

#include <cmath>

#include "engine/ops.h"

namespace gradus::lesson {

struct Norm {
  real* rstd;  // [N]: 1 / √(variance + ε) of each row
};

/// y = (x − mean) / √(variance + ε) over each row, ε = 1e-5.   x, y [N,C]
inline void norm_forward(Op& op) {
  const int64_t N = op.shape(0)[0], C = op.shape(0)[1];
  for (int64_t n = 0; n < N; ++n) {
    const real* x = op.x(0) + n * C;
    real mean = 0, variance = 0;
    for (int64_t j = 0; j < C; ++j) mean += x[j] / real(C);
    for (int64_t j = 0; j < C; ++j) variance += (x[j] - mean) * (x[j] - mean) / real(C);
    const real rstd = op.get<Norm>().rstd[n] = 1 / std::sqrt(variance + real(kLayerNormEps));
    for (int64_t j = 0; j < C; ++j) op.y()[n * C + j] = (x[j] - mean) * rstd;
  }
}
void norm_backward(Op& op);

inline Tensor norm(const Tensor& x, Loc where = Loc::here()) {
  static constexpr OpKind kind{"norm", norm_forward, norm_backward};
  Arena& arena = Tape::current(where).arena();
  return record(kind, {x}, x.shape(), arena.make<Norm>(arena.reals(x.dim(0))), where);
}

}  // namespace gradus::lesson
