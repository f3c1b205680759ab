// Exercise 14: Λ by Newton's method.
#include "tests/exercises/14_lambda/exercise.h"

#include <cmath>

#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 14");

namespace gradus::lesson {

static const Numbers kQ{0.4, 0.3, 0.2, 0.1}, kCat{1, 0, 1, 0};

// E φ under q e^{Λφ} / Z.
static double mean_at(const Numbers& q, const Numbers& phi, double lambda) {
  double top = -INFINITY, z = 0, sum = 0;
  for (const double x : phi) top = std::max(top, lambda * x);
  for (size_t i = 0; i < q.size(); ++i) {
    const double p = q[i] * std::exp(lambda * phi[i] - top);
    z += p;
    sum += p * phi[i];
  }
  return sum / z;
}

TEST_CASE("four sentences, of which 6 in 10 have a cat: 9 in 10 are to have one") {
  expect("E[φ] at your Λ", mean_at(kQ, kCat, lambda_of(kQ, kCat, 0.9)), 0.9,
         "by how much does the mean of φ change when Λ grows from 0 to 0.01?");
  expect("Λ", lambda_of(kQ, kCat, 0.9), 1.79175946922806,
         "how many times as likely must the sentences with a cat become, so that .6 to .4 is .9 to .1?");
}

TEST_CASE("fewer cats, more cats, and as many as there are") {
  expect("Λ of .5", lambda_of(kQ, kCat, 0.5), -0.405465108108164, "which sign has Λ, if cats are to be rarer?");
  expect("Λ of .7", lambda_of(kQ, kCat, 0.7), 0.441832752279039, "would one more step change it?");
  expect("Λ of .6", lambda_of(kQ, kCat, 0.6), 0, "what is to be changed, if q has that moment already?");
}

TEST_CASE("a feature that counts") {
  const Numbers q{0.1, 0.4, 0.3, 0.15, 0.05}, lengths{0, 1, 2, 3, 7};
  for (const double moment : {0.5, 1.0, 2.5, 5.0, 6.9})
    expect(text("E[φ] for the moment ", moment).c_str(), mean_at(q, lengths, lambda_of(q, lengths, moment)), moment,
           "which of your numbers are those of q, and which those of p at the present Λ?");
}

TEST_CASE("where a feature begins to count does not matter") {
  Numbers moved;
  for (const double x : kCat) moved.push_back(x + 1000);
  expect("Λ of .9 + 1000", lambda_of(kQ, moved, 1000.9), 1.79175946922806,
         "what is e^1000 in a double, and how many digits has a small difference of two large numbers?", 1e-9);
}

TEST_CASE("a rare word that is to be common") {
  for (const double rare : {1e-2, 1e-4, 1e-8})
    expect(text("Λ for ", rare, " to .9").c_str(), lambda_of({rare, 1 - rare}, {1, 0}, 0.9),
           std::log(9.0) - std::log(rare / (1 - rare)),
           "how long is your first step, and what is left that varies at its end?", 1e-11);
}

TEST_CASE("a common word that is to be rare") {
  expect("Λ", lambda_of({1 - 1e-6, 1e-6}, {1, 0}, 0.1), std::log(0.1 / 0.9) - std::log((1 - 1e-6) / 1e-6),
         "how long is your first step, and what is left that varies at its end?", 1e-9);
}

TEST_CASE("a moment that no distribution has") {
  const auto none = [](const Numbers& phi, double moment, const char* look_at) {
    const double lambda = lambda_of(kQ, phi, moment);
    expect(std::isnan(lambda), text("Λ of ", moment).c_str(), "nan", text_of({lambda}), look_at, Loc::here());
  };
  for (const double moment : {1.2, 1.0, 0.0, -0.5})
    none(kCat, moment, "where does the mean of φ go as Λ grows without end, and does it arrive?");
  none({0, 0, 0, 0}, 0.5, "what moves the mean of a feature that never varies?");
}

}  // namespace gradus::lesson
