// Ops that work element by element, and on every row alike.
#include <cmath>

#include "engine/checks.h"
#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/vmath.h"

namespace gradus {

constexpr OpMath kAddMath{.formula = "y = u + v", .gradient = "∂u += ∂y,  ∂v += ∂y", .inputs = "u v", .elements = "ee"};
void add_forward(Op& op) {
  const real *a = op.x(0), *b = op.x(1);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = a[i] + b[i];
}
void add_backward(Op& op) {
  const int64_t n = op.shape(0).numel();
  if (real* da = op.dx(0)) kernel::add_to(n, op.dy(), da);
  if (real* db = op.dx(1)) kernel::add_to(n, op.dy(), db);
}
Tensor add(const Tensor& a, const Tensor& b, Loc where) {
  static constexpr OpKind kind{.name = "add", .forward = add_forward, .backward = add_backward, .math = kAddMath};
  return Tape::current(where).record_pair(kind, a, b, where);
}

constexpr OpMath kSubMath{.formula = "y = u − v", .gradient = "∂u += ∂y,  ∂v −= ∂y", .inputs = "u v", .elements = "ee"};
void sub_forward(Op& op) {
  const real *a = op.x(0), *b = op.x(1);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = a[i] - b[i];
}
void sub_backward(Op& op) {
  const int64_t n = op.shape(0).numel();
  if (real* da = op.dx(0)) kernel::add_to(n, op.dy(), da);
  if (real* db = op.dx(1)) kernel::axpy(n, -1, op.dy(), db);
}
Tensor sub(const Tensor& a, const Tensor& b, Loc where) {
  static constexpr OpKind kind{.name = "sub", .forward = sub_forward, .backward = sub_backward, .math = kSubMath};
  return Tape::current(where).record_pair(kind, a, b, where);
}

constexpr OpMath kMulMath{
    .formula = "y = u v", .gradient = "∂u += ∂y v,  ∂v += ∂y u", .inputs = "u v", .elements = "ee"};
void mul_forward(Op& op) {
  const real *a = op.x(0), *b = op.x(1);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = a[i] * b[i];
}
void mul_backward(Op& op) {
  const int64_t n = op.shape(0).numel();
  if (real* da = op.dx(0)) kernel::multiply_add(n, op.dy(), op.x(1), da);
  if (real* db = op.dx(1)) kernel::multiply_add(n, op.dy(), op.x(0), db);
}
Tensor mul(const Tensor& a, const Tensor& b, Loc where) {
  static constexpr OpKind kind{.name = "mul", .forward = mul_forward, .backward = mul_backward, .math = kMulMath};
  return Tape::current(where).record_pair(kind, a, b, where);
}

struct ScaleSaved {
  real factor;
};
constexpr OpMath kScaleMath{.formula = "y = factor u", .gradient = "∂u += factor ∂y", .inputs = "u", .elements = "e"};
void scale_forward(Op& op) {
  const real factor = op.get<ScaleSaved>().factor, *x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = factor * x[i];
}
void scale_backward(Op& op) {
  if (real* dx = op.dx(0)) kernel::axpy(op.shape(0).numel(), op.get<ScaleSaved>().factor, op.dy(), dx);
}
Tensor scale(const Tensor& x, double factor, Loc where) {
  static constexpr OpKind kind{
      .name = "scale", .forward = scale_forward, .backward = scale_backward, .math = kScaleMath};
  auto* saved = Tape::current(where).arena().make<ScaleSaved>(real(factor));
  return record(kind, {x}, x.shape(where), saved, where);
}

constexpr OpMath kAddRowsMath{
    .formula = "y[n] = u[n] + v", .gradient = "∂u += ∂y,  ∂v += Σ_n ∂y[n]", .inputs = "u v", .elements = "ec"};
void add_rows_forward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  const real *x = op.x(0), *b = op.x(1);
  real* y = op.y();
  for (int64_t n = 0; n < N; ++n)
    for (int64_t j = 0; j < M; ++j) y[n * M + j] = x[n * M + j] + b[j];
}
void add_rows_backward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  if (real* dx = op.dx(0)) kernel::add_to(N * M, op.dy(), dx);
  if (real* db = op.dx(1)) add_column_sums(N, M, op.dy(), db);
}
Tensor add_rows(const Tensor& x, const Tensor& b, Loc where) {
  static constexpr OpKind kind{
      .name = "add_rows", .forward = add_rows_forward, .backward = add_rows_backward, .math = kAddRowsMath};
  require_rank("add_rows", "x", x, 2, where);
  require_shape("add_rows", "b", b, {x.dim(1)}, where);
  return record(kind, {x, b}, x.shape(), nullptr, where);
}

constexpr OpMath kMulRowsMath{.formula = "y[n] = u[n] v",
                              .gradient = "∂u[n] += ∂y[n] v,  ∂v += Σ_n ∂y[n] u[n]",
                              .inputs = "u v",
                              .elements = "ec"};
void mul_rows_forward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  const real *x = op.x(0), *g = op.x(1);
  real* y = op.y();
  for (int64_t n = 0; n < N; ++n)
    for (int64_t j = 0; j < M; ++j) y[n * M + j] = x[n * M + j] * g[j];
}
void mul_rows_backward(Op& op) {
  const int64_t N = op.shape(0)[0], M = op.shape(0)[1];
  real *dx = op.dx(0), *dg = op.dx(1);
  Scratch scratch;
  const kernel::RowSum sum = scratch.row_sum(N, M, dg);
  for (int64_t n = 0; n < N; ++n) {
    if (dx) kernel::multiply_add(M, op.dy() + n * M, op.x(1), dx + n * M);
    if (dg) sum.add_product(op.dy() + n * M, op.x(0) + n * M);
  }
  sum.finish();
}
Tensor mul_rows(const Tensor& x, const Tensor& g, Loc where) {
  static constexpr OpKind kind{
      .name = "mul_rows", .forward = mul_rows_forward, .backward = mul_rows_backward, .math = kMulRowsMath};
  require_rank("mul_rows", "x", x, 2, where);
  require_shape("mul_rows", "g", g, {x.dim(1)}, where);
  return record(kind, {x, g}, x.shape(), nullptr, where);
}

constexpr OpMath kTanhMath{.formula = "y = tanh u", .gradient = "∂u += ∂y (1 − y²)", .inputs = "u", .elements = "e"};
void tanh_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = vmath::tanh(x[i]);
}
void tanh_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) dx[i] += dy[i] * (1 - y[i] * y[i]);
}
Tensor tanh(const Tensor& x, Loc where) {
  static constexpr OpKind kind{.name = "tanh", .forward = tanh_forward, .backward = tanh_backward, .math = kTanhMath};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

constexpr OpMath kSigmoidMath{
    .formula = "y = 1 / (1 + e^−u)", .gradient = "∂u += ∂y y (1 − y)", .inputs = "u", .elements = "e"};
void sigmoid_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = vmath::sigmoid(x[i]);
}
void sigmoid_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) dx[i] += dy[i] * y[i] * (1 - y[i]);
}
Tensor sigmoid(const Tensor& x, Loc where) {
  static constexpr OpKind kind{
      .name = "sigmoid", .forward = sigmoid_forward, .backward = sigmoid_backward, .math = kSigmoidMath};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

constexpr OpMath kReluMath{
    .formula = "y = max(u, 0)", .gradient = "∂u += ∂y where u > 0", .inputs = "u", .elements = "e"};
void relu_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = x[i] < 0 ? 0 : x[i];
}
void relu_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *x = op.x(0);
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) dx[i] += x[i] > 0 ? dy[i] : 0;
}
Tensor relu(const Tensor& x, Loc where) {
  static constexpr OpKind kind{.name = "relu", .forward = relu_forward, .backward = relu_backward, .math = kReluMath};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

constexpr OpMath kGeluMath{.formula = "y = ½ u (1 + tanh(√(2/π) (u + 0.044715 u³)))",
                           .gradient = "∂u += ∂y gelu′(u)",
                           .inputs = "u",
                           .elements = "e"};
void gelu_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = vmath::gelu(x[i]);
}
void gelu_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *x = op.x(0);
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) dx[i] += dy[i] * vmath::gelu_derivative(x[i]);
}
Tensor gelu(const Tensor& x, Loc where) {
  static constexpr OpKind kind{.name = "gelu", .forward = gelu_forward, .backward = gelu_backward, .math = kGeluMath};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

static constexpr real kInvSqrt2Pi = real(0.3989422804014327);
static real normal_cdf(real x) { return std::erfc(x * real(-0.7071067811865476)) / 2; }  // erf would cancel below -5
// x p, with the limit 0 where the probability or density p has fallen to 0, also for an infinite x.
static real times_vanishing(real x, real p) { return p == 0 ? 0 : x * p; }

constexpr OpMath kGeluErfMath{.formula = "y = u Φ(u) = ½ u (1 + erf(u/√2))",
                              .gradient = "∂u += ∂y (Φ(u) + u φ(u))",
                              .inputs = "u",
                              .elements = "e"};
void gelu_erf_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = times_vanishing(x[i], normal_cdf(x[i]));
}
void gelu_erf_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *x = op.x(0);
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i)
    dx[i] += dy[i] * (normal_cdf(x[i]) + times_vanishing(x[i], kInvSqrt2Pi * vmath::exp(x[i] * x[i] / -2)));
}
Tensor gelu_erf(const Tensor& x, Loc where) {
  static constexpr OpKind kind{
      .name = "gelu_erf", .forward = gelu_erf_forward, .backward = gelu_erf_backward, .math = kGeluErfMath};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

constexpr OpMath kExpMath{.formula = "y = e^u", .gradient = "∂u += ∂y y", .inputs = "u", .elements = "e"};
void exp_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = vmath::exp(x[i]);
}
void exp_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) dx[i] += dy[i] * y[i];
}
Tensor exp(const Tensor& x, Loc where) {
  static constexpr OpKind kind{.name = "exp", .forward = exp_forward, .backward = exp_backward, .math = kExpMath};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

constexpr OpMath kLogMath{.formula = "y = log u", .gradient = "∂u += ∂y / u", .inputs = "u", .elements = "e"};
void log_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = std::log(x[i]);
}
void log_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *x = op.x(0);
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) dx[i] += dy[i] / x[i];
}
Tensor log(const Tensor& x, Loc where) {
  static constexpr OpKind kind{.name = "log", .forward = log_forward, .backward = log_backward, .math = kLogMath};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

constexpr OpMath kRsqrtMath{.formula = "y = 1/√u", .gradient = "∂u −= ∂y y³ / 2", .inputs = "u", .elements = "e"};
void rsqrt_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = 1 / std::sqrt(x[i]);
}
void rsqrt_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) dx[i] -= dy[i] * y[i] * y[i] * y[i] / 2;
}
Tensor rsqrt(const Tensor& x, Loc where) {
  static constexpr OpKind kind{
      .name = "rsqrt", .forward = rsqrt_forward, .backward = rsqrt_backward, .math = kRsqrtMath};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

}  // namespace gradus
