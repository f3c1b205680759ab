// Exercise 6: layer normalisation, backward.
//
// y = (x − mean) · rstd with rstd = 1/√(variance + ε), over each row of C numbers. Every x of a row acts on every y of
// it, by three ways: directly, through the mean, and through the variance.
//   rstd[n]               one number for row n
//   op.y(), op.dy()       y and dL/dy [N,C], y[n,j] at n·C + j
//   op.dx(0)              dL/dx [N,C], to be added to
#include "tests/exercises/06_layer_norm/exercise.h"

namespace gradus::lesson {

void norm_backward(Op& op) {
  const int64_t N = op.shape(0)[0], C = op.shape(0)[1];
  const real* rstd = op.get<Norm>().rstd;
  // Write here.
}

}  // namespace gradus::lesson
