// Layer normalisation (Ba, Kiros, Hinton 2016).
#include <cmath>

#include "engine/checks.h"
#include "engine/kernels.h"
#include "engine/ops.h"

namespace gradus {

struct LayerNormSaved {
  real* mean;  // [N]
  real* rstd;  // [N], 1 / √(variance + ε)
};

constexpr OpMath kLayerNormMath{
    .formula = "û = (u − mean) rstd,  y = û ∘ v + s on each row",
    .gradient = "∂û = ∂y ∘ v;  ∂u += rstd (∂û − mean(∂û) − û mean(∂û ∘ û));  ∂v += Σ_n ∂y ∘ û;  ∂s += Σ_n ∂y",
    .inputs = "u v s",
    .elements = "-cc"};
void layer_norm_forward(Op& op) {
  const auto& s = op.get<LayerNormSaved>();
  const int64_t N = op.shape(0)[0], C = op.shape(0)[1];
  const real *g = op.x(1), *b = op.n_in > 2 ? op.x(2) : nullptr;
  for (int64_t n = 0; n < N; ++n) {
    const real* x = op.x(0) + n * C;
    real* y = op.y() + n * C;
    const real mean = kernel::sum(C, x) / real(C);
    for (int64_t j = 0; j < C; ++j) y[j] = x[j] - mean;
    const real rstd = 1 / std::sqrt(kernel::dot(C, y, y) / real(C) + real(kLayerNormEps));
    for (int64_t j = 0; j < C; ++j) y[j] = y[j] * rstd * g[j];
    if (b) kernel::add_to(C, b, y);
    s.mean[n] = mean;
    s.rstd[n] = rstd;
  }
}

void layer_norm_backward(Op& op) {
  const auto& s = op.get<LayerNormSaved>();
  const int64_t N = op.shape(0)[0], C = op.shape(0)[1];
  const real* g = op.x(1);
  real *dx = op.dx(0), *dg = op.dx(1), *db = op.n_in > 2 ? op.dx(2) : nullptr;
  Scratch scratch;
  real *xhat = scratch.reals(C), *dxhat = scratch.reals(C);
  const kernel::RowSum sum_g = scratch.row_sum(N, C, dg), sum_b = scratch.row_sum(N, C, db);
  for (int64_t n = 0; n < N; ++n) {
    const real *x = op.x(0) + n * C, *dy = op.dy() + n * C, mean = s.mean[n], rstd = s.rstd[n];
    for (int64_t j = 0; j < C; ++j) {
      xhat[j] = (x[j] - mean) * rstd;
      dxhat[j] = dy[j] * g[j];
    }
    if (dg) sum_g.add_product(dy, xhat);
    if (db) sum_b.add(dy);
    if (!dx) continue;
    const real m1 = kernel::sum(C, dxhat) / real(C), m2 = kernel::dot(C, dxhat, xhat) / real(C);
    for (int64_t j = 0; j < C; ++j) dx[n * C + j] += rstd * (dxhat[j] - m1 - xhat[j] * m2);
  }
  sum_g.finish();
  sum_b.finish();
}

Tensor layer_norm(const Tensor& x, const Tensor& g, const Tensor& b, Loc where) {
  static constexpr OpKind kind{
      .name = "layer_norm", .forward = layer_norm_forward, .backward = layer_norm_backward, .math = kLayerNormMath};
  require_rank("layer_norm", "x", x, 2, where);
  require_shape("layer_norm", "g", g, {x.dim(1)}, where);
  if (b) require_shape("layer_norm", "b", b, {x.dim(1)}, where);
  Arena& arena = Tape::current(where).arena();
  auto* saved = arena.make<LayerNormSaved>(arena.reals(x.dim(0)), arena.reals(x.dim(0)));
  return b ? record(kind, {x, g, b}, x.shape(), saved, where) : record(kind, {x, g}, x.shape(), saved, where);
}

}  // namespace gradus
