#include "engine/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/lanes.h"
#include "engine/vmath.h"

namespace gradus::kernel {

namespace {

// Sixteen partial results, one vector register of floats (two of doubles).
typedef real Lanes __attribute__((vector_size(16 * sizeof(real))));
constexpr int kLanes = 16;

// The lanes folded in halves: 16, 8, 4, 2, 1. Written out so that it stays in registers.
inline real fold(const Lanes& v) {
  real s[kLanes], eight[8], four[4];
  std::memcpy(s, &v, sizeof s);
  for (int i = 0; i < 8; ++i) eight[i] = s[i] + s[i + 8];
  for (int i = 0; i < 4; ++i) four[i] = eight[i] + eight[i + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

inline real larger(real a, real b) { return a < b ? b : a; }
inline real largest(const Lanes& v) {
  real s[kLanes], eight[8], four[4];
  std::memcpy(s, &v, sizeof s);
  for (int i = 0; i < 8; ++i) eight[i] = larger(s[i], s[i + 8]);
  for (int i = 0; i < 4; ++i) four[i] = larger(eight[i], eight[i + 4]);
  return larger(larger(four[0], four[2]), larger(four[1], four[3]));
}

}  // namespace

void add_to(int64_t n, const real* x, real* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

void axpy(int64_t n, real a, const real* x, real* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = std::fma(a, x[i], y[i]);
}

void multiply_add(int64_t n, const real* a, const real* b, real* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = std::fma(a[i], b[i], y[i]);
}

void add_weighted_rows(int64_t N, int64_t M, const real* w, const real* x, int64_t stride, real* __restrict y) {
  int64_t i = 0;
  for (; i + 4 <= N; i += 4, x += 4 * stride)  // four rows a pass: y is loaded and stored a quarter as often
    for (int64_t j = 0; j < M; ++j) {
      const real two = std::fma(w[i + 1], x[j + stride], std::fma(w[i], x[j], y[j]));
      y[j] = std::fma(w[i + 3], x[j + 3 * stride], std::fma(w[i + 2], x[j + 2 * stride], two));
    }
  for (; i < N; ++i, x += stride) axpy(M, w[i], x, y);
}

// f(first, count) over blocks of a long sum, which are added up in double.
template <class F>
static real in_blocks(int64_t n, F f) {
  double s = 0;
  for (int64_t i = 0; i < n; i += kLongSum) s += double(f(i, std::min(kLongSum, n - i)));
  return real(s);
}

real dot(int64_t n, const real* a, const real* b) {
  if (is_long(n / kLanes)) return in_blocks(n, [=](int64_t i, int64_t count) { return dot(count, a + i, b + i); });
  Lanes total{}, u, v;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load(a + i, u);
    load(b + i, v);
    total += u * v;
  }
  real s = fold(total);
  for (; i < n; ++i) s += a[i] * b[i];
  return s;
}

real sum(int64_t n, const real* x) {
  if (is_long(n / kLanes)) return in_blocks(n, [=](int64_t i, int64_t count) { return sum(count, x + i); });
  Lanes total{}, v;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load(x + i, v);
    total += v;
  }
  real s = fold(total);
  for (; i < n; ++i) s += x[i];
  return s;
}

template <class T>
static double sum_of_squares(int64_t n, const T* x) {
  double lane[kLanes] = {}, s = 0;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lane[j] += double(x[i + j]) * double(x[i + j]);
  for (; i < n; ++i) s += double(x[i]) * double(x[i]);
  for (double l : lane) s += l;
  return s;
}

template <class T>
static double norm_of(int64_t n, const T* x) {
  const double plain = sum_of_squares(n, x);
  if (std::isnan(plain) || (plain > 1e-280 && plain < std::numeric_limits<double>::infinity())) return std::sqrt(plain);
  double most = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(double(x[i])));
  if (most == 0 || std::isinf(most)) return most;
  for (int64_t i = 0; i < n; ++i) squares += double(x[i]) / most * (double(x[i]) / most);
  return most * std::sqrt(squares);
}
double norm(int64_t n, const float* x) { return norm_of(n, x); }
double norm(int64_t n, const double* x) { return norm_of(n, x); }

real max(int64_t n, const real* x) {
  const int first = int(n % kLanes);
  Lanes best, v;
  load_part(x, first, x[0], best);
  for (int64_t i = first; i < n; i += kLanes) {
    load(x + i, v);
    best = v > best ? v : best;
  }
  return largest(best);
}

void RowSum::add(const real* x) const {
  if (!wide) return add_to(M, x, y);
  for (int64_t j = 0; j < M; ++j) wide[j] += double(x[j]);
}

void RowSum::add_product(const real* a, const real* b) const {
  if (!wide) return multiply_add(M, a, b, y);
  for (int64_t j = 0; j < M; ++j) wide[j] += double(a[j]) * double(b[j]);
}

void RowSum::finish() const {
  if (wide)
    for (int64_t j = 0; j < M; ++j) y[j] = real(double(y[j]) + wide[j]);
}

// z = exp(z - m).
static inline void exp_lanes(real m, Lanes& z) {
  real x[kLanes];
  store(z, x);
#pragma GCC unroll 1  // g++ 12 unrolls 16 numbers before it looks for vectors, and then finds none
  for (int j = 0; j < kLanes; ++j) x[j] = vmath::exp(x[j] - m);
  load(x, z);
}

// The last numbers are filled up to 16 with -inf, whose exponential is 0: rows of attention have every length, and one
// by one up to 15 exponentials were a fifth of a step of a model of width 16.
LogSum softmax_row(int64_t n, const real* z, real* p) {
  const int64_t whole = n / kLanes * kLanes;
  const int rest = int(n - whole);
  const real m = max(n, z);
  Lanes total{}, last{}, v;
  for (int64_t i = 0; i < whole; i += kLanes) {
    load(z + i, v);
    exp_lanes(m, v);
    store(v, p + i);
    total += v;
  }
  if (rest > 0) {
    load_part(z + whole, rest, -std::numeric_limits<real>::infinity(), last);
    exp_lanes(m, last);
    total += last;
  }
  real s = fold(total);
  if (is_long(n / kLanes)) {
    store_part(last, rest, p + whole);
    s = sum(n, p);
  }
  const real inverse = 1 / s;
  for (int64_t i = 0; i < whole; ++i) p[i] *= inverse;
  if (rest > 0) store_part(last * inverse, rest, p + whole);
  return {.max = m, .sum = s};
}

void softmax_row_backward(int64_t n, const real* p, const real* dp, real* dz) {
  const real mean = dot(n, p, dp);
  for (int64_t i = 0; i < n; ++i) dz[i] += p[i] * (dp[i] - mean);
}

bool all_finite(int64_t n, const real* x) {
  real s = 0;  // x·0 is NaN exactly where x is not finite
  for (int64_t i = 0; i < n; ++i) s += x[i] * 0;
  return s == 0;
}

}  // namespace gradus::kernel
