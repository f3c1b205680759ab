// The matrix product against three loops, and that it runs on kernels of this processor.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/gemm.h"
#include "engine/rng.h"

TEST_SUITE_BEGIN("blas");

using namespace gradus;

TEST_CASE("blas: kernels are not those of a processor of 2004") {
#if defined(__x86_64__)
  const bool young = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (young && !std::getenv("OPENBLAS_CORETYPE")) CHECK(std::string(blas_core()) != "Prescott");
#endif
}

TEST_CASE("blas: gemm equals three loops, with every transpose, row distance and beta") {
  constexpr int64_t M = 5, N = 7, K = 3, kGap = 2;
  const Rng rng(3, Stream::kTest);
  const auto draw = [&](int64_t n, int64_t at) {
    std::vector<real> x;
    for (int64_t i = 0; i < n; ++i) x.push_back(real(rng.at(at).normal(i)));
    return x;
  };
  for (const Trans ta : {kNo, kTr})
    for (const Trans tb : {kNo, kTr})
      for (const real beta : {real(0), real(1), real(-0.5)}) {
        CAPTURE(int(ta));
        CAPTURE(int(tb));
        CAPTURE(double(beta));
        const int64_t lda = (ta == kNo ? K : M) + kGap, ldb = (tb == kNo ? N : K) + kGap, ldc = N + kGap;
        const std::vector<real> A = draw(lda * (ta == kNo ? M : K), 1), B = draw(ldb * (tb == kNo ? K : N), 2);
        const std::vector<real> before = draw(ldc * M, 3);
        std::vector<real> C = before;
        gemm(ta, tb, M, N, K, real(1.5), A.data(), lda, B.data(), ldb, beta, C.data(), ldc);
        for (int64_t i = 0; i < M; ++i)
          for (int64_t j = 0; j < ldc; ++j) {
            const size_t at = size_t(i * ldc + j);
            double sum = double(beta) * double(before[at]);
            for (int64_t k = 0; k < K && j < N; ++k)
              sum += 1.5 * double(A[size_t(ta == kNo ? i * lda + k : k * lda + i)]) *
                     double(B[size_t(tb == kNo ? k * ldb + j : j * ldb + k)]);
            if (j >= N) sum = double(before[at]);  // what stands between the rows stays
            CHECK(std::abs(double(C[at]) - sum) < (kDouble ? 1e-13 : 1e-5));
          }
      }
}

TEST_SUITE_END();
