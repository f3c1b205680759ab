// Exercise 7: causal attention, backward.
//
// y_t = Σ_{j≤t} P_tj v_j with P_t = softmax_{j≤t}(S_tj), S_tj = q_t·k_j / √D. Nothing here is new: two matrix products
// (exercise 4) with a softmax between them (exercise 3), one row t at a time.
//   P                     [T,T]  P_tj at t·T + j; 0 for j > t
//   op.x(0), (1), (2)     q, k, v [T,D], row t at t·D
//   op.dy()               dL/dy [T,D]
//   op.dx(0), (1), (2)    dL/dq, dL/dk, dL/dv, to be added to (the suite wants all three)
#include <cmath>

#include "tests/exercises/07_attention/exercise.h"

namespace gradus::lesson {

void attention_backward(Op& op) {
  const int64_t T = op.shape(0)[0], D = op.shape(0)[1];
  const real* P = op.get<Attention>().P;
  // Write here.
}

}  // namespace gradus::lesson
