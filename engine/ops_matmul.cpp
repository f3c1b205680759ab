// Matrix products.
#include "engine/checks.h"
#include "engine/gemm.h"
#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/vmath.h"

namespace gradus {

constexpr OpMath kMatmulMath{.formula = "y = u v", .gradient = "∂u += ∂y vᵀ,  ∂v += uᵀ ∂y", .inputs = "u v"};
// a [M,K], b [K,N]
void matmul_forward(Op& op) {
  const int64_t M = op.shape(0)[0], K = op.shape(0)[1], N = op.shape(1)[1];
  gemm(kNo, kNo, M, N, K, 1, op.x(0), K, op.x(1), N, 0, op.y(), N);
}
void matmul_backward(Op& op) {
  const int64_t M = op.shape(0)[0], K = op.shape(0)[1], N = op.shape(1)[1];
  if (real* da = op.dx(0)) gemm(kNo, kTr, M, K, N, 1, op.dy(), N, op.x(1), N, 1, da, K);
  if (real* db = op.dx(1)) gemm(kTr, kNo, K, N, M, 1, op.x(0), K, op.dy(), N, 1, db, N);
}
Tensor matmul(const Tensor& a, const Tensor& b, Loc where) {
  static constexpr OpKind kind{
      .name = "matmul", .forward = matmul_forward, .backward = matmul_backward, .math = kMatmulMath};
  require_rank("matmul", "a", a, 2, where);
  require_rank("matmul", "b", b, 2, where);
  require(a.dim(1) == b.dim(0), "matmul", where, "inner dimensions differ: a is ", a.shape(), ", b is ", b.shape());
  return record(kind, {a, b}, {a.dim(0), b.dim(1)}, nullptr, where);
}

constexpr OpMath kMatmulNtMath{.formula = "y = u vᵀ", .gradient = "∂u += ∂y v,  ∂v += ∂yᵀ u", .inputs = "u v"};
// a [M,K], b [N,K]
void matmul_nt_forward(Op& op) {
  const int64_t M = op.shape(0)[0], K = op.shape(0)[1], N = op.shape(1)[0];
  gemm(kNo, kTr, M, N, K, 1, op.x(0), K, op.x(1), K, 0, op.y(), N);
}
void matmul_nt_backward(Op& op) {
  const int64_t M = op.shape(0)[0], K = op.shape(0)[1], N = op.shape(1)[0];
  if (real* da = op.dx(0)) gemm(kNo, kNo, M, K, N, 1, op.dy(), N, op.x(1), K, 1, da, K);
  if (real* db = op.dx(1)) gemm(kTr, kNo, N, K, M, 1, op.dy(), N, op.x(0), K, 1, db, K);
}
Tensor matmul_nt(const Tensor& a, const Tensor& b, Loc where) {
  static constexpr OpKind kind{
      .name = "matmul_nt", .forward = matmul_nt_forward, .backward = matmul_nt_backward, .math = kMatmulNtMath};
  require_rank("matmul_nt", "a", a, 2, where);
  require_rank("matmul_nt", "b", b, 2, where);
  require(a.dim(1) == b.dim(1), "matmul_nt", where, "inner dimensions differ: a is ", a.shape(), ", b is ", b.shape());
  return record(kind, {a, b}, {a.dim(0), b.dim(0)}, nullptr, where);
}

// y = x w + b.   x [N,K], w [K,M]
static void affine_forward(const Op& op, real* y) {
  affine(op.shape(0)[0], op.shape(1)[1], op.shape(0)[1], op.x(0), op.x(1), op.n_in > 2 ? op.x(2) : nullptr, y);
}

static void affine_backward(Op& op, const real* dy) {
  const int64_t N = op.shape(0)[0], K = op.shape(0)[1], M = op.shape(1)[1];
  if (real* dx = op.dx(0)) gemm(kNo, kTr, N, K, M, 1, dy, M, op.x(1), M, 1, dx, K);
  if (real* dw = op.dx(1)) gemm(kTr, kNo, K, M, N, 1, op.x(0), K, dy, M, 1, dw, M);
  if (real* db = op.n_in > 2 ? op.dx(2) : nullptr) add_column_sums(N, M, dy, db);
}

static Tensor record_affine(const OpKind& kind, const Tensor& x, const Tensor& w, const Tensor& b, void* saved,
                            const Loc& where) {
  require_rank(kind.name, "x", x, 2, where);
  require_rank(kind.name, "w", w, 2, where);
  require(x.dim(1) == w.dim(0), kind.name, where, "inner dimensions differ: x is ", x.shape(), ", w is ", w.shape());
  const Shape y{x.dim(0), w.dim(1)};
  if (!b) return record(kind, {x, w}, y, saved, where);
  require_shape(kind.name, "b", b, {w.dim(1)}, where);
  return record(kind, {x, w, b}, y, saved, where);
}

constexpr OpMath kLinearMath{.formula = "y = u v + s",
                             .gradient = "∂u += ∂y vᵀ,  ∂v += uᵀ ∂y,  ∂s += Σ_n ∂y[n]",
                             .inputs = "u v s",
                             .elements = "--c"};
void linear_forward(Op& op) { affine_forward(op, op.y()); }
void linear_backward(Op& op) { affine_backward(op, op.dy()); }
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, Loc where) {
  static constexpr OpKind kind{
      .name = "linear", .forward = linear_forward, .backward = linear_backward, .math = kLinearMath};
  return record_affine(kind, x, w, b, nullptr, where);
}

struct LinearGeluSaved {
  real* a;  // [N,M], before the gelu
};
constexpr OpMath kLinearGeluMath{.formula = "t = u v + s,  y = gelu(t)",
                                 .gradient = "∂t = ∂y gelu′(t);  ∂u += ∂t vᵀ,  ∂v += uᵀ ∂t,  ∂s += Σ_n ∂t[n]",
                                 .inputs = "u v s",
                                 .elements = "--c"};
void linear_gelu_forward(Op& op) {
  real *a = op.get<LinearGeluSaved>().a, *y = op.y();
  affine_forward(op, a);
  for (int64_t i = 0, n = op.out[0]->shape.numel(); i < n; ++i) y[i] = vmath::gelu(a[i]);
}
void linear_gelu_backward(Op& op) {
  Scratch scratch;
  const int64_t n = op.out[0]->shape.numel();
  const real *a = op.get<LinearGeluSaved>().a, *dy = op.dy();
  real* da = scratch.reals(n);
  for (int64_t i = 0; i < n; ++i) da[i] = dy[i] * vmath::gelu_derivative(a[i]);
  affine_backward(op, da);
}
Tensor linear_gelu(const Tensor& x, const Tensor& w, const Tensor& b, Loc where) {
  static constexpr OpKind kind{.name = "linear_gelu",
                               .forward = linear_gelu_forward,
                               .backward = linear_gelu_backward,
                               .math = kLinearGeluMath,
                               .scratch = [](const Op& op) { return op.out[0]->shape.numel(); }};
  require_rank("linear_gelu", "x", x, 2, where);
  require_rank("linear_gelu", "w", w, 2, where);
  Arena& arena = Tape::current(where).arena();
  auto* saved = arena.make<LinearGeluSaved>(arena.reals(x.dim(0) * w.dim(1)));
  return record_affine(kind, x, w, b, saved, where);
}

}  // namespace gradus
