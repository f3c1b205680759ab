// rl/tables/estimators.h: means and variances by definition, and what each estimate of a KL descends as a loss.
#include <doctest/doctest.h>

#include <cmath>

#include "apps/kl/worked_example.h"
#include "rl/tables/estimators.h"
#include "tests/near.h"
#include "tests/random_table.h"

namespace {

using namespace gradus;
using testing::normals;
using testing::random_table;

// The mean of s(x) f(x) and the trace of its covariance, term by term as defined.
Moments by_definition(const Table& pi, const Table& sampler, const std::vector<double>& f) {
  const size_t n = pi.size();
  Moments m{std::vector<double>(n), std::vector<double>(n)};
  for (size_t j = 0; j < n; ++j) {
    for (size_t x = 0; x < n; ++x) m.mean[j] += sampler.p[x] * f[x] * ((x == j) - pi.p[j]);
    for (size_t x = 0; x < n; ++x) m.variance[j] += sampler.p[x] * std::pow(f[x] * ((x == j) - pi.p[j]) - m.mean[j], 2);
  }
  return m;
}

}  // namespace

TEST_SUITE("estimators") {
  TEST_CASE("estimators: mean and variance of s·f by definition, and the best constants are the lowest points") {
    for (int64_t trial = 0; trial < 20; ++trial) {
      const size_t n = size_t(2 + trial % 7);
      const Table pi = random_table(1100 + trial, n), sampler = random_table(1130 + trial, n);
      const std::vector<double> f = normals(1160 + trial, n);
      for (const Table& from : {pi, sampler}) {
        const Moments got = score_moments(pi, from, f), wanted = by_definition(pi, from, f);
        CHECK(near(got.mean, wanted.mean, 1) <= 1e-13);
        CHECK(near(got.variance, wanted.variance, 1) <= 1e-13);
      }
      CHECK(near(score_moments(pi, pi, f).mean, score_gradient(pi, f), 1) <= 1e-14);
      const auto shifted = [&](double c) {
        std::vector<double> g = f;
        for (double& x : g) x += c;
        return score_moments(pi, pi, g);
      };
      const double c = best_constant(pi, f), v = shifted(c).total_variance();
      CHECK(v < shifted(c + 0.01).total_variance());
      CHECK(v < shifted(c - 0.01).total_variance());
      CHECK(near(shifted(c).mean, shifted(0).mean, 1) <= 1e-13);  // the mean does not depend on it
      for (size_t j = 0; j < n; ++j) {
        const double cj = best_constants(pi, f)[j];
        CHECK(shifted(cj).variance[j] <= shifted(cj + 0.01).variance[j]);
        CHECK(shifted(cj).variance[j] <= shifted(cj - 0.01).variance[j]);
      }
    }
    CHECK(best_constants(Table::of({1, 0}), std::vector{2.0, 3.0}) == std::vector<double>{0, 0});
  }

  TEST_CASE("estimators: k1, k2 and k3 as losses descend nothing, KL(π‖q) and KL(q‖π)") {
    for (int64_t trial = 0; trial < 20; ++trial) {
      const Table pi = random_table(1200 + trial, 8), q = random_table(1230 + trial, 8);
      const std::vector<double> u = log_ratios(pi, q);
      std::vector<double> value[3], slope[3];
      for (int k = 0; k < 3; ++k)
        for (double x : u) {
          value[k].push_back(kl_estimate(KlEstimate(k), x));
          slope[k].push_back(kl_estimate_slope(KlEstimate(k), x));
          constexpr double h = 1e-5;
          CHECK(std::fabs((kl_estimate(KlEstimate(k), x + h) - kl_estimate(KlEstimate(k), x - h)) / (2 * h) -
                          slope[k].back()) <= 1e-7 * std::exp(std::fabs(x)));
        }
      const std::vector<double> forward = f_gradient(divergence_named("forward-kl"), pi, q),
                                reverse = f_gradient(divergence_named("reverse-kl"), pi, q);
      CHECK(near(score_gradient(pi, slope[0]), std::vector<double>(8, 0.0), 1) <= 1e-15);
      CHECK(near(score_gradient(pi, slope[1]), reverse, 1) <= 1e-14);
      CHECK(near(score_gradient(pi, slope[2]), forward, 1) <= 1e-14);
      std::vector<double> difference = reverse;
      for (size_t j = 0; j < 8; ++j) difference[j] -= forward[j];
      CHECK(near(score_gradient(pi, value[2]), difference, 1) <= 1e-13);
      CHECK(near(pi.mean(value[0]), kl(pi, q)) <= 1e-13);
      CHECK(near(pi.mean(value[2]), kl(pi, q)) <= 1e-13);
      for (double x : value[2]) CHECK(x >= 0);
    }
  }

  TEST_CASE("estimators: importance weights") {
    CHECK(effective_sample_size(std::vector{2.0, 2.0, 2.0}) == 3);
    CHECK(effective_sample_size(std::vector{5.0, 0.0, 0.0}) == 1);
    CHECK(effective_sample_size(std::vector{0.0, 0.0}) == 0);
    CHECK(near(effective_sample_size(std::vector{1.0, 3.0}), 1.6) <= 1e-15);
    CHECK(self_normalised_mean(std::vector{1.0, 3.0}, std::vector{4.0, 8.0}) == 7);
    // The bias falls as 1/N: N times it settles.
    const WorkedNumbers n = worked_numbers();
    const auto bias = [&](int draws) { return n.one(text("importance.self_normalised.", draws)) - 0.6; };
    CHECK(std::fabs(bias(32)) < std::fabs(bias(16)) / 1.8);
    CHECK(std::fabs(bias(32)) > std::fabs(bias(16)) / 2.2);
  }

  TEST_CASE("estimators: advantages of groups and along a sequence") {
    CHECK(near(leave_one_out_advantages(std::vector{1.0, 2.0, 6.0}), std::vector{-3.0, -1.5, 4.5}) <= 1e-15);
    CHECK(near(normalised_advantages(std::vector{1.0, 2.0, 3.0}), std::vector{-1.0, 0.0, 1.0}) <= 1e-15);
    CHECK(normalised_advantages(std::vector{0.1, 0.1, 0.1}) == std::vector<double>{0, 0, 0});
    CHECK(leave_one_out_advantages(std::vector{0.5, 0.5}) == std::vector<double>{0, 0});
    CHECK_THROWS_AS(leave_one_out_advantages(std::vector{1.0}), ShapeError);
    CHECK_THROWS_AS(normalised_advantages(std::vector{1.0}), ShapeError);
    // λ = 1 is return minus value, λ = 0 the one-step error.
    const std::vector<double> r{1, 2, 3}, v{0.5, 0.25, 0.125};
    CHECK(near(generalised_advantages(r, v, 1, 1), std::vector{5.5, 4.75, 2.875}) <= 1e-15);
    CHECK(near(generalised_advantages(r, v, 0.5, 0), std::vector{1 + 0.125 - 0.5, 2 + 0.0625 - 0.25, 2.875}) <= 1e-15);
    CHECK_THROWS_AS(generalised_advantages(r, std::vector{1.0}, 1, 1), ShapeError);
  }
}
