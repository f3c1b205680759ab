// An op of one's own: softplus(x) = log(1 + e^x) with its backward, and the check of both by finite differences.
#include <cmath>
#include <cstdio>

#include "gradus/engine/gradcheck.h"
#include "gradus/engine/ops.h"
using namespace gradus;

void softplus_forward(Op& op) {
  for (int64_t i = 0; i < op.shape(0).numel(); ++i) op.y()[i] = std::log1p(std::exp(op.x(0)[i]));
}
// Adds to the gradient of x, which may have other parts: dy σ(x).
void softplus_backward(Op& op) {
  if (real* dx = op.dx(0))
    for (int64_t i = 0; i < op.shape(0).numel(); ++i) dx[i] += op.dy()[i] / (1 + std::exp(-op.x(0)[i]));
}
Tensor softplus(const Tensor& x, Loc where = Loc::here()) {
  static constexpr OpKind kind{.name = "softplus", .forward = softplus_forward, .backward = softplus_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

int main() {
  const GradCheck check = check_gradient("softplus", {{"x", {2, 3}, {-2, -1, 0, real(0.5), 1, 3}}},
                                         [](std::span<const Tensor> x) { return softplus(x[0]); });
  std::printf("softplus: %ld slopes against finite differences: %s\n", long(check.elements),
              check.passes() ? "all agree" : text(check.leaf, " ", check.index, " differs").c_str());

  Tape tape;
  const Tape::Use use(tape);
  const Tensor x = variable("x", 1.0), loss = softplus(x) * softplus(x);  // beside the ops of gradus
  tape.backward(loss);
  std::printf("loss %.4f, dloss/dx %.4f\n", loss.item(), x.grad()[0]);
}
