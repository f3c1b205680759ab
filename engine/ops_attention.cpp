// Causal self-attention over all heads (Vaswani et al. 2017).
#include <algorithm>
#include <cmath>

#include "engine/checks.h"
#include "engine/gemm.h"
#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/ops_inside.h"

namespace gradus {

struct AttentionSaved {
  real* P;  // [B,heads,T,T], zero above the diagonal
  int64_t B, T, heads;
};

constexpr OpMath kCausalAttentionMath{
    .formula = "y_t = Σ_{j≤t} P_tj V_j,   P_t = softmax_{j≤t}(Q_t·K_j / √D),   u = [Q K V]",
    .gradient = "∂V += Pᵀ ∂y;  ∂P = ∂y Vᵀ;  ∂S = P ∘ (∂P − rowsum(P ∘ ∂P));  ∂Q += ∂S K/√D;  ∂K += ∂Sᵀ Q/√D",
    .inputs = "u"};
// Head strides live in the row distance L = 3C.
void causal_attention_forward(Op& op) {
  const auto& s = op.get<AttentionSaved>();
  const int64_t T = s.T, C = op.shape(0)[1] / 3, D = C / s.heads, L = 3 * C;
  const real scale = 1 / std::sqrt(real(D));
  for (int64_t b = 0; b < s.B; ++b)
    for (int64_t head = 0; head < s.heads; ++head) {
      const real *q = op.x(0) + b * T * L + head * D, *k = q + C, *v = k + C;
      real *P = s.P + (b * s.heads + head) * T * T, *y = op.y() + b * T * C + head * D;
      gemm(kNo, kTr, T, T, D, scale, q, L, k, L, 0, P, T);
      for (int64_t t = 0; t < T; ++t) {
        kernel::softmax_row(t + 1, P + t * T, P + t * T);
        std::fill(P + t * T + t + 1, P + (t + 1) * T, real(0));
      }
      gemm(kNo, kNo, T, D, T, 1, P, T, v, L, 0, y, C);
    }
}

void causal_attention_backward(Op& op) {
  const auto& s = op.get<AttentionSaved>();
  const int64_t T = s.T, C = op.shape(0)[1] / 3, D = C / s.heads, L = 3 * C;
  const real scale = 1 / std::sqrt(real(D));
  const real* dY = op.dy();
  real* dx = op.dx(0);
  Scratch scratch;
  real* dS = scratch.reals(T * T);
  for (int64_t b = 0; b < s.B; ++b)
    for (int64_t head = 0; head < s.heads; ++head) {
      const real *q = op.x(0) + b * T * L + head * D, *k = q + C, *v = k + C;
      real *dq = dx + b * T * L + head * D, *dk = dq + C, *dv = dk + C;
      const real *P = s.P + (b * s.heads + head) * T * T, *dy = dY + b * T * C + head * D;
      gemm(kTr, kNo, T, D, T, 1, P, T, dy, C, 1, dv, L);
      gemm(kNo, kTr, T, T, D, 1, dy, C, v, L, 0, dS, T);
      for (int64_t t = 0; t < T; ++t) {
        const real* p = P + t * T;
        real *row = dS + t * T, mean = kernel::dot(t + 1, p, row);
        for (int64_t j = 0; j <= t; ++j) row[j] = p[j] * (row[j] - mean);
        std::fill(row + t + 1, row + T, real(0));
      }
      gemm(kNo, kNo, T, D, T, scale, dS, T, k, L, 1, dq, L);
      gemm(kTr, kNo, T, D, T, scale, dS, T, q, L, 1, dk, L);
    }
}

Tensor causal_attention(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, Loc where) {
  static constexpr OpKind kind{
      .name = "causal_attention",
      .forward = causal_attention_forward,
      .backward = causal_attention_backward,
      .math = kCausalAttentionMath,
      .scratch = [](const Op& op) { return op.get<AttentionSaved>().T * op.get<AttentionSaved>().T; }};
  require_attention(qkv, B, T, heads, where);
  Arena& arena = Tape::current(where).arena();
  auto* saved = arena.make<AttentionSaved>(arena.reals(B * heads * T * T), B, T, heads);
  return record(kind, {qkv}, {B * T, qkv.dim(1) / 3}, saved, where);
}

std::vector<Inside> inside_of_attention(const Op& op, int64_t sequence) {
  if (op.kind->backward != causal_attention_backward) return {};
  const auto& s = op.get<AttentionSaved>();
  std::vector<Inside> heads;
  for (int64_t head = 0; head < s.heads; ++head) {
    const real* P = s.P + (sequence * s.heads + head) * s.T * s.T;
    heads.push_back({.name = text("head ", head), .weights = true, .columns = s.T, .numbers = {P, P + s.T * s.T}});
  }
  return heads;
}

}  // namespace gradus
