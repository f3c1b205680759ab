#include "tests/exercises/05_lstm_cell/exercise.h"

namespace gradus::lesson {

/// dc' += dh' o (1 − tanh² c');  da_i += dc' g i (1 − i),  da_f += dc' c f (1 − f),  da_g += dc' i (1 − g²),
/// da_o += dh' tanh(c') o (1 − o);  dc += dc' f
void cell_backward(Op& op) {
  const auto& s = op.get<Cell>();
  const int64_t B = op.shape(1)[0], H = op.shape(1)[1];
  for (int64_t b = 0; b < B; ++b)
    for (int64_t k = 0; k < H; ++k) {
      const real* gate = s.gate + b * 4 * H + k;
      const real i = gate[0], f = gate[H], g = gate[2 * H], o = gate[3 * H];
      const real c = op.x(1)[b * H + k], t = s.tanh_c[b * H + k];
      const real dh = op.dy(0)[b * H + k], dc = op.dy(1)[b * H + k] + dh * o * (1 - t * t);
      if (real* da = op.dx(0)) {
        da += b * 4 * H + k;
        da[0] += dc * g * i * (1 - i);
        da[H] += dc * c * f * (1 - f);
        da[2 * H] += dc * i * (1 - g * g);
        da[3 * H] += dh * t * o * (1 - o);
      }
      if (real* dc_old = op.dx(1)) dc_old[b * H + k] += dc * f;
    }
}

}  // namespace gradus::lesson
