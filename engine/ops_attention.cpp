// Self-attention over all heads (Vaswani et al. 2017): causal, or over whole sequences of given lengths.
#include <algorithm>
#include <cmath>

#include "engine/checks.h"
#include "engine/gemm.h"
#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/ops_inside.h"

namespace gradus {

struct AttentionSaved {
  real* P;  // [B,heads,T,T], zero where a row does not look
  int64_t B, T, heads;
  const int32_t* lengths;  // [B]; null: causal

  int64_t rows(int64_t b) const { return lengths ? lengths[b] : T; }  // of sequence b; behind them is padding
  int64_t seen(int64_t b, int64_t t) const { return lengths ? lengths[b] : t + 1; }  // by row t: the first so many
};

constexpr const char* kGradient =
    "∂V += Pᵀ ∂y;  ∂P = ∂y Vᵀ;  ∂S = P ∘ (∂P − rowsum(P ∘ ∂P));  ∂Q += ∂S K/√D;  ∂K += ∂Sᵀ Q/√D";
constexpr OpMath kCausalMath{.formula = "y_t = Σ_{j≤t} P_tj V_j,   P_t = softmax_{j≤t}(Q_t·K_j / √D),   u = [Q K V]",
                             .gradient = kGradient,
                             .inputs = "u"};
constexpr OpMath kWholeMath{.formula = "y_t = Σ_{j<N} P_tj V_j,   P_t = softmax_{j<N}(Q_t·K_j / √D),   u = [Q K V]",
                            .gradient = kGradient,
                            .inputs = "u"};
// Head strides live in the row distance L = 3C.
void attention_forward(Op& op) {
  const auto& s = op.get<AttentionSaved>();
  const int64_t T = s.T, C = op.shape(0)[1] / 3, D = C / s.heads, L = 3 * C;
  const real scale = 1 / std::sqrt(real(D));
  Scratch scratch;
  // Not in P: a row that is read while the row before it is still being written waits for it. That was a tenth of a
  // step of a model of width 16.
  real* S = scratch.reals(T * T);
  for (int64_t b = 0; b < s.B; ++b)
    for (int64_t head = 0; head < s.heads; ++head) {
      const real *q = op.x(0) + b * T * L + head * D, *k = q + C, *v = k + C;
      real *P = s.P + (b * s.heads + head) * T * T, *y = op.y() + b * T * C + head * D;
      const int64_t N = s.rows(b);
      gemm(kNo, kTr, N, N, D, scale, q, L, k, L, 0, S, T);
      std::fill_n(P, T * T, real(0));
      for (int64_t t = 0; t < N; ++t) kernel::softmax_row(s.seen(b, t), S + t * T, P + t * T);
      gemm(kNo, kNo, N, D, N, 1, P, T, v, L, 0, y, C);
      for (int64_t t = N; t < T; ++t) std::fill_n(y + t * C, D, real(0));
    }
}

void attention_backward(Op& op) {
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
      const int64_t N = s.rows(b);
      gemm(kTr, kNo, N, D, N, 1, P, T, dy, C, 1, dv, L);
      gemm(kNo, kTr, N, N, D, 1, dy, C, v, L, 0, dS, T);
      for (int64_t t = 0; t < N; ++t) {
        const int64_t seen = s.seen(b, t);
        const real* p = P + t * T;
        real *row = dS + t * T, mean = kernel::dot(seen, p, row);
        for (int64_t j = 0; j < seen; ++j) row[j] = p[j] * (row[j] - mean);
        std::fill(row + seen, row + N, real(0));
      }
      gemm(kNo, kNo, N, D, N, scale, dS, T, k, L, 1, dq, L);
      gemm(kTr, kNo, N, D, N, scale, dS, T, q, L, 1, dk, L);
    }
}

static int64_t attention_scratch(const Op& op) { return op.get<AttentionSaved>().T * op.get<AttentionSaved>().T; }

Tensor attention(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, std::span<const int32_t> lengths, Loc where) {
  static constexpr OpKind causal{.name = "causal_attention",
                                 .forward = attention_forward,
                                 .backward = attention_backward,
                                 .math = kCausalMath,
                                 .scratch = attention_scratch,
                                 .forward_scratch = attention_scratch};
  static constexpr OpKind whole{.name = "attention",
                                .forward = attention_forward,
                                .backward = attention_backward,
                                .math = kWholeMath,
                                .scratch = attention_scratch,
                                .forward_scratch = attention_scratch};
  require_attention(qkv, B, T, heads, lengths, where);
  Arena& arena = Tape::current(where).arena();
  int32_t* kept = lengths.empty() ? nullptr : arena.array<int32_t>(B);
  std::copy(lengths.begin(), lengths.end(), kept);
  auto* saved = arena.make<AttentionSaved>(arena.reals(B * heads * T * T), B, T, heads, kept);
  return record(kept ? whole : causal, {qkv}, {B * T, qkv.dim(1) / 3}, saved, where);
}

std::vector<Inside> inside_of_attention(const Op& op, int64_t sequence) {
  if (op.kind->backward != attention_backward) return {};
  const auto& s = op.get<AttentionSaved>();
  std::vector<Inside> heads;
  for (int64_t head = 0; head < s.heads; ++head) {
    const real* P = s.P + (sequence * s.heads + head) * s.T * s.T;
    heads.push_back({.name = text("head ", head), .weights = true, .columns = s.T, .numbers = {P, P + s.T * s.T}});
  }
  return heads;
}

}  // namespace gradus
