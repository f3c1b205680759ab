// Every op of the engine. An op checks its shapes, makes its outputs on the current tape and computes them; next to
// it, its file has foo_forward(Op&) and foo_backward(Op&), in which a debugger can stop. Gradients accumulate: the line
// "da += ..." says what backward adds. There is no broadcasting: to add to every row is add_rows.
//
// Letters: B batch, T time, C channels (width), H hidden, V vocabulary, N rows, M columns, K inner size.
// To add an op: declare it here, write it in one ops_*.cpp, give it a row in tests/test_gradients.cpp.
#pragma once

#include <span>

#include "engine/tape.h"
#include "engine/target.h"

namespace gradus {

// --- leaves -------------------------------------------------------------------------------------------------------
Tensor constant(const Shape& shape, std::span<const real> values, Loc where = Loc::here());
Tensor constant(const Shape& shape, double value, Loc where = Loc::here());
Tensor variable(const char* name, const Shape& shape, std::span<const real> values, Loc where = Loc::here());
Tensor variable(const char* name, double value, Loc where = Loc::here());  // a scalar
Tensor detach(const Tensor& x, Loc where = Loc::here());                   // the same numbers; no gradient goes through

// --- element by element (ops_elementwise.cpp) -----------------------------------------------------------------------
Tensor add(const Tensor& a, const Tensor& b, Loc where = Loc::here());       // a + b, equal shapes
Tensor sub(const Tensor& a, const Tensor& b, Loc where = Loc::here());       // a − b
Tensor mul(const Tensor& a, const Tensor& b, Loc where = Loc::here());       // a b
Tensor scale(const Tensor& x, double factor, Loc where = Loc::here());       // factor x
Tensor add_rows(const Tensor& x, const Tensor& b, Loc where = Loc::here());  // x [N,M] + b [M] on every row
Tensor mul_rows(const Tensor& x, const Tensor& g, Loc where = Loc::here());  // x [N,M] times g [M] on every row
Tensor tanh(const Tensor& x, Loc where = Loc::here());
Tensor sigmoid(const Tensor& x, Loc where = Loc::here());   // 1 / (1 + e^−x)
Tensor relu(const Tensor& x, Loc where = Loc::here());      // max(x, 0); slope 0 at 0
Tensor gelu(const Tensor& x, Loc where = Loc::here());      // GPT-2's form, with tanh
Tensor gelu_erf(const Tensor& x, Loc where = Loc::here());  // the exact form, x Φ(x)
Tensor exp(const Tensor& x, Loc where = Loc::here());
Tensor log(const Tensor& x, Loc where = Loc::here());    // −inf at 0, NaN below
Tensor rsqrt(const Tensor& x, Loc where = Loc::here());  // 1 / √x

// --- matrix products (ops_matmul.cpp) -------------------------------------------------------------------------------
Tensor matmul(const Tensor& a, const Tensor& b, Loc where = Loc::here());     // [M,K] [K,N] → [M,N]
Tensor matmul_nt(const Tensor& a, const Tensor& b, Loc where = Loc::here());  // [M,K] [N,K]ᵀ → [M,N]
// x w + b.   x [N,K], w [K,M] (GPT-2's layout), b [M] or empty → [N,M]
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, Loc where = Loc::here());
Tensor linear_gelu(const Tensor& x, const Tensor& w, const Tensor& b, Loc where = Loc::here());  // gelu(x w + b)

// --- sums and softmax (ops_reduce.cpp) ------------------------------------------------------------------------------
Tensor sum(const Tensor& x, Loc where = Loc::here());          // → scalar
Tensor mean(const Tensor& x, Loc where = Loc::here());         // → scalar
Tensor row_means(const Tensor& x, Loc where = Loc::here());    // [N,M] → [N]
Tensor softmax(const Tensor& x, Loc where = Loc::here());      // over each row of [N,M]
Tensor log_softmax(const Tensor& x, Loc where = Loc::here());  // over each row of [N,M]
// Row t of each [T,T] block takes the softmax of its columns 0..t; the rest is 0.   x [N·T, T]
Tensor causal_softmax(const Tensor& x, Loc where = Loc::here());

// --- picking and placing (ops_index.cpp) ----------------------------------------------------------------------------
Tensor embedding(const Tensor& table, std::span<const int32_t> ids, Loc where = Loc::here());  // table [V,C] → [N,C]
Tensor pick(const Tensor& x, std::span<const int32_t> column, Loc where = Loc::here());  // x[n, column[n]] → [N]
Tensor columns(const Tensor& x, int64_t first, int64_t count, Loc where = Loc::here());  // [N,M] → [N,count]
Tensor concat(std::span<const Tensor> parts, Loc where = Loc::here());  // [N,M_i] side by side → [N,ΣM_i]
// While training, zeroes each element with probability p and divides the rest by 1−p; otherwise returns x. The mask is
// a function of (seed, step, which dropout of the step, row of the whole batch, column). x [N,M], the same number of
// rows for each sequence of the shard.
Tensor dropout(const Tensor& x, double p, Loc where = Loc::here());

// --- normalisation (ops_norm.cpp) -----------------------------------------------------------------------------------
// (x − mean) / √(variance + 1e-5) · g + b over each row.   x [N,C], g [C], b [C] or empty
Tensor layer_norm(const Tensor& x, const Tensor& g, const Tensor& b, Loc where = Loc::here());
inline constexpr double kLayerNormEps = 1e-5;

// --- losses (ops_loss.cpp) ------------------------------------------------------------------------------------------
// −log softmax(logits)[target] of each row.   logits [N,V] → [N]. A row whose target is kNoTarget is not scored. The
// gradient that arrives at row n is its weight: 1/N for maximum likelihood, the advantage for a policy gradient. See
// Tape::seed.
Tensor softmax_cross_entropy(const Tensor& logits, std::span<const int32_t> target, Loc where = Loc::here());
// Σ_n weight[n] · (the above) → scalar.
Tensor softmax_cross_entropy(const Tensor& logits, std::span<const int32_t> target, std::span<const real> weight,
                             Loc where = Loc::here());

// --- LSTM (ops_lstm.cpp), gate order i f g o ------------------------------------------------------------------------
struct LstmState {
  Tensor h, c;  // [B,H] each
};
// One step.   xw [B,4H] = x W_ihᵀ + b, w_hh [4H,H]
LstmState lstm_cell(const Tensor& xw, const LstmState& state, const Tensor& w_hh, Loc where = Loc::here());
struct LstmOutput {
  Tensor h;       // [B·T,H], row b·T+t
  Tensor c_last;  // [B,H]
};
// All T steps.   xw [B·T,4H]
LstmOutput lstm_sequence(const Tensor& xw, const LstmState& start, const Tensor& w_hh, Loc where = Loc::here());

// --- simple recurrent layer (ops_rnn.cpp) ---------------------------------------------------------------------------
// h_t = tanh(xw_t + h_{t-1} w_hhᵀ) for all T steps.   xw [B·T,H] = x W_ihᵀ + b, start [B,H], w_hh [H,H] → [B·T,H]
Tensor rnn_sequence(const Tensor& xw, const Tensor& start, const Tensor& w_hh, Loc where = Loc::here());

// --- attention (ops_attention.cpp) ----------------------------------------------------------------------------------
// qkv [B·T,3C] → [B·T,C]; the heads are side by side in each third, D = C/heads channels each. Without lengths the mask
// is causal: row t sees rows 0..t of its sequence, bit for bit, as long as all are finite (the products run over the
// whole square, and 0 times a NaN of a later row is NaN). With lengths [B], 1 ≤ lengths[b] ≤ T, each of the first
// lengths[b] rows of sequence b sees all of them. The rows behind are padding, which nothing reads: their output is 0,
// and no gradient comes to them.
Tensor attention(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, std::span<const int32_t> lengths,
                 Loc where = Loc::here());
inline Tensor causal_attention(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, Loc where = Loc::here()) {
  return attention(qkv, B, T, heads, {}, where);
}

// --- operators, for scalars and lessons -----------------------------------------------------------------------------
struct Operand {  // catches the line of the expression
  Tensor of_kept;
  const Tensor& t;  // a copy would wait until the handle, just made, is in memory: a tenth of the time of a scalar node
  Loc where;
  Operand(const Tensor& tensor, Loc loc = Loc::here()) : t(tensor), where(loc) {}
  Operand(const Kept& kept, Loc loc = Loc::here()) : of_kept(kept), t(of_kept), where(loc) {}
  Operand(const Operand&) = delete;
};
inline Tensor operator+(const Operand& a, const Operand& b) { return add(a.t, b.t, a.where); }
inline Tensor operator-(const Operand& a, const Operand& b) { return sub(a.t, b.t, a.where); }
inline Tensor operator*(const Operand& a, const Operand& b) { return mul(a.t, b.t, a.where); }
inline Tensor operator*(double factor, const Operand& x) { return scale(x.t, factor, x.where); }

}  // namespace gradus
