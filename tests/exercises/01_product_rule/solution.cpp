#include "tests/exercises/01_product_rule/exercise.h"

namespace gradus::lesson {

/// da += dy b,  db += dy a
void product_backward(Op& op) {
  const int64_t n = op.shape(0).numel();
  if (real* da = op.dx(0))
    for (int64_t i = 0; i < n; ++i) da[i] += op.dy()[i] * op.x(1)[i];
  if (real* db = op.dx(1))
    for (int64_t i = 0; i < n; ++i) db[i] += op.dy()[i] * op.x(0)[i];
}

}  // namespace gradus::lesson
