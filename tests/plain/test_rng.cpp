// engine/rng.h: known answers, coordinates that never collide, moments, chi-squared tests, the inverse CDF.
//
// Seeds are fixed, so a pass stays a pass. For another seed each statistical check below would fail with probability of
// at most 1e-5 (4.5 standard deviations, two-sided), all of them together (about 250) with at most 0.3 percent.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/rng.h"

namespace {

using namespace gradus;
using Block = std::array<uint32_t, 4>;

constexpr double kSigmas = 4.5;

// The mean of N samples with the given standard deviation lies within kSigmas of its expectation.
void check_mean(const char* what, double sum, int64_t N, double expected, double deviation) {
  INFO(what, ": mean ", sum / double(N), ", expected ", expected, ", N = ", N);
  CHECK(std::fabs(sum / double(N) - expected) < kSigmas * deviation / std::sqrt(double(N)));
}

// Pearson's chi-squared of counts against probabilities. Its cube root is nearly normal (Wilson and Hilferty, 1931).
void check_chi_squared(const char* what, const std::vector<int64_t>& count, const std::vector<double>& probability) {
  int64_t N = 0;
  for (int64_t c : count) N += c;
  double chi2 = 0;
  int cells = 0;
  for (size_t k = 0; k < count.size(); ++k) {
    const double expected = double(N) * probability[k];
    if (expected == 0) {
      CHECK(count[k] == 0);
      continue;
    }
    REQUIRE(expected > 20);
    chi2 += (double(count[k]) - expected) * (double(count[k]) - expected) / expected;
    ++cells;
  }
  const double df = cells - 1, z = (std::cbrt(chi2 / df) - (1 - 2 / (9 * df))) / std::sqrt(2 / (9 * df));
  INFO(what, ": chi2 = ", chi2, " for ", df, " degrees of freedom, z = ", z);
  CHECK(std::fabs(z) < kSigmas);  // too good a fit is a fault as well
}

}  // namespace

TEST_CASE("rng: Philox4x32-10 gives the known answers of Random123") {
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const uint32_t f = 0xffffffff;
  CHECK(philox4x32({f, f, f, f}, {f, f}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("rng: coordinates go to counter and key as documented") {
  const uint64_t seed = 0x0123456789abcdef;
  const Rng r = Rng(seed, Stream::kSample, 0xfedcba98).at(0x87654321, 0xabcdef);
  const Block b0 = philox4x32({0, 0x87654321, 0xfedcba98, 0x04abcdef}, {0x89abcdef, 0x01234567});
  const Block last = philox4x32({0xffffffff, 0x87654321, 0xfedcba98, 0x04abcdef}, {0x89abcdef, 0x01234567});
  for (int w = 0; w < 4; ++w) {
    CHECK(r.bits(w) == b0[size_t(w)]);
    CHECK(r.bits(Rng::kMaxWord - 4 + w) == last[size_t(w)]);
  }
  CHECK(r.uniform(0) == double((uint64_t(b0[1]) << 32 | b0[0]) >> 11) / 9007199254740992.0);
  CHECK(r.uniform(1) == double((uint64_t(b0[3]) << 32 | b0[2]) >> 11) / 9007199254740992.0);
  // Box-Muller: numbers 2k and 2k + 1 are a point at the angle of the second uniform of block k.
  const double x = r.normal(0), y = r.normal(1), angle = 6.283185307179586 * r.uniform(1);
  CHECK(std::fabs(x * x + y * y + 2 * std::log(r.uniform(0))) < 1e-12);
  CHECK(std::fabs(x * std::sin(angle) - y * std::cos(angle)) < 1e-12);
  CHECK(x * std::cos(angle) > 0);
  CHECK(r.below(1, int64_t(1) << 62) == int64_t((uint64_t(b0[3]) << 32 | b0[2]) >> 2));
  CHECK(r.at(5, 6).bits(9) == Rng(seed, Stream::kSample, 0xfedcba98).at(5, 6).bits(9));  // at() does not nest
  CHECK(Rng(seed, Stream::kInit).bits(3) == Rng(seed, Stream::kInit, 0).at(0, 0).bits(3));
}

TEST_CASE("rng: distinct coordinates give distinct blocks") {
  std::set<Block> seen;
  int64_t made = 0;
  for (uint64_t seed : {uint64_t(0), uint64_t(1), uint64_t(1) << 32, ~uint64_t(0)})
    for (Stream stream : {Stream::kInit, Stream::kBatch, Stream::kDropout, Stream::kTest, Stream(255)})
      for (int64_t step : {int64_t(0), int64_t(1), int64_t(255), int64_t(1) << 24, Rng::kMaxStep - 1})
        for (int64_t a : {int64_t(0), int64_t(1), int64_t(255), int64_t(1) << 24, Rng::kMaxA - 1})
          for (int64_t b : {int64_t(0), int64_t(1), int64_t(255), int64_t(1) << 16, Rng::kMaxB - 1})
            for (int64_t word : {int64_t(0), int64_t(4), int64_t(1) << 26, Rng::kMaxWord - 4}) {
              const Rng r = Rng(seed, stream, step).at(a, b);
              Block block;
              r.fill_bits(block.data(), 4, word);
              seen.insert(block);
              ++made;
            }
  CHECK(int64_t(seen.size()) == made);
}

TEST_CASE("rng: an index or coordinate out of range throws and names it") {
  const Rng r(1, Stream::kTest);
  CHECK_THROWS_AS(Rng(1, Stream::kTest, -1), ShapeError);
  CHECK_THROWS_AS(Rng(1, Stream::kTest, Rng::kMaxStep), ShapeError);
  CHECK_THROWS_AS(r.at(-1), ShapeError);
  CHECK_THROWS_AS(r.at(Rng::kMaxA), ShapeError);
  CHECK_THROWS_AS(r.at(0, -1), ShapeError);
  CHECK_THROWS_AS(r.at(0, Rng::kMaxB), ShapeError);
  CHECK_THROWS_AS(r.bits(-1), ShapeError);
  CHECK_THROWS_AS(r.bits(Rng::kMaxWord), ShapeError);
  CHECK_THROWS_AS(r.uniform(Rng::kMaxWord / 2), ShapeError);
  CHECK_THROWS_AS(r.normal(-1), ShapeError);
  CHECK_THROWS_AS(r.below(0, 0), ShapeError);
  CHECK_THROWS_AS(r.below(-1, 5), ShapeError);
  uint32_t word = 0;
  CHECK_THROWS_AS(r.fill_bits(&word, -1), ShapeError);
  CHECK_THROWS_AS(r.fill_bits(&word, 1, Rng::kMaxWord), ShapeError);
  CHECK_THROWS_AS(r.fill_bits(&word, 1, -1), ShapeError);
  for (double p : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()}) CHECK_THROWS_AS(Rng::threshold(p), ShapeError);
  std::string message;
  const int line = __LINE__ + 2;
  try {
    r.at(7, Rng::kMaxB);
  } catch (const ShapeError& e) {
    message = e.what();
  }
  CHECK(message.find("Rng::at: b is 16777216, must be at least 0 and below 16777216") != std::string::npos);
  CHECK(message.find("test_rng.cpp:" + std::to_string(line)) != std::string::npos);
}

TEST_CASE("rng: fill_bits is bits() one by one, whatever n and first") {
  const Rng r = Rng(99, Stream::kDropout, 12).at(34, 5);
  std::vector<uint32_t> out(400);
  for (int64_t first : {int64_t(0), int64_t(1), int64_t(2), int64_t(3), int64_t(62), (int64_t(1) << 32) - 5})
    for (int64_t n : {0, 1, 2, 3, 4, 5, 15, 16, 63, 64, 65, 130, 331}) {
      std::fill(out.begin(), out.end(), 0xdeadbeef);
      r.fill_bits(out.data() + 1, n, first);
      CHECK(out[0] == 0xdeadbeef);
      CHECK(out[size_t(n) + 1] == 0xdeadbeef);
      int64_t wrong = 0;
      for (int64_t j = 0; j < n; ++j) wrong += out[size_t(j) + 1] != r.bits(first + j);
      INFO("n = ", n, ", first = ", first);
      CHECK(wrong == 0);
    }
  r.fill_bits(out.data(), 7, Rng::kMaxWord - 7);
  CHECK(out[6] == r.bits(Rng::kMaxWord - 1));
}

TEST_CASE("rng: words are fair bit by bit, and neighbours in every coordinate are unrelated") {
  const int64_t N = 1 << 15;
  const Rng base = Rng(7, Stream::kTest, 3).at(11, 13);
  const Rng neighbours[] = {Rng(8, Stream::kTest, 3).at(11, 13), Rng(7, Stream::kPrompt, 3).at(11, 13),
                            Rng(7, Stream::kTest, 4).at(11, 13), Rng(7, Stream::kTest, 3).at(12, 13),
                            Rng(7, Stream::kTest, 3).at(11, 14), Rng(7, Stream::kTest, 3).at(13, 11)};
  std::vector<uint32_t> x(size_t(N) + 1), y(static_cast<size_t>(N));
  base.fill_bits(x.data(), N + 1);
  const auto check_bits = [&](const char* what, const auto& word) {
    for (int bit = 0; bit < 32; ++bit) {
      double ones = 0;
      for (size_t j = 0; j < size_t(N); ++j) ones += word(j) >> bit & 1;
      check_mean(what, ones, N, 0.5, 0.5);
    }
  };
  check_bits("one stream", [&](size_t j) { return x[j]; });
  check_bits("lag 1", [&](size_t j) { return x[j] ^ x[j + 1]; });
  for (const Rng& other : neighbours) {
    other.fill_bits(y.data(), N);
    check_bits("neighbours", [&](size_t j) { return x[j] ^ y[j]; });
  }
}

TEST_CASE("rng: moments of uniform and normal") {
  const int64_t N = 100000;
  const Rng r(2024, Stream::kTest, 1), q(2024, Stream::kTest, 2);
  double u1 = 0, u2 = 0, lag = 0, low = 1, high = 0, n1 = 0, n2 = 0, n3 = 0, n4 = 0, pair = 0, tails = 0;
  for (int64_t i = 0; i < N; ++i) {
    const double u = r.uniform(i), z = q.normal(i);
    low = std::min(low, u), high = std::max(high, u);
    u1 += u, u2 += u * u, lag += (u - 0.5) * (r.uniform(i + 1) - 0.5);
    n1 += z, n2 += z * z, n3 += z * z * z, n4 += z * z * z * z;
    if (i % 2 == 0) pair += z * z * q.normal(i + 1) * q.normal(i + 1);  // squares too are independent in a pair
    tails += std::fabs(z) > 2.5758293035489004;                         // one in a hundred
  }
  CHECK(low >= 0);
  CHECK(high < 1);
  check_mean("uniform", u1, N, 0.5, std::sqrt(1 / 12.0));
  check_mean("uniform^2", u2, N, 1 / 3.0, std::sqrt(4 / 45.0));
  check_mean("uniform, lag 1", lag, N, 0, 1 / 12.0);
  check_mean("normal", n1, N, 0, 1);
  check_mean("normal^2", n2, N, 1, std::sqrt(2.0));
  check_mean("normal^3", n3, N, 0, std::sqrt(15.0));
  check_mean("normal^4", n4, N, 3, std::sqrt(96.0));
  check_mean("normal^2 in pairs", pair, N / 2, 1, std::sqrt(8.0));
  check_mean("normal tails", tails, N, 0.01, std::sqrt(0.0099));
}

TEST_CASE("rng: uniform and normal fill their cells evenly") {
  const int64_t N = 100000;
  const Rng r(5, Stream::kTest);
  const int cells = 50;
  std::vector<int64_t> u(cells), z(cells);
  for (int64_t i = 0; i < N; ++i) {
    ++u[size_t(r.at(1).uniform(i) * cells)];
    const double cdf = 0.5 * std::erfc(-r.at(2).normal(i) / std::sqrt(2.0));
    ++z[size_t(std::min(cdf * cells, cells - 1.0))];
  }
  check_chi_squared("uniform", u, std::vector<double>(cells, 1.0 / cells));
  check_chi_squared("normal", z, std::vector<double>(cells, 1.0 / cells));
}

TEST_CASE("rng: below is even, and stays below") {
  const Rng r(17, Stream::kTest);
  for (int64_t n : {int64_t(2), int64_t(3), int64_t(7), int64_t(65), int64_t(1000)}) {
    const int64_t N = 60 * n + 10000;
    std::vector<int64_t> count(static_cast<size_t>(n));
    for (int64_t i = 0; i < N; ++i) {
      const int64_t k = r.at(n).below(i, n);
      REQUIRE(k >= 0);
      REQUIRE(k < n);
      ++count[size_t(k)];
    }
    check_chi_squared("below", count, std::vector<double>(size_t(n), 1.0 / double(n)));
  }
  const int64_t most = std::numeric_limits<int64_t>::max();
  double sum = 0;
  for (int64_t i = 0; i < 20000; ++i) {
    CHECK(r.below(i, 1) == 0);
    const int64_t k = r.below(i, most);
    REQUIRE(k >= 0);
    REQUIRE(k < most);
    sum += double(k) / double(most);
  }
  check_mean("below 2^63 - 1", sum, 20000, 0.5, std::sqrt(1 / 12.0));
}

TEST_CASE("rng: threshold keeps the share that it promises") {
  CHECK(Rng::threshold(0) == 0);
  CHECK(Rng::threshold(0.5) == 0x80000000);
  CHECK(Rng::threshold(std::nextafter(1.0, 0.0)) == 0xffffffff);
  const int64_t N = 100000;
  std::vector<uint32_t> w(static_cast<size_t>(N));
  Rng(3, Stream::kTest).fill_bits(w.data(), N);
  const uint32_t t = Rng::threshold(0.1);
  double dropped = 0;
  for (uint32_t x : w) dropped += x < t;
  check_mean("dropped", dropped, N, 0.1, 0.3);
}

TEST_CASE("rng: categorical inverts the cumulative distribution") {
  const double w[] = {0, 0.25, 0, 0.5, 0.25, 0, 0};
  const double below_one = std::nextafter(1.0, 0.0);
  CHECK(categorical(w, 0) == 1);
  CHECK(categorical(w, std::nextafter(0.25, 0.0)) == 1);
  CHECK(categorical(w, 0.25) == 3);
  CHECK(categorical(w, 0.5) == 3);
  CHECK(categorical(w, 0.75) == 4);
  CHECK(categorical(w, below_one) == 4);
  CHECK(categorical(w, 1) == 4);
  // Weights that sum to something else, and sums that rounding leaves short of it.
  const double scaled[] = {0, 25, 0, 50, 25, 0, 0};
  for (int k = 0; k < 1000; ++k) CHECK(categorical(scaled, k / 1000.0) == categorical(w, k / 1000.0));
  const Rng r(23, Stream::kTest);
  for (int64_t trial = 0; trial < 300; ++trial) {
    std::vector<double> v(40);
    const double scale = std::exp(20 * r.at(trial).normal(1000));
    for (size_t k = 0; k < v.size(); ++k) v[k] = k % 3 == 1 && k < 35 ? scale * r.at(trial).uniform(int64_t(k)) : 0;
    for (double u : {0.0, 5e-324, 0.3, 0.999999, below_one, 1.0}) {
      const int64_t k = categorical(v, u);
      REQUIRE(k >= 0);
      REQUIRE(k < 40);
      CHECK(v[size_t(k)] > 0);
    }
  }
  const double one[] = {3.0}, tiny[] = {0, 5e-324, 0};
  CHECK(categorical(one, below_one) == 0);
  CHECK(categorical(tiny, below_one) == 1);

  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const std::vector<double>& bad :
       {std::vector<double>{}, {0, 0}, {0.5, nan}, {0.5, -0.1, 0.6}, {inf, 1}, {1e308, 1e308}})
    CHECK_THROWS_AS(categorical(bad, 0.5), DivergedError);
}

TEST_CASE("rng: categorical draws in proportion") {
  const std::vector<double> p = {0.02, 0, 0.3, 0.18, 0.001, 0.499};
  const Rng r(31, Stream::kSample, 8);
  std::vector<int64_t> count(p.size());
  for (int64_t i = 0; i < 60000; ++i) ++count[size_t(categorical(p, r.at(i).uniform(0)))];
  check_chi_squared("categorical", count, p);
}
