#include <cmath>

#include "tests/exercises/07_attention/exercise.h"

namespace gradus::lesson {

/// dv_j += P_tj dy_t;  dP_tj = dy_t·v_j;  dS_tj = P_tj (dP_tj − Σ_l P_tl dP_tl);  dq_t += dS_tj k_j/√D;  dk_j += dS_tj
/// q_t/√D
void attention_backward(Op& op) {
  const int64_t T = op.shape(0)[0], D = op.shape(0)[1];
  const real* P = op.get<Attention>().P;
  const real *q = op.x(0), *k = op.x(1), *v = op.x(2), scale = 1 / std::sqrt(real(D));
  real *dq = op.dx(0), *dk = op.dx(1), *dv = op.dx(2);
  Scratch scratch;
  real* dP = scratch.reals(T);
  for (int64_t t = 0; t < T; ++t) {
    const real *p = P + t * T, *dy = op.dy() + t * D;
    real mean = 0;  // of dP under P
    for (int64_t j = 0; j <= t; ++j) {
      dP[j] = 0;
      for (int64_t d = 0; d < D; ++d) {
        dP[j] += dy[d] * v[j * D + d];
        dv[j * D + d] += p[j] * dy[d];
      }
      mean += p[j] * dP[j];
    }
    for (int64_t j = 0; j <= t; ++j) {
      const real dS = p[j] * (dP[j] - mean) * scale;
      for (int64_t d = 0; d < D; ++d) {
        dq[t * D + d] += dS * k[j * D + d];
        dk[j * D + d] += dS * q[t * D + d];
      }
    }
  }
}

}  // namespace gradus::lesson
