// engine/step/: the examples of `gradus step`, their gradients, the numbers put into the rules, and what a terminal
// shows of them. Long, because every text for the terminal has a case.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <sstream>

#include "apps/commands.h"
#include "apps/step/examples.h"
#include "engine/composed.h"
#include "engine/gradcheck.h"
#include "engine/inspect.h"
#include "engine/step/math.h"
#include "engine/step/text.h"
#include "engine/step/trace.h"
#include "tests/near.h"

namespace {

using namespace gradus;
const double kBound = kDouble ? 1e-8 : 2e-3;

struct Recorded {
  Tape tape;
  Tape::Use use{tape};
  Tensor loss;
  Trace trace;
  explicit Recorded(const char* name) {
    const StepExample& example = step_example(name);
    loss = example.build();
    tape.backward(loss);
    trace = record_trace(tape, {.name = example.name, .title = example.title});
  }
  const TraceValue& value(const std::string& name) const {
    for (const TraceValue& v : trace.values)
      if (v.name == name || v.place == name) return v;
    FAIL("no value " << name);
    return trace.values[0];
  }
};

bool close(double a, double b, double bound) { return std::fabs(a - b) <= bound * std::max(1.0, std::fabs(b)); }

// Rules that no example uses.
Tensor other_rules() {
  const auto reals = [](std::initializer_list<double> list) { return std::vector<real>(list.begin(), list.end()); };
  const Tensor x = variable("x", {2, 3}, reals({1, 2, 3, 0.5, 4, 5}));
  const Tensor g = variable("g", {3}, reals({1, -2, 0.5})), b = variable("b", {3}, reals({0.1, 0.2, -0.3}));
  const Tensor w = variable("w", {3, 3}, reals({0.1, -0.2, 0.3, 0.4, 0.5, -0.6, 0.7, 0.8, 0.9}));
  const Tensor y = mul_rows(exp(relu(rsqrt(log(sub(exp(x), x))))), g);
  const Tensor z = linear(gelu(layer_norm(y, g, b)), w, b);
  const Tensor h = linear_gelu(z, w, b);
  const Tensor found = embedding(h, std::vector<int32_t>{1, 0, 1});
  const Tensor loss = softmax_cross_entropy(dropout(found, 0.3), std::vector<int32_t>{2, 0, 1});
  const Tensor picked = pick(linear(h, w, Tensor()), std::vector<int32_t>{0, 2});
  const Tensor sides[] = {columns(z, 1, 2), y, columns(y, 0, 1)};
  const Tensor more = sum(columns(concat(sides), 1, 4));
  return add(add(mean(mul(loss, constant({3}, reals({1, 2, 3})))), sum(mul(row_means(y), picked))), more);
}

}  // namespace

TEST_SUITE("step") {
  TEST_CASE("step: every gradient of every example equals finite differences of the loss, every op those of itself") {
    for (const StepExample& example : step_examples()) {
      CAPTURE(example.name);
      const Recorded r(example.name);
      CHECK(close(r.trace.loss, r.loss.item(), 1e-12));
      CHECK(r.trace.steps.size() == r.trace.ops.size());  // nothing in them is beside the way to the loss
      for (const TraceOp& op : r.trace.ops) {
        const std::string kind = op.kind->name;
        CAPTURE(kind);
        CHECK(op.checked);
        CHECK(op.passes);
        CHECK(op.source.find(kind == "scale" || kind == "add" || kind == "mul" ? "named" : kind) != std::string::npos);
        CHECK(op.error <= kGradBound);
      }
      for (const TraceValue& v : r.trace.values) {
        CAPTURE(v.name);
        REQUIRE(v.numeric.size() == v.grad.size());
        CHECK(v.grad.empty() != v.needs_grad);
        CHECK(v.checked == int64_t(v.grad.size()));
        CHECK(v.agrees);
        for (size_t e = 0; e < v.grad.size(); ++e) CHECK(close(v.numeric[e], v.grad[e], kBound));
      }
    }
  }

  TEST_CASE("step: contributions add up to the gradients of the pass that ran, in the order of the pass") {
    for (const StepExample& example : step_examples()) {
      CAPTURE(example.name);
      const Recorded r(example.name);
      std::vector<std::vector<double>> sum;
      for (const TraceValue& v : r.trace.values) sum.emplace_back(v.shape.numel(), 0.0);
      for (const auto& [value, grad] : r.trace.seeds)
        for (size_t e = 0; e < grad.size(); ++e) sum[size_t(value)][e] += grad[e];
      int before = int(r.trace.ops.size());
      for (const TraceStep& s : r.trace.steps) {
        CHECK(s.op < before);
        before = s.op;
        for (const TraceAdd& a : s.adds) {
          const TraceInput& in = r.trace.ops[size_t(s.op)].in[size_t(a.input)];
          double* to = sum[size_t(in.value)].data() + in.offset;
          for (size_t e = 0; e < a.added.size(); ++e) to[e] += a.added[e];
        }
        for (const TraceAdd& a : s.adds) {  // an op may add to one value twice; `now` is after both
          const TraceInput& in = r.trace.ops[size_t(s.op)].in[size_t(a.input)];
          for (size_t e = 0; e < a.now.size(); ++e)
            CHECK(close(sum[size_t(in.value)][size_t(in.offset) + e], a.now[e], kDouble ? 1e-14 : 1e-6));
        }
      }
      for (size_t i = 0; i < sum.size(); ++i)
        for (size_t e = 0; e < r.trace.values[i].grad.size(); ++e)
          CHECK(close(sum[i][e], r.trace.values[i].grad[e], kDouble ? 1e-14 : 1e-6));
    }
  }

  TEST_CASE("step: recording leaves values and gradients as they were, bit for bit") {
    for (const StepExample& example : step_examples()) {
      Tape tape;
      const Tape::Use use(tape);
      tape.backward(example.build());
      const auto bits = [&] {
        std::vector<real> all;
        for (const Op& op : tape.ops())
          for (int i = 0; i < op.n_in + op.n_out; ++i) {
            const Value* v = op.in[i];
            all.insert(all.end(), v->data, v->data + v->shape.numel());
            if (v->grad) all.insert(all.end(), v->grad, v->grad + v->shape.numel());
          }
        return all;
      };
      const std::vector<real> before = bits();
      record_trace(tape, {});
      const std::vector<real> after = bits();
      REQUIRE(before.size() == after.size());
      CHECK(std::memcmp(before.data(), after.data(), before.size() * sizeof(real)) == 0);
    }
  }

  TEST_CASE("step: the rules with the numbers put in come to what forward computed and backward added") {
    int lines = 0;
    const double bound = kDouble ? 1e-12 : 1e-4;
    const auto check = [&](const Tape& tape, bool all) {
      for (const Op& op : tape.ops()) {
        CAPTURE(op.kind->name);
        const Worked y = worked_forward(op);
        if (all) REQUIRE_FALSE(y.text.empty());
        if (!y.text.empty()) CHECK(close(y.value, double(op.y()[y.element]), bound));
        const auto added = contributions(op);
        for (int i = 0; i < op.n_in; ++i) {
          if (!op.in[i]->needs_grad) continue;
          CAPTURE(i);
          const Worked w = worked(op, i, added[size_t(i)]);
          if (all) REQUIRE_FALSE(w.text.empty());
          if (w.text.empty()) continue;
          ++lines;
          CAPTURE(w.text);
          CHECK(close(w.value, double(added[size_t(i)][size_t(w.element)]), bound));
        }
      }
    };
    for (const StepExample& example : step_examples()) {
      CAPTURE(example.name);
      check(Recorded(example.name).tape, false);
    }
    CHECK(lines > 70);
    Tape tape;
    const Tape::Use use(tape);
    tape.new_step({.seed = 3, .step = 1, .training = true, .sequences = 3});
    tape.backward(other_rules());
    check(tape, true);
  }

  TEST_CASE("step: the element that is worked out is in the last row that is not 0") {
    const Recorded r("attention");
    for (const char* name : {"P", "S", "Q Kᵀ", "logits"}) {
      CAPTURE(name);
      const TraceValue& v = r.value(name);
      const std::vector<double> last(v.data.end() - 3, v.data.end());
      const auto less = [](double a, double b) { return std::fabs(a) < std::fabs(b); };
      const auto most = std::max_element(last.begin(), last.end(), less) - last.begin();
      CHECK(r.trace.ops[size_t(v.op)].element == 6 + most);
    }
    Tape tape;
    const Tape::Use use(tape);
    const real x[] = {1, 2, 3, -4, 0, 0};
    tape.backward(sum(relu(variable("x", {3, 2}, x))));
    CHECK(record_trace(tape, {}).ops[0].element == 2);
  }

  TEST_CASE("step: the KL example is that of the articles that `gradus kl` lists") {
    const Recorded r("kl");
    CHECK(close(r.trace.loss, 0.0997934720914665, kDouble ? 1e-15 : 1e-6));
    const double wanted[] = {.06167503961, -.10105171604, -.07929406527, .11867074169};
    for (size_t e = 0; e < 4; ++e) CHECK(close(r.value("z").grad[e], wanted[e], kDouble ? 1e-10 : 1e-6));
  }

  TEST_CASE("step: the LSTM example is the engine's composed LSTM, bit for bit") {
    Recorded r("lstm");
    const auto leaf = [&](const char* name) {
      const TraceValue& v = r.value(name);
      return variable(name, v.shape, std::vector<real>(v.data.begin(), v.data.end()));
    };
    Tape tape;
    const Tape::Use use(tape);
    const Tensor x = embedding(leaf("E"), std::vector<int32_t>{0, 1, 2}), w_hh = leaf("w_hh");
    const Tensor xw = add_rows(matmul_nt(x, leaf("w_ih")), leaf("b"));
    const LstmOutput out = composed::lstm_sequence(xw, {constant({1, 2}, 0), constant({1, 2}, 0)}, w_hh);
    const Tensor each = softmax_cross_entropy(matmul_nt(out.h, leaf("w_out")), std::vector<int32_t>{1, 2, 0});
    const Tensor loss = mean(each);
    tape.backward(loss);
    CHECK(loss.item() == r.trace.loss);
    for (size_t e = 0; e < w_hh.grad().size(); ++e) CHECK(double(w_hh.grad()[e]) == r.value("w_hh").grad[e]);
  }

  TEST_CASE("step: a walk knows its places") {
    const Recorded r("scalar");
    const Trace& t = r.trace;
    CHECK(t.positions() == 5 + 1 + 5);
    CHECK(step_at(t, 5) == -1);
    CHECK(step_at(t, 6) == 0);
    CHECK(*position_of_op(t, 4) == 6);
    CHECK(*position_of_op(t, 0) == 10);
    CHECK_FALSE(position_of_op(t, 5));
    CHECK_FALSE(position_of_op(t, -1));
    CHECK(*position_of_name(t, "a") == 10);  // the second of its two contributions
    CHECK(*position_of_name(t, "d") == 8);
    CHECK(*position_of_name(t, "%1") == 8);
    CHECK(*position_of_name(t, "loss") == 4);  // nothing adds to it: where it was computed
    CHECK_FALSE(position_of_name(t, "nobody"));
    CHECK_THROWS_WITH_AS(step_example("nobody"),
                         "step nobody: must be one of scalar | neuron | lstm | attention | kl | elbo", UsageError);
  }

  TEST_CASE("step: a trace without a pass is refused, and a wrong backward is seen") {
    Tape tape;
    const Tape::Use use(tape);
    step_example("scalar").build();
    CHECK_THROWS_WITH_AS(record_trace(tape, {}), doctest::Contains("backward has not run"), ShapeError);
    tape.new_step();
    static constexpr auto wrong = [](Op& op) { op.dx(0)[0] += op.dy()[0] * op.x(0)[0]; };  // of x²: the 2 is missing
    static constexpr OpKind kind{"square", [](Op& op) { op.y()[0] = op.x(0)[0] * op.x(0)[0]; }, wrong};
    tape.backward(record(kind, {variable("x", 3.0)}, {}, nullptr, Loc::here()));
    const Trace t = record_trace(tape, {});
    CHECK_FALSE(t.ops[0].passes);
    CHECK_FALSE(t.values[0].agrees);
    CHECK(close(t.values[0].grad[0], 3, 1e-6));
    CHECK(close(t.values[0].numeric[0], 6, 1e-4));
    CHECK(check_text(t, 2).find("This op's backward DOES NOT MATCH finite differences") != std::string::npos);
    CHECK(check_text(t, 2).find("It DOES NOT MATCH finite differences of the loss") != std::string::npos);
  }

  TEST_CASE("step: a gradient that finite differences cannot tell from 0 is not called right") {
    for (const double slope : {kGradBound / 2, kGradBound * 2}) {
      Tape tape;
      const Tape::Use use(tape);
      tape.backward(scale(variable("x", 3.0), slope));
      const std::string said = check_text(record_trace(tape, {}), 2);
      CHECK((said.find("matches finite differences of the loss") != std::string::npos) == (slope > kGradBound));
      CHECK((said.find("No element exceeds") != std::string::npos) == (slope < kGradBound));
    }
  }

  TEST_CASE("step: texts name the op, its line, what arrived and what it added") {
    const Recorded r("neuron");
    const auto has = [](const std::string& text, std::initializer_list<const char*> parts) {
      for (const char* part : parts) {
        CAPTURE(text);
        CAPTURE(part);
        CHECK(text.find(part) != std::string::npos);
      }
    };
    has(position_text(r.trace, 2),
        {"forward 3/6, op 2: o = tanh(a)\n", "apps/step/examples.cpp:", "y = tanh u (u = a, y = o)\n"});
    has(worked_text(r.trace, 2), {"o: tanh u = tanh 1.3 = 0.8617\n"});
    has(position_text(r.trace, 6), {"Backward begins. The loss is 0.019", "Its gradient with respect to itself is\n"});
    has(position_text(r.trace, 10), {"backward 4/6, op 2: o = tanh(a)\n", "∂u += ∂y (1 − y²) (u = a, y = o)\n",
                                     "  arrived: ∂o [1,1]", "  ∂a += [1,1]"});
    has(worked_text(r.trace, 10), {"∂a: ∂y (1 − y²) = "});
    has(check_text(r.trace, 10), {"This op's backward matches finite differences (largest error ",
                                  "∂a is complete. It matches finite differences of the loss"});
    has(gradients_text(r.trace), {"∂w [3,1]", "∂b [1]", "differs by"});
    // A gradient that is not complete is not compared with that of the loss.
    const std::string half = check_text(Recorded("scalar").trace, 6);
    has(half, {"∂a has 1 of its 2 contributions: not yet to be compared."});
    CHECK(half.find("numeric", half.find("∂a has")) == std::string::npos);
  }

  TEST_CASE("step: no two values have one name, and no letter of a rule is the name of a value") {
    const auto check = [](const Trace& t) {
      std::set<std::string> names;
      for (const TraceValue& v : t.values) CHECK_MESSAGE(names.insert(v.name).second, v.name);
      for (const TraceOp& op : t.ops) {
        std::istringstream pairs(op.letters);
        for (std::string letter, equals, name; pairs >> letter >> equals && std::getline(pairs, name, ',');) {
          CHECK_MESSAGE(!names.contains(letter), letter);
          CHECK_MESSAGE((op.forward + op.backward).find(letter) != std::string::npos, letter);
        }
        CHECK(op.letters.find(", ,") == std::string::npos);
        CHECK_FALSE(op.letters.ends_with(", "));
      }
    };
    for (const StepExample& example : step_examples()) check(Recorded(example.name).trace);
    Tape tape;
    const Tape::Use use(tape);
    const Tensor u = variable("u", 2.0), y = variable("y", 3.0);
    tape.backward(named("y", add(mul(u, y), u)));
    const Trace t = record_trace(tape, {});
    check(t);
    CHECK(t.ops[0].forward == "y′ = u′ v");
    CHECK(t.ops[0].backward == "∂u′ += ∂y′ v,  ∂v += ∂y′ u′");
    CHECK(t.ops[0].letters == "u′ = u, v = y, y′ = %0");
    CHECK(t.ops[0].worked == "u′ v = 2·3 = 6");
    CHECK(t.ops[1].letters == "u′ = %0, v = u, y′ = y#2");
  }

  TEST_CASE("step: of a large step some elements are compared with finite differences, and a wrong one is seen") {
    const StepExample& example = step_example("attention");
    Tape tape;
    const Tape::Use use(tape);
    tape.backward(example.build());
    for (const TraceValue& v : record_trace(tape, {.checked = 4}).values) {
      if (v.grad.empty()) continue;
      CAPTURE(v.name);
      CHECK(v.checked == std::min<int64_t>(4, v.shape.numel()));
      CHECK(v.numeric.empty() == (v.shape.numel() > 4));
      CHECK(v.agrees);
    }
    tape.new_step();
    static constexpr auto wrong = [](Op& op) {
      for (int64_t i = 0; i < 8; ++i) op.dx(0)[i] += op.dy()[i] * real(i == 6 ? 1.1 : 1);  // of x + 1
    };
    static constexpr OpKind kind{.name = "one_more",
                                 .forward =
                                     [](Op& op) {
                                       for (int64_t i = 0; i < 8; ++i) op.y()[i] = op.x(0)[i] + 1;
                                     },
                                 .backward = wrong};
    const Tensor x = variable("x", {8}, std::vector<real>(8, real(0.5)));
    tape.backward(sum(record(kind, {x}, {8}, nullptr, Loc::here())));
    CHECK_FALSE(record_trace(tape, {.checked = 4}).values[0].agrees);  // elements 0, 2, 4, 6
    CHECK(record_trace(tape, {.checked = 3}).values[0].agrees);        // 0, 2, 5
  }

  TEST_CASE("step: every position fits a terminal of 80 columns and 24 lines, whatever is asked for") {
    for (const StepExample& example : step_examples()) {
      CAPTURE(example.name);
      const Trace t = Recorded(example.name).trace;
      for (int p = 0; p < t.positions(); ++p)
        for (const char asked : {' ', 'w', 'v', 'e'}) {
          CAPTURE(p);
          CAPTURE(asked);
          std::istringstream lines(screen_text(t, p, asked, asked == 'e' ? "That was the last step." : "", 80, 24));
          int n = 0;
          for (std::string line; std::getline(lines, line); ++n)
            CHECK_MESSAGE(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }) <= 80,
                          line);
          CHECK(n <= 24);
        }
    }
  }

  TEST_CASE("step: names come from scopes, modules and the program, labels from the rows of a leaf") {
    Params params;
    const Tensor table = params.add("table.weight", {3, 2}, Init::normal(1));
    const Tensor w = params.add("layer.0.weight", {2, 2}, Init::normal(1));
    params.init(1);
    Tape tape;
    const Tape::Use use(tape);
    Tensor scores;
    {
      const Tape::Scope outer("h", 0);
      const Tensor x = embedding(table, std::vector<int32_t>{2, 0, 1, 2});
      const Tape::Scope inner("attn");
      const Tensor q = linear(x, w, Tensor()), k = matmul(x, w);
      scores = named("S", matmul_nt(q, k.rows(1, 2)));
    }
    tape.backward(named("loss", sum(tanh(scores))));
    const Trace t = record_trace(tape, {.rows = {{"table.weight", {"a", "b", "c"}}}});
    std::vector<std::string> names;
    for (const TraceValue& v : t.values)
      if (v.op >= 0) names.push_back(v.name);
    CHECK(names == std::vector<std::string>{"table", "layer.0", "h.0.attn.matmul", "h.0.attn.S", "%4", "loss"});
    CHECK(t.values[size_t(t.ops[2].out[0])].scope == "h.0.attn");
    CHECK(t.values[size_t(t.ops[1].out[0])].scope == "");
    CHECK(t.ops[3].in[1].name == "h.0.attn.matmul[1:3]");
    const auto labels = [&](int i) { return i < 0 ? std::vector<std::string>{} : t.labels[size_t(i)]; };
    const TraceValue& of_scores = t.values[size_t(t.ops[3].out[0])];
    CHECK(labels(of_scores.rows) == std::vector<std::string>{"c", "a", "b", "c"});
    CHECK(labels(of_scores.columns) == std::vector<std::string>{"a", "b"});
    CHECK(labels(t.values[size_t(t.ops[4].out[0])].rows) == labels(of_scores.rows));
    CHECK(t.ops[0].ids == std::vector<int32_t>{2, 0, 1, 2});
  }
}
