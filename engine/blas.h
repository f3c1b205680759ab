// The matrix product, and the only file (with blas.cpp) that sees cblas. OpenBLAS runs on one thread; the engine's own
// threads work on different shards (engine/parallel.h).
#pragma once

#include <cstdint>

#include "engine/real.h"

namespace gradus {

enum class Trans : bool { kNo, kYes };
inline constexpr Trans kNo = Trans::kNo, kTr = Trans::kYes;

// C = alpha op(A) op(B) + beta C, row-major. op(A) is [M,K], op(B) [K,N], C [M,N]; lda, ldb, ldc are the distances
// between rows as stored. REQUIRES: C does not overlap A or B.
void gemm(Trans ta, Trans tb, int64_t M, int64_t N, int64_t K, real alpha, const real* A, int64_t lda, const real* B,
          int64_t ldb, real beta, real* C, int64_t ldc);

// Which kernels OpenBLAS chose for this processor, for instance "Haswell": other kernels round differently.
const char* blas_core();

}  // namespace gradus
