// Exercise 11: REINFORCE with a leave-one-out baseline.
#include "tests/exercises/11_reinforce/exercise.h"

#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 11");

namespace gradus::lesson {

// Four sentences; the reward is 1 for those with a cat. E[r] = 0.6.
static const Numbers kPi{0.5, 0.2, 0.1, 0.2}, kReward{1, 0, 1, 0};
static const Numbers kTrue{0.2, -0.12, 0.04, -0.12};  // ∇E[r] = π (r − E[r])

// Mean and variance (summed over the coordinates) of the estimate, over all 4^G groups of G samples.
struct Moments {
  Numbers mean = Numbers(4);
  double variance = 0;
};
static Moments moments(int G, double shift = 0) {
  Moments m;
  double mean_square = 0;
  for (int n = 0; n < 1 << 2 * G; ++n) {
    std::vector<int> sample;
    Numbers reward;
    double probability = 1;
    for (int i = 0; i < G; ++i) {
      sample.push_back(n >> 2 * i & 3);
      reward.push_back(kReward[size_t(sample.back())] + shift);
      probability *= kPi[size_t(sample.back())];
    }
    const Numbers g = reinforce(kPi, sample, reward);
    for (size_t j = 0; j < 4; ++j) {
      m.mean[j] += probability * g[j];
      mean_square += probability * g[j] * g[j];
    }
  }
  m.variance = mean_square;
  for (const double x : m.mean) m.variance -= x * x;
  return m;
}

TEST_CASE("two samples: the first has a cat, the second has none") {
  expect("estimate", reinforce(kPi, {0, 1}, {1, 0}), {0.5, -0.5, 0, 0},
         "what is the baseline of each of the two samples, and so by how much did each beat it?");
}

TEST_CASE("three samples: each has the mean of the other two as its baseline") {
  // Advantages 1 − ½, 0 − 1 and 1 − ½, which add up to 0.
  expect("estimate", reinforce(kPi, {0, 3, 2}, {1, 0, 1}), {1. / 6, 0, 1. / 6, -1. / 3},
         "which rewards go into the baseline of the first sample, and how many are they?");
}

TEST_CASE("unbiased: the mean over all groups is ∇E[r] = π (r − E[r])") {
  for (const int G : {2, 3, 4})
    expect(text("mean for G = ", G).c_str(), moments(G).mean, kTrue,
           "by what factor is it off? What if a sample's own reward were in its baseline?");
}

TEST_CASE("a reward that is 100 higher for everyone changes nothing") {
  expect("mean", moments(3, 100).mean, kTrue, "what do 100 more for everyone do to r_i − b_i?");
  expect("variance", moments(3, 100).variance, moments(3).variance, "what do 100 more for everyone do to r_i − b_i?",
         1e-9);
}

// Without a baseline the variance is 0.2136/G; with E[r] as baseline it would be 0.1104/G.
TEST_CASE("variance with and without the baseline") {
  expect("variance for G = 2", moments(2).variance, 0.1696,
         "the mean is right; is every score times its own advantage, over all 16 pairs?");
  expect("variance for G = 4", moments(4).variance, 7.0 / 150,
         "the mean is right; is every score times its own advantage, over all 256 groups?");
  for (const int G : {2, 3, 4, 6})
    MESSAGE(text("G = ", G, ": variance without a baseline ", 0.2136 / G, ", leave-one-out ", moments(G).variance));
}

}  // namespace gradus::lesson
