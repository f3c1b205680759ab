// apps/step/trace.h and what reads it: the examples of `gradus step`, their gradients, the numbers put into the
// derivatives.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

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
    trace = record_trace(tape, example.name, example.title);
  }
  const TraceValue& value(const std::string& name) const {
    for (const TraceValue& v : trace.values)
      if (v.name == name || v.label == name) return v;
    FAIL("no value " << name);
    return trace.values[0];
  }
};

bool close(double a, double b, double bound) { return std::fabs(a - b) <= bound * std::max(1.0, std::fabs(b)); }

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
      }
      for (const TraceValue& v : r.trace.values) {
        CAPTURE(v.name);
        REQUIRE(v.numeric.size() == v.grad.size());
        CHECK(v.grad.empty() != v.needs_grad);
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
      record_trace(tape, "x", "x");
      const std::vector<real> after = bits();
      REQUIRE(before.size() == after.size());
      CHECK(std::memcmp(before.data(), after.data(), before.size() * sizeof(real)) == 0);
    }
  }

  TEST_CASE("step: the derivative with the numbers put in comes to what backward added") {
    int lines = 0;
    for (const StepExample& example : step_examples()) {
      Recorded r(example.name);
      for (const Op& op : r.tape.ops()) {
        const auto added = contributions(op);
        for (int i = 0; i < op.n_in; ++i) {
          if (!op.in[i]->needs_grad) continue;
          CAPTURE(op.kind->name);
          CAPTURE(i);
          const Worked w = worked(op, i, added[size_t(i)]);
          if (w.text.empty()) continue;
          ++lines;
          CHECK(close(w.value, double(added[size_t(i)][size_t(w.element)]), kDouble ? 1e-13 : 1e-5));
        }
      }
    }
    CHECK(lines > 70);
    // Rules that no example uses.
    Tape tape;
    const Tape::Use use(tape);
    const Tensor x = variable("x", {2, 3}, std::vector<real>{1, 2, 3, real(0.5), 4, 5});
    const Tensor g = variable("g", {3}, std::vector<real>{1, -2, real(0.5)});
    const Tensor y = mul_rows(exp(relu(rsqrt(log(sub(exp(x), x))))), g);
    tape.backward(sum(mul(row_means(y), constant({2}, std::vector<real>{1, 3}))));
    for (const Op& op : tape.ops()) {
      const auto added = contributions(op);
      for (int i = 0; i < op.n_in; ++i) {
        if (!op.in[i]->needs_grad) continue;
        CAPTURE(op.kind->name);
        const Worked w = worked(op, i, added[size_t(i)]);
        REQUIRE_FALSE(w.text.empty());
        CHECK(close(w.value, double(added[size_t(i)][size_t(w.element)]), kDouble ? 1e-13 : 1e-5));
      }
    }
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
    CHECK_THROWS_WITH_AS(step_example("nobody"), "step nobody: must be one of scalar | neuron | lstm | attention | kl",
                         UsageError);
  }

  TEST_CASE("step: a trace without a pass is refused, and a wrong backward is seen") {
    Tape tape;
    const Tape::Use use(tape);
    step_example("scalar").build();
    CHECK_THROWS_WITH_AS(record_trace(tape, "x", "x"), doctest::Contains("backward has not run"), ShapeError);
    tape.new_step();
    static constexpr auto wrong = [](Op& op) { op.dx(0)[0] += op.dy()[0] * op.x(0)[0]; };  // of x²: the 2 is missing
    static constexpr OpKind kind{"square", [](Op& op) { op.y()[0] = op.x(0)[0] * op.x(0)[0]; }, wrong};
    tape.backward(record(kind, {variable("x", 3.0)}, {}, nullptr, Loc::here()));
    const Trace t = record_trace(tape, "x", "x");
    CHECK_FALSE(t.ops[0].passes);
    CHECK(close(t.values[0].grad[0], 3, 1e-6));
    CHECK(close(t.values[0].numeric[0], 6, 1e-4));
    CHECK(check_text(t, 2).find("DOES NOT AGREE") != std::string::npos);
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
    has(position_text(r.trace, 2), {"forward 3/6  %2 (o) = tanh(%1 (a))", "apps/step/examples.cpp:", "y = tanh x"});
    has(position_text(r.trace, 6), {"Backward begins", "loss is 0.019"});
    has(position_text(r.trace, 10),
        {"backward 4/6  %2 (o) = tanh(%1 (a))", "dx += dy (1 − y²)", "arrived: d%2 (o)", "d%1 (a) +="});
    has(derivative_text(r.trace, 10), {"dy (1 − y²) = "});
    has(check_text(r.trace, 10), {"agrees", "is complete"});
    has(check_text(Recorded("scalar").trace, 6), {"1 of its 2 contributions"});
    has(gradients_text(r.trace), {"dw [3,1]", "db [1]", "differs by"});
  }
}
