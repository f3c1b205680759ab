// The heavy ops a second time, composed from primitives: slower, and the place to watch each part of an LSTM cell or an
// attention head go forward and backward. They are the reference that the fused ops are tested against.
#pragma once

#include "engine/ops.h"

namespace gradus {

namespace composed {
// Shapes, errors and results as the ops of the same name in engine/ops.h. (A row of softmax_cross_entropy without
// target must be finite here: it is multiplied by 0, where the fused op leaves it out.)
Tensor linear_gelu(const Tensor& x, const Tensor& w, const Tensor& b, Loc where = Loc::here());
Tensor layer_norm(const Tensor& x, const Tensor& g, const Tensor& b, Loc where = Loc::here());
LstmState lstm_cell(const Tensor& xw, const LstmState& state, const Tensor& w_hh, Loc where = Loc::here());
LstmOutput lstm_sequence(const Tensor& xw, const LstmState& start, const Tensor& w_hh, Loc where = Loc::here());
Tensor rnn_sequence(const Tensor& xw, const Tensor& start, const Tensor& w_hh, Loc where = Loc::here());
Tensor attention(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, std::span<const int32_t> lengths,
                 Loc where = Loc::here());
Tensor softmax_cross_entropy(const Tensor& logits, std::span<const int32_t> target, Loc where = Loc::here());
}  // namespace composed

}  // namespace gradus
