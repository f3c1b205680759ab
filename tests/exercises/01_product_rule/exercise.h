// Given: the operation y = a b, number by number, and its way onto the tape.
#pragma once

#include "engine/ops.h"

namespace gradus::lesson {

/// y = a b.   a, b, y of one shape
inline void product_forward(Op& op) {
  for (int64_t i = 0; i < op.shape(0).numel(); ++i) op.y()[i] = op.x(0)[i] * op.x(1)[i];
}
void product_backward(Op& op);

inline Tensor product(const Tensor& a, const Tensor& b, Loc where = Loc::here()) {
  static constexpr OpKind kind{"product", product_forward, product_backward};
  return record(kind, {a, b}, a.shape(), nullptr, where);
}

}  // namespace gradus::lesson
