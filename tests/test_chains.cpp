// Markov chains over parameters (models/posterior/chains.h): HMC and SGLD on distributions that are known, and what
// chains say of themselves. Seeds are fixed; a bound of 4 standard errors is missed by chance once in 16,000.
#include <array>
#include <cmath>
#include <numeric>

#include "models/posterior/chains.h"
#include "models/posterior/diagnostics.h"
#include "tests/scratch.h"

using namespace gradus;

TEST_SUITE_BEGIN("chains");

namespace {

// U = q⁴/4 + q²/2 in each of two dimensions: not Gaussian, so leapfrog does not keep its energy.
double quartic(std::span<const double> q, std::span<double> gradient) {
  double U = 0;
  for (size_t i = 0; i < q.size(); ++i) {
    U += std::pow(q[i], 4) / 4 + q[i] * q[i] / 2;
    gradient[i] = std::pow(q[i], 3) + q[i];
  }
  return U;
}

// E[q²] of it by the trapezoid rule.
double second_moment() {
  double mass = 0, sum = 0;
  for (double x = -8; x <= 8; x += 1e-3) {
    const double f = std::exp(-std::pow(x, 4) / 4 - x * x / 2);
    mass += f, sum += f * x * x;
  }
  return sum / mass;
}

// How many standard errors the mean of q² is from the truth, over four chains; NaN where one of them got stuck.
double distance_of(const Potential& U, double step, int64_t leapfrog, int64_t steps) {
  std::vector<Trace> squares(4);
  for (size_t c = 0; c < squares.size(); ++c) {
    std::vector<double> q{double(c) - 1.5, 0.3};
    for (int64_t t = 1; t <= steps; ++t) {
      hmc_transition(U, q, step, leapfrog, Rng(c + 7, Stream::kPosterior, t));
      if (t > steps / 10) squares[c].push_back(q[0] * q[0]);
    }
  }
  double sum = 0, more = 0, n = 0;
  for (const Trace& trace : squares)
    for (const double x : trace) sum += x, more += x * x, ++n;
  const double mean = sum / n, deviation = std::sqrt(more / n - mean * mean);
  const double ess = effective_sample_size(squares);
  return ess > 0 ? std::fabs(mean - second_moment()) / (deviation / std::sqrt(ess)) : NAN;
}

}  // namespace

TEST_CASE("HMC has its distribution for every step size, and a wrong acceptance is caught by the same measure") {
  for (const double step : {0.2, 0.6, 0.9}) CHECK(distance_of(quartic, step, 5, 8000) < 4);
  // An energy that falls from call to call, whatever the state: all proposals are accepted, as if nobody had asked.
  double fallen = 0;
  const Potential unasked = [&](auto q, auto gradient) {
    quartic(q, gradient);
    return fallen -= 1e6;
  };
  CHECK(distance_of(quartic, 0.9, 1, 8000) < 4);
  CHECK_FALSE(distance_of(unasked, 0.9, 1, 8000) < 4);
  // And one that is half of what it should be.
  const Potential half = [](auto q, auto gradient) { return quartic(q, gradient) / 2; };
  CHECK_FALSE(distance_of(half, 0.9, 5, 8000) < 4);
}

TEST_CASE("detailed balance: of two sets each reaches the other as often, and has its part of the density") {
  double mass = 0, in_A = 0, in_C = 0;  // A = {|q| < 0.4}, C = {q > 0.8}
  for (double x = -8; x <= 8; x += 1e-4) {
    const double f = std::exp(-std::pow(x, 4) / 4 - x * x / 2);
    mass += f, in_A += std::fabs(x) < 0.4 ? f : 0, in_C += x > 0.8 ? f : 0;
  }
  // Standard errors between what a chain says and what is so: of the visits of A and of C, and of the crossings.
  const auto distances = [&](const Potential& U) {
    double there = 0, back = 0;
    Trace A, C;
    std::vector<double> q{0.1};
    for (int64_t t = 1; t <= 60000; ++t) {
      const double before = q[0];
      hmc_transition(U, q, 0.7, 2, Rng(3, Stream::kPosterior, t));
      A.push_back(std::fabs(q[0]) < 0.4);
      C.push_back(q[0] > 0.8);
      there += std::fabs(before) < 0.4 && q[0] > 0.8;
      back += before > 0.8 && std::fabs(q[0]) < 0.4;
    }
    CHECK(there > 1000);
    const auto of = [](const Trace& visits, double truth) {
      const double mean = std::accumulate(visits.begin(), visits.end(), 0.0) / double(visits.size());
      const std::vector<Trace> one{visits};
      return std::fabs(mean - truth) / std::sqrt(truth * (1 - truth) / effective_sample_size(one));
    };
    return std::array{of(A, in_A / mass), of(C, in_C / mass), std::fabs(there - back) / std::sqrt(there + back)};
  };
  for (const double distance : distances(quartic)) CHECK(distance < 4);
  const auto flat = distances([](auto q, auto gradient) {  // steps of the right force, accepted by half of the energy
    return quartic(q, gradient) / 2;
  });
  CHECK(flat[0] > 4);
  CHECK(flat[1] > 4);
}

TEST_CASE(
    "a trajectory is reversible: with the momentum turned round it returns, and its energy error vanishes as ε²") {
  double last = 0;
  for (const double step : {0.2, 0.1, 0.05}) {
    double worst = 0;
    for (int64_t t = 0; t < 50; ++t) {
      std::vector<double> q{0.7, -0.2};
      const Transition tr = hmc_transition(quartic, q, step, int64_t(std::lround(1 / step)), Rng(9, Stream::kTest, t));
      worst = std::max(worst, -std::log(tr.acceptance));
    }
    if (last > 0) CHECK(worst < last / 2.5);
    last = worst;
  }
}

TEST_CASE("an energy that is no number is never accepted") {
  const Potential broken = [](auto q, auto gradient) {
    std::ranges::fill(gradient, 1.0);
    return q[0] == 1 ? 0 : NAN;
  };
  std::vector<double> q{1};
  CHECK(hmc_transition(broken, q, 0.1, 3, Rng(1, Stream::kTest)).acceptance == 0);
  CHECK(q[0] == 1);
}

TEST_CASE("SGLD has the variance of its step, whose bias shrinks with it") {
  // On U = q²/2v the step is q ← (1 - ε/2v) q + √ε ξ, so the variance is v / (1 - ε/4v): not v.
  constexpr double v = 0.5;
  double last = INFINITY;
  for (const double step : {0.8, 0.4, 0.1}) {
    std::vector<Trace> squares(4);
    for (size_t c = 0; c < squares.size(); ++c) {
      std::vector<double> q{0};
      const Potential U = [](auto at, auto gradient) {
        gradient[0] = at[0] / v;
        return at[0] * at[0] / (2 * v);
      };
      for (int64_t t = 1; t <= 60000; ++t) {
        sgld_transition(U, q, step, Rng(c + 1, Stream::kPosterior, t));
        if (t > 1000) squares[c].push_back(q[0] * q[0]);
      }
    }
    double sum = 0, n = 0;
    for (const Trace& trace : squares)
      for (const double x : trace) sum += x, ++n;
    const double wanted = v / (1 - step / (4 * v)), error = wanted * std::sqrt(2 / effective_sample_size(squares));
    CHECK(std::fabs(sum / n - wanted) < 4 * error);
    CHECK(std::fabs(sum / n - v) < last);
    last = std::fabs(sum / n - v);
  }
  CHECK(last < 0.05 * v + 0.02);
}

TEST_CASE("R̂ and effective sample size: independent draws, a chain that remembers, chains that disagree") {
  const auto chain = [](uint64_t seed, double rho, double shift) {  // AR(1) of variance 1
    Trace x;
    double at = 0;
    for (int64_t t = 0; t < 4000; ++t) {
      const double noise = Rng(seed, Stream::kTest).normal(t);
      at = t == 0 ? noise : rho * at + std::sqrt(1 - rho * rho) * noise;
      x.push_back(at + shift);
    }
    return x;
  };
  const std::vector<Trace> independent{chain(1, 0, 0), chain(2, 0, 0), chain(3, 0, 0), chain(4, 0, 0)};
  CHECK(r_hat(independent) < 1.01);
  CHECK(std::fabs(effective_sample_size(independent) / 16000 - 1) < 0.1);
  const std::vector<Trace> slow{chain(1, .8, 0), chain(2, .8, 0), chain(3, .8, 0), chain(4, .8, 0)};
  CHECK(std::fabs(effective_sample_size(slow) / (16000 * (1 - .8) / (1 + .8)) - 1) < 0.2);
  const std::vector<Trace> apart{chain(1, 0, 0), chain(2, 0, 1)};
  CHECK(r_hat(apart) > 1.1);
  CHECK(effective_sample_size(apart) < 40);
  const std::vector<Trace> drifts{[&] {
    Trace x = chain(1, 0, 0);
    for (size_t t = 0; t < x.size(); ++t) x[t] += double(t) / 1000;
    return x;
  }()};
  CHECK(r_hat(drifts) > 1.5);  // which only its halves tell
  // By hand, from the formulas of the book: 4 halves of 6 steps, of which the lags 0 to 3 count.
  const std::vector<Trace> few{{1, 2.5, 2, 3.5, 3, 2, 1, 1.5, 0.5, 2, 2.5, 3},
                               {2, 1, 1.5, 2.5, 4, 3.5, 3, 2, 2.5, 1, 0, 1}};
  CHECK(std::fabs(r_hat(few) - 0.9985744825254635) < 1e-12);
  CHECK(std::fabs(effective_sample_size(few) - 15.387867258507713) < 1e-10);
  // And where a single correlation is below 0 and its pair is not, so the sum goes on.
  const std::vector<Trace> pairs{{2, 5, 5, 2, 3, 5, 2, 3, 3, 0, 0, 2, 3, 2, 3, 1},
                                 {2, 0, 2, 5, 4, 1, 4, 3, 0, 1, 0, 3, 1, 0, 5, 1}};
  CHECK(std::fabs(r_hat(pairs) - 1.1005472370510758) < 1e-12);
  CHECK(std::fabs(effective_sample_size(pairs) - 13.30350484712902) < 1e-10);
  // A chain that has not moved is worth nothing, though the squares of 0.1 - mean do not add up to 0.
  for (const std::vector<Trace>& chains :
       {std::vector<Trace>{Trace(65, 0.1)}, {Trace(65, 0.1), Trace(65, 0.3)}, {chain(1, 0, 0), Trace(4000, 0.1)}}) {
    CHECK(first_unmoved(chains) == (chains[0][1] == 0.1 ? 0 : 1));
    CHECK(std::isnan(r_hat(chains)));
    CHECK(effective_sample_size(chains) == 0);
  }
  CHECK(first_unmoved(few) == -1);
  CHECK(first_unmoved(std::vector<Trace>{{1, 1, 1, 2}, {2, 1, 1, 1}}) == -1);
  CHECK(std::isnan(r_hat(std::vector<Trace>{{1, 2}})));
  CHECK(has(complaint<ShapeError>([] {
              r_hat(std::vector<Trace>{{1, 2, 3, 4}, {1, 2, 3, 4, 5}});
            }),
            "traces of 4 and 5"));
}

TEST_SUITE_END();
