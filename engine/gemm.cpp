#include "engine/gemm.h"

#include <cblas.h>
#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/product.h"

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

// OpenBLAS starts its threads while it is loaded, before any code of ours could tell it to start none: they take memory
// and, under a limit of address space, wait for more of it for ever. Only what stands in .preinit_array runs earlier.
// The C library forgets what setenv() does that early, so the variable takes the place of another for the time of
// loading.
char** borrowed_place = nullptr;
char* borrowed = nullptr;
void ask_for_one_thread(int, char**, char** environment) {
  static char one_thread[] = "OPENBLAS_NUM_THREADS=1";
  for (char** entry = environment; *entry; ++entry) {
    const bool same = std::strncmp(*entry, one_thread, sizeof one_thread - 2) == 0;
    // Any place will do, but OpenBLAS reads other variables that begin so.
    if (same || (!borrowed_place && std::strncmp(*entry, "OPENBLAS_", 9) != 0)) borrowed_place = entry;
    if (same) break;
  }
  if (!borrowed_place) return;
  borrowed = *borrowed_place;
  *borrowed_place = one_thread;
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)(int, char**, char**) = ask_for_one_thread;

void give_back_environment() {
  if (borrowed_place) *borrowed_place = borrowed;
}

// Before the first product: the kernels of this processor, and one thread inside BLAS, always, or results would depend
// on the number of threads.
[[maybe_unused]] const bool ready = (give_back_environment(), choose_kernels(), openblas_set_num_threads(1), true);

[[maybe_unused]] void cblas_gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int M, int N, int K, float alpha,
                                 const float* A, int lda, const float* B, int ldb, float beta, float* C, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
[[maybe_unused]] void cblas_gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int M, int N, int K, double alpha,
                                 const double* A, int lda, const double* B, int ldb, double beta, double* C, int ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
[[maybe_unused]] void cblas_gemv(CBLAS_TRANSPOSE ta, int rows, int columns, float alpha, const float* A, int lda,
                                 const float* x, int apart_x, float* y, int apart_y) {
  cblas_sgemv(CblasRowMajor, ta, rows, columns, alpha, A, lda, x, apart_x, 1, y, apart_y);
}
[[maybe_unused]] void cblas_gemv(CBLAS_TRANSPOSE ta, int rows, int columns, double alpha, const double* A, int lda,
                                 const double* x, int apart_x, double* y, int apart_y) {
  cblas_dgemv(CblasRowMajor, ta, rows, columns, alpha, A, lda, x, apart_x, 1, y, apart_y);
}

// For the first product of a thread that is not small (OpenBLAS has kernels without a buffer for those of up to a
// million multiplications) it takes a buffer of so much address space, and where there is none it tries again for ever.
// So that product is made here, of zeros, where there is room.
void require_buffer() {
  constexpr size_t kBuffer = size_t(128) << 20;
  thread_local bool has_buffer = false;
  if (has_buffer) return;
  void* const room = mmap(nullptr, kBuffer, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) throw std::bad_alloc();
  munmap(room, kBuffer);
  constexpr int kM = 32, kK = 1024;  // 2^20 multiplications
  static const real zeros[kM * kK] = {};
  real product[kM * kM];
  cblas_gemm(CblasNoTrans, CblasTrans, kM, kM, kK, 1, zeros, kK, zeros, kK, 0, product, kM);
  has_buffer = true;
}

#if defined(__FMA__) || defined(__aarch64__)
constexpr bool kFusesFast = true;
#else
constexpr bool kFusesFast = false;  // std::fma would be a function of the library
#endif

// Products of the sizes of a step are the engine's own (engine/product.cpp). On one core of a Xeon with AVX-512, beside
// OpenBLAS 0.3.21 with its own kernels for it, hot and alone, in GFLOP/s: 768x128 * 128x384 162 (158), its transposed
// products 158 (148) and 154 (145); 32x256 * (1024x256)ᵀ, the step of an LSTM, 130 (91); 32x1024 * 1024x256 120 (104).
// A step of training the LSTM takes 13 % less time, one of the Transformer about as long. OpenBLAS keeps what is a
// single row or column, as a matrix times a vector, and what is large: from 2^28 multiplications on it is up to a sixth
// faster.
bool is_own(int64_t M, int64_t N, int64_t K) {
  return kFusesFast && M > 1 && N > 1 && K > 0 && M * N <= (int64_t(1) << 28) / K;
}

// A single row or column of C: y = alpha op(matrix) x + beta y. OpenBLAS's product of matrices would copy the matrix
// first; its product with a vector reads it once, but keeps fewer digits of long sums. All weights of a default
// Transformer, times one row: 45 µs instead of 175 (OpenBLAS 0.3.21, one core of a Zen 5).
void vector_gemm(Trans ta, Trans tb, int64_t M, int64_t N, int64_t K, real alpha, const real* A, int64_t lda,
                 const real* B, int64_t ldb, real beta, real* C, int64_t ldc) {
  const int64_t apart = M == 1 ? 1 : ldc;
  for (int64_t i = 0; i < M * N; ++i) C[i * apart] = beta == 0 ? 0 : beta * C[i * apart];
  if (M == 1)  // C = op(B)ᵀ a
    cblas_gemv(tb == kTr ? CblasNoTrans : CblasTrans, int(tb == kTr ? N : K), int(tb == kTr ? K : N), alpha, B,
               int(ldb), A, ta == kTr ? int(lda) : 1, C, 1);
  else
    cblas_gemv(ta == kTr ? CblasTrans : CblasNoTrans, int(ta == kTr ? K : M), int(ta == kTr ? M : K), alpha, A,
               int(lda), B, tb == kTr ? 1 : int(ldb), C, int(ldc));
}

}  // namespace

void gemm(Trans ta, Trans tb, int64_t M, int64_t N, int64_t K, real alpha, const real* A, int64_t lda, const real* B,
          int64_t ldb, real beta, real* C, int64_t ldc) {
  assert(M <= INT_MAX && N <= INT_MAX && K <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX);
  if (M == 0 || N == 0) return;
  if (is_own(M, N, K) && (beta == 0 || beta == 1))
    return kernel::product(ta == kTr, tb == kTr, M, N, K, alpha, A, lda, B, ldb, beta == 1 ? C : nullptr, ldc, C, ldc);
  require_buffer();
  if ((M == 1 || N == 1) && !is_long(K)) return vector_gemm(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
  cblas_gemm(ta == kTr ? CblasTrans : CblasNoTrans, tb == kTr ? CblasTrans : CblasNoTrans, int(M), int(N), int(K),
             alpha, A, int(lda), B, int(ldb), beta, C, int(ldc));
}

void affine(int64_t M, int64_t N, int64_t K, const real* A, const real* B, const real* b, real* C) {
  if (b && is_own(M, N, K)) return kernel::product(false, false, M, N, K, 1, A, K, B, N, b, 0, C, N);
  for (int64_t i = 0; b && i < M; ++i) std::copy_n(b, N, C + i * N);
  gemm(kNo, kNo, M, N, K, 1, A, K, B, N, b ? 1 : 0, C, N);
}

const char* blas_core() { return openblas_get_corename(); }

}  // namespace gradus
