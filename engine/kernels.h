// Loops over raw arrays, shared by the ops. They never throw and never allocate. Sums run in 16 explicit lanes that are
// combined in a fixed order, so that every compiler vectorises them and none changes the result. A float that adds up
// very many numbers of one sign is off by percents (1.5 % after 2·10^6): from kLongSum numbers on, sums of floats go on
// in double.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/real.h"

namespace gradus::kernel {

void add_to(int64_t n, const real* x, real* y);                       // y += x
void axpy(int64_t n, real a, const real* x, real* y);                 // y += a x
void multiply_add(int64_t n, const real* a, const real* b, real* y);  // y += a b, element by element
// y[j] += Σ_i w[i] x[i,j], in the order of i.   x [N,M] with `stride` reals between rows, w [N], y [M]
void add_weighted_rows(int64_t N, int64_t M, const real* w, const real* x, int64_t stride, real* __restrict y);
real dot(int64_t n, const real* a, const real* b);
real sum(int64_t n, const real* x);
// √Σ x², in double; right also where the squares are too large or too small for one. NaN if a number is.
double norm(int64_t n, const float* x);
double norm(int64_t n, const double* x);
real max(int64_t n, const real* x);  // REQUIRES: n >= 1

// y += Σ of rows [M], or of products of rows, that are added one by one.
struct RowSum {
  int64_t M;
  real* y;
  double* wide;  // [M], zero at first, where the sum is long; null where it is not

  void add(const real* x) const;
  void add_product(const real* a, const real* b) const;
  void finish() const;  // after the last row
};

// p = softmax(z). z and p may be the same array. Returns log Σ exp(z) in two parts, whose sum would round at the size
// of the maximum: log p[i] = (z[i] - max) - log_sum(). REQUIRES: n >= 1
struct LogSum {
  real max;
  real sum;                                       // Σ exp(z - max)
  real log_sum() const { return std::log(sum); }  // between 0 and log n; not every row of attention needs it
};
LogSum softmax_row(int64_t n, const real* z, real* p);
// dz += p ∘ (dp − p·dp)
void softmax_row_backward(int64_t n, const real* p, const real* dp, real* dz);

bool all_finite(int64_t n, const real* x);

}  // namespace gradus::kernel
