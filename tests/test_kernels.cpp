// engine/kernels.h: a softmax of a row that is no multiple of its lanes, against the exact quotients.
#include "engine/kernels.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "engine/rng.h"

namespace {

using namespace gradus;

constexpr real kInfinity = std::numeric_limits<real>::infinity();

struct Exact {
  std::vector<long double> p;
  long double log_sum;  // log Σ exp(z - max)
};
Exact softmax_of(const std::vector<real>& z) {
  const long double most = *std::ranges::max_element(z);
  Exact exact{{}, 0};
  for (const real x : z) exact.p.push_back(std::exp(static_cast<long double>(x) - most));
  long double total = 0;
  for (const long double e : exact.p) total += e;
  for (long double& e : exact.p) e /= total;
  exact.log_sum = std::log(total);
  return exact;
}

TEST_SUITE_BEGIN("kernels");

TEST_CASE("a softmax of every length up to four blocks of lanes is the exact quotients, and ends where it ends") {
  constexpr double kRound = 16 * double(std::numeric_limits<real>::epsilon());
  constexpr real kBehind = 77;
  const Rng rng(5, Stream::kTest);
  for (const double offset : {0.0, 80.0, -1000.0})
    for (int64_t n = 1; n <= 66; ++n)
      for (const bool excludes : {false, true}) {
        std::vector<real> z, p(size_t(n + 20), kBehind);
        for (int64_t i = 0; i < n; ++i) z.push_back(real(offset + 3 * rng.at(n).normal(i)));
        if (excludes && n > 1) z[size_t(n / 2)] = -kInfinity;
        const Exact wanted = softmax_of(z);
        const kernel::LogSum log_sum = kernel::softmax_row(n, z.data(), p.data());
        double worst = 0;  // relative error
        for (size_t i = 0; i < z.size(); ++i) {
          const double off = double(std::fabs(static_cast<long double>(p[i]) - wanted.p[i]));
          if (!(off <= worst * double(wanted.p[i]))) worst = off / double(wanted.p[i]);
        }
        INFO(n, " numbers at ", offset);
        CHECK(worst <= kRound);
        CHECK(log_sum.max == *std::ranges::max_element(z));
        CHECK(std::fabs(double(log_sum.log_sum()) - double(wanted.log_sum)) <= kRound);
        CHECK(std::ranges::all_of(std::span(p).subspan(size_t(n)), [](real x) { return x == kBehind; }));
        kernel::softmax_row(n, z.data(), z.data());  // in place
        CHECK(std::ranges::equal(z, std::span(p).first(size_t(n))));
      }
}

TEST_SUITE_END();

}  // namespace
