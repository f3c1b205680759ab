// A product is cut into tiles of up to 6 rows and 4 vectors of columns, whose sums stay in registers while k runs. B is
// first copied, a panel of 4 vectors of columns at a time, so that a tile reads one stretch of memory; A is read where
// it is. Built with optimisation in every mode (Makefile), like the BLAS beside it.
#include "engine/product.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

namespace gradus::kernel {

namespace {

#ifdef __AVX512F__
constexpr int kLanes = 64 / sizeof(real), kVectors = 4;  // 24 sums and 4 vectors of B in 32 registers
#else
constexpr int kLanes = 32 / sizeof(real), kVectors = 2;  // 12 and 2 of 16
#endif
constexpr int kMostRows = 12, kWidth = kLanes * kVectors;
// Rows of a tile that is `vectors` wide: as many as have their sums in registers, in a loop that is worth its length.
constexpr int rows_of(int64_t vectors) { return int(std::min<int64_t>(6 * kVectors / vectors, kMostRows)); }

// g++ prefers half vectors on processors that once slowed down for whole ones; here whole ones are twice as fast.
#if defined(__AVX512F__) && !defined(__clang__)
#define GRADUS_WHOLE_VECTORS __attribute__((target("prefer-vector-width=512")))
#else
#define GRADUS_WHOLE_VECTORS
#endif

// Where a tile finds its numbers: A[i,k] at a[i * row + k * column], B[k,j] at b[k * ldb + j].
struct Place {
  int64_t K;
  const real* a;
  int64_t row, column;
  const real* b;
  int64_t ldb;
  real alpha;
};

// R rows, V vectors of columns, of which `width` are wanted.
template <int R, int V>
GRADUS_WHOLE_VECTORS void tile(const Place& at, bool add, real* C, int64_t ldc, int64_t width) {
  constexpr int W = V * kLanes;
  real sum[R][W] = {};
  const int64_t K = at.K, row = at.row, column = at.column, ldb = at.ldb;
  const real *a = at.a, *b = at.b;
  for (int64_t k = 0; k < K; ++k, a += column, b += ldb)
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const real x = a[r * row];
#pragma GCC unroll 4
      for (int v = 0; v < W; v += kLanes)
#pragma GCC unroll 1  // g++ 12 unrolls up to 16 numbers before it looks for vectors, and then finds none
        for (int j = v; j < v + kLanes; ++j) sum[r][j] = std::fma(x, b[j], sum[r][j]);
    }
  const real alpha = at.alpha;
  if (width == W && add) {
    for (int r = 0; r < R; ++r)
      for (int j = 0; j < W; ++j) C[r * ldc + j] += alpha * sum[r][j];
  } else if (width == W) {
    for (int r = 0; r < R; ++r)
      for (int j = 0; j < W; ++j) C[r * ldc + j] = alpha * sum[r][j];
  } else {
    real edge[R][W];  // the sums themselves would not stay in registers if a loop of unknown length read them
    for (int r = 0; r < R; ++r)
      for (int j = 0; j < W; ++j) edge[r][j] = alpha * sum[r][j];
    for (int r = 0; r < R; ++r)
      for (int64_t j = 0; j < width; ++j) C[r * ldc + j] = add ? C[r * ldc + j] + edge[r][j] : edge[r][j];
  }
}

using Tile = void (*)(const Place&, bool, real*, int64_t, int64_t);
template <int... I>
constexpr auto tiles(std::integer_sequence<int, I...>) {
  return std::array<Tile, sizeof...(I)>{
      tile<std::min(1 + I / kVectors, rows_of(1 + I % kVectors)), 1 + I % kVectors>...};
}
// Of r rows and v vectors: kTiles[(r - 1) * kVectors + v - 1].
constexpr auto kTiles = tiles(std::make_integer_sequence<int, kMostRows * kVectors>());

typedef real Vector __attribute__((vector_size(kLanes * sizeof(real))));

// One of log2(kLanes) rounds that transpose a square of vectors: rows `Half` apart exchange blocks of `Half` numbers.
template <int Half, size_t... I>
void exchange(Vector* x, std::index_sequence<I...> lanes) {
  for (int r = 0; r < kLanes; ++r) {
    if (r & Half) continue;
    const Vector a = x[r], b = x[r + Half];  // numbers 0 to kLanes - 1, and from kLanes on
    x[r] = __builtin_shufflevector(a, b, (I & Half ? kLanes + I - Half : I)...);
    x[r + Half] = __builtin_shufflevector(a, b, (I & Half ? kLanes + I : I + Half)...);
  }
  if constexpr (Half > 1) exchange<Half / 2>(x, lanes);
}

// to[i, j] = from[j, i] for kLanes rows and columns, the rows of `from` and `to` so many numbers apart.
void transpose_square(const real* from, int64_t ld_from, real* to, int64_t ld_to) {
  Vector x[kLanes];
  for (int j = 0; j < kLanes; ++j) std::memcpy(&x[j], from + j * ld_from, sizeof(Vector));
  exchange<kLanes / 2>(x, std::make_index_sequence<kLanes>());
  for (int i = 0; i < kLanes; ++i) std::memcpy(to + i * ld_to, &x[i], sizeof(Vector));
}

// The first K rows and `width` columns of B, or of B [width,K] transposed, the rows one after the other, filled up to
// W.
void pack(bool transposed, const real* B, int64_t ldb, int64_t K, int64_t width, int64_t W, real* panel) {
  if (width < W) std::fill_n(panel, K * W, real(0));
  if (!transposed) {
    if (width == kWidth) {  // a copy of known length takes a third of the time
      for (int64_t k = 0; k < K; ++k) std::memcpy(panel + k * kWidth, B + k * ldb, kWidth * sizeof(real));
    } else {
      for (int64_t k = 0; k < K; ++k) std::copy_n(B + k * ldb, width, panel + k * W);
    }
    return;
  }
  const int64_t whole_j = width / kLanes * kLanes, whole_k = K / kLanes * kLanes;
  for (int64_t j = 0; j < whole_j; j += kLanes)
    for (int64_t k = 0; k < whole_k; k += kLanes) transpose_square(B + j * ldb + k, ldb, panel + k * W + j, W);
  for (int64_t j = 0; j < width; ++j)
    for (int64_t k = j < whole_j ? whole_k : 0; k < K; ++k) panel[k * W + j] = B[j * ldb + k];
}

}  // namespace

void product(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, real alpha, const real* A,
             int64_t lda, const real* B, int64_t ldb, bool add, real* C, int64_t ldc) {
  alignas(64) thread_local real panel[kDepth * kWidth];
  for (int64_t k = 0; k < K; k += kDepth, add = true)
    for (int64_t j = 0; j < N; j += kWidth) {
      const int64_t depth = std::min(kDepth, K - k), width = std::min<int64_t>(kWidth, N - j);
      const int64_t vectors = (width + kLanes - 1) / kLanes, W = vectors * kLanes;
      const int64_t bands = (M + rows_of(vectors) - 1) / rows_of(vectors);
      const real* b = transpose_b ? B + j * ldb + k : B + k * ldb + j;
      Place at{.K = depth,
               .a = nullptr,
               .row = transpose_a ? 1 : lda,
               .column = transpose_a ? lda : 1,
               .b = b,
               .ldb = ldb,
               .alpha = alpha};
      if (transpose_b || width < W || (bands > 2 && ldb != W && depth * ldb > 8192)) {
        pack(transpose_b, b, ldb, depth, width, W, panel);
        at.b = panel;
        at.ldb = W;
      }
      for (int64_t band = 0; band < bands; ++band) {  // as equal as can be: 32 rows are 6 6 5 5 5 5
        const int64_t i = band * M / bands, rows = (band + 1) * M / bands - i;
        at.a = A + i * at.row + k * at.column;
        kTiles[size_t((rows - 1) * kVectors + vectors - 1)](at, add, C + i * ldc + j, ldc, width);
      }
    }
}

}  // namespace gradus::kernel
