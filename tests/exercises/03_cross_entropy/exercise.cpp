// Exercise 3: softmax and cross-entropy, backward.
//
// y[n] = −log softmax(z[n])[target[n]]. What forward has computed need not be computed again:
//   s.p         [N,V]  the probabilities of each row, row after row: p[n,v] is s.p[n * V + v]
//   s.target    [N]    the column of the right answer
//   op.dy()     [N]    dL/dy of each row
//   op.dx(0)    [N,V]  dL/dz, to be added to
#include "tests/exercises/03_cross_entropy/exercise.h"

namespace gradus::lesson {

void cross_entropy_backward(Op& op) {
  const auto& s = op.get<CrossEntropy>();
  const int64_t N = op.shape(0)[0], V = op.shape(0)[1];
  // Write here.
}

}  // namespace gradus::lesson
