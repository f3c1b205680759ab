// Vectors of numbers, V a GNU vector type, and parts of them: narrow matrices and short rows do not fill one. Compilers
// make one masked load or store of the loops over a part, where the processor has them. Vectors are not returned: how
// that is done depends on the processor.
#pragma once

#include <cstring>

#include "engine/real.h"

namespace gradus::kernel {

template <class V>
inline constexpr int kLanesOf = sizeof(V) / sizeof(real);

template <class V>
inline void load(const real* x, V& v) {
  std::memcpy(&v, x, sizeof v);
}
template <class V>
inline void store(const V& v, real* y) {
  std::memcpy(y, &v, sizeof v);
}

// The first `count` numbers of x; `rest` stands in the lanes behind them.
template <class V>
inline void load_part(const real* x, int count, real rest, V& v) {
  real lane[kLanesOf<V>];
#pragma GCC unroll 1  // g++ 12 unrolls 16 numbers before it looks for vectors, and then finds none
  for (int j = 0; j < kLanesOf<V>; ++j) lane[j] = j < count ? x[j] : rest;
  load(lane, v);
}
// The first `count` lanes.
template <class V>
inline void store_part(const V& v, int count, real* y) {
  real lane[kLanesOf<V>];
  store(v, lane);
#pragma GCC unroll 1
  for (int j = 0; j < kLanesOf<V>; ++j)
    if (j < count) y[j] = lane[j];
}

}  // namespace gradus::kernel
