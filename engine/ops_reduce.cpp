// Sums, means and the softmax family.
#include <algorithm>

#include "engine/checks.h"
#include "engine/kernels.h"
#include "engine/ops.h"

namespace gradus {

static double total(int64_t n, const real* x) {
  double s = 0;
  for (int64_t i = 0; i < n; ++i) s += double(x[i]);
  return s;
}
static void add_constant(int64_t n, real a, real* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += a;
}

constexpr OpMath kSumMath{.formula = "y = Σ_i u[i]", .gradient = "∂u[i] += ∂y", .inputs = "u"};
void sum_forward(Op& op) { *op.y() = real(total(op.shape(0).numel(), op.x(0))); }
void sum_backward(Op& op) { add_constant(op.shape(0).numel(), *op.dy(), op.dx(0)); }
Tensor sum(const Tensor& x, Loc where) {
  static constexpr OpKind kind{.name = "sum", .forward = sum_forward, .backward = sum_backward, .math = kSumMath};
  return record(kind, {x}, Shape{}, nullptr, where);
}

constexpr OpMath kMeanMath{.formula = "y = Σ_i u[i] / n", .gradient = "∂u[i] += ∂y / n", .inputs = "u"};
void mean_forward(Op& op) { *op.y() = real(total(op.shape(0).numel(), op.x(0)) / double(op.shape(0).numel())); }
void mean_backward(Op& op) {
  const int64_t n = op.shape(0).numel();
  add_constant(n, *op.dy() / real(n), op.dx(0));
}
Tensor mean(const Tensor& x, Loc where) {
  static constexpr OpKind kind{.name = "mean", .forward = mean_forward, .backward = mean_backward, .math = kMeanMath};
  require(x.numel(where) > 0, "mean", where, "x is ", x.shape(where), ", the mean of nothing is not defined");
  return record(kind, {x}, Shape{}, nullptr, where);
}

constexpr OpMath kRowMeansMath{.formula = "y[n] = Σ_j u[n,j] / M", .gradient = "∂u[n,j] += ∂y[n] / M", .inputs = "u"};
void row_means_forward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  for (int64_t n = 0; n < N; ++n) op.y()[n] = kernel::sum(M, op.x(0) + n * M) / real(M);
}
void row_means_backward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  const real* dy = op.dy();
  real* dx = op.dx(0);
  for (int64_t n = 0; n < N; ++n) add_constant(M, dy[n] / real(M), dx + n * M);
}
Tensor row_means(const Tensor& x, Loc where) {
  static constexpr OpKind kind{
      .name = "row_means", .forward = row_means_forward, .backward = row_means_backward, .math = kRowMeansMath};
  require_rank("row_means", "x", x, 2, where);
  require(x.dim(1) > 0, "row_means", where, "x is ", x.shape(), ", the mean of nothing is not defined");
  return record(kind, {x}, {x.dim(0)}, nullptr, where);
}

constexpr OpMath kSoftmaxMath{
    .formula = "y_j = e^u_j / Σ_k e^u_k on each row", .gradient = "∂u += y ∘ (∂y − y·∂y)", .inputs = "u"};
void softmax_forward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  for (int64_t n = 0; n < N; ++n) kernel::softmax_row(M, op.x(0) + n * M, op.y() + n * M);
}
void softmax_backward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  const real *y = op.y(), *dy = op.dy();
  real* dx = op.dx(0);
  for (int64_t n = 0; n < N; ++n) kernel::softmax_row_backward(M, y + n * M, dy + n * M, dx + n * M);
}
Tensor softmax(const Tensor& x, Loc where) {
  static constexpr OpKind kind{
      .name = "softmax", .forward = softmax_forward, .backward = softmax_backward, .math = kSoftmaxMath};
  require_rank("softmax", "x", x, 2, where);
  require(x.dim(1) > 0, "softmax", where, "x is ", x.shape(), ", a row must have at least one number");
  return record(kind, {x}, x.shape(), nullptr, where);
}

struct LogSoftmaxSaved {
  real* p;  // [N,M], the softmax
};
constexpr OpMath kLogSoftmaxMath{
    .formula = "y_j = u_j − log Σ_k e^u_k on each row", .gradient = "∂u += ∂y − softmax(u) Σ_k ∂y_k", .inputs = "u"};
void log_softmax_forward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  real* p = op.get<LogSoftmaxSaved>().p;
  for (int64_t n = 0; n < N; ++n) {
    const real* x = op.x(0) + n * M;
    const kernel::LogSum s = kernel::softmax_row(M, x, p + n * M);
    const real log_sum = s.log_sum();
    for (int64_t j = 0; j < M; ++j) op.y()[n * M + j] = (x[j] - s.max) - log_sum;
  }
}
void log_softmax_backward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  const real *p = op.get<LogSoftmaxSaved>().p, *dy = op.dy();
  real* dx = op.dx(0);
  for (int64_t n = 0; n < N; ++n) {
    kernel::add_to(M, dy + n * M, dx + n * M);
    kernel::axpy(M, -kernel::sum(M, dy + n * M), p + n * M, dx + n * M);
  }
}
Tensor log_softmax(const Tensor& x, Loc where) {
  static constexpr OpKind kind{
      .name = "log_softmax", .forward = log_softmax_forward, .backward = log_softmax_backward, .math = kLogSoftmaxMath};
  require_rank("log_softmax", "x", x, 2, where);
  require(x.dim(1) > 0, "log_softmax", where, "x is ", x.shape(), ", a row must have at least one number");
  Arena& arena = Tape::current(where).arena();
  return record(kind, {x}, x.shape(), arena.make<LogSoftmaxSaved>(arena.reals(x.numel())), where);
}

constexpr OpMath kCausalSoftmaxMath{.formula = "row t of each block: y_j = e^u_j / Σ_{k≤t} e^u_k for j ≤ t, else 0",
                                    .gradient = "∂u += y ∘ (∂y − y·∂y)",
                                    .inputs = "u"};
void causal_softmax_forward(Op& op) {
  const int64_t rows = op.shape(0)[0], T = op.shape(0)[1];
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t visible = r % T + 1;
    kernel::softmax_row(visible, op.x(0) + r * T, op.y() + r * T);
    std::fill(op.y() + r * T + visible, op.y() + (r + 1) * T, real(0));
  }
}
void causal_softmax_backward(Op& op) {
  const int64_t rows = op.shape(0)[0], T = op.shape(0)[1];
  const real *y = op.y(), *dy = op.dy();
  real* dx = op.dx(0);
  for (int64_t r = 0; r < rows; ++r) kernel::softmax_row_backward(r % T + 1, y + r * T, dy + r * T, dx + r * T);
}
Tensor causal_softmax(const Tensor& x, Loc where) {
  static constexpr OpKind kind{.name = "causal_softmax",
                               .forward = causal_softmax_forward,
                               .backward = causal_softmax_backward,
                               .math = kCausalSoftmaxMath};
  require_rank("causal_softmax", "x", x, 2, where);
  require(x.dim(1) > 0 && x.dim(0) % x.dim(1) == 0, "causal_softmax", where, "x is ", x.shape(),
          ", it must be blocks of [T,T] one below the other");
  return record(kind, {x}, x.shape(), nullptr, where);
}

}  // namespace gradus
