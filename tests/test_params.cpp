// engine/params.h and Tape::bind: copies, frozen parameters, the version of the values, and results of ops in the place
// of parameters, on whole models (LoRA, a reparameterised weight) with gradients by finite differences.
// Long, because every way to misuse a parameter has its sentence.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "engine/gradcheck.h"
#include "engine/optim.h"
#include "engine/rng.h"
#include "models/families.h"
#include "models/language_model.h"
#include "models/run/config.h"
#include "tests/near.h"

TEST_SUITE_BEGIN("params");

namespace {

using namespace gradus;
using Inputs = std::span<const Tensor>;

constexpr int64_t kB = 2, kT = 5, kV = 7;
const std::vector<int32_t> kTokens{0, 3, 1, 1, 6, 2, 2, 5, 4, 0}, kTargets{3, 1, 1, 6, 2, 2, 5, kNoTarget, 0, 1};

std::unique_ptr<LanguageModel> small_model(const std::string& family) {
  Config c;
  c.model = family;
  c.layers = 2;
  c.heads = 3;
  c.embd = 6;
  c.hidden = 6;
  c.context = 7;
  c.resolve(1);
  auto model = make_model(c, kV);
  for (real& w : model->params().edit()) w *= family == "transformer" ? 10 : 1;  // away from the linear middle
  return model;
}

Tensor loss_of(const LanguageModel& model) {
  return mean(model.rung().softmax_cross_entropy(model.logits(kTokens, kB, kT), kTargets, Loc::here()));
}

std::vector<real> copy(std::span<const real> x) { return {x.begin(), x.end()}; }

// One layer of a model with numbers bound in the place of its weight.
struct Layer {
  const char* family;
  const char* weight;
};
constexpr Layer kLayers[] = {
    {"transformer", "h.1.mlp.c_fc.weight"}, {"lstm", "lstm.weight_hh_l1"}, {"rnn", "rnn.weight_ih_l1"}};

struct Base {
  explicit Base(const Layer& layer) : model(small_model(layer.family)), index(model->params().find(layer.weight)) {
    REQUIRE(index >= 0);
    w = model->params().tensor(index);
  }
  std::unique_ptr<LanguageModel> model;
  int64_t index;
  Tensor w;
};

// w + a b with a [N,2], b [2,M], both away from 0.
struct Lora {
  explicit Lora(const Base& base) : w(base.w) {
    a = params.add("a", {w.dim(0), 2}, Init::normal(0.3));
    b = params.add("b", {2, w.dim(1)}, Init::normal(0.3));
    params.init(9);
  }
  Tensor effective() const { return add(w, matmul(a, b)); }
  Params params;
  Tensor w, a, b;
};

}  // namespace

TEST_CASE("params: a clone has the names, shapes, values and frozen parameters, and shares no number") {
  Params params;
  const Tensor w = params.add("w", {2, 3}, Init::normal(1)),
               b = params.add("a name too long for a small string", {3}, {});
  params.init(4);
  params.freeze("w");
  Params twin = params.clone();
  REQUIRE(twin.count() == 2);
  for (int64_t i = 0; i < 2; ++i) {
    CHECK(twin.name(i) == params.name(i));
    CHECK(twin.shape(i) == params.shape(i));
    CHECK(twin.frozen(i) == params.frozen(i));
    CHECK(std::string(twin.tensor(i).value(Loc::here())->name) == params.name(i));
  }
  CHECK(first_difference(twin.data(), params.data()) == -1);
  twin.edit(1)[2] = 5;
  CHECK(params.data()[8] == 0);
  CHECK(twin.data()[8] == 5);
  Tape tape;  // and its gradient is its own
  const Tape::Use use(tape);
  const Tensor both = sum(add(mul(twin.tensor(1), twin.tensor(1)), b));
  tape.backward(both);
  CHECK(first_difference(tape.gradient(twin.array()), std::vector<real>{0, 0, 0, 0, 0, 0, 0, 0, 10}) == -1);
  CHECK(first_difference(tape.gradient(params.array()), std::vector<real>{0, 0, 0, 0, 0, 0, 1, 1, 1}) == -1);
  CHECK_THROWS_AS(twin.edit(w), ShapeError);  // a tensor of the other one
  Params declared;
  declared.add("x", {2}, Init::constant(3));
  Params later = declared.clone();
  later.init(1);
  CHECK(later.data()[1] == 3);
}

TEST_CASE("params: a parameter that is used before init() is refused by every way to use it, with its name") {
  Params params;
  const Tensor w = params.add("net.w", {2, 3}, Init::normal(1));
  params.add("b", {3}, {});
  CHECK(w.shape() == Shape{2, 3});  // that much is known
  CHECK((w.numel() == 6 && w.dim(-1) == 3));
  Tape tape;
  const Tape::Use use(tape);
  const std::vector<int32_t> ids{0, 1};
  const Tensor x = constant({2, 2}, 1), other = constant({2, 3}, 1);
  const std::vector<std::function<void()>> uses{[&] { matmul(x, w); },
                                                [&] { add(w, other); },
                                                [&] { embedding(w, ids); },
                                                [&] { w.rows(0, 1); },
                                                [&] { w.reshape({6}); },
                                                [&] { detach(w); },
                                                [&] { w.data(); },
                                                [&] { w.span(); },
                                                [&] { w.grad(); },
                                                [&] { keep(w); },
                                                [&] { tape.bind(params.tensor(1), w.rows(0, 1)); },
                                                [&] {
                                                  const NoGrad no_grad;
                                                  tanh(w);
                                                },
                                                [&] {
                                                  const Tape::Mark mark(tape);
                                                  tanh(w);
                                                }};
  for (size_t i = 0; i < uses.size(); ++i) {
    CAPTURE(i);
    CHECK_THROWS_WITH_AS(uses[i](), doctest::Contains("the parameter net.w [2,3] has no numbers before Params::init()"),
                         ShapeError);
  }
  CHECK_THROWS_WITH_AS(params.edit(), doctest::Contains("before Params::init()"), ShapeError);
  CHECK_THROWS_WITH_AS(params.edit(w), doctest::Contains("before Params::init()"), ShapeError);
  CHECK_THROWS_WITH_AS(params.values(1), doctest::Contains("before Params::init()"), ShapeError);
  const Params twin = params.clone();
  CHECK_THROWS_WITH_AS(tanh(twin.tensor(0)), doctest::Contains("net.w [2,3]"), ShapeError);
  params.init(1);
  CHECK(matmul(x, w).numel() == 6);
  Params none;  // nothing to fill is nothing missing
  const Tensor empty = none.add("empty", {0, 3}, {});
  CHECK(sum(empty).item() == 0);
  CHECK(none.edit().empty());
  Params vast;
  vast.add("a", {int64_t{1} << 62}, {});
  CHECK_THROWS_WITH_AS(vast.add("b", {int64_t{1} << 62}, {}), doctest::Contains("more numbers than 64 bits"),
                       ShapeError);
}

TEST_CASE("params: nobody writes a parameter but edit(), and not between a step and its backward pass") {
  Params params;
  const Tensor w = params.add("w", {2}, Init::constant(3));
  params.init(1);
  Tape tape;
  const Tape::Use use(tape);
  const char* const is_parameter = "is a parameter, which Params::edit() writes";
  CHECK_THROWS_WITH_AS(w.edit(), doctest::Contains(is_parameter), ShapeError);
  CHECK_THROWS_WITH_AS(w.rows(1, 1).edit(), doctest::Contains(is_parameter), ShapeError);
  CHECK_THROWS_WITH_AS(w.rows(0, 2).reshape({2, 1}).edit(), doctest::Contains(is_parameter), ShapeError);
  static_assert(std::is_same_v<decltype(w.data()), const real*>);

  const auto refused = [&](const std::function<void()>& write) {
    tape.new_step();
    const Tensor loss = sum(mul(w, w));
    write();
    CHECK_THROWS_WITH_AS(tape.backward(loss), doctest::Contains("a parameter was written after the step had read it"),
                         ShapeError);
    tape.new_step();
    tape.backward(sum(mul(w, w)));  // and the next step is as any other
    CHECK(w.grad()[0] == 2 * w.data()[0]);
  };
  refused([&] { params.edit()[0] = 5; });
  refused([&] { params.edit(w)[1] = 7; });
  refused([&] { sgd_step(params, std::vector<real>{1, 1}, 0.5); });
  refused([&] { params.copy_from(params.clone()); });
  tape.new_step();
  const Tensor loss = sum(mul(w, w));
  Params other = params.clone();
  other.edit()[0] = 9;  // not read by this step
  tape.backward(loss);
  params.edit()[0] = 1;  // after the pass
  CHECK(tape.rewind(0) >= 0);
}

TEST_CASE("params: every way to write raises the version, and reading does not") {
  Params params;
  const Tensor w = params.add("w", {2}, Init::constant(1));
  uint64_t last = params.version();
  const auto raised = [&] { return std::exchange(last, params.version()) < params.version(); };
  params.init(1);
  CHECK(raised());
  params.edit()[0] = 2;
  CHECK(raised());
  params.edit(0)[1] = 3;
  CHECK(raised());
  params.edit(w)[1] = 4;
  CHECK(raised());
  params.copy_from(params.clone());
  CHECK(raised());
  sgd_step(params, std::vector<real>{1, 1}, 0.5);
  CHECK(raised());
  AdamW(params).step(params, std::vector<real>{1, 1}, 0.5);
  CHECK(raised());
  check_parameters("square", params, [](Inputs x) { return mul(x[0], x[0]); });
  CHECK(raised());
  CHECK(params.values(0).size() + params.data().size() == 4);
  params.clone().edit()[0] = 7;
  CHECK(!raised());
}

TEST_CASE("params: frozen parameters get no gradient, and optimisers leave them and their state alone") {
  Params params;
  params.add("base.w", {2, 2}, Init::constant(2));
  params.add("base.b", {2}, Init::constant(2));
  const Tensor v = params.add("v", {2, 2}, Init::constant(2));
  params.init(1);
  params.freeze("base.");
  CHECK((params.frozen(0) && params.frozen(1) && !params.frozen(2)));
  CHECK_THROWS_WITH_AS(params.freeze("bass."), doctest::Contains("no parameter's name begins with \"bass.\""),
                       ShapeError);
  Tape tape;
  const Tape::Use use(tape);
  tape.backward(sum(add_rows(matmul(params.tensor(0), v), params.tensor(1))));
  CHECK(first_difference(tape.gradient(params.array()), std::vector<real>{0, 0, 0, 0, 0, 0, 4, 4, 4, 4}) == -1);
  tape.new_step();
  CHECK_THROWS_AS(tape.backward(sum(params.tensor(0))), ShapeError);  // nothing is left to differentiate

  const std::vector<real> everywhere(10, real(1));  // even if a gradient comes from elsewhere
  AdamW adam(params, {.weight_decay = 0.5});
  adam.step(params, everywhere, 0.1);
  sgd_step(params, everywhere, 0.1);
  for (size_t i = 0; i < 10; ++i) CHECK((params.data()[i] == 2) == (i < 6));
  for (size_t i = 0; i < 10; ++i) CHECK((adam.m[i] == 0) == (i < 6));

  const GradCheck c = check_parameters("frozen", params, [&](Inputs x) { return mul(params.tensor(0), x[0]); });
  INFO(c);
  CHECK(c.passes());
  CHECK(c.elements == 4);
  params.freeze("");
  CHECK(check_parameters("all", params, [](Inputs x) { return std::vector(x.begin(), x.end()); }).elements == 0);
}

TEST_CASE("bind: LoRA on one layer of each model: its gradient by finite differences, that of the base is zero") {
  for (const Layer& layer : kLayers) {
    CAPTURE(layer.weight);
    Base base(layer);
    Lora lora(base);
    base.model->params().freeze("");
    const std::vector<real> before = copy(base.model->params().data());
    const GradCheck c = check_parameters("lora", lora.params,
                                         [&](Inputs) {
                                           Tape::current(Loc::here()).bind(base.w, lora.effective());
                                           return loss_of(*base.model);
                                         },
                                         {.retries = 1});
    INFO(c);
    CHECK(c.passes());
    CHECK(c.elements == lora.params.size());

    Tape tape;
    const Tape::Use use(tape);
    tape.bind(base.w, lora.effective());
    tape.backward(loss_of(*base.model));
    CHECK(std::ranges::count(tape.gradient(base.model->params().array()), real(0)) == base.model->params().size());
    CHECK(std::ranges::count(tape.gradient(lora.params.array()), real(0)) == 0);
    CHECK(first_difference(base.model->params().data(), before) == -1);
  }
}

TEST_CASE("bind: a reparameterised weight μ + σ ε of each model has the gradient of finite differences") {
  for (const Layer& layer : kLayers) {
    CAPTURE(layer.weight);
    Base base(layer);
    Params normal;
    const Tensor mu = normal.add("mu", base.w.shape(), Init::normal(0.5));
    const Tensor sigma = normal.add("sigma", base.w.shape(), Init::constant(0.2));
    normal.init(3);
    std::vector<real> epsilon(size_t(base.w.numel()));
    for (size_t i = 0; i < epsilon.size(); ++i) epsilon[i] = real(Rng(5, Stream::kTest).normal(int64_t(i)));
    const GradCheck c = check_parameters("reparameterised", normal,
                                         [&](Inputs) {
                                           const Tensor noise = constant(base.w.shape(), epsilon);
                                           Tape::current(Loc::here()).bind(base.w, add(mu, mul(sigma, noise)));
                                           return loss_of(*base.model);
                                         },
                                         {.retries = 1});
    INFO(c);
    CHECK(c.passes());
    CHECK(c.elements == normal.size());
  }
}

TEST_CASE("bind: the bits are those of a model that has the numbers as its weight, also without gradients") {
  for (const Layer& layer : kLayers) {
    CAPTURE(layer.weight);
    Base base(layer), merged(layer);
    const Lora lora(base);
    Tape tape;
    const Tape::Use use(tape);
    std::ranges::copy(lora.effective().span(), merged.model->params().edit(merged.index).begin());
    tape.new_step();
    tape.backward(loss_of(*merged.model));
    const std::vector<real> wanted = copy(tape.gradient(merged.model->params().array()));
    const std::vector<real> logits = copy(merged.model->logits(kTokens, kB, kT).span());
    const auto next_of = [&](const LanguageModel& model) {
      State state = model.start(2);
      const Tape::Mark mark(tape);
      return copy(model.next(state, std::vector<int32_t>{3, 4}).span());
    };
    const std::vector<real> next = next_of(*merged.model);

    tape.new_step();
    const std::vector<real> plain = copy(base.model->logits(kTokens, kB, kT).span()), plain_next = next_of(*base.model);
    tape.new_step();
    tape.bind(base.w, lora.effective());
    {
      const NoGrad no_grad;
      CHECK(first_difference(base.model->logits(kTokens, kB, kT).span(), logits) == -1);
    }
    CHECK(first_difference(next_of(*base.model), next) == -1);
    CHECK(first_difference(plain, logits) >= 0);
    tape.backward(loss_of(*base.model));
    CHECK(first_difference(tape.gradient(base.model->params().array()), wanted) == -1);  // dw goes through w + a b

    Tape other;  // sees the parameter itself
    {
      const Tape::Use use_other(other);
      CHECK(first_difference(base.model->logits(kTokens, kB, kT).span(), plain) == -1);
    }
    tape.new_step();  // and so does the next step
    CHECK(first_difference(base.model->logits(kTokens, kB, kT).span(), plain) == -1);
    CHECK(first_difference(next_of(*base.model), plain_next) == -1);
  }
}

TEST_CASE("bind: windows of a bound parameter look into what is bound, and a second bind replaces the first") {
  for (const bool is_frozen : {false, true}) {
    CAPTURE(is_frozen);
    Params params;
    const Tensor w = params.add("w", {3}, Init::constant(1));
    params.init(1);
    if (is_frozen) params.freeze("");
    Tape tape;
    const Tape::Use use(tape);
    const Tensor x = variable("x", {3}, std::vector<real>{2, 3, 4});
    tape.bind(w, x);
    tape.bind(w, mul(w, w));  // w is x here
    const Tensor y = w.rows(1, 2);
    CHECK(first_difference(y.span(), std::vector<real>{9, 16}) == -1);
    tape.backward(add(sum(y), sum(w.reshape({3, 1}))));
    CHECK(first_difference(x.grad(), std::vector<real>{4, 12, 16}) == -1);
    CHECK(first_difference(w.grad(), std::vector<real>(3, real(0))) == -1);
  }
}

TEST_CASE("bind: what cannot be bound is refused with a sentence") {
  Params params;
  const Tensor w = params.add("w", {3}, Init::constant(1));
  params.init(1);
  Tape tape;
  const Tape::Use use(tape);
  const Tensor x = constant({3}, 1), wide = constant({1, 3}, 1);
  CHECK_THROWS_WITH_AS(tape.bind(w, wide), doctest::Contains("the parameter w is [3], the tensor bound to it is [1,3]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(tape.bind(x, x), doctest::Contains("only Params makes parameters"), ShapeError);
  {
    const Tape::Mark mark(tape);
    CHECK_THROWS_WITH_AS(tape.bind(w, x), doctest::Contains("a Tape::Mark is open"), ShapeError);
  }
  Tape other;
  const Tape::Use use_other(other);
  CHECK_THROWS_WITH_AS(other.bind(w, x), doctest::Contains("made on another tape"), ShapeError);
}

TEST_SUITE_END();
