// rl/tables/bradley_terry.h: values by hand, the slope by differences, rewards far apart, what is refused.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/error.h"
#include "rl/tables/bradley_terry.h"

TEST_SUITE_BEGIN("bradley-terry");

using namespace gradus;

TEST_CASE("values by hand: a coin, a factor of e, weights, and what the rewards would choose themselves") {
  CHECK(preference(0, 0) == 0.5);
  CHECK(std::fabs(preference(1, 0) - std::exp(1) / (1 + std::exp(1))) <= 1e-15);
  CHECK(preference(3, 5) + preference(5, 3) == doctest::Approx(1).epsilon(1e-15));
  const std::vector<double> r{0, 1, 1};
  const ChoiceLoss l = choice_loss(r, std::vector<Choice>{{1, 0, 3}, {0, 2, 1}, {1, 2, 4}});
  const double right = std::log1p(std::exp(-1)), wrong = std::log1p(std::exp(1));
  CHECK(std::fabs(l.loss - (3 * right + wrong + 4 * std::log(2)) / 8) <= 1e-15);
  CHECK(l.accuracy == (3 + 0 + 4 * 0.5) / 8);
  CHECK(std::fabs(l.slope[0] + l.slope[1] + l.slope[2]) <= 1e-16);  // a constant changes nothing
}

TEST_CASE("the slope is that of differences, and rewards far apart give numbers") {
  std::vector<double> r{0.3, -1.2, 2, 0.7};
  const std::vector<Choice> choices{{0, 1}, {1, 2, 0.5}, {3, 2}, {2, 0, 2}};
  const std::vector<double> slope = choice_loss(r, choices).slope;
  for (size_t i = 0; i < r.size(); ++i) {
    const auto at = [&](double h) {
      std::vector<double> x = r;
      x[i] += h;
      return choice_loss(x, choices).loss;
    };
    CHECK(std::fabs((at(1e-5) - at(-1e-5)) / 2e-5 - slope[i]) <= 1e-9);
  }
  const ChoiceLoss far = choice_loss(std::vector<double>{-2000, 2000}, std::vector<Choice>{{0, 1}});
  CHECK(far.loss == 4000);
  CHECK(far.slope == std::vector<double>{-1, 1});
  CHECK(preference(-2000, 2000) == 0);
  CHECK(preference(2000, -2000) == 1);
}

TEST_CASE("a choice of a text that is not there and weights of nothing are refused") {
  const std::vector<double> r{0, 1};
  CHECK_THROWS_AS(choice_loss(r, std::vector<Choice>{{0, 2}}), ShapeError);
  CHECK_THROWS_AS(choice_loss(r, std::vector<Choice>{{-1, 0}}), ShapeError);
  CHECK_THROWS_AS(choice_loss(r, std::vector<Choice>{}), ShapeError);
  CHECK_THROWS_AS(choice_loss(r, std::vector<Choice>{{0, 1, 0}}), ShapeError);
}

TEST_SUITE_END();
