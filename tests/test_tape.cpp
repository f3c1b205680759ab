// engine/tape.h and engine/tensor.h: values and gradients of small expressions, windows, the life of tensors, what each
// misuse says, and the backward pass driven from its hooks as a debugger drives it.
// Long, because every promise of the two headers has a case.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/params.h"
#include "tests/near.h"

namespace {

using namespace gradus;

// A tape, current while the fixture lives.
struct OnTape {
  Tape tape;
  Tape::Use use{tape};
};

// The message of the ShapeError that f throws, "" if it throws none.
template <class F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const ShapeError& e) {
    return e.what();
  }
  return "";
}
bool says(const std::string& message, const char* words) {
  if (message.find(words) != std::string::npos) return true;
  MESSAGE("the message is \"", message, "\", it should say \"", std::string(words), "\"");
  return false;
}

std::vector<real> copy(std::span<const real> x) { return {x.begin(), x.end()}; }
bool same_bits(std::span<const real> a, std::span<const real> b) { return first_difference(a, b) == -1; }
double g(const Tensor& t) {
  REQUIRE(t.grad().size() == 1);
  return double(t.grad()[0]);
}
bool is(std::span<const real> x, std::initializer_list<double> wanted) {
  return std::equal(x.begin(), x.end(), wanted.begin(), wanted.end(), [](real a, double b) { return double(a) == b; });
}

// A step with everything that has its own way through the tape: parameters, windows of them and of intermediates, an op
// with two outputs, dropout, a value used several times, a branch that the loss does not see.
struct Step {
  Params params;
  Tensor w, u, bias;
  Step() {
    w = params.add("w", {8, 4}, Init::normal(0.5));
    u = params.add("u", {8, 2}, Init::normal(0.5));
    bias = params.add("bias", {8}, Init::normal(0.5));
    params.init(3);
  }
  Tensor operator()() const {
    const std::vector<real> numbers{1, -2, real(0.5), 3, real(0.25), -1, 2, real(1.5)};
    const Tensor x = variable("x", {2, 4}, numbers);
    const Tensor a = add_rows(matmul_nt(x, w), bias);
    const Tensor state = variable("h", {2, 2}, std::span(numbers).first(4));
    const LstmState s = lstm_cell(dropout(a, 0.25), {state, tanh(state)}, u);
    mul(s.h, s.h);                                                                             // not part of the loss
    const Tensor first = w.rows(0, 2).reshape({4, 2}), second = w.rows(1, 2).reshape({4, 2});  // they overlap in row 1
    const Tensor both = mul(first, second);
    const Tensor y = mul(s.h, s.c).reshape({4});
    const Tensor z = variable("z", {4, 2}, numbers);  // used through windows alone
    const Tensor pairs = sum(mul(z.rows(0, 3), z.rows(1, 3)));
    return add(sum(mul(y.rows(1, 3), y.rows(0, 3))), add(sum(both.rows(1, 2)), add(pairs, sum(sigmoid(u)))));
  }
};

}  // namespace

TEST_SUITE("tape") {
  TEST_CASE("tape: values and gradients of scalar expressions") {
    OnTape t;
    const Tensor a = variable("a", 2), b = variable("b", -3);
    const Tensor c = a * b + a;
    CHECK(c.item() == -4);
    t.tape.backward(c);
    CHECK(g(a) == -2);  // b + 1
    CHECK(g(b) == 2);
    CHECK(g(c) == 1);
    CHECK(std::string(t.tape.ops()[0].kind->name) == "mul");
    CHECK(std::string(t.tape.ops()[0].where.file).ends_with("test_tape.cpp"));
    CHECK(t.tape.ops()[1].where.line == t.tape.ops()[0].where.line);
  }

  TEST_CASE("tape: a value used several times gathers all its gradients") {
    OnTape t;
    const Tensor a = variable("a", 5), b = a + a, c = b + b;
    t.tape.backward(c);
    CHECK(g(a) == 4);
    t.tape.new_step();
    const Tensor x = variable("x", 3), y = x * x * x - 2 * x;  // 3 x^2 - 2
    CHECK(y.item() == 21);
    t.tape.backward(y);
    CHECK(g(x) == 25);
    t.tape.new_step();
    const Tensor p = variable("p", 2), q = variable("q", -1);  // a diamond: r = p q, (r + p)(r - q)
    const Tensor r = p * q, s = (r + p) * (r - q);
    CHECK(s.item() == 0);
    t.tape.backward(s);
    CHECK(g(p) == (-1 + 1) * (-2 + 1) + (-2 + 2) * -1);
    CHECK(g(q) == 2 * (-2 + 1) + (-2 + 2) * (2 - 1));
  }

  TEST_CASE("tape: the gradient check of a chain of all scalar operators, against a formula") {
    OnTape t;
    const double x0 = 0.7;
    const Tensor x = variable("x", x0), y = tanh(x * x) * exp(x) - log(x) + 0.5 * rsqrt(x);
    t.tape.backward(y);
    const double th = std::tanh(x0 * x0);
    const double wanted =
        (1 - th * th) * 2 * x0 * std::exp(x0) + th * std::exp(x0) - 1 / x0 - 0.25 * std::pow(x0, -1.5);
    CHECK(std::fabs(y.item() - (th * std::exp(x0) - std::log(x0) + 0.5 / std::sqrt(x0))) < (kDouble ? 1e-14 : 1e-6));
    CHECK(std::fabs(g(x) - wanted) < (kDouble ? 1e-14 : 2e-6));
  }

  TEST_CASE("tape: windows show what they look into, and pass gradients on to it") {
    OnTape t;
    const std::vector<real> numbers{1, 2, 3, 4, 5, 6};
    const Tensor x = variable("x", {3, 2}, numbers);
    const Tensor top = x.rows(0, 2), bottom = x.rows(1, 2), flat = x.reshape({6}),
                 middle = flat.rows(2, 2).reshape({1, 2});
    CHECK(top.data() == x.data());
    CHECK(bottom.data() == x.data() + 2);
    CHECK(middle.data() == x.data() + 2);
    CHECK(middle.shape() == Shape{1, 2});
    const Tensor y = add(sum(mul(top, bottom)), sum(middle));  // x0 x1 + x1 x2 row by row, and row 1 once more
    CHECK(y.item() == 1 * 3 + 2 * 4 + 3 * 5 + 4 * 6 + 3 + 4);
    t.tape.backward(y);
    CHECK(is(x.grad(), {3, 4, 1 + 5 + 1, 2 + 6 + 1, 3, 4}));
    CHECK(is(top.grad(), {3, 4, 7, 9}));
    CHECK(is(bottom.grad(), {7, 9, 3, 4}));
    CHECK(is(middle.grad(), {7, 9}));
    CHECK(is(x.rows(2, 1).grad(), {3, 4}));                          // a window made after the pass
    CHECK(is(x.rows(1, 2).rows(1, 1).reshape({2}).grad(), {3, 4}));  // and a window of a window
  }

  TEST_CASE("tape: windows of an intermediate and of a parameter") {
    OnTape t;
    Params params;
    const Tensor w = params.add("w", {4}, Init::constant(0));
    params.init(1);
    std::copy_n(std::vector<real>{1, 2, 3, 4}.begin(), 4, params.edit().begin());
    const Tensor y = mul(w, w);                                     // 1 4 9 16
    const Tensor z = mul(y.rows(1, 2), w.rows(2, 2).reshape({2}));  // 4·3, 9·4
    CHECK(is(z.span(), {12, 36}));
    t.tape.backward(sum(z));
    // dw[1] = 2 w1 w2; dw[2] = y1 + 2 w2 w3; dw[3] = y2
    CHECK(is(t.tape.gradient(params.array()), {0, 12, 4 + 24, 9}));
    CHECK(is(w.grad(), {0, 12, 28, 9}));
    CHECK(is(w.rows(2, 2).grad(), {28, 9}));
    CHECK(is(y.grad(), {0, 3, 4, 0}));
  }

  TEST_CASE("tape: a window of many windows costs no stack") {
    OnTape t;
    const Tensor x = variable("x", {2}, std::vector<real>{3, 4});
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y.reshape({2});
    t.tape.backward(sum(mul(y, y)));
    CHECK(is(x.grad(), {6, 8}));
    CHECK(t.tape.rewind(0) == 1);  // and none when the gradients are cleared
  }

  TEST_CASE("tape: bounds and shapes of windows are checked") {
    OnTape t;
    const Tensor x = constant({3, 2}, 0);
    CHECK(says(refusal([&] { x.rows(2, 2); }), "rows 2 to 4 are not in [3,2]"));
    CHECK(says(refusal([&] { x.rows(-1, 2); }), "rows -1 to 1 are not in [3,2]"));
    CHECK(says(refusal([&] { x.reshape({7}); }), "[3,2] does not hold as many numbers as [7]"));
    CHECK(says(refusal([&] { constant({}, 0).rows(0, 1); }), "a scalar has no rows"));
    CHECK(x.rows(3, 0).numel() == 0);
    const std::string here = refusal([&] { x.rows(2, 2); });
    CHECK(says(here, (std::string("test_tape.cpp:") + std::to_string(__LINE__ - 1)).c_str()));
  }

  TEST_CASE("tape: sizes that cannot be are refused with the line of who asked for them") {
    OnTape t;
    const int64_t big = int64_t{1} << 32, most = std::numeric_limits<int64_t>::max();
    CHECK(says(refusal([&] { constant({-2, -3}, 0); }), "Shape: [-2,-3] has a negative size"));
    CHECK(says(refusal([&] { constant({-3}, 0); }), "Shape: [-3] has a negative size"));
    CHECK(says(refusal([&] { constant({0, -1}, 0); }), "Shape: [0,-1] has a negative size"));
    CHECK(says(refusal([&] { Shape{big, big}; }), "Shape: [4294967296,4294967296] has too many numbers for 64 bits"));
    CHECK(says(refusal([&] { Shape{most, 2}; }), "too many numbers"));
    CHECK(says(refusal([&] { Shape{big, big, 0}; }), "too many numbers"));  // nor does a 0 hide it
    CHECK(says(refusal([&] { Shape{1, 1, 1, 1, 1}; }), "Shape: [1,1,1,1,1] has rank 5, it must be at most 4"));
    CHECK(says(refusal([&] { constant({2, 3}, 0).reshape({-2, -3}); }), "[-2,-3] has a negative size"));
    Params params;
    CHECK(says(refusal([&] { params.add("w", {3, -1}, {}); }), "[3,-1] has a negative size"));
    CHECK(says(refusal([&] { Shape{-1}; }), (std::string("test_tape.cpp:") + std::to_string(__LINE__)).c_str()));
    CHECK((Shape{most}.numel() == most && Shape{0, most}.numel() == 0 && Shape{}.numel() == 1));
    CHECK(Shape{2, 1, 3, 5}.numel() == 30);
  }

  TEST_CASE("tape: a term of a loss that reaches no parameter is named by trained()") {
    OnTape t;
    Params params;
    const Tensor w = params.add("w", {2}, Init::constant(3)), cold = params.add("cold", {2}, Init::constant(1));
    params.init(1);
    params.freeze("cold");
    const Tensor x = variable("x", {2}, std::vector<real>{1, 2}), c = constant({2}, 4);
    Tensor penalty;
    {
      const NoGrad no_grad;
      penalty = sum(mul(w, w));
    }
    CHECK(says(refusal([&] { trained(penalty); }), "trained: no gradient goes through sum []"));
    CHECK(says(refusal([&] { trained(penalty); }), "would train nothing (tests/test_tape.cpp:"));
    for (const Tensor& dead : {sum(detach(w)), sum(mul(c, c)), sum(cold), sum(mul(cold, c)), scale(sum(detach(x)), 2)})
      CHECK(says(refusal([&] { trained(dead); }), "no gradient goes through"));
    // Added up it would pass unseen: this loss can be differentiated, and the penalty changes nothing.
    const Tensor loss = sum(w) + 10 * penalty;
    t.tape.backward(loss);
    CHECK(is(t.tape.gradient(params.array()), {1, 1, 0, 0}));
    t.tape.new_step();
    const Tensor alive = sum(mul(w, cold));
    CHECK(trained(alive).data() == alive.data());
    t.tape.backward(sum(w) + 10 * trained(alive));
    CHECK(is(t.tape.gradient(params.array()), {11, 11, 0, 0}));
    t.tape.new_step();
    CHECK(trained(variable("x", 2)).item() == 2);
  }

  TEST_CASE("tape: a number that changes between an op and its backward is caught in debug builds") {
    OnTape t;
    const auto refused = [&](const std::function<Tensor(const Tensor&, const Tensor&)>& f, int which) {
      t.tape.new_step();
      const Tensor a = variable("a", {2}, std::vector<real>{1, 2}), b = constant({2}, 3), y = f(a, b);
      const Tensor loss = sum(y);
      (which == 0 ? a : which == 1 ? b : y).edit()[1] += 1;
      return refusal([&] { t.tape.backward(loss); });
    };
    const auto product = [](const Tensor& a, const Tensor& b) { return mul(a, b); };
#ifdef GRADUS_POISON
    for (const int which : {0, 1, 2}) {
      const std::string said = refused(product, which);
      CHECK(says(said, "has changed since it ran"));
      CHECK(says(said, "test_tape.cpp:"));  // the line of the op
    }
    CHECK(says(refused([](const Tensor& a, const Tensor& b) { return exp(sub(a, b)); }, 2), "output of sum"));
#else
    CHECK(refused(product, 1).empty());  // the contract says not to
#endif
    t.tape.new_step();  // before it is read it may be written, in windows too
    const Tensor x = constant({2, 2}, 1);
    x.rows(1, 1).edit()[0] = 5;
    const Tensor loss = sum(mul(x, variable("w", {2, 2}, std::vector<real>(4, real(1)))));
    CHECK(loss.item() == 8);
    t.tape.backward(loss);
  }

  TEST_CASE("tape: no gradient goes through detach") {
    OnTape t;
    const Tensor x = variable("x", 3), d = detach(x), y = x * d;
    CHECK(d.item() == 3);
    t.tape.backward(y);
    CHECK(g(x) == 3);
    CHECK(says(refusal([&] { d.grad(); }), "it is a constant"));
    t.tape.new_step();
    const std::vector<real> numbers{1, 2, 3, 4};
    const Tensor v = variable("v", {4}, numbers);
    t.tape.backward(sum(mul(detach(v).rows(0, 2), v.rows(2, 2))));
    CHECK(is(v.grad(), {0, 0, 1, 2}));
  }

  TEST_CASE("tape: under NoGrad nothing is recorded and results are constants") {
    OnTape t;
    Params params;
    const Tensor w = params.add("w", {}, Init::constant(2));
    params.init(1);
    const Tensor x = variable("x", 3);
    Tensor y;
    {
      const NoGrad off;
      {
        const NoGrad nested;
        y = x * w;
      }
      y = y + w;
    }
    CHECK(y.item() == 8);
    CHECK(t.tape.ops().empty());
    CHECK(says(refusal([&] { t.tape.backward(y); }), "does not depend on any parameter or leaf that needs a gradient"));
    const Tensor z = y * w;
    CHECK(t.tape.ops().size() == 1);
    t.tape.backward(z);
    CHECK(is(t.tape.gradient(params.array()), {8}));
    CHECK(says(refusal([&] { x.grad(); }), "no gradient has reached x"));
  }

  TEST_CASE("tape: a Mark gives back memory, records nothing, and its tensors die") {
    OnTape t;
    const Tensor x = variable("x", {100}, std::vector<real>(100, 2));
    const Tensor before = mul(x, x);
    const size_t used = t.tape.arena().used();
    Tensor inner, innermost;
    for (int round = 0; round < 3; ++round) {
      const Tape::Mark mark(t.tape);
      CHECK(says(refusal([&] { t.tape.new_step(); }), "a Tape::Mark is open"));
      CHECK(says(refusal([&] { t.tape.backward(sum(before)); }), "backward: a Tape::Mark is open"));
      CHECK(says(refusal([&] { t.tape.seed(before, before.span()); }), "seed: a Tape::Mark is open"));
      inner = mul(before, x);  // tensors from outside may be used inside
      CHECK(inner.span()[99] == 8);
      CHECK(t.tape.arena().used() > used);
      {
        const size_t used_inner = t.tape.arena().used();
        {
          const Tape::Mark second(t.tape);
          innermost = mul(inner, x);
          CHECK(innermost.span()[0] == 16);
        }
        CHECK(t.tape.arena().used() == used_inner);
        CHECK(says(refusal([&] { innermost.data(); }), "keep()"));
        CHECK(inner.span()[0] == 8);
      }
    }
    CHECK(t.tape.arena().used() == used);
    CHECK(t.tape.ops().size() == 1);
    CHECK(says(refusal([&] { inner.data(); }), "it belongs to a step that is over"));
    CHECK(says(refusal([&] { add(inner, x); }), "keep()"));
    const Tensor y = sum(mul(before, x));  // recording goes on
    CHECK(t.tape.ops().size() == 3);
    t.tape.backward(y);
    CHECK(x.grad()[0] == 12);
  }

  TEST_CASE("tape: memory of a thousand Marks is the memory of one") {
    OnTape t;
    const Tensor x = constant({1000}, 1);
    size_t high = 0;
    for (int i = 0; i < 1000; ++i) {
      {
        const Tape::Mark mark(t.tape);
        add(x, mul(x, x));
      }
      if (i == 0) high = t.tape.bytes();
    }
    CHECK(t.tape.bytes() == high);
  }

  TEST_CASE("tape: what was kept may be assigned anew before backward runs") {
    OnTape t;
    const std::vector<real> two{2, 3};
    Kept state = keep(constant({2}, two));
    const Tensor x = variable("x", {2}, std::vector<real>{5, 7});
    const Tensor y = sum(mul(state, x)), half = sum(mul(Tensor(state).rows(1, 1), x.rows(0, 1)));
    state.assign(constant({2}, 100.0));
    t.tape.backward(y + half);
    CHECK(x.grad()[0] == 2 + 3);
    CHECK(x.grad()[1] == 3);
  }

  TEST_CASE("tape: a tensor of a finished step says that keep() would have kept it") {
    OnTape t;
    const Tensor x = variable("x", 3), y = x * x, window = y.reshape({1});
    const Kept kept = keep(y);
    t.tape.new_step();
    for (const Tensor& dead : {x, y, window}) {
      CHECK(says(refusal([&] { dead.item(); }), "keep()"));
      CHECK(says(refusal([&] { dead.shape(); }), "keep()"));
      CHECK(says(refusal([&] { dead.grad(); }), "keep()"));
      CHECK(says(refusal([&] { dead.reshape({1}); }), "keep()"));
      CHECK(says(refusal([&] { exp(dead); }), "keep()"));
      CHECK(says(refusal([&] { t.tape.backward(dead); }), "keep()"));
    }
    CHECK(Tensor(kept).item() == 9);
    CHECK(says(refusal([&] { Tensor().data(); }), "it is empty"));
    CHECK(says(refusal([&] { exp(Tensor()); }), "it is empty"));
    Tensor orphan;
    {
      Tape other;
      const Tape::Use use(other);
      orphan = constant({}, 1);
    }
    CHECK(says(refusal([&] { orphan.item(); }), "keep()"));
    {
      Tape heir;  // takes the place of the tape that is gone, not its tensors
      CHECK(says(refusal([&] { orphan.item(); }), "keep()"));
    }
  }

  TEST_CASE("tape: what is kept is a constant that lives on, and takes new numbers without a new address") {
    OnTape t;
    Kept h = keep(constant({2}, 1));
    const real* place = Tensor(h).data();
    for (int step = 0; step < 4; ++step) {
      t.tape.new_step();
      const Tensor x = variable("x", {2}, std::vector<real>{1, 2});
      const Tensor y = h * x;
      t.tape.backward(sum(y));
      CHECK(is(x.grad(), {std::pow(1, step), std::pow(2, step)}));
      h.assign(y);
      CHECK(Tensor(h).data() == place);
    }
    t.tape.new_step();
    CHECK(is(Tensor(h).span(), {1, 16}));
    CHECK(says(refusal([&] { Tensor(h).grad(); }), "it is a constant"));
    h.assign(constant({3, 1}, 7));
    CHECK(Tensor(h).shape() == Shape{3, 1});
    CHECK(is(Tensor(h).span(), {7, 7, 7}));
    CHECK(is(Tensor(h).rows(1, 1).span(), {7}));
  }

  TEST_CASE("tape: tensors of another tape are refused, parameters and kept tensors are not") {
    Params params;
    const Tensor w = params.add("w", {}, Init::constant(2));
    params.init(1);
    OnTape first;
    const Tensor x = variable("x", 3), y = x * w;
    const Kept kept = keep(y);
    {
      OnTape second;
      CHECK(says(refusal([&] { x* w; }), "was made on another tape"));
      CHECK(says(refusal([&] { detach(y); }), "was made on another tape"));
      CHECK(says(refusal([&] { second.tape.backward(y); }), "was made on another tape"));
      second.tape.backward(mul(w, kept));
      CHECK(is(second.tape.gradient(params.array()), {6}));
    }
    first.tape.backward(y);  // the first tape is unharmed, its gradient its own
    CHECK(is(first.tape.gradient(params.array()), {3}));
  }

  TEST_CASE("tape: without a current tape an op says so") {
    CHECK(says(refusal([] { constant({}, 1); }), "no tape is current on this thread"));
  }

  TEST_CASE("tape: wrong calls of backward explain themselves") {
    OnTape t;
    const Tensor x = variable("x", {2}, std::vector<real>{1, 2});
    CHECK(says(refusal([&] { t.tape.backward(); }), "nothing to start from"));
    CHECK(says(refusal([&] { t.tape.backward(mul(x, x)); }), "the loss must be one number, it is [2]"));
    CHECK(says(refusal([&] { t.tape.backward(constant({}, 1)); }), "does not depend on any parameter or leaf"));
    CHECK(says(refusal([&] { t.tape.seed(x, std::vector<real>{1}); }), "1 numbers for a tensor [2]"));
    CHECK(says(refusal([&] { x.grad(); }), "backward has not run"));
    const Tensor loss = sum(mul(x, x));
    t.tape.backward(loss);
    CHECK(is(x.grad(), {2, 4}));
    CHECK(says(refusal([&] { t.tape.backward(loss); }),
               "backward: backward has already run on this step, a second pass would double"));
    CHECK(says(refusal([&] { t.tape.backward(); }), "would double the gradients"));
    CHECK(is(x.grad(), {2, 4}));
    t.tape.new_step();
    CHECK(t.tape.ops().empty());
    const Tensor y = variable("y", 1);
    t.tape.backward(y * y);  // and a new step may run it again
    CHECK(g(y) == 2);
  }

  TEST_CASE("tape: the loss itself may be a leaf, a window or a parameter") {
    OnTape t;
    const Tensor x = variable("x", 3);
    t.tape.backward(x.reshape({1, 1}));
    CHECK(g(x) == 1);
    Params params;
    const Tensor w = params.add("w", {1}, Init::constant(2));
    params.init(1);
    t.tape.new_step();
    t.tape.backward(w);
    CHECK(is(t.tape.gradient(params.array()), {1}));
  }

  TEST_CASE("tape: several seeded outputs give the gradient of their weighted sum") {
    Step step;
    const std::vector<real> dy{real(0.5), -2, 3, 1}, dz{2};
    const auto run = [&](bool seeded) {
      OnTape t;
      const Tensor x = variable("x", {4}, std::vector<real>{1, 2, real(0.5), -1});
      const Tensor y = mul(x, x), w = step.w.rows(0, 1).reshape({4}), z = sum(mul(mul(y, x), w));
      if (seeded) {
        t.tape.seed(y, dy);
        t.tape.seed(z, dz);
        t.tape.seed(z, dz);  // a second seed of one output adds up
        t.tape.seed(x, dy);
        t.tape.backward();
      } else {
        const Tensor c = constant({4}, dy);
        t.tape.backward(add(add(sum(mul(y, c)), sum(mul(x, c))), scale(z, 4)));
      }
      std::vector<real> all = copy(x.grad());
      for (const real v : t.tape.gradient(step.params.array())) all.push_back(v);
      return all;
    };
    const std::vector<real> seeded = run(true), weighted = run(false);
    for (size_t i = 0; i < seeded.size(); ++i)
      CHECK(std::fabs(double(seeded[i] - weighted[i])) <= (kDouble ? 1e-14 : 1e-5));
  }

  TEST_CASE("tape: a branch that the loss does not see is left out") {
    OnTape t;
    static int calls;
    static constexpr OpKind kind{"counted", [](Op& op) { *op.y() = *op.x(0); }, [](Op&) { ++calls; }};
    calls = 0;
    const Tensor x = variable("x", 2), side = record(kind, {x}, Shape{}, nullptr, Loc::here());
    const Tensor unused = x * side, y = x * x;
    t.tape.backward(y);
    CHECK(calls == 0);
    CHECK(g(x) == 4);
    CHECK(says(refusal([&] { unused.grad(); }), "the loss does not depend on it"));
    t.tape.new_step();
    const Tensor z = variable("z", 2);
    t.tape.backward(record(kind, {z}, Shape{}, nullptr, Loc::here()));
    CHECK(calls == 1);
  }

  TEST_CASE("tape: the gradient of parameters that the step did not use is zero") {
    OnTape t;
    Params used, unused;
    const Tensor w = used.add("w", {2}, Init::constant(3));
    const Tensor v = used.add("v", {2}, Init::constant(3));
    const Tensor u = unused.add("u", {3}, Init::constant(3));
    used.init(1);
    unused.init(1);
    CHECK(is(t.tape.gradient(used.array()), {0, 0, 0, 0}));
    t.tape.backward(sum(mul(w, w)));
    CHECK(is(t.tape.gradient(used.array()), {6, 6, 0, 0}));
    CHECK(is(t.tape.gradient(unused.array()), {0, 0, 0}));
    CHECK(is(v.grad(), {0, 0}));
    CHECK(is(u.grad(), {0, 0, 0}));
    t.tape.new_step();
    CHECK(is(t.tape.gradient(used.array()), {0, 0, 0, 0}));
  }

  TEST_CASE("tape: only so many tapes are alive at once, and the places of dead ones are used again") {
    std::vector<std::unique_ptr<Tape>> tapes;
    const std::string message = refusal([&] {
      for (size_t i = 0; i < kMaxLiveTapes + 9; ++i) tapes.push_back(std::make_unique<Tape>());
    });
    CHECK(says(message, text("at most ", kMaxLiveTapes, " tapes may be alive at once").c_str()));
    const size_t count = tapes.size();
    CHECK(count <= kMaxLiveTapes);
    tapes.pop_back();
    CHECK(refusal([&] { tapes.push_back(std::make_unique<Tape>()); }) == "");
    CHECK(tapes.size() == count);
  }

  TEST_CASE("tape: a chain of a million ops runs backward and is freed on a stack of 256 kB") {
    struct Chain {
      static void* run(void* out) {
        OnTape t;
        const Tensor x = variable("x", 1), zero = constant({}, 0);
        Tensor y = x;
        for (int i = 0; i < 500'000; ++i) y = y * x + zero;
        t.tape.backward(y);
        *static_cast<double*>(out) = double(x.grad()[0]);
        t.tape.rewind(10);
        return nullptr;
      }
    };
    pthread_attr_t attributes;
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstacksize(&attributes, size_t{256} << 10) == 0);
    pthread_t thread;
    double slope = 0;
    REQUIRE(pthread_create(&thread, &attributes, Chain::run, &slope) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    CHECK(slope == 500'001);
  }

  TEST_CASE("tape: the forward function of each op may be run again, with the same bits") {
    Step step;
    OnTape t;
    t.tape.new_step({.seed = 5, .step = 2, .training = true});
    step();
    CHECK(t.tape.ops().size() >= 15);
    for (const Op& recorded : t.tape.ops()) {
      Op op = recorded;
      std::vector<std::vector<real>> before;
      for (int i = 0; i < op.n_out; ++i) {
        const std::span<real> y(op.y(i), size_t(op.out[i]->shape.numel()));
        before.push_back(copy(y));
        std::fill(y.begin(), y.end(), real(77));
      }
      op.kind->forward(op);
      for (int i = 0; i < op.n_out; ++i) {
        INFO(op.kind->name);
        CHECK(same_bits(before[size_t(i)], {op.y(i), size_t(op.out[i]->shape.numel())}));
      }
    }
  }

  TEST_CASE("tape: two runs of one step give the same bits, and training decides on dropout") {
    Step step;
    const auto run = [&](bool training) {
      OnTape t;
      t.tape.new_step({.seed = 5, .step = 2, .training = training});
      t.tape.backward(step());
      return copy(t.tape.gradient(step.params.array()));
    };
    CHECK(same_bits(run(true), run(true)));
    CHECK_FALSE(same_bits(run(true), run(false)));
  }

  TEST_CASE("tape: an op of a scalar graph takes at most 96 bytes") { CHECK(sizeof(Op) <= 96); }
}

// ------------------------------------------------------------------------------------------- the pass under a debugger

namespace {

// Everything that a backward pass leaves behind.
std::vector<real> all_gradients(Tape& tape, const Step& step) {
  std::vector<real> all = copy(tape.gradient(step.params.array()));
  for (const Op& op : tape.ops())
    for (int i = 0; i < op.n_in + op.n_out; ++i)
      if (const Value* v = op.in[i]; v->grad)
        for (int64_t j = 0; j < v->shape.numel(); ++j) all.push_back(v->grad[j]);
  return all;
}
uint32_t noise(uint32_t& h) {
  h = h * 1664525 + 1013904223;
  return h >> 8;
}

#if defined(__x86_64__) && defined(__linux__)
// A debugger within the process: breakpoints on the two hooks. The first byte of each becomes int3, and the handler of
// SIGTRAP calls `visit` and then returns from the hook. (Both hooks are empty, so nothing of them is missed.)
class Breakpoints {
 public:
  using Visit = void (*)(Tape*, bool end);
  explicit Breakpoints(Visit visit) {
    visit_ = visit;
    struct sigaction action = {};
    action.sa_sigaction = trap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, &before_);
    memory_ = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    active = patch(address(gradus_backward_begin), &old_[0]) && patch(address(gradus_backward_end), &old_[1]);
  }
  ~Breakpoints() {
    if (active) restore(address(gradus_backward_begin), old_[0]), restore(address(gradus_backward_end), old_[1]);
    if (memory_ >= 0) close(memory_);
    sigaction(SIGTRAP, &before_, nullptr);
  }
  bool active = false;  // false where the system lets nobody write code

 private:
  using Hook = void (*)(Tape*);
  static off_t address(Hook hook) { return off_t(reinterpret_cast<uintptr_t>(hook)); }
  bool patch(off_t at, unsigned char* old) {
    const unsigned char int3 = 0xCC;
    return memory_ >= 0 && pread(memory_, old, 1, at) == 1 && pwrite(memory_, &int3, 1, at) == 1;
  }
  void restore(off_t at, unsigned char old) { REQUIRE(pwrite(memory_, &old, 1, at) == 1); }
  static void trap(int, siginfo_t*, void* context) {
    auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const bool end = registers[REG_RIP] - 1 == address(gradus_backward_end);
    visit_(reinterpret_cast<Tape*>(registers[REG_RDI]), end);
    registers[REG_RIP] = *reinterpret_cast<greg_t*>(registers[REG_RSP]);  // ret
    registers[REG_RSP] += 8;
  }
  static inline Visit visit_ = nullptr;
  struct sigaction before_ = {};
  int memory_ = -1;
  unsigned char old_[2] = {};
};
#endif

}  // namespace

TEST_SUITE("tape") {
  TEST_CASE("tape: rewind replays any part of the backward pass with the same bits") {
    Step step;
    OnTape t;
    t.tape.new_step({.seed = 5, .step = 2, .training = true});
    const Tensor loss = step();
    CHECK(t.tape.rewind(3) == -1);  // before the pass there is nothing to go back to
    t.tape.backward(loss);
    CHECK(t.tape.next == -1);
    const std::vector<real> whole = all_gradients(t.tape, step);
    const size_t used = t.tape.arena().used();
    int64_t steps = 0;
    while (t.tape.rewind(steps) >= 0) ++steps;
    CHECK(steps > 12);
    CHECK(steps < int64_t(t.tape.ops().size()));  // the unused branch is not among them
    uint32_t h = 7;
    for (int round = 0; round < 50; ++round) {
      const int64_t k = int64_t(noise(h)) % steps, there = gradus_rewind(&t.tape, k);
      CHECK(there == t.tape.next);
      CHECK(there >= 0);
      const std::vector<real> partial = all_gradients(t.tape, step);
      gradus_rewind(&t.tape, int64_t(noise(h)) % steps);
      CHECK(gradus_rewind(&t.tape, k) == there);
      CHECK(same_bits(partial, all_gradients(t.tape, step)));
      if (k < steps / 2) CHECK_FALSE(same_bits(partial, whole));
      CHECK(gradus_rewind(&t.tape, steps) == -1);
      CHECK(same_bits(whole, all_gradients(t.tape, step)));
    }
    CHECK(t.tape.arena().used() == used);  // the gradients lie where they lay
  }

  TEST_CASE("tape: after rewind(0) only what is seeded has a gradient") {
    OnTape t;
    const Tensor x = variable("x", 3), y = x * x, z = y * x;
    t.tape.backward(z);
    CHECK(g(x) == 27);
    CHECK(t.tape.rewind(0) == 1);
    CHECK(g(z) == 1);
    CHECK(says(refusal([&] { y.grad(); }), "no gradient has reached"));
    CHECK(t.tape.rewind(1) == 0);
    CHECK(g(y) == 3);
    CHECK(g(x) == 9);
    CHECK(t.tape.rewind(2) == -1);
    CHECK(g(x) == 27);
  }

  TEST_CASE("tape: a pass that keeps the gradients of parameters alone has the same bits, and gives the others back") {
    Step step;
    OnTape t;
    const auto pass = [&](Keep keep) {
      t.tape.new_step({.seed = 5, .step = 2, .training = true});
      const Tensor loss = step();
      t.tape.seed(loss, std::vector<real>{1});
      t.tape.backward(keep);
      return copy(t.tape.gradient(step.params.array()));
    };
    const std::vector<real> wanted = pass(Keep::kAll), whole = all_gradients(t.tape, step);
    CHECK(same_bits(pass(Keep::kParameters), wanted));
    CHECK_FALSE(same_bits(all_gradients(t.tape, step), whole));
    for (const int64_t k : {4, 1000}) {  // a replay keeps them all
      t.tape.rewind(k);
      t.tape.rewind(1000);
      CHECK(same_bits(all_gradients(t.tape, step), whole));
    }
    CHECK(same_bits(pass(Keep::kParameters), wanted));
    t.tape.restore_gradients();
    CHECK(t.tape.next == -1);
    CHECK(same_bits(all_gradients(t.tape, step), whole));
  }

  TEST_CASE("tape: what a pass gives up serves the layers below, and says so where it is asked for") {
    OnTape t;
    const auto bytes = [&](Keep keep, int layers) {
      Tape tape;
      const Tape::Use use(tape);
      const Tensor x = variable("x", {100, 100}, std::vector<real>(10000, real(0.1)));
      Tensor y = x;
      for (int l = 0; l < layers; ++l) y = tanh(y);
      tape.seed(y, std::vector<real>(10000, 1));
      tape.backward(keep);
      CHECK(x.grad().size() == 10000);  // a leaf keeps its own
      return double(tape.bytes()) / (10000 * sizeof(real));
    };
    // Values, and beside them a gradient of each, or of two outputs and the leaf.
    CHECK(bytes(Keep::kAll, 30) - bytes(Keep::kAll, 20) > 19.5);
    CHECK(bytes(Keep::kParameters, 30) - bytes(Keep::kParameters, 20) < 10.5);

    const Tensor x = variable("x", 3), y = x * x, z = y * x, loss = scale(z, 2);
    t.tape.seed(loss, std::vector<real>{1});
    t.tape.backward(Keep::kParameters);
    CHECK(g(x) == 54);
    CHECK(says(refusal([&] { z.grad(); }), "was given up, since the backward pass keeps those of parameters alone"));
    CHECK(says(refusal([&] { z.reshape({1}).grad(); }), "was given up"));
    t.tape.restore_gradients();
    CHECK(g(z) == 2);
    CHECK(double(z.reshape({1}).grad()[0]) == 2);
    CHECK(g(x) == 54);
  }

#if defined(__x86_64__) && defined(__linux__)
  TEST_CASE("tape: a debugger that goes back and forth in the hooks ends with the same gradients") {
    Step step;
    const auto run = [&](Breakpoints::Visit visit, Keep keep = Keep::kAll) {
      OnTape t;
      t.tape.new_step({.seed = 5, .step = 2, .training = true});
      t.tape.seed(step(), std::vector<real>{1});
      if (!visit) {
        t.tape.backward(keep);
      } else {
        const Breakpoints breakpoints(visit);
        if (!breakpoints.active) MESSAGE("not tested: /proc/self/mem cannot be written here");
        t.tape.backward(keep);
      }
      return all_gradients(t.tape, step);
    };
    static int begins, ends, jumps, steps;
    static uint32_t h;
    const std::vector<real> plain = run(nullptr);

    begins = ends = 0;
    CHECK(same_bits(plain, run([](Tape*, bool end) { ++(end ? ends : begins); })));
    steps = begins;
    CHECK(steps > 12);
    CHECK(ends == 1);

    begins = ends = jumps = 0;
    h = 1;
    CHECK(same_bits(plain, run([](Tape* tape, bool end) {
                      ++(end ? ends : begins);
                      if (jumps < 40)
                        ++jumps,
                            gradus_rewind(tape, int64_t(noise(h)) % steps + (end ? 0 : jumps % 2));  // also to the end
                    })));
    CHECK(jumps == 40);
    CHECK(begins + ends > 40);

    begins = ends = 0;  // where gradients are given up on the way
    CHECK(same_bits(plain, run(
                               [](Tape* tape, bool end) {
                                 if (++(end ? ends : begins) == 9 && !end) gradus_rewind(tape, 5);
                               },
                               Keep::kParameters)));

    begins = ends = 0;  // once the last op is done, back to the beginning: the pass runs a second time
    CHECK(same_bits(plain, run([](Tape* tape, bool end) {
                      ++(end ? ends : begins);
                      if (end && ends == 1) gradus_rewind(tape, 0);
                    })));
    CHECK(ends == 2);
    CHECK(begins == 2 * steps);

    begins = ends = 0;  // `next` is read again after the hook: a pass that is told to stop stops
    CHECK_FALSE(same_bits(plain, run([](Tape* tape, bool end) {
                            ++(end ? ends : begins);
                            if (begins == 3) tape->next = -1;
                          })));
    CHECK(begins == 3);
    CHECK(ends == 1);
  }
#endif
}
