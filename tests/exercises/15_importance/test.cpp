// Exercise 15: importance weights.
#include "tests/exercises/15_importance/exercise.h"

#include <cmath>

#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 15");

namespace gradus::lesson {

// Four sentences; P = μ e^{Λφ} for nine cats in ten (exercise 14): weights 6, 1, 6, 1 and Z = 4.
static const Numbers kMu{0.4, 0.3, 0.2, 0.1}, kCat{1, 0, 1, 0};
static double log_P(size_t x) { return std::log(kMu[x]) + kCat[x] * std::log(6.0); }

static Estimate of(const std::vector<int>& sample, const Numbers& f) {
  Numbers p, mu, x;
  for (const int s : sample) {
    p.push_back(log_P(size_t(s)));
    mu.push_back(std::log(kMu[size_t(s)]));
    x.push_back(f[size_t(s)]);
  }
  return importance_estimate(p, mu, x);
}

TEST_CASE("two draws: one with a cat, of weight 6, one without, of weight 1") {
  const Estimate e = of({0, 1}, kCat);
  expect("mean of φ", e.mean, 6. / 7, "of which of the two should there have been more, had p drawn them?");
  expect("log Z", e.log_z, std::log(3.5),
         "the sum of all P is 4. How could you guess it from the two P that you see, and how likely they were?");
  expect("effective sample size", e.ess, 49. / 37,
         "how many draws are these, if one counts six times as much as the other?");
}

TEST_CASE("equal weights") {
  const Estimate e = of({0, 2, 0}, {1, 5, 2, 5});
  expect("mean of f", e.mean, 4. / 3, "is any of the three worth more than another?");
  expect("log Z", e.log_z, std::log(6.0), "would Z be larger if you had drawn twice as many?");
  expect("effective sample size", e.ess, 3, "is any of the three worth more than another?");
}

TEST_CASE("one draw") {
  const Estimate e = of({1}, {3, 7, 3, 3});
  expect("mean of f", e.mean, 7, "what else is there to go by?");
  expect("log Z", e.log_z, 0, "how much more likely is it under P than under μ?");
  expect("effective sample size", e.ess, 1, "how many draws can one draw be worth?");
}

// Over all 4^N samples, each with its probability.
TEST_CASE("the estimate of Z is unbiased, that of a mean nearly so") {
  double before = 0;
  for (const int N : {1, 2, 3, 5}) {
    double z = 0, mean = 0;
    for (int n = 0; n < 1 << 2 * N; ++n) {
      std::vector<int> sample;
      double probability = 1;
      for (int i = 0; i < N; ++i) {
        sample.push_back(n >> 2 * i & 3);
        probability *= kMu[size_t(sample.back())];
      }
      const Estimate e = of(sample, kCat);
      z += probability * std::exp(e.log_z);
      mean += probability * e.mean;
    }
    expect(text("mean of Z for N = ", N).c_str(), z, 4, "what do you divide by?");
    if (N == 1) expect("mean of the means for N = 1", mean, 0.6, "what can one draw say, whatever its weight?");
    if (N == 5) expect("mean of the means for N = 5", mean, 0.868032, "what do you divide by?");
    expect(mean > before && mean < 0.9, "mean of the means, nearer to .9 with more draws",
           text("between ", before, " and 0.9"), text_of({mean}), "what do you divide by?", Loc::here());
    before = mean;
  }
}

TEST_CASE("a P known up to a constant, and f that is moved") {
  const Numbers mu{-1, -2, -3}, f{1, 4, 9};
  const Estimate a = importance_estimate({-1.5, -2.5, -1}, mu, f), b = importance_estimate({8.5, 7.5, 9}, mu, f),
                 c = importance_estimate({-1.5, -2.5, -1}, mu, {11, 14, 19});
  expect("mean, P e^10 times as large", b.mean, a.mean,
         "if all weights are e^10 times as large, is any draw worth more than before, beside the others?");
  expect("log Z, P e^10 times as large", b.log_z, a.log_z + 10,
         "what is the sum of all P, if each is e^10 times as large?");
  expect("sample size, P e^10 times as large", b.ess, a.ess, "did the draws become better?");
  expect("mean of f + 10", c.mean, a.mean + 10, "what do the shares of the draws in the mean add up to?");
}

TEST_CASE("long texts") {
  const Estimate e = importance_estimate({-4000, -4000 + std::log(3.0)}, {-5000, -5000}, {0, 1});
  expect("mean", e.mean, 0.75,
         "what is e^1000 in a double, and are two such numbers needed to know which is larger, and by how much?");
  expect("log Z", e.log_z, 1000 + std::log(2.0), "what was taken off before?");
  expect("effective sample size", e.ess, 1.6, "does it change if all weights are halved?");
  const Estimate small = importance_estimate({-5000, -5000}, {-4000, -4000}, {1, 2});
  expect("mean of weights e^−1000", small.mean, 1.5, "what is e^−1000 in a double, and a sum of such?");
}

TEST_CASE("what the target forbids") {
  const Estimate e = importance_estimate({-INFINITY, std::log(0.5)}, {std::log(0.5), std::log(0.5)}, {100, 3});
  expect("mean", e.mean, 3, "how often would p have drawn the first?");
  expect("log Z", e.log_z, std::log(0.5), "how many draws were made?");
  expect("effective sample size", e.ess, 1, "how many of the draws say anything of p?");
}

}  // namespace gradus::lesson
