// exp, tanh, sigmoid and GELU as branch-free inline functions of one number: a plain loop over them vectorises (g++ 12
// and clang 14 at -O3 -march=native -fno-math-errno -fno-trapping-math -ffp-contract=off; no pragma, no intrinsics).
//
// Without -ffast-math the compiler reaches no vector library, and libm costs 4 ns (exp) to 15 ns (tanh) a number.
// One Zen 4 core with AVX-512, 2048 numbers in L1, Gelem/s (g++ 12 / clang 14; libm for comparison):
//               exp         tanh        sigmoid     gelu        gelu_derivative   libm exp, tanh
//   float       4.9 / 4.9   3.2 / 3.7   3.8 / 3.6   2.5 / 2.6   1.7 / 2.0         0.25, 0.065
//   double      1.6 / 1.6   1.1 / 1.3   1.3 / 1.3   0.9 / 1.0   0.7 / 0.8
//
// Every fused multiply-add is written std::fma and every other rounding is a single IEEE operation, so one number gives
// the same bits from every compiler, optimisation level and vector width, alone or in a loop
// (tests/plain/test_vmath.cpp).
//
// The k...Ulp constants are maximal errors in units in the last place of the exact result, as the test checks them.
// NaN in gives NaN out everywhere. The rounding mode must be to nearest.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace gradus::vmath {

inline constexpr double kExpUlp = 1.1;        // measured 1.05 (over 10^7 floats and 10^7 doubles)
inline constexpr double kTanhUlp = 2.75;      // 2.52
inline constexpr double kSigmoidUlp = 2.75;   // 2.43
inline constexpr double kGeluUlp = 3.0;       // 2.67; gelu and gelu_derivative are good to
inline constexpr double kGeluSlopeUlp = 5.0;  // 4.10  k...Ulp + kGeluTailUlp max(0, -v) ULP,
inline constexpr double kGeluTailUlp = 2.5;   //       v = 2 sqrt(2/pi) (x + 0.044715 x^3): e^v inherits v's rounding

namespace detail {

// What differs between the two formats. x = n ln2 + r, with n an integer and |r| <= ln2 / 2.
template <class T>
struct Format;

template <>
struct Format<float> {
  using Word = uint32_t;                              // the bits of a number
  static constexpr int kMantissa = 23;                // stored bits below the exponent
  static constexpr Word kBias = 127;                  // exponent field of 1.0
  static constexpr float kRound = 0x1.8p23f;          // adding it rounds to an integer in the low bits
  static constexpr float kLog2E = 0x1.715476p+0f;     // 1 / ln2
  static constexpr float kLn2High = 0x1.62e430p-1f;   // ln2 rounded, and
  static constexpr float kLn2Low = -0x1.05c610p-29f;  // what is left of it
  static constexpr float kExpLow = -0x1.5d589ep+6f;   // least x with a normal e^x
  static constexpr float kExpHigh = 0x1.62e42ep+6f;   // greatest x with a finite e^x
  static constexpr float kTanhHigh = 10;              // tanh rounds to 1 above
};

template <>
struct Format<double> {
  using Word = uint64_t;
  static constexpr int kMantissa = 52;
  static constexpr Word kBias = 1023;
  static constexpr double kRound = 0x1.8p52;
  static constexpr double kLog2E = 0x1.71547652b82fep+0;
  static constexpr double kLn2High = 0x1.62e42fefa39efp-1;
  static constexpr double kLn2Low = 0x1.abc9e3b39803fp-56;
  static constexpr double kExpLow = -0x1.6232bdd7abcd2p+9;
  static constexpr double kExpHigh = 0x1.62e42fefa39efp+9;
  static constexpr double kTanhHigh = 20;
};

// q(r) with e^r = 1 + r + r^2 q(r) for |r| <= ln2 / 2: minimax fits (Remez) that weigh the error of r q(r), to serve
// e^r and e^r - 1 alike; relative error of e^r 6.8e-9 and 9.5e-18, a tenth of an ULP.
inline float exp_tail(float r) {
  float q = 0x1.6d965ep-10f;
  q = std::fma(q, r, 0x1.12263cp-7f);
  q = std::fma(q, r, 0x1.55548ap-5f);
  q = std::fma(q, r, 0x1.5554b2p-3f);
  return std::fma(q, r, 0x1.000000p-1f);
}
inline double exp_tail(double r) {
  double q = 0x1.af74870a80be5p-26;
  q = std::fma(q, r, 0x1.28a0ac8b4f330p-22);
  q = std::fma(q, r, 0x1.71ddeb7d2c633p-19);
  q = std::fma(q, r, 0x1.a019a8d935368p-16);
  q = std::fma(q, r, 0x1.a01a01b520e31p-13);
  q = std::fma(q, r, 0x1.6c16c17e4a245p-10);
  q = std::fma(q, r, 0x1.111111110e925p-7);
  q = std::fma(q, r, 0x1.555555555258cp-5);
  q = std::fma(q, r, 0x1.555555555555cp-3);
  return std::fma(q, r, 0x1.0000000000004p-1);
}

template <class T>
struct Reduced {
  T p;                         // e^r - 1
  typename Format<T>::Word n;  // modulo 2^32 or 2^64
};

// x = n ln2 + r. The first product is exact (n is short, r cancels the leading bits), so r is good to its last bit.
template <class T>
inline Reduced<T> reduce(T x) {
  using F = Format<T>;
  const T shifted = std::fma(x, F::kLog2E, F::kRound);
  const T n = shifted - F::kRound;
  const T r = std::fma(n, -F::kLn2Low, std::fma(n, -F::kLn2High, x));
  using Word = typename F::Word;
  return {std::fma(exp_tail(r), r * r, r), Word(std::bit_cast<Word>(shifted) - std::bit_cast<Word>(F::kRound))};
}

// 2^n is added to the exponent of e^r; the two selects replace what then makes no sense, beyond the range and for NaN.
// Subnormal results become 0: gradual underflow would take a second scaling and makes masked rows (x << 0) twice as
// slow (3.3 against 1.7 Gelem/s), and later products with them slower still.
template <class T>
inline T exp(T x) {
  using F = Format<T>;
  using Word = typename F::Word;
  const Reduced<T> e = reduce(x);
  T y = std::bit_cast<T>(Word(std::bit_cast<Word>(1 + e.p) + (e.n << F::kMantissa)));
  y = x < F::kExpLow ? T(0) : y;
  return x <= F::kExpHigh ? y : x + std::numeric_limits<T>::infinity();
}

// With E = e^(2|x|) - 1: tanh|x| = E / (E + 2), where E keeps its relative accuracy down to x = 0.
template <class T>
inline T tanh(T x) {
  using F = Format<T>;
  using Word = typename F::Word;
  T a = std::fabs(x);
  a = a > F::kTanhHigh ? F::kTanhHigh : a;
  const Reduced<T> e = reduce(2 * a);
  const T scale = std::bit_cast<T>(Word((e.n + F::kBias) << F::kMantissa));
  const T E = std::fma(e.p, scale, scale - 1);
  return std::copysign(E / (E + 2), x);
}

template <class T>
inline T sigmoid(T x) {
  return 1 / (1 + exp(-x));
}

// (1 + tanh(u)) / 2 = sigmoid(2u), without the cancellation of the left side for negative u. kGelu1 = 2 sqrt(2/pi),
// kGelu3 = 0.044715 kGelu1. At x = -32 sigmoid(2u) is 0 in both formats, and nothing changes beyond.
inline constexpr double kGelu1 = 1.5957691216057307117597842397375;
inline constexpr double kGelu3 = 0.044715 * kGelu1;

template <class T>
inline T gelu(T x) {
  const T y = x < -32 ? T(-32) : x;  // else -inf would become -inf * 0
  const T v = y * std::fma(y * y, T(kGelu3), T(kGelu1));
  return y * sigmoid(v);
}

// sigmoid(v) + x v' sigmoid(v) sigmoid(-v). From e^-|v| both sigmoids come without cancellation.
template <class T>
inline T gelu_derivative(T x) {
  T y = x < -32 ? T(-32) : x;  // else inf * 0
  y = y > 32 ? T(32) : y;
  const T square = y * y;
  const T v = y * std::fma(square, T(kGelu3), T(kGelu1));
  const T dv = std::fma(square, T(3 * kGelu3), T(kGelu1));
  const T e = exp(-std::fabs(v));
  const T t = 1 / (1 + e), et = e * t;
  return std::fma(y * dv, t * et, v < 0 ? et : t);
}

}  // namespace detail

// e^x for every x, to kExpUlp where e^x is a normal number: x in [-87.33, 88.72] (float), [-708.39, 709.78] (double).
// Below that range exactly 0 (results that would be subnormal are flushed), above it inf. exp(0) = 1, exp(-inf) = 0.
inline float exp(float x) { return detail::exp(x); }
inline double exp(double x) { return detail::exp(x); }

// tanh x for every x, to kTanhUlp, also relative to tiny results (tanh x = x for subnormal x). Odd, bit for bit;
// exactly +-1 where the exact value rounds to it (|x| > 9.02 and 19.1), signed zero kept.
inline float tanh(float x) { return detail::tanh(x); }
inline double tanh(double x) { return detail::tanh(x); }

// 1 / (1 + e^-x), to kSigmoidUlp for x >= -87.33 (-708.39), where the result is a normal number. Below that the
// result is subnormal, and 0 from x < -88.72 (-709.78) on. sigmoid(-inf) = 0, sigmoid(inf) = 1.
inline float sigmoid(float x) { return detail::sigmoid(x); }
inline double sigmoid(double x) { return detail::sigmoid(x); }

// x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, GPT-2's form of GELU, to kGeluUlp + kGeluTailUlp max(0, -v) ULP for
// x >= -10.05 (-21.22), where sigmoid(v) is a normal number; below, |gelu| < 2e-37 (1e-306), soon exactly -0.
// gelu(-inf) = -0, gelu(inf) = inf.
inline float gelu(float x) { return detail::gelu(x); }
inline double gelu(double x) { return detail::gelu(x); }

// d gelu / dx, to kGeluSlopeUlp + kGeluTailUlp max(0, -v) ULP of max(|result|, sigmoid(v)), because it
// crosses 0 near x = -0.75; for x as at gelu. Below, |result| < 5e-36 (1e-304). 0 at -inf, 1 at inf.
inline float gelu_derivative(float x) { return detail::gelu_derivative(x); }
inline double gelu_derivative(double x) { return detail::gelu_derivative(x); }

}  // namespace gradus::vmath
