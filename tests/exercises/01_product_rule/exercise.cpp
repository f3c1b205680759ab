// Exercise 1: the product rule.
//
// An operation is two functions. product_forward (exercise.h) computes y = a b, number by number. product_backward is
// told dL/dy, by how much the loss L grows for each unit that y grows, and adds to dL/da and dL/db:
//   op.x(0), op.x(1)      a and b
//   op.dy()               dL/dy
//   op.dx(0), op.dx(1)    dL/da and dL/db, to be added to; null where nobody wants that gradient
// Each is an array of op.shape(0).numel() numbers.
#include "tests/exercises/01_product_rule/exercise.h"

namespace gradus::lesson {

void product_backward(Op& op) {
  // Write here.
}

}  // namespace gradus::lesson
