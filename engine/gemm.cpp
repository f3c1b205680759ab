#include "engine/gemm.h"

#include <cblas.h>

#include <cassert>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace gradus {

// OpenBLAS's own choice of kernels, made when it is loaded; absent in a build for a single processor.
extern "C" {
[[gnu::weak]] void gotoblas_dynamic_quit();
[[gnu::weak]] void gotoblas_dynamic_init();
}

namespace {

// A processor younger than the library gets its oldest kernels ("Prescott", SSE3): on a Xeon of 2023 with OpenBLAS
// 0.3.21 that was 64 GFLOP/s where its AVX-512 kernels reach 153. So then the choice is made again, by what the
// processor can do. OPENBLAS_CORETYPE in the environment is left alone.
void choose_kernels() {
  constexpr const char* kVariable = "OPENBLAS_CORETYPE";
  if (std::getenv(kVariable) || std::strcmp(openblas_get_corename(), "Prescott") != 0) return;
  if (!gotoblas_dynamic_quit || !gotoblas_dynamic_init) return;
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!avx512 && !avx2) return;
  setenv(kVariable, avx512 ? "SkylakeX" : "Haswell", 1);
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  unsetenv(kVariable);
#endif
}

// Before the first product: the kernels of this processor, and one thread inside BLAS, always, or results would depend
// on the number of threads.
[[maybe_unused]] const bool ready = (choose_kernels(), openblas_set_num_threads(1), true);

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
