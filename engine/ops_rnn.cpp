// The recurrent layer of Elman (1990): tanh of its input and of its own last output, over a whole sequence.
#include <algorithm>

#include "engine/checks.h"
#include "engine/gemm.h"
#include "engine/kernels.h"
#include "engine/ops.h"
#include "engine/ops_inside.h"
#include "engine/vmath.h"

namespace gradus {

// The steps are one after the other in memory, as in engine/ops_lstm.cpp.
struct RnnSequenceSaved {
  real* h;  // [T+1,B,H], h[0] is the start
};

constexpr OpMath kRnnSequenceMath{
    .formula = "y_t = tanh(u_t + y_{t-1} sᵀ), y_{-1} = h",
    .gradient = "from the last step to the first: ∂u_t = (∂y_t + ∂u_{t+1} s) (1 − y_t²);  ∂s += Σ_t ∂u_tᵀ y_{t-1}",
    .inputs = "u h s"};
void rnn_sequence_forward(Op& op) {
  real* h = op.get<RnnSequenceSaved>().h;
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1], T = op.shape(0)[0] / B, BH = B * H;
  std::copy_n(op.x(1), BH, h);
  for (int64_t t = 0; t < T; ++t) {
    real* a = h + (t + 1) * BH;
    for (int64_t b = 0; b < B; ++b) std::copy_n(op.x(0) + (b * T + t) * H, H, a + b * H);
    gemm(kNo, kTr, B, H, H, 1, h + t * BH, H, op.x(2), H, 1, a, H);
    for (int64_t i = 0; i < BH; ++i) a[i] = vmath::tanh(a[i]);
    for (int64_t b = 0; b < B; ++b) std::copy_n(a + b * H, H, op.y() + (b * T + t) * H);
  }
}
// dw_hh += Σ_t da_tᵀ h_{t-1} is one product; dxw += da; dh_0 += what arrives at the start.
void rnn_sequence_backward(Op& op) {
  const real* h = op.get<RnnSequenceSaved>().h;
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1], T = op.shape(0)[0] / B, BH = B * H;
  const real* dy = op.dy();
  Scratch scratch;
  real *da = scratch.reals(T * BH), *dh = scratch.zeros(BH);
  for (int64_t t = T; t-- > 0;) {
    const real* ht = h + (t + 1) * BH;
    real* dat = da + t * BH;
    for (int64_t b = 0; b < B; ++b) kernel::add_to(H, dy + (b * T + t) * H, dh + b * H);
    for (int64_t i = 0; i < BH; ++i) dat[i] = dh[i] * (1 - ht[i] * ht[i]);
    gemm(kNo, kNo, B, H, H, 1, dat, H, op.x(2), H, 0, dh, H);
  }
  if (real* dxw = op.dx(0))
    for (int64_t t = 0; t < T; ++t)
      for (int64_t b = 0; b < B; ++b) kernel::add_to(H, da + (t * B + b) * H, dxw + (b * T + t) * H);
  if (real* dh0 = op.dx(1)) kernel::add_to(BH, dh, dh0);
  if (real* dw = op.dx(2)) gemm(kTr, kNo, H, H, T * B, 1, da, H, h, H, 1, dw, H);
}
Tensor rnn_sequence(const Tensor& xw, const Tensor& start, const Tensor& w_hh, Loc where) {
  static constexpr OpKind kind{.name = "rnn_sequence",
                               .forward = rnn_sequence_forward,
                               .backward = rnn_sequence_backward,
                               .math = kRnnSequenceMath,
                               .scratch = [](const Op& op) { return op.shape(0).numel() + op.shape(1).numel(); }};
  require_rnn_sequence(xw, start, w_hh, where);
  const int64_t B = start.dim(0), H = start.dim(1), T = xw.dim(0) / B;
  Arena& arena = Tape::current(where).arena();
  auto* saved = arena.make<RnnSequenceSaved>(arena.reals((T + 1) * B * H));
  return record(kind, {xw, start, w_hh}, {B * T, H}, saved, where);
}

std::vector<Inside> inside_of_rnn(const Op& op, int64_t sequence) {
  if (op.kind->backward != rnn_sequence_backward) return {};
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1], T = op.shape(0)[0] / B;
  const real* h = op.y() + sequence * T * H;
  return {{.name = "h", .columns = H, .numbers = {h, h + T * H}}};
}

}  // namespace gradus
