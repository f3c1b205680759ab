#include "engine/blas.h"

#include <cblas.h>

#include <cassert>
#include <climits>

namespace gradus {

namespace {
// Before the first product: one thread inside BLAS, always, or results would depend on the number of threads.
[[maybe_unused]] const bool one_thread = (openblas_set_num_threads(1), true);

[[maybe_unused]] void cblas_gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int M, int N, int K, float alpha,
                                 const float* A, int lda, const float* B, int ldb, float beta, float* C, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
[[maybe_unused]] void cblas_gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int M, int N, int K, double alpha,
                                 const double* A, int lda, const double* B, int ldb, double beta, double* C, int ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
}  // namespace

void gemm(Trans ta, Trans tb, int64_t M, int64_t N, int64_t K, real alpha, const real* A, int64_t lda, const real* B,
          int64_t ldb, real beta, real* C, int64_t ldc) {
  assert(M <= INT_MAX && N <= INT_MAX && K <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX);
  if (M == 0 || N == 0) return;
  cblas_gemm(ta == kTr ? CblasTrans : CblasNoTrans, tb == kTr ? CblasTrans : CblasNoTrans, int(M), int(N), int(K),
             alpha, A, int(lda), B, int(ldb), beta, C, int(ldc));
}

const char* blas_core() { return openblas_get_corename(); }

}  // namespace gradus
