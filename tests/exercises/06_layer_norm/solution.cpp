#include "tests/exercises/06_layer_norm/exercise.h"

namespace gradus::lesson {

/// dx += rstd (dy − mean(dy) − y mean(dy ∘ y)) on each row
void norm_backward(Op& op) {
  const int64_t N = op.shape(0)[0], C = op.shape(0)[1];
  const real* rstd = op.get<Norm>().rstd;
  for (int64_t n = 0; n < N; ++n) {
    const real *y = op.y() + n * C, *dy = op.dy() + n * C;
    real mean_dy = 0, mean_dy_y = 0;
    for (int64_t j = 0; j < C; ++j) mean_dy += dy[j] / real(C);
    for (int64_t j = 0; j < C; ++j) mean_dy_y += dy[j] * y[j] / real(C);
    for (int64_t j = 0; j < C; ++j) op.dx(0)[n * C + j] += rstd[n] * (dy[j] - mean_dy - y[j] * mean_dy_y);
  }
}

}  // namespace gradus::lesson
