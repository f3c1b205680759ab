// How far apart two lists of numbers are. For the tests:
//
//   CHECK(near(got, wanted) <= 1e-12);              // |got − wanted| relative to the largest |wanted|
//   CHECK(near(got, wanted).absolute <= 1e-12);
//   CHECK(first_difference(got, wanted) == -1);     // the same bits
//
// A failing CHECK prints the worst element. Lists of different sizes, and a NaN on either side, are infinitely far
// apart; equal infinities are equal.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <ostream>

namespace gradus {

struct Near {
  int64_t index = -1;  // of the worst element
  double got = 0, wanted = 0;
  double absolute = 0;  // |got − wanted| there
  double relative = 0;  // absolute / max(largest |wanted|, least)
  size_t size_got = 0, size_wanted = 0;
};

inline bool operator<=(const Near& n, double bound) { return n.relative <= bound; }
inline bool operator>(const Near& n, double bound) { return !(n <= bound); }

inline std::ostream& operator<<(std::ostream& out, const Near& n) {
  if (n.size_got != n.size_wanted) return out << n.size_got << " numbers where " << n.size_wanted << " were wanted";
  const auto digits = out.precision(17);
  out << "at " << n.index << ": got " << n.got << ", wanted " << n.wanted;
  out.precision(3);
  out << ", absolute " << n.absolute << ", relative " << n.relative;
  out.precision(digits);
  return out;
}

// `least`: the smallest size that differences are compared with, for lists that may be all 0.
template <class A, class B>
Near near(const A& got, const B& wanted, double least = 0) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Near n{.size_got = std::size(got), .size_wanted = std::size(wanted)};
  if (n.size_got != n.size_wanted) n.absolute = n.relative = kInfinity;
  double largest = least;
  for (size_t i = 0; i < std::min(n.size_got, n.size_wanted); ++i) {
    const double a = double(got[i]), b = double(wanted[i]);
    const double apart = a == b ? 0 : std::isfinite(a - b) ? std::fabs(a - b) : kInfinity;
    if (std::isfinite(b)) largest = std::max(largest, std::fabs(b));
    if (n.size_got != n.size_wanted || (n.index >= 0 && apart <= n.absolute)) continue;
    n.index = int64_t(i);
    n.got = a;
    n.wanted = b;
    n.absolute = apart;
  }
  if (n.absolute > 0) n.relative = n.absolute / largest;  // infinite where all should be 0
  return n;
}
inline Near near(double got, double wanted) {
  const double a[] = {got}, b[] = {wanted};
  return near(a, b);
}

// The first place where the bits differ (so −0 is not 0, and a NaN is itself); −1 if there is none.
template <class A, class B>
int64_t first_difference(const A& a, const B& b) {
  const size_t n = std::min(std::size(a), std::size(b));
  for (size_t i = 0; i < n; ++i) {
    static_assert(sizeof a[i] == sizeof b[i]);
    if (std::memcmp(&a[i], &b[i], sizeof a[i]) != 0) return int64_t(i);
  }
  return std::size(a) == std::size(b) ? -1 : int64_t(n);
}

}  // namespace gradus
