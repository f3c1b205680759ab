// The checks that ops share: each throws ShapeError "op: what is wrong, with the shapes (file:line of the caller)".
#pragma once

#include "engine/target.h"
#include "engine/tensor.h"

namespace gradus {

inline void require_rank(const char* op, const char* name, const Tensor& t, int rank, const Loc& where) {
  const Shape& s = t.shape(where);
  require(s.rank() == rank, op, where, name, " must have rank ", rank, ", it is ", s);
}

inline void require_shape(const char* op, const char* name, const Tensor& t, const Shape& wanted, const Loc& where) {
  const Shape& s = t.shape(where);
  require(s == wanted, op, where, name, " is ", s, ", it must be ", wanted);
}

// Every id must be in [0, limit); of targets it may also be kNoTarget.
inline void require_ids(const char* op, const char* name, std::span<const int32_t> ids, int64_t limit, const Loc& where,
                        bool are_targets = false) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if ((ids[i] >= 0 && ids[i] < limit) || (are_targets && ids[i] == kNoTarget)) [[likely]]
      continue;
    require(limit > 0, op, where, name, "[", i, "] is ", ids[i], ", where there is nothing to choose from");
    require(false, op, where, name, "[", i, "] is ", ids[i], ", it must be in 0 to ", limit - 1);
  }
}

inline void require_count(const char* op, const char* name, int64_t count, int64_t wanted, const Loc& where) {
  require(count == wanted, op, where, name, " has ", count, " numbers, it must have ", wanted);
}

inline void require_lengths(const char* op, std::span<const int32_t> lengths, int64_t B, int64_t T, const Loc& where) {
  require_count(op, "lengths", int64_t(lengths.size()), B, where);
  for (int64_t b = 0; b < B; ++b)
    require(lengths[size_t(b)] >= 1 && lengths[size_t(b)] <= T, op, where, "lengths[", b, "] is ", lengths[size_t(b)],
            ", it must be in 1 to T = ", T);
}

// Both rungs of a heavy op refuse the same shapes.
inline void require_attention(const Tensor& qkv, int64_t B, int64_t T, int64_t heads, std::span<const int32_t> lengths,
                              const Loc& where) {
  const char* const op = lengths.empty() ? "causal_attention" : "attention";
  require_rank(op, "qkv", qkv, 2, where);
  const int64_t rows = qkv.dim(0), width = qkv.dim(1);
  const bool fits = B > 0 && T > 0 && rows % B == 0 && rows / B == T &&  // B * T may be more than 64 bits hold
                    heads > 0 && heads <= width && width % (3 * heads) == 0;
  require(fits, op, where, "qkv is ", qkv.shape(), ", it must be [B*T, 3*heads*D] with B*T = ", B, "*", T,
          " and heads = ", heads);
  if (!lengths.empty()) require_lengths(op, lengths, B, T, where);
}

inline void require_lstm_sequence(const Tensor& xw, const Tensor& h, const Tensor& c, const Tensor& w_hh,
                                  const Loc& where) {
  require_rank("lstm_sequence", "h", h, 2, where);
  require_rank("lstm_sequence", "xw", xw, 2, where);
  const int64_t B = h.dim(0), H = h.dim(1), T = B > 0 ? xw.dim(0) / B : 0;
  require_shape("lstm_sequence", "c", c, {B, H}, where);
  require(T > 0 && xw.shape() == Shape{B * T, 4 * H}, "lstm_sequence", where, "xw is ", xw.shape(),
          ", it must be [B*T, 4H] with B = ", B, " and H = ", H);
  require_shape("lstm_sequence", "w_hh", w_hh, {4 * H, H}, where);
}

inline void require_rnn_sequence(const Tensor& xw, const Tensor& h, const Tensor& w_hh, const Loc& where) {
  require_rank("rnn_sequence", "h", h, 2, where);
  require_rank("rnn_sequence", "xw", xw, 2, where);
  const int64_t B = h.dim(0), H = h.dim(1), T = B > 0 ? xw.dim(0) / B : 0;
  require(T > 0 && xw.shape() == Shape{B * T, H}, "rnn_sequence", where, "xw is ", xw.shape(),
          ", it must be [B*T, H] with B = ", B, " and H = ", H);
  require_shape("rnn_sequence", "w_hh", w_hh, {H, H}, where);
}

}  // namespace gradus
