// The matrix product: the one gate to BLAS. Only gemm.cpp sees cblas, so another kernel would replace it there.
// OpenBLAS runs on one thread; the engine's own threads work on different shards (engine/parallel.h).
#pragma once

#include <cstdint>

#include "engine/real.h"

namespace gradus {

enum class Trans : bool { kNo, kYes };
inline constexpr Trans kNo = Trans::kNo, kTr = Trans::kYes;

// C = alpha op(A) op(B) + beta C, row-major; op(A) is A [M,K] for kNo, the transpose of A [K,M] for kTr, likewise op(B)
// of B [K,N] or [N,K]; C [M,N]. lda, ldb, ldc: numbers from a row of A, B, C as stored to the next, at least the length
// of the row, so that a matrix may be a block of a wider one. With beta 0 the old C is not read, with K 0 only scaled.
// REQUIRES: C does not overlap A or B; no size or distance is above INT_MAX. Throws std::bad_alloc where there is no
// memory for OpenBLAS's buffer at the first product of a thread.
void gemm(Trans ta, Trans tb, int64_t M, int64_t N, int64_t K, real alpha, const real* A, int64_t lda, const real* B,
          int64_t ldb, real beta, real* C, int64_t ldc);

// C = A B + b on each row, the products and their letters as above, A [M,K], B [K,N] and C [M,N] whole matrices, b [N]
// or null for none. The bits are those of b written to every row and gemm() with beta 1, which reads and writes C once
// more.
void affine(int64_t M, int64_t N, int64_t K, const real* A, const real* B, const real* b, real* C);

// Which kernels OpenBLAS chose for this processor, for instance "Haswell": other kernels round differently.
const char* blas_core();

}  // namespace gradus
