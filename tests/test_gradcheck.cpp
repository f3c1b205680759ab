// The gradient check itself: ops with one wrong backward each must be reported, the right one must not; check_op leaves
// everything as it was. (Over 350 lines: the wrong ops and what is done to them belong together.)
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/gradcheck.h"
#include "engine/rng.h"
#include "models/language_model.h"
#include "models/run/config.h"
#include "tests/near.h"

TEST_SUITE_BEGIN("gradcheck");

namespace {

using namespace gradus;
using Inputs = std::span<const Tensor>;
using Outputs = std::vector<Tensor>;

std::vector<real> draw(int64_t n, int64_t coordinate) {
  const Rng rng = Rng(5, Stream::kTest).at(coordinate, 2);
  std::vector<real> x;
  for (int64_t k = 0; k < n; ++k) x.push_back(real(4 * rng.uniform(k) - 2));
  return x;
}

// y = a b and z = a ∘ a of square matrices [N,N], with a backward that is wrong in one way.
enum Bug {
  kNone,
  kSign,          // da −= dy bᵀ
  kMissingTerm,   // the last term of each sum over k of db is left out
  kFactor,        // db is too large by a factor that just shows
  kTransposed,    // da += dy b
  kZero,          // db gets nothing
  kOverwrite,     // db = where it must be +=
  kSecondOutput,  // the gradient of z is forgotten
  kOneElement,    // db of the last element gets nothing
  kSwapped,       // what belongs to a goes to b and the reverse
  kNan,           // one NaN in da
  kOutside,       // a row too far: row 1 of db gets what row 0 should
};
const char* const kBugNames[] = {"none",      "sign",          "missing term", "factor",  "transposed", "zero",
                                 "overwrite", "second output", "one element",  "swapped", "nan",        "outside"};
constexpr double kJustShows = kDouble ? 1e-6 : 1e-2;

struct BuggySaved {
  Bug bug;
};
void buggy_forward(Op& op) {
  const int64_t N = op.shape(0)[0];
  for (int64_t i = 0; i < N; ++i)
    for (int64_t j = 0; j < N; ++j) {
      real s = 0;
      for (int64_t k = 0; k < N; ++k) s += op.x(0)[i * N + k] * op.x(1)[k * N + j];
      op.y(0)[i * N + j] = s;
      op.y(1)[i * N + j] = op.x(0)[i * N + j] * op.x(0)[i * N + j];
    }
}
void buggy_backward(Op& op) {
  const Bug bug = op.get<BuggySaved>().bug;
  const int64_t N = op.shape(0)[0];
  const real *a = op.x(0), *b = op.x(1), *dy = op.dy(0), *dz = op.dy(1);
  std::vector<real> da(size_t(N * N)), db(size_t(N * N));
  for (int64_t i = 0; i < N; ++i)
    for (int64_t j = 0; j < N; ++j) {
      for (int64_t k = 0; k < N; ++k) {
        da[size_t(i * N + j)] += dy[i * N + k] * (bug == kTransposed ? b[k * N + j] : b[j * N + k]);
        if (bug != kMissingTerm || k < N - 1) db[size_t(i * N + j)] += a[k * N + i] * dy[k * N + j];
      }
      if (bug == kSign) da[size_t(i * N + j)] *= -1;
      if (bug == kFactor) db[size_t(i * N + j)] *= real(1 + kJustShows);
      if (bug != kSecondOutput) da[size_t(i * N + j)] += 2 * a[i * N + j] * dz[i * N + j];
    }
  if (bug == kZero) std::fill(db.begin(), db.end(), real(0));
  if (bug == kOneElement) db.back() = 0;
  if (bug == kSwapped) std::swap(da, db);
  if (bug == kNan) da[1] = std::nanf("");
  if (bug == kOutside) std::rotate(db.begin(), db.end() - N, db.end());
  if (real* to = op.dx(0))
    for (size_t i = 0; i < da.size(); ++i) to[i] += da[i];
  if (real* to = op.dx(1))
    for (size_t i = 0; i < db.size(); ++i) to[i] = bug == kOverwrite ? db[i] : to[i] + db[i];
}
Outputs buggy(const Tensor& a, const Tensor& b, Bug bug) {
  static constexpr OpKind kind{"buggy", buggy_forward, buggy_backward};
  Tape& tape = Tape::current(Loc::here());
  const Tensor in[] = {a, b};
  const Op& op = tape.record(kind, in, {a.shape(), a.shape()}, tape.arena().make<BuggySaved>(bug), Loc::here());
  return {tape.output(op, 0), tape.output(op, 1)};
}

// y[n] = x[id[n]] for n = 0 and 1, where repeated ids overwrite each other's gradient.
void repeated_forward(Op& op) {
  for (int64_t n = 0; n < 2; ++n) op.y()[n] = op.x(0)[0];
}
void repeated_backward(Op& op) {
  const real before = op.dx(0)[0];
  for (int64_t n = 0; n < 2; ++n) op.dx(0)[0] = before + op.dy()[n];
}

// A forward that adds to what happens to lie in its output.
void unclean_forward(Op& op) {
  for (int64_t i = 0; i < op.shape(0).numel(); ++i) op.y()[i] += op.x(0)[i];
}
void unclean_backward(Op& op) {
  for (int64_t i = 0; i < op.shape(0).numel(); ++i) op.dx(0)[i] += op.dy()[i];
}

// Everything that a check might disturb, in one list of numbers: data and gradients of all Values on the tape.
std::vector<real> all_numbers(const Tape& tape) {
  std::vector<real> all;
  const auto add = [&](const Value* v) {
    all.insert(all.end(), v->data, v->data + v->shape.numel());
    if (v->grad) all.insert(all.end(), v->grad, v->grad + v->shape.numel());
    all.push_back(v->grad != nullptr);
  };
  for (const Op& op : tape.ops())
    for (int32_t i = 0; i < op.n_in + op.n_out; ++i) add(op.in[i]);  // the outputs stand behind the inputs
  return all;
}
std::vector<const void*> all_pointers(const Tape& tape) {
  std::vector<const void*> all;
  for (const Op& op : tape.ops())
    for (int32_t i = 0; i < op.n_in + op.n_out; ++i) {
      all.push_back(op.in[i]->data);
      all.push_back(op.in[i]->grad);
    }
  return all;
}

Config small(const std::string& model, const std::string& ops) {
  Config c;
  c.model = model;
  c.ops = ops;
  c.layers = 2;
  c.heads = 3;
  c.embd = 6;
  c.hidden = 5;
  c.context = 7;
  c.dropout = 0.2;
  c.resolve(1);
  return c;
}

constexpr int64_t kB = 2, kT = 5, kV = 7;
constexpr StepInfo kTraining{.seed = 2, .step = 3, .training = true, .sequences = kB};
const std::vector<int32_t> kTokens{0, 3, 1, 1, 6, 2, 2, 5, 4, 0}, kTargets{3, 1, 1, 6, 2, 2, 5, kNoTarget, 0, 1};

Tensor loss_of(const LanguageModel& model) {
  return mean(model.rung().softmax_cross_entropy(model.logits(kTokens, kB, kT), kTargets, Loc::here()));
}

}  // namespace

TEST_CASE("gradcheck: each wrong backward is reported, on the leaf where it is wrong") {
  const std::vector<GradLeaf> leaves{{"a", {3, 3}, draw(9, 0)}, {"b", {3, 3}, draw(9, 1)}};
  const int64_t bugs = std::size(kBugNames);
  for (int64_t i = 0; i < bugs; ++i) {
    const Bug bug = Bug(i);
    const GradCheck c = check_gradient("buggy", leaves, [&](Inputs x) { return buggy(x[0], x[1], bug); });
    INFO(std::string(kBugNames[i]), ": ", c);
    CHECK(c.elements == 18);
    CHECK(c.passes() == (bug == kNone));
    if (bug == kSign || bug == kTransposed || bug == kSecondOutput || bug == kNan) CHECK(c.leaf == "a");
    if (bug == kMissingTerm || bug == kFactor || bug == kZero || bug == kOverwrite || bug == kOneElement)
      CHECK(c.leaf == "b");
    if (bug == kOneElement) CHECK(c.index == 8);
    if (bug == kNan) CHECK((c.index == 1 && std::isinf(c.error)));
    if (bug == kFactor) CHECK(c.error < 2 * kJustShows);

    Tape tape;
    const Tape::Use use(tape);
    buggy(variable("a", {3, 3}, draw(9, 0)), variable("b", {3, 3}, draw(9, 1)), bug);
    const OpCheck alone = check_op(tape, 0);
    INFO(alone);
    CHECK(alone.repeats);
    CHECK(alone.passes() == (bug == kNone));
    if (bug == kOneElement || bug == kNan) CHECK(alone.worst.index == c.index);

    Params params;
    for (const GradLeaf& leaf : leaves) params.add(leaf.name, leaf.shape, Init::normal(1));
    params.init(4);
    CHECK(check_parameters("buggy", params, [&](Inputs x) { return buggy(x[0], x[1], bug); }).passes() ==
          (bug == kNone));
  }
}

TEST_CASE("gradcheck: a repeated index that overwrites, and a forward that cannot be run again") {
  static constexpr OpKind repeated{"repeated", repeated_forward, repeated_backward};
  const auto f = [](Inputs x) { return record(repeated, {x[0]}, {2}, nullptr, Loc::here()); };
  const GradCheck c = check_gradient("repeated", {{"x", {1}, draw(1, 0)}}, f);
  INFO(c);
  CHECK_FALSE(c.passes());

  static constexpr OpKind unclean{"unclean", unclean_forward, unclean_backward};
  Tape tape;
  const Tape::Use use(tape);
  const Tensor y = record(unclean, {variable("x", {3}, draw(3, 0))}, {3}, nullptr, Loc::here());
  std::ranges::fill(y.edit(), real(0));  // poisoned memory would stay NaN, whatever is added
  CHECK_FALSE(check_op(tape, 0).repeats);
}

TEST_CASE("gradcheck: what does not flow is seen: detach, a kink, a constant output") {
  const std::vector<GradLeaf> x{{"x", {3}, {real(0.5), 1, -2}}};
  CHECK_FALSE(check_gradient("detach", x, [](Inputs in) { return mul(in[0], detach(in[0])); }).passes());
  CHECK_FALSE(check_gradient("detach", x, [](Inputs in) { return detach(in[0]); }).passes());
  CHECK_FALSE(check_gradient("relu", {{"x", {1}, {0}}}, [](Inputs in) { return relu(in[0]); }).passes());
  const GradCheck constant_output = check_gradient("constant", x, [](Inputs) { return constant({2}, 3.0); });
  CHECK((constant_output.passes() && constant_output.analytic == 0 && constant_output.numeric == 0));
  const GradCheck nothing = check_gradient("none", {{"x", {3}, draw(3, 0), false}}, [](Inputs in) { return in[0]; });
  CHECK((nothing.elements == 0 && !nothing.passes()));

  // The gradients of an output that is given twice, whole and in part, add up.
  const auto twice = [](Inputs in) {
    const Tensor y = scale(in[0], 2);
    return Outputs{y, in[0], y.rows(1, 2), y, in[0].rows(0, 1)};
  };
  CHECK(check_gradient("twice", x, twice).passes());

  // One op alone sees its own inputs only: mul is right, whatever made them.
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", {3}, draw(3, 0));
  mul(a, detach(a));
  mul(a.rows(0, 2), a.rows(1, 2));
  mul(constant({3}, 1.0), constant({3}, 2.0));
  CHECK(check_op(tape, 0).passes());
  CHECK(check_op(tape, 0).worst.elements == 3);
  CHECK(check_op(tape, 1).worst.elements == 4);
  CHECK(check_op(tape, 1).passes());
  tanh(constant({3}, 1.0));  // nothing needs a gradient
  mul(a, a);                 // one input that stands twice
  CHECK(check_op(tape, 4).worst.elements == 3);
  CHECK(check_op(tape, 4).passes());
  for (size_t i : {size_t(2), size_t(3)}) {
    CHECK_FALSE(check_op(tape, i).passes());
    CHECK(check_op(tape, i).worst.elements == 0);
  }
}

TEST_CASE("gradcheck: the report names op, leaf, place and numbers") {
  const GradCheck c{.op = "mul",
                    .leaf = "b",
                    .shape = {2, 3},
                    .index = 4,
                    .analytic = -1.5,
                    .numeric = 1.5,
                    .error = 2,
                    .elements = 12};
  CHECK(text(c) == "mul: of 12 elements the worst is b [2,3] at 4 = (1,1): analytic -1.5, numeric 1.5, error 2");
  CHECK(
      text(GradCheck{
          .op = "sum", .leaf = "x", .shape = {}, .index = 0, .analytic = 1, .numeric = 1, .error = 0, .elements = 1}) ==
      "sum: of 1 elements the worst is x [] at 0: analytic 1, numeric 1, error 0");

  Tape tape;
  const Tape::Use use(tape);
  const Tensor x = variable("x", {2}, draw(2, 0));
  const int line = __LINE__ + 1;
  exp(x);
  const std::string before = text(check_op(tape, 0));
  CHECK(before.find("exp: of 2 elements the worst is input 0 x [2] at ") == 0);
  CHECK(before.find(text("test_gradcheck.cpp:", line, ")")) != std::string::npos);
  x.edit()[1] += 1;  // an input that changes after the op has run
  const OpCheck changed = check_op(tape, 0);
  CHECK_FALSE(changed.repeats);
  CHECK_FALSE(changed.passes());
  CHECK(text(changed).find("an input has changed since") != std::string::npos);
}

TEST_CASE("gradcheck: options: retries with a smaller h, a sample of the elements, h itself") {
  const std::vector<GradLeaf> x{{"x", {5}, {real(0.004), 1, 2, 3, 4}}};
  const auto f = [](Inputs in) { return log(in[0]); };
  CHECK_FALSE(check_gradient("log", x, f).passes());
  CHECK(check_gradient("log", x, f, {.retries = 4}).passes());
  CHECK(check_gradient("log", x, f, {.h = std::exp2(kDouble ? -16 : -13)}).error < (kDouble ? 1e-9 : 1e-2));
  CHECK(check_gradient("log", x, f, {.most = 2}).elements == 2);
  CHECK(check_gradient("log", x, f, {.retries = 4, .most = 9}).elements == 5);
  // A wrong gradient does not come right by trying again.
  const std::vector<GradLeaf> leaves{{"a", {3, 3}, draw(9, 0)}, {"b", {3, 3}, draw(9, 1)}};
  CHECK_FALSE(check_gradient("buggy", leaves, [&](Inputs in) { return buggy(in[0], in[1], kFactor); }, {.retries = 4})
                  .passes());
}

TEST_CASE("gradcheck: mistakes of the caller") {
  Tape tape;
  const Tape::Use use(tape);
  CHECK_THROWS_AS(check_op(tape, 0), ShapeError);

  int calls = 0;
  const std::vector<GradLeaf> x{{"x", {2}, draw(2, 0)}};
  CHECK_THROWS_AS(check_gradient("moody", x, [&](Inputs in) { return ++calls > 1 ? in[0].rows(0, 1) : in[0]; }),
                  ShapeError);

  Params params;
  params.add("w", {2}, Init::normal(1));
  params.init(1);
  const std::vector<real> before(params.data().begin(), params.data().end());
  calls = 0;
  const auto throws = [&](Inputs in) {
    if (++calls > 3) throw ShapeError("the third difference");
    return in[0];
  };
  CHECK_THROWS_AS(check_parameters("throws", params, throws), ShapeError);
  CHECK(first_difference(params.data(), before) == -1);
}

TEST_CASE("gradcheck: whole models, every parameter, with dropout") {
  for (const std::string& name : stepped_families()) {
    const auto model = make_model(small(name, "fused"), kV);
    for (int64_t i = 0; i < model->params().count(); ++i)  // away from the linear middle, where much of it is 0
      for (real& w : model->params().edit(i))
        w = model->params().shape(i).rank() > 1 ? w * real(name == "lstm" || name == "vae" ? 1 : 10) : w + real(0.1);
    const GradCheck c = check_parameters(name.c_str(), model->params(), [&](Inputs) { return loss_of(*model); },
                                         {.retries = 1, .info = kTraining});
    INFO(c);
    CHECK(c.passes());
    CHECK(c.elements == model->params().size());
  }
}

TEST_CASE("gradcheck: check_op on every op of a model, and nothing has moved") {
  for (const std::string& family : generative_families())
    for (const char* ops : {"fused", "composed"}) {
      const std::string name = text(family, " ", ops);
      CAPTURE(name);
      const auto model = make_model(small(family, ops), kV);
      const Params& params = model->params();
      const std::vector<real> weights(params.data().begin(), params.data().end());
      Tape tape;
      const Tape::Use use(tape);
      tape.new_step(kTraining);
      tape.backward(loss_of(*model));
      const auto flat = tape.gradient(params.array());
      const std::vector<real> gradient(flat.begin(), flat.end());

      // Before the backward pass, in the middle of it, and after it.
      tape.new_step(kTraining);
      const Tensor loss = loss_of(*model);
      const int64_t n = int64_t(tape.ops().size());
      REQUIRE(n >= 10);
      for (const int64_t ran : {int64_t(-1), int64_t(0), n / 2, n}) {
        CAPTURE(ran);
        if (ran == 0) tape.backward(loss);
        if (ran > 0) tape.rewind(ran);
        const std::vector<real> numbers = all_numbers(tape);
        const std::vector<const void*> pointers = all_pointers(tape);
        const int64_t next = tape.next;
        for (size_t i = 0; i < tape.ops().size(); ++i) {
          const OpCheck c = check_op(tape, i, {.retries = 3, .most = 7});
          INFO(i, " ", c);
          CHECK(c.repeats);
          if (c.worst.elements > 0 && kDouble) CHECK(c.passes());
        }
        CHECK(first_difference(all_numbers(tape), numbers) == -1);
        CHECK(first_difference(all_pointers(tape), pointers) == -1);
        CHECK(tape.next == next);
        CHECK(first_difference(params.data(), weights) == -1);
      }
      tape.rewind(0);
      CHECK(first_difference(tape.gradient(params.array()), gradient) != -1);
      tape.rewind(n);
      CHECK(first_difference(tape.gradient(params.array()), gradient) == -1);
    }
}

TEST_SUITE_END();
