// The engine's own matrix product, for the shapes of a step: gemm.cpp, the one gate, says which.
#pragma once

#include <cstdint>

#include "engine/real.h"

namespace gradus::kernel {

// C = start + alpha op(A) op(B); letters as in engine/gemm.h. Row i of `start` [M,N] begins at start + i * ld: it may
// be C itself, one row for all with ld 0, or null for nothing. An element of C is a sum over k in its order, in blocks
// of kDepth that are added one after the other: its bits depend on no other row or column, and are the same for every
// processor, compiler and vector width.
inline constexpr int64_t kDepth = 256;
void product(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, real alpha, const real* A,
             int64_t lda, const real* B, int64_t ldb, const real* start, int64_t ld, real* C, int64_t ldc);

}  // namespace gradus::kernel
