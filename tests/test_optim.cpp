// engine/optim.h: three steps of each optimiser and the schedule against the goldens, clipping against numbers by hand.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/optim.h"
#include "tests/golden.h"

namespace {

using namespace gradus;
using testing::Golden;

constexpr double kClose = kDouble ? 2e-15 : 2e-7;  // relative to the largest number, which is about 2

// A parameter of the goldens' five numbers with this shape, alone in its array.
struct Five {
  Params params;
  Five(const Golden& golden, const Shape& shape) {
    params.add("x", shape, Init::constant(0));
    params.init(1);
    std::ranges::copy(golden.reals("optimizer/initial"), params.edit().begin());
  }
};

// `step(params, gradient)` three times; its values after each step against those of `name`.
template <class Step>
void check_three_steps(const Golden& golden, const char* name, const Shape& shape, Step&& step) {
  const std::vector<real> gradients = golden.reals("optimizer/gradients");
  const std::vector<double> wanted = golden.numbers(std::string("optimizer/") + name);
  Five five(golden, shape);
  for (size_t s = 0; s < 3; ++s) {
    step(five.params, std::span(gradients).subspan(5 * s, 5));
    INFO(std::string(name), " ", shape, ", step ", s + 1);
    CHECK(near(five.params.data(), std::span(wanted).subspan(5 * s, 5)) <= kClose);
  }
}

}  // namespace

TEST_SUITE("optim") {
  TEST_CASE("optim: SGD, Adam and AdamW make the steps of the goldens") {
    const Golden golden("ops");
    check_three_steps(golden, "sgd", {5}, [&](Params& p, std::span<const real> g) { sgd_step(p, g, 0.1); });
    for (const auto& [name, decay] : {std::pair{"adam", 0.0}, std::pair{"adamw", 0.1}}) {
      Params like;
      like.add("x", {5, 1}, Init::constant(0));
      like.init(1);
      AdamW adam(like, {.weight_decay = decay});
      check_three_steps(golden, name, {5, 1}, [&](Params& p, std::span<const real> g) { adam.step(p, g, 1e-2); });
      CHECK(adam.steps == 3);
    }
  }

  TEST_CASE("optim: AdamW refuses options that would divide by 0 or mean nothing") {
    Params params;
    params.add("x", {2}, Init::constant(1));
    params.init(1);
    struct Row {
      AdamWOptions options;
      const char* part;
    };
    const double nan = std::nan("");
    for (const auto& [options, part] :
         {Row{{.beta1 = 1}, "beta1 is 1, it must be at least 0 and below 1"}, Row{{.beta1 = -0.1}, "beta1 is -0.1"},
          Row{{.beta1 = nan}, "beta1 is nan"}, Row{{.beta2 = 1}, "beta2 is 1, it must be at least 0 and below 1"},
          Row{{.beta2 = 1.5}, "beta2 is 1.5"}, Row{{.epsilon = 0}, "epsilon is 0, it must be above 0"},
          Row{{.epsilon = -1e-8}, "epsilon"}, Row{{.epsilon = INFINITY}, "epsilon is inf"},
          Row{{.epsilon = 5e-324}, "epsilon"}, Row{{.weight_decay = -1}, "weight_decay is -1"},
          Row{{.weight_decay = nan}, "weight_decay is nan"}})
      CHECK_THROWS_WITH_AS(AdamW(params, options), doctest::Contains(part), ShapeError);
    for (const AdamWOptions& good : {AdamWOptions{.beta1 = 0, .beta2 = 0, .weight_decay = 0},
                                     AdamWOptions{.beta1 = 0.999999, .beta2 = 0.9999999}}) {
      AdamW adam(params, good);
      adam.step(params, std::vector<real>{1, 0}, 0.1);
      for (const real x : params.data()) CHECK(std::isfinite(x));
    }
  }

  TEST_CASE("optim: AdamW decays tensors of rank 2 and more, and no others") {
    const Golden golden("ops");
    for (const Shape& shape : {Shape{5}, Shape{1, 5}, Shape{5, 1, 1}, Shape{1, 1, 1, 5}}) {
      Five five(golden, shape);
      AdamW adam(five.params);  // 0.9, 0.99, 1e-8, 0.1
      check_three_steps(golden, shape.rank() == 1 ? "adam" : "adamw", shape,
                        [&](Params& p, std::span<const real> g) { adam.step(p, g, 1e-2); });
    }
    Params params;  // ranks side by side in one array, gradient 0: only decay acts
    for (const Shape& shape : {Shape{}, Shape{2}, Shape{2, 1}, Shape{3}, Shape{1, 1, 2}})
      params.add("p" + std::to_string(params.count()), shape, Init::constant(2));
    params.init(1);
    AdamW adam(params, {.weight_decay = 0.5});
    adam.step(params, std::vector<real>(size_t(params.size())), 0.1);
    for (int64_t i = 0; i < params.count(); ++i)
      for (const real w : params.values(i)) CHECK(w == (params.shape(i).rank() >= 2 ? real(1 - 0.1 * 0.5) * 2 : 2));
  }

  TEST_CASE("optim: the first step of Adam is lr times the sign, as long as the gradient is far above epsilon") {
    Params params;
    params.add("x", {4}, Init::constant(0));
    params.init(1);
    AdamW adam(params);
    adam.step(params, std::vector<real>{1, real(-1e-3), 1e3, 0}, 0.25);
    const std::vector<double> wanted{-0.25 / (1 + 1e-8), 0.25 / (1 + 1e-5), -0.25 / (1 + 1e-11), 0};
    CHECK(near(params.data(), wanted) <= (kDouble ? 1e-15 : 1e-6));
    CHECK(near(adam.m, std::vector<double>{0.1, -1e-4, 100, 0}) <= 1e-7);
    CHECK(near(adam.v, std::vector<double>{0.01, 1e-8, 1e4, 0}) <= 1e-7);
  }

  TEST_CASE("optim: epsilon stands outside the root and is not corrected") {
    Params params;  // m_hat = g, v_hat = g^2 at step 1: w = -lr g / (|g| + eps)
    params.add("x", {1}, Init::constant(0));
    params.init(1);
    AdamW adam(params, {.epsilon = 0.5});
    adam.step(params, std::vector<real>{real(0.25)}, 1);
    CHECK(std::fabs(params.data()[0] + 0.25 / 0.75) < (kDouble ? 1e-15 : 1e-7));
  }

  TEST_CASE("optim: the factor of clipping acts on the gradient, before everything else") {
    const std::vector<real> g{real(0.5), -2, 4, 0, 1};
    std::vector<real> half(g);
    for (real& x : half) x /= 2;
    const Golden golden("ops");
    Five a(golden, {5, 1}), b(golden, {5, 1});
    AdamW adam_a(a.params, {.epsilon = 0.1}), adam_b(b.params, {.epsilon = 0.1});
    for (int n = 0; n < 3; ++n) {
      adam_a.step(a.params, g, 1e-2, 0.5);
      adam_b.step(b.params, half, 1e-2);
      CHECK(first_difference(a.params.data(), b.params.data()) == -1);
      sgd_step(a.params, g, 1e-2, 0.5);
      sgd_step(b.params, half, 1e-2);
      CHECK(near(a.params.data(), b.params.data()) <= kClose);
    }
    CHECK(first_difference(adam_a.m, adam_b.m) == -1);
    CHECK(first_difference(adam_a.v, adam_b.v) == -1);
  }

  TEST_CASE("optim: the norm and the factor of clipping, by hand") {
    const std::vector<real> g{3, 0, -4};
    CHECK(gradient_norm(g) == 5);
    CHECK(gradient_norm({}) == 0);
    CHECK(clip_factor(5, 1) == 0.2);
    CHECK(clip_factor(5, 5) == 1);
    CHECK(clip_factor(5, 10) == 1);
    CHECK(clip_factor(0, 1) == 1);
    CHECK(clip_factor(5, 0) == 1);  // 0: no clipping
    // In double: the squares neither overflow float nor lose small ones.
    CHECK(std::fabs(gradient_norm(std::vector<real>{real(3e30), real(4e30)}) / 5e30 - 1) < 1e-6);
    std::vector<real> many(1'000'000, real(1e-3));
    many[0] = 100;
    CHECK(std::fabs(gradient_norm(many) - std::sqrt(1e4 + 0.999999)) < 1e-6);
  }

  TEST_CASE("optim: the schedule is that of the goldens, at every step") {
    const Golden golden("ops");
    for (const auto& [name, warmup] : {std::pair{"schedule", 10}, std::pair{"schedule_no_warmup", 0}}) {
      const Schedule schedule{.lr = 1e-3, .min_lr = 1e-4, .warmup = warmup, .decay = 50};
      std::vector<double> got;
      for (const double step : golden.numbers(std::string(name) + "/step")) got.push_back(schedule.at(int64_t(step)));
      CHECK(got.size() == 60);
      CHECK(near(got, golden.numbers(std::string(name) + "/lr")) <= 1e-15);
    }
    const Schedule schedule{.lr = 4, .min_lr = 1, .warmup = 2, .decay = 6};
    CHECK(schedule.at(1) == 2);
    CHECK(schedule.at(2) == 4);
    CHECK(std::fabs(schedule.at(4) - 2.5) < 1e-15);
    CHECK(schedule.at(6) == 1);
    CHECK(schedule.at(1'000'000) == 1);
    const Schedule never_there{.lr = 1, .min_lr = 0, .warmup = 100, .decay = 10};  // a warm-up longer than the run
    CHECK(never_there.at(10) == 0.1);
    CHECK(never_there.at(100) == 1);
    CHECK(never_there.at(101) == 0);
  }

  TEST_CASE("optim: a gradient of another size is refused") {
    Params params, more;
    params.add("x", {5}, Init::constant(0));
    more.add("x", {6}, Init::constant(0));
    params.init(1);
    more.init(1);
    const std::vector<real> five(5), six(6);
    AdamW adam(params);
    CHECK_THROWS_AS(sgd_step(params, six, 1), ShapeError);
    CHECK_THROWS_AS(adam.step(params, six, 1), ShapeError);
    CHECK_THROWS_AS(adam.step(more, six, 1), ShapeError);
    CHECK(adam.steps == 0);
  }
}
