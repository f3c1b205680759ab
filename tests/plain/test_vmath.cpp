// engine/vmath.h: error bounds over dense sweeps, special values, and equal bits alone and in a vectorised loop.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "engine/vmath.h"

namespace {

using namespace gradus;

#ifdef __OPTIMIZE__
constexpr uint64_t kStride = 1511;  // every kStride-th float of all 2^32
constexpr int kPoints = 60000;      // doubles in each range
#else
constexpr uint64_t kStride = 20011;
constexpr int kPoints = 4000;
#endif

// The number in which float is referred to double, and double to the 64-bit mantissa of long double.
template <class T>
using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;

template <class W>
W true_sigmoid(W x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
template <class W>
W gelu_v(W x) {
  return W(1.5957691216057307117597842397375L) * (x + W(0.044715L) * x * x * x);
}
template <class W>
W true_gelu(W x) {
  return x * true_sigmoid(gelu_v(x));
}
template <class W>
W true_slope(W x) {
  const W v = gelu_v(x), dv = W(1.5957691216057307117597842397375L) * (1 + 3 * W(0.044715L) * x * x);
  return true_sigmoid(v) + x * dv * true_sigmoid(v) * true_sigmoid(-v);
}

// The spacing of T's numbers at |x|; of the subnormal ones if x is subnormal.
template <class T, class W>
double ulp(W x) {
  using L = std::numeric_limits<T>;
  return std::ldexp(1.0, std::max(std::ilogb(x), L::min_exponent - 1) - (L::digits - 1));
}

struct Worst {
  double excess = -1e300, at = 0;  // error less bound, in ULP
  int64_t count = 0;
  void add(double error, double bound, double x) {
    ++count;
    const double e = error - bound;
    if (!std::isnan(excess) && !(e <= excess)) excess = e, at = x;  // a NaN error stays
  }
};

template <class T>
struct Sweep {
  Worst exp, tanh, sigmoid, gelu, slope;

  static bool normal(Wide<T> y) {
    const auto a = std::fabs(y);
    return a >= std::numeric_limits<T>::min() && a <= std::numeric_limits<T>::max();
  }
  static double error(T got, Wide<T> want, double spacing) { return std::fabs(double(got - want)) / spacing; }

  void point(T x) {
    if (!std::isfinite(x)) return;
    using W = Wide<T>;
    const W wide = x;
    if (const W y = std::exp(wide); normal(y)) exp.add(error(vmath::exp(x), y, ulp<T>(y)), vmath::kExpUlp, double(x));
    if (const W y = std::tanh(wide); x != 0) tanh.add(error(vmath::tanh(x), y, ulp<T>(y)), vmath::kTanhUlp, double(x));
    if (const W y = true_sigmoid(wide); normal(y))
      sigmoid.add(error(vmath::sigmoid(x), y, ulp<T>(y)), vmath::kSigmoidUlp, double(x));
    if (!(std::fabs(wide) < 1e6)) return;
    const W v = gelu_v(wide), s = true_sigmoid(v);
    if (!normal(s)) return;
    const double tail = vmath::kGeluTailUlp * std::max(0.0, -double(v));
    if (const W y = true_gelu(wide); normal(y))
      gelu.add(error(vmath::gelu(x), y, ulp<T>(y)), vmath::kGeluUlp + tail, double(x));
    const W y = true_slope(wide);
    slope.add(error(vmath::gelu_derivative(x), y, ulp<T>(std::max(std::fabs(y), s))), vmath::kGeluSlopeUlp + tail,
              double(x));
  }

  void check(int64_t least) const {
    const struct {
      const char* name;
      const Worst& worst;
    } rows[] = {{"exp", exp}, {"tanh", tanh}, {"sigmoid", sigmoid}, {"gelu", gelu}, {"gelu_derivative", slope}};
    for (const auto& row : rows) {
      INFO(row.name, ": worst at x = ", row.worst.at, ", ", row.worst.excess, " ULP over its bound");
      CHECK(row.worst.excess <= 0);
      CHECK(row.worst.count >= least);
    }
  }
};

// Seven ranges, then the breakpoints of the reduction, powers of two and the ends of the format.
void sweep_doubles(Sweep<double>& s) {
  const double ranges[][2] = {{-709, 710}, {-40, 40}, {-22, 6}, {-3, 3}, {-0.36, 0.36}, {-1e-3, 1e-3}, {-1e-9, 1e-9}};
  uint64_t h = 1;
  for (const auto& r : ranges)
    for (int k = 0; k < kPoints; ++k) {
      h = h * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator, to fill the low bits
      s.point(r[0] + (r[1] - r[0]) * ((k + double(h >> 11) * 0x1p-53) / kPoints));
    }
  for (int n = -1022; n <= 1024; ++n) {
    const double edge = (n + 0.5) * 0.69314718055994530942;
    for (double x : {std::nextafter(edge, -1e9), edge, std::nextafter(edge, 1e9)}) s.point(x);
    s.point(std::ldexp(1.0, std::min(n, 1023)));
    s.point(-std::ldexp(1.0, std::min(n, 1023)));
  }
  for (double x : {5e-324, 1e-310, 2.2250738585072014e-308, 1.7976931348623157e308}) s.point(x), s.point(-x);
}

template <class T>
bool same(T a, T b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

template <class T>
void check_special_values(T exp_low, T exp_high, T tanh_one) {
  using L = std::numeric_limits<T>;
  const T inf = L::infinity(), huge = L::max(), tiny = L::denorm_min();
  const auto next = [](T x, T to) { return std::nextafter(x, to); };

  CHECK(same(vmath::exp(T(0)), T(1)));
  CHECK(same(vmath::exp(T(-0.0)), T(1)));
  CHECK(same(vmath::exp(tiny), T(1)));
  CHECK(same(vmath::exp(-inf), T(0)));
  CHECK(same(vmath::exp(-huge), T(0)));
  CHECK(vmath::exp(inf) == inf);
  CHECK(vmath::exp(huge) == inf);
  CHECK(vmath::exp(exp_high) < inf);
  CHECK(vmath::exp(next(exp_high, inf)) == inf);
  CHECK(vmath::exp(exp_low) > L::min() / 2);
  CHECK(same(vmath::exp(next(exp_low, -inf)), T(0)));
  // Nothing leaks from outside the range: every binade, both signs.
  for (int e = 10; e < L::max_exponent; ++e)
    for (T m : {T(1), T(1.3), T(1.7)}) {
      CHECK(vmath::exp(std::ldexp(m, e)) == inf);
      CHECK(same(vmath::exp(-std::ldexp(m, e)), T(0)));
    }

  CHECK(same(vmath::tanh(T(0)), T(0)));
  CHECK(same(vmath::tanh(T(-0.0)), T(-0.0)));
  CHECK(same(vmath::tanh(tiny), tiny));
  CHECK(same(vmath::tanh(L::min() / 4), L::min() / 4));
  for (T x : {tanh_one, T(25), huge, inf}) {
    CHECK(same(vmath::tanh(x), T(1)));
    CHECK(same(vmath::tanh(-x), T(-1)));
  }
  for (int k = 0; k < 3000; ++k) {
    const T x = T(k) * T(0.00733) + T(1e-4);
    CHECK_MESSAGE(same(vmath::tanh(-x), -vmath::tanh(x)), x);
    CHECK_MESSAGE(vmath::tanh(x) <= 1, x);
  }

  CHECK(same(vmath::sigmoid(T(0)), T(0.5)));
  CHECK(same(vmath::sigmoid(-inf), T(0)));
  CHECK(same(vmath::sigmoid(-huge), T(0)));
  CHECK(same(vmath::sigmoid(inf), T(1)));
  CHECK(same(vmath::sigmoid(huge), T(1)));

  CHECK(same(vmath::gelu(T(0)), T(0)));
  CHECK(vmath::gelu(inf) == inf);
  CHECK(same(vmath::gelu(-inf), T(-0.0)));
  CHECK(same(vmath::gelu(-huge), T(-0.0)));
  CHECK(same(vmath::gelu(T(1000)), T(1000)));
  CHECK(same(vmath::gelu_derivative(T(0)), T(0.5)));
  CHECK(vmath::gelu_derivative(inf) == 1);
  CHECK(vmath::gelu_derivative(huge) == 1);
  CHECK(vmath::gelu_derivative(-inf) == 0);
  CHECK(vmath::gelu_derivative(-huge) == 0);
  for (T x = -40; x < T(sizeof(T) == 4 ? -10.05 : -21.22); x += T(0.003)) {
    CHECK(std::fabs(vmath::gelu(x)) < (sizeof(T) == 4 ? 2e-37 : 1e-306));
    CHECK(std::fabs(vmath::gelu_derivative(x)) < (sizeof(T) == 4 ? 5e-36 : 1e-304));
  }

  using Word = typename vmath::detail::Format<T>::Word;
  const Word quiet = std::bit_cast<Word>(L::quiet_NaN());
  for (Word payload : {Word(0), Word(1), Word(2), Word(255), Word(256), Word(0x12345), quiet})
    for (Word sign : {Word(0), Word(Word(1) << (8 * sizeof(T) - 1))}) {
      const T nan = std::bit_cast<T>(Word(quiet | payload | sign));
      CHECK(std::isnan(vmath::exp(nan)));
      CHECK(std::isnan(vmath::tanh(nan)));
      CHECK(std::isnan(vmath::sigmoid(nan)));
      CHECK(std::isnan(vmath::gelu(nan)));
      CHECK(std::isnan(vmath::gelu_derivative(nan)));
    }
}

// The same function alone (a call the compiler cannot see into) and in a loop that it vectorises.
#define GRADUS_TEST_PAIR(name)                                      \
  template <class T>                                                \
  [[gnu::noinline]] T name##_alone(T x) {                           \
    return vmath::name(x);                                          \
  }                                                                 \
  template <class T>                                                \
  [[gnu::noinline]] void name##_loop(const T* x, T* y, int64_t N) { \
    for (int64_t i = 0; i < N; ++i) y[i] = vmath::name(x[i]);       \
  }
GRADUS_TEST_PAIR(exp)
GRADUS_TEST_PAIR(tanh)
GRADUS_TEST_PAIR(sigmoid)
GRADUS_TEST_PAIR(gelu)
GRADUS_TEST_PAIR(gelu_derivative)
#undef GRADUS_TEST_PAIR

template <class T>
void check_same_bits(const char* name, T (*alone)(T), void (*loop)(const T*, T*, int64_t)) {
  using L = std::numeric_limits<T>;
  std::vector<T> x;
  for (int k = 0; k < 600; ++k) x.push_back(T((k * 37 % 600 - 300) * 0.317) * (k % 5 ? T(1) : T(0.01)));
  const T special[] = {T(0), T(-0.0), L::infinity(), -L::infinity(), L::max(), L::denorm_min(), L::min(), T(-87.34)};
  for (size_t k = 0; k < std::size(special); ++k) x[k * 71 + 3] = special[k];

  std::vector<T> y(x.size() + 1);
  for (int64_t offset : {0, 1, 3, 8, 13})
    for (int64_t N : {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100, 587}) {
      std::fill(y.begin(), y.end(), T(-77));
      loop(x.data() + offset, y.data(), N);
      for (int64_t i = 0; i < N; ++i) {
        INFO(name, "(", x[size_t(offset + i)], "), offset ", offset, ", element ", i, " of ", N);
        REQUIRE(same(y[size_t(i)], alone(x[size_t(offset + i)])));
      }
      CHECK(y[size_t(N)] == T(-77));
    }
}

template <class T>
void check_all_same_bits() {
  check_same_bits<T>("exp", exp_alone<T>, exp_loop<T>);
  check_same_bits<T>("tanh", tanh_alone<T>, tanh_loop<T>);
  check_same_bits<T>("sigmoid", sigmoid_alone<T>, sigmoid_loop<T>);
  check_same_bits<T>("gelu", gelu_alone<T>, gelu_loop<T>);
  check_same_bits<T>("gelu_derivative", gelu_derivative_alone<T>, gelu_derivative_loop<T>);
}

// FNV-1a over the bits of all five functions at fixed arguments.
template <class T>
uint64_t bits_hash() {
  uint64_t h = 14695981039346656037u;
  for (int k = -3000; k <= 3000; ++k) {
    const T x = T(k) * T(0.03125) * (k % 3 ? T(1) : T(0.0123));
    for (T y : {vmath::exp(x), vmath::tanh(x), vmath::sigmoid(x), vmath::gelu(x), vmath::gelu_derivative(x)})
      h = (h ^ uint64_t(std::bit_cast<typename vmath::detail::Format<T>::Word>(y))) * 1099511628211u;
  }
  return h;
}

}  // namespace

TEST_CASE("vmath: float within the bounds of the header") {
  Sweep<float> s;
  for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += kStride) s.point(std::bit_cast<float>(uint32_t(bits)));
  for (int n = -126; n <= 128; ++n)
    for (int step = -2; step <= 2; ++step)  // where the reduction goes from one n to the next
      s.point(std::bit_cast<float>(std::bit_cast<uint32_t>(float((n + 0.5) * 0.6931471805599453)) + uint32_t(step)));
  for (int k = 0; k < int(kPoints); ++k) s.point(-105 + 195 * (float(k) / float(kPoints)));
  s.check(10000);
}

TEST_CASE("vmath: double within the bounds of the header") {
  Sweep<double> s;
  sweep_doubles(s);
  s.check(10000);
}

TEST_CASE("vmath: infinities, NaN, zeros and the ends of the ranges") {
  check_special_values<float>(-0x1.5d589ep+6f, 0x1.62e42ep+6f, 9.02f);
  check_special_values<double>(-0x1.6232bdd7abcd2p+9, 0x1.62e42fefa39efp+9, 19.1);
}

TEST_CASE("vmath: a number has the same bits alone and in a vectorised loop") {
  check_all_same_bits<float>();
  check_all_same_bits<double>();
}

TEST_CASE("vmath: the same bits from every compiler and level") {
  CHECK(bits_hash<float>() == 3024633992717327948u);
  CHECK(bits_hash<double>() == 16140594631679071615u);
}
