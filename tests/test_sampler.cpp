// models/sampler.h: top-k and top-p of a large vocabulary, which a heap cuts, against a full sort.
// tests/test_families.cpp has small ones, and what a Sampler draws.
#include "models/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/rng.h"

namespace {

using namespace gradus;

constexpr size_t kV = 5000;

// Logits in steps of `step`, so that many are equal; 0: all different.
std::vector<real> draw_logits(double step) {
  const Rng rng(11, Stream::kTest);
  std::vector<real> z;
  for (size_t v = 0; v < kV; ++v) {
    const double x = 3 * rng.normal(int64_t(v));
    z.push_back(real(step > 0 ? step * std::round(x / step) : x));
  }
  return z;
}

struct Cut {
  std::vector<double> p;
  bool is_close;  // a token more or less is a matter of rounding
};
// By the definition, from exp(log p) of all tokens.
Cut cut_by_sort(const std::vector<real>& z, const std::vector<double>& log_p, int64_t k, double top_p) {
  std::vector<size_t> order(kV);
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return z[a] > z[b]; });  // the lower id of equal ones first
  if (k > 0) order.resize(std::min(kV, size_t(k)));
  double all = 0, kept = 0;
  for (const size_t v : order) all += std::exp(log_p[v]);
  Cut cut{std::vector<double>(kV, 0.0), false};
  for (const size_t v : order) {
    if (kept > 0 && top_p < 1) {
      cut.is_close |= std::fabs(kept - top_p * all) < 1e-12;
      if (kept >= top_p * all) break;
    }
    kept += cut.p[v] = std::exp(log_p[v]);
  }
  for (double& x : cut.p) x /= kept;
  return cut;
}

TEST_SUITE_BEGIN("sampler");

TEST_CASE("top-k and top-p of 5,000 tokens keep what a full sort keeps, whatever is equal and whatever is cut twice") {
  int compared = 0;
  for (const double step : {0.0, 0.5, 4.0})
    for (const double temperature : {0.7, 1.0})
      for (const int64_t k : {0, 1, 7, 500, 4999, 5000, 5001, 100000})
        for (const double top_p : {1.0, 0.999999, 0.9, 0.3, 1e-9}) {
          INFO("logits in steps of ", step, ", temperature ", temperature, ", top-k ", k, ", top-p ", top_p);
          const std::vector<real> z = draw_logits(step);
          std::vector<double> log_p(kV), p(kV), of_all(kV);
          std::vector<int32_t> order(kV);
          sampling_distribution(z, {.temperature = temperature, .top_k = k, .top_p = top_p}, log_p, p, order);
          log_distribution(z, temperature, of_all);
          CHECK(log_p == of_all);
          const Cut wanted = cut_by_sort(z, log_p, k, top_p);
          if (wanted.is_close) continue;
          ++compared;
          size_t other = 0;
          double worst = 0;
          for (size_t v = 0; v < kV; ++v) {
            other += (p[v] > 0) != (wanted.p[v] > 0);
            if (wanted.p[v] > 0) worst = std::max(worst, std::fabs(p[v] / wanted.p[v] - 1));
          }
          CHECK(other == 0);
          CHECK(worst <= 1e-11);
        }
  CHECK(compared > 230);  // of 240
}

TEST_SUITE_END();

}  // namespace
