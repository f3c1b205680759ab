// The one loss. Maximum likelihood, policy gradients and masking differ only in the weight of each row.
#include "engine/checks.h"
#include "engine/kernels.h"
#include "engine/ops.h"

namespace gradus {

struct CrossEntropySaved {
  const int32_t* target;  // [N]
  real* p;                // [N,V], softmax of the logits; not written where there is no target
};

constexpr OpMath kSoftmaxCrossEntropyMath{.formula = "y[n] = log Σ_j e^u[n,j] − u[n, target[n]]",
                                          .gradient = "∂u[n] += ∂y[n] (softmax(u[n]) − onehot(target[n]))",
                                          .inputs = "u"};
void softmax_cross_entropy_forward(Op& op) {
  const auto& s = op.get<CrossEntropySaved>();
  const int64_t N = op.shape(0)[0], V = op.shape(0)[1];
  for (int64_t n = 0; n < N; ++n) {
    const real* z = op.x(0) + n * V;
    op.y()[n] = 0;
    if (s.target[n] == kNoTarget) continue;
    const kernel::LogSum sum = kernel::softmax_row(V, z, s.p + n * V);
    op.y()[n] = sum.log_sum() - (z[s.target[n]] - sum.max);
  }
}
void softmax_cross_entropy_backward(Op& op) {
  const auto& s = op.get<CrossEntropySaved>();
  const int64_t N = op.shape(0)[0], V = op.shape(0)[1];
  const real* dy = op.dy();
  real* dz = op.dx(0);
  for (int64_t n = 0; n < N; ++n) {
    if (s.target[n] == kNoTarget) continue;
    kernel::axpy(V, dy[n], s.p + n * V, dz + n * V);
    dz[n * V + s.target[n]] -= dy[n];
  }
}
Tensor softmax_cross_entropy(const Tensor& logits, std::span<const int32_t> target, Loc where) {
  static constexpr OpKind kind{
      .name = "softmax_cross_entropy",
      .forward = softmax_cross_entropy_forward,
      .backward = softmax_cross_entropy_backward,
      .math = kSoftmaxCrossEntropyMath,
      .ids = [](const Op& op) { return std::span(op.get<CrossEntropySaved>().target, size_t(op.shape(0)[0])); }};
  require_rank("softmax_cross_entropy", "logits", logits, 2, where);
  require_count("softmax_cross_entropy", "target", int64_t(target.size()), logits.dim(0), where);
  require_ids("softmax_cross_entropy", "target", target, logits.dim(1), where, true);
  Arena& arena = Tape::current(where).arena();
  auto* saved = arena.make<CrossEntropySaved>(arena.copy(target).data(), arena.reals(logits.numel()));
  return record(kind, {logits}, {logits.dim(0)}, saved, where);
}

Tensor softmax_cross_entropy(const Tensor& logits, std::span<const int32_t> target, std::span<const real> weight,
                             Loc where) {
  const Tensor loss = softmax_cross_entropy(logits, target, where);
  require_count("softmax_cross_entropy", "weight", int64_t(weight.size()), loss.numel(), where);
  return sum(mul(loss, constant(loss.shape(), weight, where), where), where);
}

}  // namespace gradus
