// Exercise 16: the gradient through a draw.
#include "tests/exercises/16_reparameterised/exercise.h"

#include <cmath>

#include "engine/rng.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 16");

namespace gradus::lesson {

TEST_CASE("draws have the mean and the deviation of the guide") {
  const Guide guide{2, 0.5};
  expect("noise 0", draw(guide, 0), 2, "where is the middle of the guide?");
  expect("noise 1", draw(guide, 1), 2.5, "how far is one deviation from the middle?");
  expect("noise −2", draw(guide, -2), 1, "how far are two deviations, and on which side?");
}

TEST_CASE("one draw, f' = 3, and a prior so wide that it says next to nothing") {
  const GuideGradient g = guide_gradient({2, 0.5}, -0.4, 3, 1e6);
  expect("by the mean", g.mean, 3, "if the mean moves by a hundredth, by how much does the draw move?", 1e-9);
  expect(
      "by the deviation", g.deviation, -3.2,
      "if the deviation grows by a hundredth, which way does this draw go? And does a wide prior like a narrow guide?",
      1e-9);
}

TEST_CASE("no f: the guide goes to its prior, and stays there") {
  const GuideGradient there = guide_gradient({0, 2}, 0.7, 0, 2);
  expect("by the mean, at the prior", there.mean, 0, "is anything nearer to the prior than the prior?");
  expect("by the deviation, at the prior", there.deviation, 0, "is anything nearer to the prior than the prior?");
  const GuideGradient narrow = guide_gradient({1, 0.5}, 0.7, 0, 2);
  expect("by the mean, one away", narrow.mean, 0.25, "how strongly does a prior of deviation 2 pull at a mean of 1?");
  expect("by the deviation, too narrow", narrow.deviation, -1.875,
         "does the KL fall when a guide that is too narrow becomes wider? Is there noise in it?");
}

TEST_CASE("against finite differences, at fixed noise: f(w) = sin w") {
  const auto loss = [](const Guide& g, double noise, double s) {
    const double kl = std::log(s / g.deviation) + (g.deviation * g.deviation + g.mean * g.mean) / (2 * s * s);
    return std::sin(g.mean + g.deviation * noise) + kl;
  };
  for (int64_t i = 0; i < 20; ++i) {
    const Rng rng = Rng(1, Stream::kTest).at(i);
    const Guide g{rng.normal(0), 0.2 + rng.uniform(9)};
    const double noise = rng.normal(10), s = 0.5 + rng.uniform(20), h = 1e-5;
    const double slope = std::cos(g.mean + g.deviation * noise);
    const GuideGradient got = guide_gradient(g, noise, slope, s);
    expect("by the mean", got.mean,
           (loss({g.mean + h, g.deviation}, noise, s) - loss({g.mean - h, g.deviation}, noise, s)) / (2 * h),
           "along which two paths does the mean reach the loss?", 1e-8);
    expect("by the deviation", got.deviation,
           (loss({g.mean, g.deviation + h}, noise, s) - loss({g.mean, g.deviation - h}, noise, s)) / (2 * h),
           "along which two paths does the deviation reach the loss?", 1e-8);
  }
}

TEST_CASE("the Gaussian toy: at the posterior N(½,½) the gradient is 0 on average") {
  const Guide posterior{0.5, std::sqrt(0.5)};
  double mean = 0, deviation = 0;
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i)
    for (const double sign : {1.0, -1.0}) {  // noise and its mirror image
      const double noise = sign * Rng(1, Stream::kTest).normal(i), w = draw(posterior, noise);
      const GuideGradient g = guide_gradient(posterior, noise, w - 1, 1);  // f = ½ (1 - w)²
      mean += g.mean / (2 * kDraws);
      deviation += g.deviation / (2 * kDraws);
    }
  expect("by the mean", mean, 0, "where would a guide rest, if it were the posterior?");
  expect("by the deviation", deviation, 0, "where would a guide rest, if it were the posterior?", 0.1);
}

}  // namespace gradus::lesson
