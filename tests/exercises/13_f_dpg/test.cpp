// Exercise 13: the weight of f-DPG.
#include "tests/exercises/13_f_dpg/exercise.h"

#include <cmath>
#include <limits>

#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 13");

namespace gradus::lesson {

// A divergence: f for the suite, f' for the exercise.
struct Divergence {
  const char* name;
  double (*f)(double tau);
  Slope slope;
};
static const Divergence kDivergences[] = {
    {"reverse KL", [](double t) { return t * std::log(t); }, [](double u) { return u + 1; }},
    {"forward KL", [](double t) { return -std::log(t); }, [](double u) { return -std::exp(-u); }},
    {"Jensen-Shannon", [](double t) { return 0.5 * (t * std::log(2 * t / (t + 1)) + std::log(2 / (t + 1))); },
     [](double u) { return 0.5 * (std::log(2.0) - std::log1p(std::exp(-u))); }},
    {"chi2 of the policy", [](double t) { return (t - 1) * (t - 1); }, [](double u) { return 2 * std::expm1(u); }},
};

// The four sentences. The target is the posterior of "has a cat" with β = 1: P = q e^r, Z = .4 + .6 e.
static const Numbers kPi{0.5, 0.2, 0.1, 0.2}, kQ{0.4, 0.3, 0.2, 0.1}, kReward{1, 0, 1, 0};
static const double kLogZ = std::log(0.4 + 0.6 * std::exp(1.0));
static double log_P(size_t x) { return std::log(kQ[x]) + kReward[x]; }

static Numbers weights(const Divergence& d) {
  Numbers w;
  for (size_t x = 0; x < 4; ++x) w.push_back(f_dpg_weight(d.slope, std::log(kPi[x]), log_P(x), kLogZ));
  return w;
}
// E_π[w s], s_j(x) = [x = j] − π_j.
static Numbers mean_step(const Numbers& w) {
  Numbers g(4);
  for (size_t x = 0; x < 4; ++x)
    for (size_t j = 0; j < 4; ++j) g[j] += kPi[x] * w[x] * ((x == j ? 1 : 0) - kPi[j]);
  return g;
}
static double divergence(const Divergence& d, const Numbers& z) {
  double sum = 0, total = 0;
  for (const double x : z) sum += std::exp(x);
  for (size_t x = 0; x < 4; ++x) {
    const double p = std::exp(log_P(x) - kLogZ);
    total += p * d.f(std::exp(z[x]) / sum / p);
  }
  return total;
}
// −∇D_f by the logits of π, by finite differences.
static Numbers descent(const Divergence& d) {
  Numbers g;
  const double h = 1e-3;
  for (size_t j = 0; j < 4; ++j) {
    const auto at = [&](double by) {
      Numbers z;
      for (const double p : kPi) z.push_back(std::log(p));
      z[j] += by;
      return divergence(d, z);
    };
    g.push_back(-(-at(2 * h) + 8 * at(h) - 8 * at(-h) + at(-2 * h)) / (12 * h));
  }
  return g;
}

TEST_CASE("the mean step over the four sentences is down the divergence") {
  for (const Divergence& d : kDivergences)
    expect(text("the mean of w s(x), ", d.name).c_str(), mean_step(weights(d)), descent(d),
           "D_f is a sum over sequences. What does it gain when log π(x) of one of them grows a little?", 1e-8);
}

TEST_CASE("worked numbers: −∇D_f to the posterior") {
  expect("reverse KL", mean_step(weights(kDivergences[0])),
         {0.1383249603886, -0.01894828396007, 0.1192940652651, -0.2386707416937},
         "does each sequence look at P, or at p = P/Z?");
  expect("forward KL", mean_step(weights(kDivergences[1])),
         {0.03536645779069, -0.05228726501452, 0.1676832288953, -0.1507624216715},
         "does each sequence look at P, or at p = P/Z?");
}

TEST_CASE("a policy that has arrived is left alone") {
  for (const Divergence& d : kDivergences)
    for (const double log_p : {-0.5, -3.0, -40.0})
      expect(text("w at π = p, ", d.name).c_str(), f_dpg_weight(d.slope, log_p, log_p + 2, 2), 0,
             "which number could be added to all weights without changing their mean step, so that this one is 0?");
}

TEST_CASE("one weight by hand: π = ¼, P = 3, Z = 4, so τ = ⅓") {
  expect("forward KL", f_dpg_weight(kDivergences[1].slope, std::log(0.25), std::log(3), std::log(4)), 2,
         "τ is a third. Does the policy say this too often or too seldom?");
  expect("chi2 of the policy", f_dpg_weight(kDivergences[3].slope, std::log(0.25), std::log(3), std::log(4)), 4. / 3,
         "τ is a third. Does the policy say this too often or too seldom?");
}

TEST_CASE("a target known up to a constant") {
  for (const Divergence& d : kDivergences)
    expect(text("w with P and Z 7 times as large, ", d.name).c_str(),
           f_dpg_weight(d.slope, std::log(0.2), std::log(0.7), std::log(14)),
           f_dpg_weight(d.slope, std::log(0.2), std::log(0.1), std::log(2)),
           "if P and Z are both 7 times as large, what happens to p?");
}

TEST_CASE("a long sequence, whose P is 0 in a double") {
  expect("reverse KL", f_dpg_weight(kDivergences[0].slope, -5001, -5990, -1000), 11, "what is e^−5990 in a double?");
}

TEST_CASE("what the target forbids") {
  const double infinite = std::numeric_limits<double>::infinity();
  expect("Jensen-Shannon, P = 0", f_dpg_weight(kDivergences[2].slope, std::log(0.2), -infinite, 0),
         -0.5 * std::log(2.0), "which τ has a sequence that the target never says, and what is the slope of f there?");
}

}  // namespace gradus::lesson
