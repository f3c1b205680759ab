// The matrix product against three loops, and that it runs on kernels of this processor.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "engine/gemm.h"
#include "engine/product.h"
#include "engine/rng.h"

TEST_SUITE_BEGIN("blas");

using namespace gradus;

TEST_CASE("blas: kernels are not those of a processor of 2004") {
#if defined(__x86_64__)
  const bool young = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (young && !std::getenv("OPENBLAS_CORETYPE")) CHECK(std::string(blas_core()) != "Prescott");
#endif
}

static std::vector<real> draw(int64_t n, int64_t at) {
  const Rng rng = Rng(3, Stream::kTest).at(at);
  std::vector<real> x;
  for (int64_t i = 0; i < n; ++i) x.push_back(real(rng.normal(i)));
  return x;
}

TEST_CASE("blas: gemm equals three loops, with every transpose, row distance and beta") {
  constexpr int64_t kGap = 2;
  for (const std::array<int64_t, 3>& size : {std::array<int64_t, 3>{5, 7, 3}, {1, 7, 3}, {5, 1, 3}, {1, 1, 4}})
    for (const Trans ta : {kNo, kTr})
      for (const Trans tb : {kNo, kTr})
        for (const real beta : {real(0), real(1), real(-0.5)}) {
          const int64_t M = size[0], N = size[1], K = size[2];
          CAPTURE(M);
          CAPTURE(N);
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

TEST_CASE("blas: the engine's own product is the sum in its order, bit for bit, at every edge of its tiles") {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const auto& size : {std::array{1, 1, 1},
                               {2, 3, 5},
                               {6, 64, 16},
                               {7, 65, 17},
                               {13, 16, 40},
                               {12, 17, 3},
                               {25, 31, 33},
                               {3, 130, 64},
                               {32, 48, 300},
                               {19, 100, 513},
                               {40, 33, 256}})
        for (const bool add : {false, true}) {
          const int M = size[0], N = size[1], K = size[2];
          CAPTURE(ta);
          CAPTURE(tb);
          CAPTURE(M);
          CAPTURE(N);
          CAPTURE(K);
          CAPTURE(add);
          constexpr int kGap = 3;
          const int64_t lda = (ta ? M : K) + kGap, ldb = (tb ? K : N) + kGap, ldc = N + kGap;
          const std::vector<real> A = draw(lda * (ta ? K : M), 1), B = draw(ldb * (tb ? N : K), 2);
          const std::vector<real> before = draw(ldc * M, 3);
          std::vector<real> C = before, wanted = before;
          const real alpha = real(1.25);
          kernel::product(ta, tb, M, N, K, alpha, A.data(), lda, B.data(), ldb, add ? C.data() : nullptr, ldc, C.data(),
                          ldc);
          for (int64_t i = 0; i < M; ++i)
            for (int64_t j = 0; j < N; ++j) {
              real& c = wanted[size_t(i * ldc + j)];
              for (int64_t first = 0; first < K; first += kernel::kDepth) {
                real sum = 0;
                for (int64_t k = first; k < std::min<int64_t>(K, first + kernel::kDepth); ++k)
                  sum = std::fma(A[size_t(ta ? k * lda + i : i * lda + k)], B[size_t(tb ? j * ldb + k : k * ldb + j)],
                                 sum);
                c = first > 0 || add ? c + alpha * sum : alpha * sum;
              }
            }
          CHECK(C == wanted);  // what stands between the rows too
        }
}

TEST_CASE("blas: affine has the bits of the bias written first and the product added to it") {
  for (const int64_t M : {1, 2, 13})
    for (const int64_t N : {1, 3, 16, 27, 65})
      for (const int64_t K : {1, 16, 300}) {
        INFO(M, "x", N, ", K ", K);
        const std::vector<real> A = draw(M * K, 1), B = draw(K * N, 2), b = draw(N, 3);
        std::vector<real> C(size_t(M * N), std::numeric_limits<real>::quiet_NaN()), wanted;
        for (int64_t i = 0; i < M; ++i) wanted.insert(wanted.end(), b.begin(), b.end());
        gemm(kNo, kNo, M, N, K, 1, A.data(), K, B.data(), N, 1, wanted.data(), N);
        affine(M, N, K, A.data(), B.data(), b.data(), C.data());
        CHECK(C == wanted);
        gemm(kNo, kNo, M, N, K, 1, A.data(), K, B.data(), N, 0, wanted.data(), N);
        affine(M, N, K, A.data(), B.data(), nullptr, C.data());
        CHECK(C == wanted);
      }
}

TEST_CASE("blas: what adds nothing to a product keeps a minus zero") {
  const std::vector<real> A(16, real(-0.0)), B(16, 1);
  std::vector<real> C(16, 1);
  kernel::product(false, false, 4, 4, 4, 1, A.data(), 4, B.data(), 4, nullptr, 0, C.data(), 4);
  for (const real c : C) CHECK_FALSE(std::signbit(c));  // 0 + -0: the sum itself begins at 0
  kernel::product(false, false, 4, 4, 4, -1, A.data(), 4, B.data(), 4, nullptr, 0, C.data(), 4);
  for (const real c : C) CHECK(std::signbit(c));
}

TEST_CASE(
    "blas: gemm equals a double loop where nothing is a multiple of a block, and does not read what it replaces") {
  const real alpha = real(0.75), nan = std::numeric_limits<real>::quiet_NaN();
  constexpr double kRound = kDouble ? 1e-13 : 5e-5;
  for (const int64_t K : {0, 1, 257})
    for (int64_t M = 1; M <= 40; ++M)
      for (const int64_t N : {int64_t{1}, M, 41 - M, int64_t{16}, int64_t{17}, int64_t{33}})
        for (const Trans ta : {kNo, kTr})
          for (const Trans tb : {kNo, kTr}) {
            const int64_t lda = std::max<int64_t>(1, ta == kNo ? K : M), ldb = std::max<int64_t>(1, tb == kNo ? N : K);
            const std::vector<real> A = draw(M * K, 1), B = draw(K * N, 2);
            std::vector<real> C(size_t(M * N), nan);
            gemm(ta, tb, M, N, K, alpha, A.data(), lda, B.data(), ldb, 0, C.data(), N);
            double worst = 0;
            for (int64_t i = 0; i < M; ++i)
              for (int64_t j = 0; j < N; ++j) {
                double sum = 0;
                for (int64_t k = 0; k < K; ++k)
                  sum += double(A[size_t(ta == kNo ? i * lda + k : k * lda + i)]) *
                         double(B[size_t(tb == kNo ? k * ldb + j : j * ldb + k)]);
                const double off = std::fabs(double(C[size_t(i * N + j)]) - double(alpha) * sum);
                if (!(off <= worst)) worst = off;
              }
            INFO(M, "x", N, ", K ", K, ", transposed ", int(ta), int(tb));
            CHECK(worst <= kRound);
          }
}

TEST_SUITE_END();
