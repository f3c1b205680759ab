// Ops that work element by element, and on every row alike.
#include <cmath>

#include "engine/checks.h"
#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/vmath.h"

namespace gradus {

/// y = a + b.                                        da += dy,  db += dy
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
  static constexpr OpKind kind{"add", add_forward, add_backward};
  require_same_shape("add", a, b, where);
  return record(kind, {a, b}, a.shape(), nullptr, where);
}

/// y = a − b.                                        da += dy,  db −= dy
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
  static constexpr OpKind kind{"sub", sub_forward, sub_backward};
  require_same_shape("sub", a, b, where);
  return record(kind, {a, b}, a.shape(), nullptr, where);
}

/// y = a b.                                          da += dy b,  db += dy a
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
  static constexpr OpKind kind{"mul", mul_forward, mul_backward};
  require_same_shape("mul", a, b, where);
  return record(kind, {a, b}, a.shape(), nullptr, where);
}

/// y = factor x.                                     dx += factor dy
struct ScaleSaved {
  real factor;
};
void scale_forward(Op& op) {
  const real factor = op.get<ScaleSaved>().factor, *x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = factor * x[i];
}
void scale_backward(Op& op) {
  if (real* dx = op.dx(0)) kernel::axpy(op.shape(0).numel(), op.get<ScaleSaved>().factor, op.dy(), dx);
}
Tensor scale(const Tensor& x, double factor, Loc where) {
  static constexpr OpKind kind{"scale", scale_forward, scale_backward};
  auto* saved = Tape::current(where).arena().make<ScaleSaved>(real(factor));
  return record(kind, {x}, x.shape(where), saved, where);
}

/// y[n] = x[n] + b.                                  dx += dy,  db += Σ_n dy[n]
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
  if (real* db = op.dx(1)) kernel::add_column_sums(N, M, op.dy(), db);
}
Tensor add_rows(const Tensor& x, const Tensor& b, Loc where) {
  static constexpr OpKind kind{"add_rows", add_rows_forward, add_rows_backward};
  require_rank("add_rows", "x", x, 2, where);
  require_shape("add_rows", "b", b, {x.dim(1)}, where);
  return record(kind, {x, b}, x.shape(), nullptr, where);
}

/// y[n] = x[n] g.                                    dx[n] += dy[n] g,  dg += Σ_n dy[n] x[n]
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
  for (int64_t n = 0; n < N; ++n) {
    if (dx) kernel::multiply_add(M, op.dy() + n * M, op.x(1), dx + n * M);
    if (dg) kernel::multiply_add(M, op.dy() + n * M, op.x(0) + n * M, dg);
  }
}
Tensor mul_rows(const Tensor& x, const Tensor& g, Loc where) {
  static constexpr OpKind kind{"mul_rows", mul_rows_forward, mul_rows_backward};
  require_rank("mul_rows", "x", x, 2, where);
  require_shape("mul_rows", "g", g, {x.dim(1)}, where);
  return record(kind, {x, g}, x.shape(), nullptr, where);
}

/// y = tanh x.                                       dx += dy (1 − y²)
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
  static constexpr OpKind kind{"tanh", tanh_forward, tanh_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

/// y = 1 / (1 + e^−x).                               dx += dy y (1 − y)
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
  static constexpr OpKind kind{"sigmoid", sigmoid_forward, sigmoid_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

/// y = max(x, 0).                                    dx += dy where x > 0
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
  static constexpr OpKind kind{"relu", relu_forward, relu_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

/// y = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))).     dx += dy y'
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
  static constexpr OpKind kind{"gelu", gelu_forward, gelu_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

static constexpr real kInvSqrt2Pi = real(0.3989422804014327);
static real normal_cdf(real x) { return std::erfc(x * real(-0.7071067811865476)) / 2; }  // erf would cancel below -5

/// y = x Φ(x) = ½ x (1 + erf(x/√2)).                 dx += dy (Φ(x) + x φ(x))
void gelu_erf_forward(Op& op) {
  const real* x = op.x(0);
  real* y = op.y();
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i) y[i] = x[i] * normal_cdf(x[i]);
}
void gelu_erf_backward(Op& op) {
  real* dx = op.dx(0);
  const real *dy = op.dy(), *x = op.x(0);
  for (int64_t i = 0, n = op.shape(0).numel(); i < n; ++i)
    dx[i] += dy[i] * (normal_cdf(x[i]) + x[i] * kInvSqrt2Pi * vmath::exp(x[i] * x[i] / -2));
}
Tensor gelu_erf(const Tensor& x, Loc where) {
  static constexpr OpKind kind{"gelu_erf", gelu_erf_forward, gelu_erf_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

/// y = e^x.                                          dx += dy y
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
  static constexpr OpKind kind{"exp", exp_forward, exp_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

/// y = log x.                                        dx += dy / x
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
  static constexpr OpKind kind{"log", log_forward, log_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

/// y = 1/√x.                                         dx −= dy y³ / 2
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
  static constexpr OpKind kind{"rsqrt", rsqrt_forward, rsqrt_backward};
  return record(kind, {x}, x.shape(where), nullptr, where);
}

}  // namespace gradus
