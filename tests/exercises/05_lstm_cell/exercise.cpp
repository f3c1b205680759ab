// Exercise 5: an LSTM cell, backward.
//
//   i, f, o = σ(a_i, a_f, a_o), g = tanh(a_g);   c' = f c + i g;   h' = o tanh c'
//
// For row b and cell k the loop below has the numbers that forward kept. To be added to, null where nobody wants it:
//   op.dx(0)    [B,4H]  dL/da: the four of cell k stand at b·4H + k, and H, 2H and 3H further
//   op.dx(1)    [B,H]   dL/dc of the old c, at b·H + k
#include "tests/exercises/05_lstm_cell/exercise.h"

namespace gradus::lesson {

void cell_backward(Op& op) {
  const auto& s = op.get<Cell>();
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1];
  for (int64_t b = 0; b < B; ++b)
    for (int64_t k = 0; k < H; ++k) {
      const real* gate = s.gate + b * 4 * H + k;
      const real i = gate[0], f = gate[H], g = gate[2 * H], o = gate[3 * H];
      const real c = op.x(1)[b * H + k], t = s.tanh_c[b * H + k];     // the old c; tanh of the new one
      const real dh = op.dy(0)[b * H + k], dc = op.dy(1)[b * H + k];  // what arrives at the new h and the new c
      // Write here.
    }
}

}  // namespace gradus::lesson
