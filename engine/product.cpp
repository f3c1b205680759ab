// A product is cut into tiles of up to 6 rows and 4 vectors of columns, whose sums stay in registers while k runs. B is
// first copied, a panel of 4 vectors of columns at a time, so that a tile reads one stretch of memory; A is read where
// it is. Built with optimisation in every mode (Makefile), like the BLAS beside it.
#include "engine/product.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/lanes.h"

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

typedef real Vector __attribute__((vector_size(kLanes * sizeof(real))));

// Where a tile finds its numbers: A[i,k] at a[i * row + k * column], B[k,j] at b[k * ldb + j], and at start[i * ld + j]
// what the product is added to.
struct Place {
  int64_t K;
  const real* a;
  int64_t row, column;
  const real* b;
  int64_t ldb;
  real alpha;
  const real* start;
  int64_t ld;
};

// R rows, V vectors of columns, of which `width` are wanted.
template <int R, int V>
GRADUS_WHOLE_VECTORS void tile(const Place& at, real* C, int64_t ldc, int width) {
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
  const real alpha = at.alpha, *start = at.start;
  Vector s, y;
  if (width == W) {
    for (int r = 0; r < R; ++r, start += at.ld, C += ldc)
      for (int v = 0; v < W; v += kLanes) {
        load(&sum[r][v], s);
        load(start + v, y);
        y += alpha * s;
        store(y, C + v);
      }
  } else {
    for (int r = 0; r < R; ++r, start += at.ld, C += ldc)
      for (int v = 0; v < W; v += kLanes) {
        load(&sum[r][v], s);
        load_part(start + v, width - v, 0, y);
        y += alpha * s;
        store_part(y, width - v, C + v);
      }
  }
}

constexpr std::array<real, kWidth> filled(real x) {
  std::array<real, kWidth> row{};
  row.fill(x);
  return row;
}

using Tile = void (*)(const Place&, real*, int64_t, int);
template <int... I>
constexpr auto tiles(std::integer_sequence<int, I...>) {
  return std::array<Tile, sizeof...(I)>{
      tile<std::min(1 + I / kVectors, rows_of(1 + I % kVectors)), 1 + I % kVectors>...};
}
// Of r rows and v vectors: kTiles[(r - 1) * kVectors + v - 1].
constexpr auto kTiles = tiles(std::make_integer_sequence<int, kMostRows * kVectors>());

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
  for (int j = 0; j < kLanes; ++j) load(from + j * ld_from, x[j]);
  exchange<kLanes / 2>(x, std::make_index_sequence<kLanes>());
  for (int i = 0; i < kLanes; ++i) store(x[i], to + i * ld_to);
}

// The same where `from` has fewer rows or columns; zeros stand for the rows that it lacks.
void transpose_part(const real* from, int64_t ld_from, int64_t rows, int64_t columns, real* to, int64_t ld_to) {
  for (int64_t i = 0; i < columns; ++i) {
    real x[kLanes] = {};
    for (int64_t j = 0; j < rows; ++j) x[j] = from[j * ld_from + i];
    std::memcpy(to + i * ld_to, x, sizeof x);
  }
}

// The first K rows and `width` columns of B, or of B [width,K] transposed, the rows one after the other, filled up to
// W.
void pack(bool transposed, const real* B, int64_t ldb, int64_t K, int64_t width, int64_t W, real* panel) {
  if (transposed) {
    for (int64_t j = 0; j < W; j += kLanes)
      for (int64_t k = 0; k < K; k += kLanes) {
        const real* from = B + j * ldb + k;
        real* to = panel + k * W + j;
        const int64_t rows = std::min<int64_t>(kLanes, width - j), columns = std::min<int64_t>(kLanes, K - k);
        if (rows == kLanes && columns == kLanes)
          transpose_square(from, ldb, to, W);
        else
          transpose_part(from, ldb, rows, columns, to, W);
      }
  } else if (width == kWidth) {  // a copy of known length takes a third of the time
    for (int64_t k = 0; k < K; ++k) std::memcpy(panel + k * kWidth, B + k * ldb, kWidth * sizeof(real));
  } else {
    Vector v;
    for (int64_t k = 0; k < K; ++k)
      for (int64_t j = 0; j < W; j += kLanes) {
        load_part(B + k * ldb + j, int(width - j), 0, v);
        store(v, panel + k * W + j);
      }
  }
}

}  // namespace

void product(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, real alpha, const real* A,
             int64_t lda, const real* B, int64_t ldb, const real* start, int64_t ld, real* C, int64_t ldc) {
  alignas(64) thread_local real panel[kDepth * kWidth];
  static constexpr std::array<real, kWidth> kNothing = filled(real(-0.0));  // which changes no number, not even -0
  for (int64_t k = 0; k < K; k += kDepth, start = C, ld = ldc)
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
               .alpha = alpha,
               .start = kNothing.data(),
               .ld = start ? ld : 0};
      if (transpose_b || width < W || (bands > 2 && ldb != W && depth * ldb > 8192)) {
        pack(transpose_b, b, ldb, depth, width, W, panel);
        at.b = panel;
        at.ldb = W;
      }
      for (int64_t band = 0; band < bands; ++band) {  // as equal as can be: 32 rows are 6 6 5 5 5 5
        const int64_t i = band * M / bands, rows = (band + 1) * M / bands - i;
        at.a = A + i * at.row + k * at.column;
        if (start) at.start = start + i * ld + j;
        kTiles[size_t((rows - 1) * kVectors + vectors - 1)](at, C + i * ldc + j, ldc, int(width));
      }
    }
}

}  // namespace gradus::kernel
