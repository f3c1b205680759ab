#include "engine/rung.h"

#include "engine/composed.h"

namespace gradus {

const Rung& fused_rung() {
  static constexpr Rung rung{.name = "fused",
                             .linear_gelu = gradus::linear_gelu,
                             .layer_norm = gradus::layer_norm,
                             .lstm_cell = gradus::lstm_cell,
                             .lstm_sequence = gradus::lstm_sequence,
                             .rnn_sequence = gradus::rnn_sequence,
                             .attention = gradus::attention,
                             .softmax_cross_entropy = gradus::softmax_cross_entropy};
  return rung;
}

const Rung& composed_rung() {
  static constexpr Rung rung{.name = "composed",
                             .linear_gelu = composed::linear_gelu,
                             .layer_norm = composed::layer_norm,
                             .lstm_cell = composed::lstm_cell,
                             .lstm_sequence = composed::lstm_sequence,
                             .rnn_sequence = composed::rnn_sequence,
                             .attention = composed::attention,
                             .softmax_cross_entropy = composed::softmax_cross_entropy};
  return rung;
}

const Rung& opened_rung() {
  static constexpr Rung rung{.name = "opened",
                             .linear_gelu = gradus::linear_gelu,
                             .layer_norm = gradus::layer_norm,
                             .lstm_cell = composed::lstm_cell,
                             .lstm_sequence = composed::lstm_sequence,
                             .rnn_sequence = composed::rnn_sequence,
                             .attention = composed::attention,
                             .softmax_cross_entropy = gradus::softmax_cross_entropy};
  return rung;
}

}  // namespace gradus
