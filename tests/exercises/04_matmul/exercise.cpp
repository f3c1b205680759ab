// Exercise 4: the matrix product, backward.
//
// y[m,n] = Σ_k a[m,k] b[k,n]. Arrays hold row after row: a[m,k] is op.x(0)[m * K + k].
//   op.x(0), op.x(1)      a [M,K] and b [K,N]
//   op.dy()               dL/dy [M,N]
//   op.dx(0), op.dx(1)    dL/da [M,K] and dL/db [K,N], to be added to; null where nobody wants that gradient
#include "tests/exercises/04_matmul/exercise.h"

namespace gradus::lesson {

void product_backward(Op& op) {
  const int64_t M = op.shape(0)[0], K = op.shape(0)[1], N = op.shape(1)[1];
  // Write here.
}

}  // namespace gradus::lesson
