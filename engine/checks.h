// The checks that ops share: each throws ShapeError "op: what is wrong, with the shapes (file:line of the caller)".
#pragma once

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

inline void require_same_shape(const char* op, const Tensor& a, const Tensor& b, const Loc& where) {
  const Shape &s = a.shape(where), &t = b.shape(where);
  require(s == t, op, where, "shapes differ: a is ", s, ", b is ", t);
}

// Every id must be in [0, limit), or equal to `also` where that is a legal mark.
inline void require_ids(const char* op, const char* name, std::span<const int32_t> ids, int64_t limit, const Loc& where,
                        int32_t also = 0) {
  for (size_t i = 0; i < ids.size(); ++i)
    require((ids[i] >= 0 && ids[i] < limit) || ids[i] == also, op, where, name, "[", i, "] is ", ids[i],
            ", it must be in 0 to ", limit - 1);
}

inline void require_count(const char* op, const char* name, int64_t count, int64_t wanted, const Loc& where) {
  require(count == wanted, op, where, name, " has ", count, " numbers, it must have ", wanted);
}

}  // namespace gradus
