// Given: the inside of an LSTM cell, after its matrix products. H cells in each of B rows; gates in the order i f g o.
#pragma once

#include <cmath>

#include "engine/ops.h"

namespace gradus::lesson {

struct Cell {
  real* gate;    // [B,4H]: i, f, g, o of each row, after σ and tanh
  real* tanh_c;  // [B,H]: tanh of the new c
};

/// i, f, o = σ(a_i, a_f, a_o), g = tanh(a_g);   c' = f c + i g;   h' = o tanh c'.   a [B,4H], c [B,H]; y(0) = h', y(1)
/// = c'
inline void cell_forward(Op& op) {
  const auto& s = op.get<Cell>();
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1];
  const auto sigmoid = [](real x) { return 1 / (1 + std::exp(-x)); };
  for (int64_t b = 0; b < B; ++b)
    for (int64_t k = 0; k < H; ++k) {
      const real* a = op.x(0) + b * 4 * H + k;
      real* gate = s.gate + b * 4 * H + k;
      const real i = gate[0] = sigmoid(a[0]), f = gate[H] = sigmoid(a[H]);
      const real g = gate[2 * H] = std::tanh(a[2 * H]), o = gate[3 * H] = sigmoid(a[3 * H]);
      const real c = op.y(1)[b * H + k] = f * op.x(1)[b * H + k] + i * g;
      op.y(0)[b * H + k] = o * (s.tanh_c[b * H + k] = std::tanh(c));
    }
}
void cell_backward(Op& op);

inline LstmState cell(const Tensor& a, const Tensor& c, Loc where = Loc::here()) {
  static constexpr OpKind kind{"cell", cell_forward, cell_backward};
  Tape& tape = Tape::current(where);
  const Shape state{c.dim(0), c.dim(1)};
  auto* saved = tape.arena().make<Cell>(tape.arena().reals(a.numel()), tape.arena().reals(c.numel()));
  const Tensor in[] = {a, c};
  const Op& op = tape.record(kind, in, {state, state}, saved, where);
  return {tape.output(op, 0), tape.output(op, 1)};
}

}  // namespace gradus::lesson
