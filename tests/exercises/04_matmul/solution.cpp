#include "tests/exercises/04_matmul/exercise.h"

namespace gradus::lesson {

/// da += dy bᵀ,  db += aᵀ dy
void product_backward(Op& op) {
  const int64_t M = op.shape(0)[0], K = op.shape(0)[1], N = op.shape(1)[1];
  const real *a = op.x(0), *b = op.x(1), *dy = op.dy();
  real *da = op.dx(0), *db = op.dx(1);
  for (int64_t m = 0; m < M; ++m)
    for (int64_t k = 0; k < K; ++k)
      for (int64_t n = 0; n < N; ++n) {
        if (da) da[m * K + k] += dy[m * N + n] * b[k * N + n];
        if (db) db[k * N + n] += a[m * K + k] * dy[m * N + n];
      }
}

}  // namespace gradus::lesson
