// Rung: the heavy ops as one set of functions, fused (engine/ops.h) or composed from primitives (engine/composed.h).
// Models call them through a Rung, so that --ops composed|fused trains on either.
#pragma once

#include "engine/ops.h"

namespace gradus {

struct Rung {
  const char* name;
  Tensor (*linear_gelu)(const Tensor& x, const Tensor& w, const Tensor& b, Loc where);
  Tensor (*layer_norm)(const Tensor& x, const Tensor& g, const Tensor& b, Loc where);
  LstmState (*lstm_cell)(const Tensor& xw, const LstmState& state, const Tensor& w_hh, Loc where);
  LstmOutput (*lstm_sequence)(const Tensor& xw, const LstmState& start, const Tensor& w_hh, Loc where);
  Tensor (*rnn_sequence)(const Tensor& xw, const Tensor& start, const Tensor& w_hh, Loc where);
  Tensor (*attention)(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, std::span<const int32_t> lengths,
                      Loc where);
  Tensor (*softmax_cross_entropy)(const Tensor& logits, std::span<const int32_t> target, Loc where);

  Tensor causal_attention(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, Loc where) const {
    return attention(qkv, B, T, heads, {}, where);
  }
};

const Rung& fused_rung();
const Rung& composed_rung();
// To look at a step: fused, but for attention and recurrent layers, whose parts are what one wants to see.
const Rung& opened_rung();

}  // namespace gradus
