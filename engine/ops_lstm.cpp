// LSTM (Hochreiter and Schmidhuber 1997, with a forget gate), one cell or a whole sequence. Gate order i f g o.
#include <algorithm>

#include "engine/checks.h"
#include "engine/gemm.h"
#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/ops_inside.h"
#include "engine/vmath.h"

namespace gradus {

// Loops of a few arrays each, their pointers parameters: g++ 12 leaves one loop over all seven, with __restrict on
// locals, scalar, and then it is a quarter of a step (26 % of a step of fine-tuning, 17 ns a cell).
static void sigmoid_all(int64_t n, real* x) {
  for (int64_t k = 0; k < n; ++k) x[k] = vmath::sigmoid(x[k]);
}
static void tanh_all(int64_t n, real* x) {
  for (int64_t k = 0; k < n; ++k) x[k] = vmath::tanh(x[k]);
}
static void next_c(int64_t H, const real* __restrict i, const real* __restrict f, const real* __restrict g,
                   const real* __restrict c_prev, real* __restrict c) {
  for (int64_t k = 0; k < H; ++k) c[k] = f[k] * c_prev[k] + i[k] * g[k];
}
static void next_h(int64_t H, const real* __restrict o, const real* __restrict tanh_c, real* __restrict h) {
  for (int64_t k = 0; k < H; ++k) h[k] = o[k] * tanh_c[k];
}

// One step for B rows: from the pre-activations in gate [B,4H] (overwritten by the gates) and c_prev [B,H] to
// c, tanh c and h, [B,H] each. REQUIRES: none of them overlap.
static void point_forward(int64_t B, int64_t H, real* gate, const real* c_prev, real* c, real* tanh_c, real* h) {
  for (int64_t b = 0; b < B; ++b) {
    real *i = gate + b * 4 * H, *f = i + H, *g = f + H, *o = g + H;
    sigmoid_all(2 * H, i);
    tanh_all(H, g);
    sigmoid_all(H, o);
    next_c(H, i, f, g, c_prev + b * H, c + b * H);
    std::copy_n(c + b * H, H, tanh_c + b * H);
    tanh_all(H, tanh_c + b * H);
    next_h(H, o, tanh_c + b * H, h + b * H);
  }
}

// Its adjoint: from dh and dc [B,H] to da [B,4H], the gradient of the pre-activations; dc becomes the gradient of
// c_prev.
static void point_backward(int64_t B, int64_t H, const real* gate, const real* tanh_c, const real* c_prev,
                           const real* dh, real* dc, real* da) {
  for (int64_t b = 0; b < B; ++b) {
    const real* __restrict i = gate + b * 4 * H;
    const real* __restrict f = i + H, * __restrict g = f + H, * __restrict o = g + H;
    const real* __restrict t = tanh_c + b * H, * __restrict cp = c_prev + b * H, * __restrict dhb = dh + b * H;
    real* __restrict di = da + b * 4 * H;
    real* __restrict df = di + H, * __restrict dg = df + H, * __restrict d_o = dg + H, * __restrict dcb = dc + b * H;
    for (int64_t k = 0; k < H; ++k) {
      const real dck = dcb[k] + dhb[k] * o[k] * (1 - t[k] * t[k]);
      di[k] = dck * g[k] * i[k] * (1 - i[k]);
      df[k] = dck * cp[k] * f[k] * (1 - f[k]);
      dg[k] = dck * i[k] * (1 - g[k] * g[k]);
      d_o[k] = dhb[k] * t[k] * o[k] * (1 - o[k]);
      dcb[k] = dck * f[k];
    }
  }
}

struct LstmCellSaved {
  real* gate;    // [B,4H], after the nonlinearities
  real* tanh_c;  // [B,H]
};
constexpr OpMath kLstmCellMath{
    .formula = "t = u + h sᵀ;  i,f,o = σ(t), g = tanh(t);  c′ = f c + i g;  h′ = o tanh c′",
    .gradient = "∂t from ∂h′, ∂c′ (point_backward);  ∂u += ∂t,  ∂h += ∂t s,  ∂s += ∂tᵀ h,  ∂c += f ∂c′",
    .inputs = "u h c s",
    .elements = "--e-"};
void lstm_cell_forward(Op& op) {
  const auto& s = op.get<LstmCellSaved>();
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1];
  std::copy_n(op.x(0), B * 4 * H, s.gate);
  gemm(kNo, kTr, B, 4 * H, H, 1, op.x(1), H, op.x(3), H, 1, s.gate, 4 * H);
  point_forward(B, H, s.gate, op.x(2), op.y(1), s.tanh_c, op.y(0));
}
void lstm_cell_backward(Op& op) {
  const auto& s = op.get<LstmCellSaved>();
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1];
  Scratch scratch;
  real *da = scratch.reals(B * 4 * H), *dc = scratch.reals(B * H);
  std::copy_n(op.dy(1), B * H, dc);
  point_backward(B, H, s.gate, s.tanh_c, op.x(2), op.dy(0), dc, da);
  if (real* dxw = op.dx(0)) kernel::add_to(B * 4 * H, da, dxw);
  if (real* dh = op.dx(1)) gemm(kNo, kNo, B, H, 4 * H, 1, da, 4 * H, op.x(3), H, 1, dh, H);
  if (real* dc0 = op.dx(2)) kernel::add_to(B * H, dc, dc0);
  if (real* dw = op.dx(3)) gemm(kTr, kNo, 4 * H, H, B, 1, da, 4 * H, op.x(1), H, 1, dw, H);
}
LstmState lstm_cell(const Tensor& xw, const LstmState& state, const Tensor& w_hh, Loc where) {
  static constexpr OpKind kind{
      .name = "lstm_cell", .forward = lstm_cell_forward, .backward = lstm_cell_backward, .math = kLstmCellMath};
  require_rank("lstm_cell", "h", state.h, 2, where);
  const int64_t B = state.h.dim(0), H = state.h.dim(1);
  require_shape("lstm_cell", "c", state.c, {B, H}, where);
  require_shape("lstm_cell", "xw", xw, {B, 4 * H}, where);
  require_shape("lstm_cell", "w_hh", w_hh, {4 * H, H}, where);
  Tape& tape = Tape::current(where);
  auto* saved = tape.arena().make<LstmCellSaved>(tape.arena().reals(B * 4 * H), tape.arena().reals(B * H));
  const Tensor in[] = {xw, state.h, state.c, w_hh};
  const Op& op = tape.record(kind, in, {Shape{B, H}, Shape{B, H}}, saved, where);
  return {tape.output(op, 0), tape.output(op, 1)};
}

// The steps of a sequence are one after the other in memory, [T,B,...], so that each step's product is contiguous;
// inputs and outputs are [B,T,...] like everywhere else.
struct LstmSequenceSaved {
  real* gate;    // [T,B,4H]
  real* tanh_c;  // [T,B,H]
  real* h;       // [T+1,B,H], h[0] is the start
  real* c;       // [T+1,B,H]
};

constexpr OpMath kLstmSequenceMath{
    .formula = "lstm_cell for t = 0..T-1; y[0] = all h, y[1] = the last c",
    .gradient =
        "lstm_cell back from t = T-1;  ∂u += ∂t,  ∂s += Σ ∂tᵀ h as one product,  ∂h, ∂c += what arrives at the start",
    .inputs = "u h c s"};
void lstm_sequence_forward(Op& op) {
  const auto& s = op.get<LstmSequenceSaved>();
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1], T = op.shape(0)[0] / B, BH = B * H;
  const real *xw = op.x(0), *w_hh = op.x(3);
  std::copy_n(op.x(1), BH, s.h);
  std::copy_n(op.x(2), BH, s.c);
  for (int64_t t = 0; t < T; ++t) {
    real* gate = s.gate + t * 4 * BH;
    for (int64_t b = 0; b < B; ++b) std::copy_n(xw + (b * T + t) * 4 * H, 4 * H, gate + b * 4 * H);
    gemm(kNo, kTr, B, 4 * H, H, 1, s.h + t * BH, H, w_hh, H, 1, gate, 4 * H);
    point_forward(B, H, gate, s.c + t * BH, s.c + (t + 1) * BH, s.tanh_c + t * BH, s.h + (t + 1) * BH);
    for (int64_t b = 0; b < B; ++b) std::copy_n(s.h + (t + 1) * BH + b * H, H, op.y(0) + (b * T + t) * H);
  }
  std::copy_n(s.c + T * BH, BH, op.y(1));
}

// From the last step to the first: dh_t = dy_t + da_{t+1} w_hh, da_t and dc from point_backward.
void lstm_sequence_backward(Op& op) {
  const auto& s = op.get<LstmSequenceSaved>();
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1], T = op.shape(0)[0] / B, BH = B * H;
  const real *w_hh = op.x(3), *dy = op.dy(0);
  Scratch scratch;
  real *da = scratch.reals(T * 4 * BH), *dh = scratch.zeros(BH), *dc = scratch.reals(BH);
  std::copy_n(op.dy(1), BH, dc);
  for (int64_t t = T; t-- > 0;) {
    for (int64_t b = 0; b < B; ++b) kernel::add_to(H, dy + (b * T + t) * H, dh + b * H);
    point_backward(B, H, s.gate + t * 4 * BH, s.tanh_c + t * BH, s.c + t * BH, dh, dc, da + t * 4 * BH);
    gemm(kNo, kNo, B, H, 4 * H, 1, da + t * 4 * BH, 4 * H, w_hh, H, 0, dh, H);
  }
  if (real* dxw = op.dx(0))
    for (int64_t t = 0; t < T; ++t)
      for (int64_t b = 0; b < B; ++b) kernel::add_to(4 * H, da + (t * B + b) * 4 * H, dxw + (b * T + t) * 4 * H);
  if (real* dh0 = op.dx(1)) kernel::add_to(BH, dh, dh0);
  if (real* dc0 = op.dx(2)) kernel::add_to(BH, dc, dc0);
  if (real* dw = op.dx(3)) gemm(kTr, kNo, 4 * H, H, T * B, 1, da, 4 * H, s.h, H, 1, dw, H);
}
LstmOutput lstm_sequence(const Tensor& xw, const LstmState& start, const Tensor& w_hh, Loc where) {
  static constexpr OpKind kind{.name = "lstm_sequence",
                               .forward = lstm_sequence_forward,
                               .backward = lstm_sequence_backward,
                               .math = kLstmSequenceMath,
                               .scratch = [](const Op& op) { return op.shape(0).numel() + 2 * op.shape(1).numel(); }};
  require_lstm_sequence(xw, start.h, start.c, w_hh, where);
  const int64_t B = start.h.dim(0), H = start.h.dim(1), T = xw.dim(0) / B;
  Tape& tape = Tape::current(where);
  Arena& arena = tape.arena();
  auto* saved = arena.make<LstmSequenceSaved>(arena.reals(T * B * 4 * H), arena.reals(T * B * H),
                                              arena.reals((T + 1) * B * H), arena.reals((T + 1) * B * H));
  const Tensor in[] = {xw, start.h, start.c, w_hh};
  const Op& op = tape.record(kind, in, {Shape{B * T, H}, Shape{B, H}}, saved, where);
  return {tape.output(op, 0), tape.output(op, 1)};
}

std::vector<Inside> inside_of_lstm(const Op& op, int64_t sequence) {
  if (op.kind->backward != lstm_sequence_backward) return {};
  const auto& s = op.get<LstmSequenceSaved>();
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1], T = op.shape(0)[0] / B;
  std::vector<Inside> all;
  // `x` [T,B,width], of which the columns from `first` on.
  const auto add = [&](const char* name, const real* x, int64_t width, int64_t first) {
    Inside units{.name = name, .columns = H, .numbers = {}};
    for (int64_t t = 0; t < T; ++t) {
      const real* row = x + (t * B + sequence) * width + first;
      units.numbers.insert(units.numbers.end(), row, row + H);
    }
    all.push_back(std::move(units));
  };
  for (const auto& [name, gate] : {std::pair("i", 0), std::pair("f", 1), std::pair("g", 2), std::pair("o", 3)})
    add(name, s.gate, 4 * H, gate * H);
  add("c", s.c + B * H, H, 0);
  add("h", s.h + B * H, H, 0);
  return all;
}

}  // namespace gradus
