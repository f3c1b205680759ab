// The engine's own matrix product, for the shapes of a step: gemm.cpp, the one gate, says which.
#pragma once

#include <cstdint>

#include "engine/real.h"

namespace gradus::kernel {

// C = alpha op(A) op(B), or C += alpha op(A) op(B) where `add`; letters as in engine/gemm.h. An element of C is a sum
// over k in its order, in blocks of kDepth that are added one after the other: its bits depend on no other row or
// column, and are the same for every processor, compiler and vector width.
inline constexpr int64_t kDepth = 256;
void product(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, real alpha, const real* A,
             int64_t lda, const real* B, int64_t ldb, bool add, real* C, int64_t ldc);

}  // namespace gradus::kernel
