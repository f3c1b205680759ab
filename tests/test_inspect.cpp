// engine/inspect.h: descriptions say what is there, why_nan finds the op that is to blame, and looking changes nothing.
// Long, because every sentence has a case.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "engine/inspect.h"
#include "engine/ops.h"
#include "engine/params.h"
#include "models/run/config.h"
#include "tests/lm_step.h"
#include "tests/near.h"

namespace {

using namespace gradus;

struct OnTape {
  Tape tape;
  Tape::Use use{tape};
};
bool says(const std::string& s, const std::string& words) {
  if (s.find(words) != std::string::npos) return true;
  MESSAGE("it is \"", s, "\", it should say \"", words, "\"");
  return false;
}
std::string line(int number) { return "tests/test_inspect.cpp:" + std::to_string(number); }
Tensor sqrt(const Tensor& x, Loc where = Loc::here()) { return mul(x, rsqrt(x, where), where); }

const double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
const double kTiny = kDouble ? 1e-300 : 1e-36;  // its rsqrt is finite, the cube of that is not

// What f writes on stderr.
template <class F>
std::string printed(F&& f) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file);
  std::fflush(stderr);
  const int before = dup(2);
  dup2(fileno(file), 2);
  f();
  std::fflush(stderr);
  dup2(before, 2);
  close(before);
  std::fseek(file, 0, SEEK_END);
  std::string s(size_t(std::ftell(file)), 0);
  std::rewind(file);
  CHECK(std::fread(s.data(), 1, s.size(), file) == s.size());
  std::fclose(file);
  return s;
}

// All numbers and gradients of a tape, and how much memory it uses.
std::vector<double> everything(Tape& tape) {
  std::vector<double> all{double(tape.arena().used()), double(tape.scratch().used()), double(tape.next),
                          double(tape.ops().size())};
  for (const Op& op : tape.ops())
    for (int i = 0; i < op.n_in + op.n_out; ++i)
      for (int64_t j = 0; j < op.in[i]->shape.numel(); ++j) {
        all.push_back(double(op.in[i]->data[j]));
        all.push_back(op.in[i]->grad ? double(op.in[i]->grad[j]) : -77);
      }
  return all;
}

}  // namespace

TEST_SUITE("inspect") {
  TEST_CASE("inspect: a tensor is described with shape, numbers, and its gradient once it is there") {
    OnTape t;
    const Tensor x = variable("x", {2, 3}, std::vector<real>{1, -2, 3, 0, real(0.5), 2}), y = mul(x, x), z = sum(y);
    CHECK(describe(x) == "x [2,3]: 1 -2 3 0 0.5 2; min -2, max 3, norm 4.272; backward has not run");
    CHECK(describe(z) == "sum []: 18.25; backward has not run");
    const Tensor side = mul(x, x), c = constant({2}, 1);
    t.tape.backward(z);
    CHECK(says(describe(x), "gradient 2 -4 6 0 1 4; min -4, max 6, norm 8.544"));
    CHECK(says(describe(y), "gradient 1 1 1 1 1 1; min 1, max 1, norm 2.44949"));
    CHECK(says(describe(side), "no gradient has reached it"));
    CHECK(says(describe(c), "no gradient: a constant"));
    const auto window = [](const Tensor& of) { return window_text(*of.value(Loc::here())); };
    CHECK(window(x) == "");
    CHECK(window(x.reshape({3, 2})) == "");
    CHECK(window(x.rows(1, 1)) == "[1]");
    const Tensor numbers = x.reshape({6, 1});
    CHECK(window(numbers.rows(1, 2)) == "[0, 1:3]");
    CHECK(window(numbers.rows(4, 1)) == "[1, 1]");
    CHECK(window(numbers.rows(2, 2)) == "[numbers 2:4]");
    CHECK(window(variable("v", {4}, std::vector<real>(4)).reshape({4, 1}).rows(1, 2)) == "[1:3]");
    CHECK(says(describe(x.rows(1, 1)), "[1,3]: 0 0.5 2; min 0, max 2, norm 2.06155; gradient 0 1 4"));
    CHECK(says(describe(x.rows(1, 1).reshape({3})), "gradient 0 1 4"));
    CHECK(says(describe(detach(x)), "no gradient: a constant"));
    CHECK(says(describe(constant({100}, 3)), "constant [100]: 3 3 3 3 3 3 ...; min 3, max 3, norm 30"));
    CHECK(says(describe(log(constant({3}, std::vector<real>{1, -1, 0}))),
               "0 nan -inf; min 0, max 0, norm nan, 2 of 3 not"));
    CHECK(says(describe(constant({0, 2}, 1)), "no numbers"));
    CHECK(describe(Value(*y.value(Loc::here()))) == describe(y));
    t.tape.new_step();
    CHECK(says(describe(x), "keep()"));  // a dead tensor gives its sentence, it does not throw
    CHECK(says(describe(Tensor()), "it is empty"));
  }

  TEST_CASE("inspect: a parameter shows the gradient on the current tape") {
    OnTape t;
    Params params;
    const Tensor w = params.add("h.0.w", {2}, Init::constant(3)), u = params.add("u", {2}, Init::constant(1));
    params.init(1);
    CHECK(says(describe(w), "h.0.w [2]: 3 3; min 3, max 3, norm 4.24264; backward has not run"));
    const Tensor y = sum(mul(w.rows(0, 1), w.rows(1, 1)));
    CHECK(says(describe(w), "backward has not run"));
    t.tape.backward(y);
    CHECK(says(describe(w), "gradient 3 3"));
    CHECK(says(describe(w.rows(1, 1)), "gradient 3"));
    CHECK(says(describe(u), "no gradient has reached it"));
    const OnTape other;
    CHECK(says(describe(w), "backward has not run"));
  }

  TEST_CASE("inspect: the tape is listed in order, with names, windows, lines and norms") {
    OnTape t;
    Params params;
    const Tensor w = params.add("w", {2, 2}, Init::constant(2));
    params.init(1);
    const Tensor x = variable("x", {1, 2}, std::vector<real>{3, 4});
    const Tensor u = variable("u", {4, 1}, std::vector<real>(4)), zero = constant({1, 1}, 0);
    const int at = __LINE__ + 1;
    const Tensor a = mul(x, w.rows(1, 1));
    const LstmState s = lstm_cell(constant({1, 4}, 0), {zero, zero}, u);
    const Tensor b = mul(s.h, s.c);
    const Tensor c = sum(mul(detach(a), a.reshape({1, 2})));
    std::string list = describe(t.tape);
    CHECK(says(list, "%0 = mul(x, w[1]) [1,2]  " + line(at) + "  10 -\n"));
    CHECK(says(list, "%1.0 = lstm_cell(constant, constant, constant, u) [1,1]  " + line(at + 1) + "  0 -\n"));
    CHECK(says(list, "%1.1 = lstm_cell("));
    CHECK(says(list, "%2 = mul(%1.0, %1.1) [1,1]  " + line(at + 2)));
    CHECK(says(list, "%3 = mul(detach(%0), %0) [1,2]"));
    CHECK(says(list, "%4 = sum(%3) []"));
    t.tape.backward(c);
    CHECK(says(describe(t.tape), "  10 10\n"));  // the gradient of a is detach(a), (6, 8)
    t.tape.rewind(1);
    list = describe(t.tape);
    CHECK(says(list, "=> %3 = mul(detach(%0), %0) [1,2]  " + line(at + 3) + "  73.4302 1.41421\n"));
    CHECK(says(list, "   %0 = mul(x, w[1]) [1,2]  " + line(at) + "  10 -\n"));
    const std::string op = describe(t.tape.ops()[0]);
    CHECK(says(op, "%0 = mul(x, w[1])  " + line(at)));
    CHECK(says(op, "  in  w[1] [1,2]: 2 2"));
    CHECK(says(op, "  out %0 [1,2]: 6 8"));
    CHECK(b.numel() == 1);
  }

  TEST_CASE("inspect: a NaN made early in the forward pass is laid to the op that made it") {
    // sqrt(x - 2) and then sqrt again: PyTorch's anomaly mode blames the second.
    OnTape t;
    const Tensor x = variable("x", {3}, std::vector<real>{3, 1, 6});
    const int at = __LINE__ + 1;
    const Tensor shifted = sub(x, constant({3}, 2));
    const Tensor once = sqrt(shifted);
    const Tensor loss = sum(sqrt(once));
    for (int round = 0; round < 2; ++round) {  // before the backward pass as well as after it
      const auto bad = why_nan(t.tape);
      REQUIRE(bad);
      CHECK_FALSE(bad->in_gradient);
      CHECK(bad->op == 1);
      CHECK(bad->name == "rsqrt");
      CHECK(bad->where.line == at + 1);
      CHECK(bad->element == 1);
      CHECK(std::isnan(bad->value));
      CHECK(bad->inputs == std::vector<double>{-1});
      CHECK(says(bad->sentence, "rsqrt, op %1 (" + line(at + 1) + ") makes the first number that is not finite"));
      CHECK(says(bad->sentence, "element [1] of its output %1 [3] is "));
      CHECK(says(bad->sentence, "nan; input %0 (sub, " + line(at) + ") is -1"));
      if (round == 0) t.tape.backward(loss);
    }
  }

  TEST_CASE("inspect: a NaN loss is laid to its op though every gradient is finite") {
    // log(x - 2): its slope 1/(x - 2) is finite below 2 too, so an anomaly mode that looks at gradients says nothing.
    OnTape t;
    const Tensor x = variable("x", {2}, std::vector<real>{4, 1});
    const int at = __LINE__ + 1;
    const Tensor loss = sum(log(sub(x, constant({2}, 2))));
    t.tape.backward(loss);
    CHECK(std::isnan(loss.item()));
    CHECK(x.grad()[1] == -1);
    const auto bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK_FALSE(bad->in_gradient);
    CHECK(bad->op == 1);
    CHECK(says(bad->sentence, "log, op %1 (" + line(at) + ") makes the first number that is not finite"));
    CHECK(says(bad->sentence, "input %0 (sub, " + line(at) + ") is -1"));
  }

  TEST_CASE("inspect: log of 0, of less, and of a row of a matrix") {
    OnTape t;
    const Tensor x = variable("x", {2, 3}, std::vector<real>{1, 2, 3, 4, 0, 6});
    const Tensor y = exp(log(x));  // -inf comes back as 0: the op that made it is named all the same
    CHECK(y.data()[4] == 0);
    const auto bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK(bad->name == "log");
    CHECK(bad->element == 4);
    CHECK(bad->value == -kInf);
    CHECK(says(bad->sentence, "element [1,1] of its output %0 [2,3] is -inf; input x is 0"));
    t.tape.new_step();
    const Tensor b = variable("b", {3}, std::vector<real>{0, real(kDouble ? 1e308 : 3e38), 0});
    const Tensor big = variable("big", {2, 3}, std::vector<real>{1, 1, 1, 1, real(kDouble ? 1e308 : 3e38), 1});
    add_rows(big, b);
    const auto overflow = why_nan(t.tape);
    REQUIRE(overflow);
    CHECK(overflow->element == 4);
    CHECK(overflow->value == kInf);
    CHECK(overflow->inputs[1] == double(b.data()[1]));  // the column's number of b
    CHECK(says(overflow->sentence, "input b is "));
  }

  TEST_CASE("inspect: a -inf that a constant mask holds is meant, and so is what ops make of it") {
    OnTape t;
    const std::vector<real> one{0, real(-kInf), 0, 0, 0, real(-kInf)};
    const Tensor z = variable("z", {2, 3}, std::vector<real>{1, 2, 3, 4, 5, 6}), mask = constant({2, 3}, one);
    const Tensor masked = add(z, mask), p = softmax(masked), log_p = log_softmax(masked);
    const Tensor part = columns(log_p, 0, 2), scaled = scale(masked.reshape({3, 2}), 0.5);
    const Tensor loss = sum(softmax_cross_entropy(masked, std::vector<int32_t>{0, 1}));
    CHECK((p.data()[1] == 0 && log_p.data()[1] == -real(kInf) && part.data()[1] == -real(kInf)));
    CHECK(scaled.data()[5] == -real(kInf));
    CHECK_FALSE(why_nan(t.tape));
    t.tape.backward(loss);
    CHECK_FALSE(why_nan(t.tape));
    // What is really wrong is found behind the mask: here the target is what was masked.
    const int at = __LINE__ + 1;
    softmax_cross_entropy(masked, std::vector<int32_t>{1, 1});
    auto bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK((bad->name == "softmax_cross_entropy" && bad->where.line == at && bad->element == 0 && bad->value == kInf));

    t.tape.new_step();  // a -inf of its own beside one that is meant, and 0 · -inf
    const Tensor m = constant({3}, std::vector<real>{real(-kInf), 0, 0});
    add(log(variable("x", {3}, std::vector<real>{1, 1, 0})), m);
    bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK((bad->name == "log" && bad->element == 2));
    t.tape.new_step();
    mul(constant({2}, std::vector<real>{real(-kInf), 1}), variable("x", {2}, std::vector<real>{0, 1}));
    bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK((bad->name == "mul" && bad->element == 0 && std::isnan(bad->value)));

    t.tape.new_step();  // in a parameter or a leaf that learns it is no mask, nor are other numbers in a constant
    add(variable("w", {2}, std::vector<real>{1, real(-kInf)}), constant({2}, 0));
    bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK(says(bad->sentence, "element [1] of w [2] is -inf before any op"));
    t.tape.new_step();
    add(variable("w", {2}, std::vector<real>{1, 2}), constant({2}, std::vector<real>{real(-kInf), real(kInf)}));
    bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK((bad->element == 1 && says(bad->sentence, "of constant [2] is inf before any op")));
  }

  TEST_CASE("inspect: a product names ranges where no single number is to blame") {
    OnTape t;
    const double big = kDouble ? 1e200 : 1e30;
    const Tensor a = constant({3, 3}, big), w = variable("w", {3, 3}, std::vector<real>(9, real(big)));
    matmul(a, w);
    const auto bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK(bad->name == "matmul");
    CHECK(says(bad->sentence, "input w [3,3] holds"));
    CHECK(std::isnan(bad->inputs[1]));
  }

  TEST_CASE("inspect: a number of an input or output is named only where it alone belongs to the bad one") {
    // All arrays here are [2,2] or agree in their sizes by chance: shapes alone would say that elements correspond.
    OnTape t;
    const double most = double(std::numeric_limits<real>::max());
    const auto leaf = [](const char* name, const Shape& shape, const std::vector<double>& values) {
      return variable(name, shape, std::vector<real>(values.begin(), values.end()));
    };
    const auto found = [&] {
      const auto bad = why_nan(t.tape);
      REQUIRE(bad);
      return *bad;
    };
    const auto named = [](const BadNumber& bad) {  // which inputs are
      std::string s;
      for (const double x : bad.inputs) s += std::isnan(x) ? '-' : 'x';
      return s;
    };
    layer_norm(leaf("x", {2, 2}, {1, 2, 3, 9}), leaf("g", {2}, {1, most}), leaf("b", {2}, {0, most}));
    BadNumber bad = found();
    CHECK((bad.name == "layer_norm" && bad.element == 1 && named(bad) == "-xx"));
    CHECK(bad.inputs[1] == most);

    t.tape.new_step();
    const Tensor p = softmax(leaf("z", {2, 2}, {0, 0, 2, 0}));
    t.tape.seed(p, std::vector<real>{0, 0, real(most), real(-most)});
    t.tape.backward();
    bad = found();
    CHECK((bad.name == "softmax" && bad.in_gradient && bad.element == 3 && named(bad) == "x"));
    CHECK(bad.sentence.find("output %0") == std::string::npos);

    t.tape.new_step();
    const std::vector<int32_t> twice{1, 1};
    t.tape.seed(embedding(leaf("table", {2, 2}, {1, 2, 3, 4}), twice), std::vector<real>(4, real(most)));
    t.tape.backward();
    bad = found();
    CHECK((bad.name == "embedding" && bad.in_gradient && bad.element == 2));
    CHECK(bad.sentence.find("output %0") == std::string::npos);

    // A cell of an LSTM: only c stands beside the outputs element by element. Its forward pass squashes everything, so
    // the bad number is a gradient.
    t.tape.new_step();  // what arrives through h' and through c' has a sum that is too large
    const Tensor none = constant({2, 8}, 20), zero = constant({2, 2}, 0), still = constant({8, 2}, 0);
    const LstmState next = lstm_cell(none, {zero, leaf("c", {2, 2}, {-1, -1, -1, -1})}, still);
    t.tape.seed(next.h, std::vector<real>{0, 0, 0, real(most)});
    t.tape.seed(next.c, std::vector<real>{0, 0, 0, real(most)});
    t.tape.backward();
    bad = found();
    CHECK((bad.name == "lstm_cell" && bad.in_gradient && bad.element == 3 && named(bad) == "--x-"));
    CHECK(says(bad.sentence, "output %0.1 is "));

    t.tape.new_step();  // as it is with an op that does work element by element
    t.tape.seed(exp(leaf("x", {2, 2}, {1, 2, 3, 4})), std::vector<real>{0, 0, real(most), 0});
    t.tape.backward();
    CHECK(says(found().sentence, "output %0 is 20.0855, the gradient that arrived at it"));
  }

  TEST_CASE("inspect: a NaN that arises only in the backward pass is laid to the op whose backward made it") {
    // All values are finite. The slope of rsqrt at a tiny number overflows, and a factor 0 before it makes that NaN.
    OnTape t;
    const Tensor x = variable("x", {2}, std::vector<real>{1, 2});
    const Tensor tiny = constant({2}, std::vector<real>{1, real(kTiny)});
    const Tensor zeroed = mul(x, constant({2}, std::vector<real>{1, 0}));
    const int at = __LINE__ + 1;
    const Tensor root = rsqrt(add(zeroed, tiny));
    const Tensor loss = sum(mul(root, constant({2}, 0.5)));
    CHECK_FALSE(why_nan(t.tape));
    t.tape.backward(loss);
    CHECK(std::isfinite(loss.item()));
    CHECK(std::isnan(x.grad()[1]));
    const std::vector<double> before = everything(t.tape);
    const auto bad = why_nan(t.tape);
    CHECK(first_difference(before, everything(t.tape)) == -1);
    REQUIRE(bad);
    CHECK(bad->in_gradient);
    CHECK(bad->name == "rsqrt");
    CHECK(bad->op == 2);
    CHECK(bad->element == 1);
    CHECK(bad->value == -kInf);
    CHECK(bad->where.line == at);
    CHECK(says(bad->sentence, "the backward pass of rsqrt, op %2"));
    CHECK(says(bad->sentence, "element [1] of that of %1 [2] is -inf"));
    CHECK(says(bad->sentence, "the gradient that arrived at it 0.5"));
  }

  TEST_CASE("inspect: an op that adds to a gradient which another op has spoilt is not blamed") {
    OnTape t;
    const Tensor x = variable("x", {1}, std::vector<real>{real(kTiny)});
    const Tensor culprit = rsqrt(x);
    const Tensor innocent =
        mul(x, x);               // later on the tape, so its backward comes first and its input's gradient is bad
    const Tensor also = log(x);  // its own slope is finite
    const Tensor loss = sum(add(add(culprit, innocent), scale(also, 1e-3)));
    t.tape.backward(loss);
    CHECK_FALSE(std::isfinite(x.grad()[0]));
    const auto bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK(bad->in_gradient);
    CHECK(bad->name == "rsqrt");
    CHECK(bad->op == 0);
  }

  TEST_CASE("inspect: bad parameters, leaves and seeds are named as such") {
    OnTape t;
    Params params;
    const Tensor w = params.add("head.weight", {2, 2}, Init::constant(2));
    params.init(1);
    params.edit()[2] = real(kNan);
    const Tensor x = variable("x", {1, 2}, std::vector<real>{3, 4});
    const int at = __LINE__ + 1;
    Tensor y = matmul(add(x, x), w);
    const auto bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK(bad->name == "matmul");
    CHECK(bad->element == 2);
    CHECK(says(bad->sentence,
               "element [1,0] of head.weight [2,2] is nan before any op of this step; the first to use it is"));
    CHECK(says(bad->sentence, "matmul, op %1 (" + line(at)));

    params.edit()[2] = 1;
    t.tape.new_step();
    y = matmul(variable("x", {1, 2}, std::vector<real>{3, 4}), w);
    t.tape.seed(y, std::vector<real>{1, real(kInf)});
    t.tape.backward();
    const auto seeded = why_nan(t.tape);
    REQUIRE(seeded);
    CHECK(seeded->in_gradient);
    CHECK(seeded->element == 1);
    CHECK(says(seeded->sentence, "the gradient that arrives at matmul, op %0"));
    CHECK(says(seeded->sentence, "it was seeded with it, or a sum overflowed"));
  }

  TEST_CASE("inspect: gradients that overflow only in their sum") {
    OnTape t;
    const double big = kDouble ? 1.5e308 : 3e38;
    const Tensor z = variable("z", 0), y = scale(z, 1);  // 0, so that the values stay finite
    t.tape.backward(add(scale(y, big), scale(y, big)));
    CHECK(double(z.grad()[0]) == kInf);
    const auto bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK(bad->in_gradient);
    CHECK(bad->name == "scale");
    CHECK(says(bad->sentence, "the gradient of %0 [] is not finite, the sum of finite ones"));
  }

  TEST_CASE("inspect: the op to blame is found where the pass has given gradients up") {
    OnTape t;
    const double big = kDouble ? 1e200 : 1e30;
    const Tensor z = variable("z", 0), y = scale(scale(z, 1), 1);  // 0, so that the values stay finite
    t.tape.seed(scale(scale(y, big), big), std::vector<real>{1});
    t.tape.backward(Keep::kParameters);
    CHECK(double(z.grad()[0]) == kInf);
    CHECK(says(describe(y), "its gradient was given up"));
    const auto bad = why_nan(t.tape);
    REQUIRE(bad);
    CHECK((bad->in_gradient && bad->op == 2));
    CHECK(says(bad->sentence, "the backward pass of scale, op %2"));
  }

  TEST_CASE("inspect: a healthy model has nothing to blame, a sick one names its layer; looking changes nothing") {
    for (const std::string family : {"lstm", "transformer"}) {
      INFO(family);
      Config config;
      config.model = family;
      config.layers = 2;
      config.embd = 8;
      config.hidden = 8;
      config.heads = 2;
      config.context = 4;
      config.dropout = 0.2;
      config.resolve(1);
      const auto model = make_model(config, 5);
      const testing::TokenBatch batch = testing::TokenBatch::numbered(3, 4, 5);
      testing::LmStep step(1, 1);
      step.run(*model, {.training = true}, batch);
      Tape& tape = step.shards().tape(0);
      tape.restore_gradients();
      const std::vector<double> before = everything(tape);
      CHECK_FALSE(why_nan(tape));
      CHECK(describe(tape).size() > 500);
      for (const Op& op : tape.ops()) CHECK(says(describe(op), op.kind->name));
      CHECK(first_difference(before, everything(tape)) == -1);

      const std::string name = family == "lstm" ? "lstm.weight_ih_l1" : "h.1.mlp.c_proj.weight";
      model->params().edit(model->params().find(name))[9] = real(kInf);
      step.run(*model, {.training = true}, batch);
      const auto bad = why_nan(tape);
      REQUIRE(bad);
      CHECK_FALSE(bad->in_gradient);
      CHECK(bad->element == 9);
      CHECK(says(bad->sentence, "element [1,1] of " + name));
      CHECK(says(bad->where.file, "models/"));
    }
  }

  TEST_CASE("inspect: show prints on stderr, and finds a tape by itself") {
    Tape only;  // alive, not current
    CHECK(says(printed([] { show_tape(); }), "(0 ops, "));
    const Tape::Use use(only);
    const Tensor x = variable("x", 2), y = x * x;
    CHECK(printed([&] { show(y); }) == describe(y) + "\n");
    CHECK(printed([&] { show(y.value(Loc::here())); }) == describe(y) + "\n");
    CHECK(printed([&] { show(static_cast<const Value*>(nullptr)); }) == "no value\n");
    CHECK(printed([&] { show_op(only.ops()[0]); }) == describe(only.ops()[0]));
    CHECK(printed([&] { show_tape(); }) == describe(only));
    const Tape another;
    CHECK(printed([&] { show_tape(only); }) == describe(only));
    CHECK(printed([&] { show_tape(); }) == describe(only));  // it is current
  }
}
