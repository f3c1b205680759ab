#include "engine/composed.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/checks.h"

namespace gradus {

namespace composed {

Tensor linear_gelu(const Tensor& x, const Tensor& w, const Tensor& b, Loc where) {
  Tensor a = matmul(x, w, where);
  if (b) a = add_rows(a, b, where);
  return gelu(a, where);
}

// A number for each row [N], repeated over M columns: [N,1] [1,M].
static Tensor over_columns(const Tensor& per_row, int64_t M, const Loc& where) {
  return matmul(per_row.reshape({per_row.dim(0), 1}), constant({1, M}, 1, where), where);
}

Tensor layer_norm(const Tensor& x, const Tensor& g, const Tensor& b, Loc where) {
  const int64_t C = x.dim(1, where);
  const Tensor mean = named("mean", row_means(x, where));
  const Tensor centred = named("centred", sub(x, over_columns(mean, C, where), where));
  const Tensor variance = named("variance", row_means(mul(centred, centred, where), where));
  const Tensor epsilon = named("epsilon", constant(variance.shape(), kLayerNormEps, where));
  const Tensor rstd = named("rstd", rsqrt(add(variance, epsilon, where), where));
  const Tensor y = mul_rows(mul(centred, over_columns(rstd, C, where), where), g, where);
  return b ? add_rows(y, b, where) : y;
}

LstmState lstm_cell(const Tensor& xw, const LstmState& state, const Tensor& w_hh, Loc where) {
  const int64_t H = state.h.dim(1, where);
  const Tensor a = named("a", add(xw, named("h w_hhᵀ", matmul_nt(state.h, w_hh, where)), where));
  const Tensor i = named("i", sigmoid(named("a[i]", columns(a, 0, H, where)), where));
  const Tensor f = named("f", sigmoid(named("a[f]", columns(a, H, H, where)), where));
  const Tensor g = named("g", tanh(named("a[g]", columns(a, 2 * H, H, where)), where));
  const Tensor o = named("o", sigmoid(named("a[o]", columns(a, 3 * H, H, where)), where));
  const Tensor kept = named("f c", mul(f, state.c, where)), let_in = named("i g", mul(i, g, where));
  const Tensor c = named("c", add(kept, let_in, where));
  return {named("h", mul(o, named("tanh c", tanh(c, where)), where)), c};
}

LstmOutput lstm_sequence(const Tensor& xw, const LstmState& start, const Tensor& w_hh, Loc where) {
  require_lstm_sequence(xw, start.h, start.c, w_hh, where);
  const int64_t B = start.h.dim(0), H = start.h.dim(1), T = xw.dim(0) / B;
  const Tensor by_sequence = xw.reshape({B, T * 4 * H}, where);
  std::vector<Tensor> h;
  LstmState state = start;
  for (int64_t t = 0; t < T; ++t) {
    const Tape::Scope scope("t", t);
    state = composed::lstm_cell(named("xw", columns(by_sequence, t * 4 * H, 4 * H, where)), state, w_hh, where);
    h.push_back(state.h);
  }
  return {named("h", concat(h, where)).reshape({B * T, H}), state.c};
}

Tensor rnn_sequence(const Tensor& xw, const Tensor& start, const Tensor& w_hh, Loc where) {
  require_rnn_sequence(xw, start, w_hh, where);
  const int64_t B = start.dim(0), H = start.dim(1), T = xw.dim(0) / B;
  const Tensor by_sequence = xw.reshape({B, T * H}, where);
  std::vector<Tensor> h;
  for (int64_t t = 0; t < T; ++t) {
    const Tape::Scope scope("t", t);
    const Tensor back = named("h w_hhᵀ", matmul_nt(t == 0 ? start : h.back(), w_hh, where));
    const Tensor here = named("xw", columns(by_sequence, t * H, H, where));
    h.push_back(named("h", tanh(named("a", add(here, back, where)), where)));
  }
  return named("h", concat(h, where)).reshape({B * T, H});
}

Tensor attention(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, std::span<const int32_t> lengths, Loc where) {
  require_attention(qkv, B, T, heads, lengths, where);
  const int64_t C = qkv.dim(1) / 3, D = C / heads;
  std::vector<Tensor> sequences;
  for (int64_t b = 0; b < B; ++b) {
    std::optional<Tape::Scope> sequence;
    if (B > 1) sequence.emplace("sequence", b);
    const int64_t N = lengths.empty() ? T : lengths[size_t(b)];
    const Tensor x = qkv.rows(b * T, N, where);
    std::vector<Tensor> outputs;
    for (int64_t n = 0; n < heads; ++n) {
      const Tape::Scope head("head", n);
      const Tensor q = named("Q", columns(x, n * D, D, where)), k = named("K", columns(x, C + n * D, D, where));
      const Tensor v = named("V", columns(x, 2 * C + n * D, D, where));
      const Tensor scores = named("S", scale(named("Q Kᵀ", matmul_nt(q, k, where)), 1 / std::sqrt(double(D)), where));
      const Tensor P = named("P", lengths.empty() ? causal_softmax(scores, where) : softmax(scores, where));
      outputs.push_back(named("P V", matmul(P, v, where)));
    }
    sequences.push_back(named("heads", concat(outputs, where)));
    if (B == 1 && N == T) return sequences[0];
    Tensor& y = sequences[size_t(b)];
    y = y.reshape({1, N * C});
    const Tensor parts[] = {y, N < T ? constant({1, (T - N) * C}, 0, where) : y};
    if (N < T) y = named("padded", concat(parts, where));
  }
  // The sequences one below the other: as parts of one long row.
  return named("sequences", concat(sequences, where)).reshape({B * T, C});
}

Tensor softmax_cross_entropy(const Tensor& logits, std::span<const int32_t> target, Loc where) {
  std::vector<int32_t> column(target.begin(), target.end());
  std::vector<real> scored(target.size());
  for (size_t n = 0; n < target.size(); ++n) {
    scored[n] = target[n] == kNoTarget ? 0 : 1;
    column[n] = std::max(target[n], 0);
  }
  const Tensor log_p = named("log p", log_softmax(logits, where));
  const Tensor of_target = named("log p[target]", pick(log_p, column, where));
  const Tensor is_scored = named("is scored", constant(of_target.shape(), scored, where));
  return named("−log p", mul(scale(of_target, -1, where), is_scored, where));
}

}  // namespace composed

}  // namespace gradus
