// What ops do at the edge: every require() of every op with its message and the caller's line; NaN and infinities;
// empty tensors; masked rows; causality, bit for bit. One line for each mistake makes it long.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "engine/composed.h"
#include "engine/rng.h"
#include "engine/rung.h"
#include "models/language_model.h"
#include "models/run/config.h"
#include "tests/near.h"

TEST_SUITE_BEGIN("ops_errors");

namespace {

using namespace gradus;

constexpr real kInf = std::numeric_limits<real>::infinity();
const real kNan = std::numeric_limits<real>::quiet_NaN();

// A tape that is current as long as this lives.
struct Step {
  explicit Step(const StepInfo& info = {}) : use(tape) { tape.new_step(info); }
  Tape tape;
  Tape::Use use;
};

std::vector<real> draw(int64_t n, int64_t coordinate) {
  const Rng rng = Rng(11, Stream::kTest).at(coordinate, 4);
  std::vector<real> x;
  for (int64_t k = 0; k < n; ++k) x.push_back(real(4 * rng.uniform(k) - 2));
  return x;
}
Tensor x_of(const Shape& shape, int64_t coordinate = 0) {
  return variable("x", shape, draw(shape.numel(), coordinate));
}

// Each call stands on one line with `at = __LINE__`: the message must name that line of this file.
int at = 0;

// call() must throw a ShapeError that begins with the op's name, holds all parts and ends with this file and line.
template <class Call>
void fails(const std::string& op, std::initializer_list<const char*> parts, const Call& call) {
  std::string message = "no error";
  try {
    call();
  } catch (const ShapeError& e) {
    message = e.what();
  }
  CAPTURE(message);
  const std::string end = text(__FILE__, ":", at, ")");
  const int line = at;
  CAPTURE(line);
  CHECK(message.rfind(op + ": ", 0) == 0);
  for (const std::string part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
  CHECK(message.size() >= end.size());
  CHECK(message.find(end) == message.size() - end.size());
}

std::vector<real> numbers(std::span<const real> s) { return {s.begin(), s.end()}; }
bool all_finite(std::span<const real> s) {
  return std::all_of(s.begin(), s.end(), [](real v) { return std::isfinite(v); });
}

}  // namespace

TEST_CASE("ops_errors: leaves") {
  const Step step;
  const std::vector<real> five(5);
  fails("constant", {"values has 5", "must have 6"}, [&] { at = __LINE__, constant({2, 3}, five); });
  fails("variable", {"values has 5", "must have 6"}, [&] { at = __LINE__, variable("w", {2, 3}, five); });
  fails("tensor", {"empty"}, [&] { at = __LINE__, detach({}); });
}

TEST_CASE("ops_errors: element by element") {
  const Step step;
  const Tensor a = x_of({2, 3}), b = x_of({3, 2}), v = x_of({2}), row = x_of({3});
  fails("add", {"[2,3]", "[3,2]", "shapes differ"}, [&] { at = __LINE__, add(a, b); });
  fails("sub", {"[2,3]", "[3,2]", "shapes differ"}, [&] { at = __LINE__, sub(a, b); });
  fails("mul", {"[2,3]", "[3,2]", "shapes differ"}, [&] { at = __LINE__, mul(a, b); });
  fails("add", {"[2,3]", "[2]"}, [&] { at = __LINE__, add(a, v); });               // no broadcasting
  fails("add", {"[2,3]", "[6]"}, [&] { at = __LINE__, add(a, a.reshape({6})); });  // nor the same numbers
  fails("add", {"[2,3]", "[3,2]"}, [&] { at = __LINE__, a + b; });
  fails("sub", {"[2,3]", "[3,2]"}, [&] { at = __LINE__, a - b; });
  fails("mul", {"[2,3]", "[3,2]"}, [&] { at = __LINE__, a * b; });
  fails("add_rows", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, add_rows(row, row); });
  fails("add_rows", {"b is [2]", "must be [3]"}, [&] { at = __LINE__, add_rows(a, v); });
  fails("mul_rows", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, mul_rows(row, row); });
  fails("mul_rows", {"g is [2,3]", "must be [3]"}, [&] { at = __LINE__, mul_rows(a, a); });
}

TEST_CASE("ops_errors: matrices") {
  const Step step;
  const Tensor a = x_of({2, 3}), b = x_of({5, 7}), v = x_of({3}), cube = x_of({1, 2, 3});
  fails("matmul", {"a must have rank 2", "[3]"}, [&] { at = __LINE__, matmul(v, b); });
  fails("matmul", {"b must have rank 2", "[1,2,3]"}, [&] { at = __LINE__, matmul(a, cube); });
  fails("matmul", {"inner dimensions differ", "[2,3]", "[5,7]"}, [&] { at = __LINE__, matmul(a, b); });
  fails("matmul_nt", {"a must have rank 2", "[3]"}, [&] { at = __LINE__, matmul_nt(v, b); });
  fails("matmul_nt", {"b must have rank 2", "[1,2,3]"}, [&] { at = __LINE__, matmul_nt(a, cube); });
  fails("matmul_nt", {"inner dimensions differ", "[2,3]", "[5,7]"}, [&] { at = __LINE__, matmul_nt(a, b); });
  const Tensor w = x_of({3, 5}), five = x_of({5});
  fails("linear", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, linear(v, w, {}); });
  fails("linear", {"w must have rank 2", "[3]"}, [&] { at = __LINE__, linear(a, v, {}); });
  fails("linear", {"inner dimensions differ", "[2,3]", "[5,7]"}, [&] { at = __LINE__, linear(a, b, {}); });
  fails("linear", {"b is [3]", "must be [5]"}, [&] { at = __LINE__, linear(a, w, v); });
  fails("linear_gelu", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, linear_gelu(v, w, {}); });
  fails("linear_gelu", {"w must have rank 2", "[3]"}, [&] { at = __LINE__, linear_gelu(a, v, {}); });
  fails("linear_gelu", {"inner dimensions differ", "[2,3]", "[5,7]"}, [&] { at = __LINE__, linear_gelu(a, b, five); });
  fails("linear_gelu", {"b is [3]", "must be [5]"}, [&] { at = __LINE__, linear_gelu(a, w, v); });
}

TEST_CASE("ops_errors: sums and softmax") {
  const Step step;
  const Tensor v = x_of({3}), none = constant({0}, 0.0), narrow = constant({2, 0}, 0.0), tall = x_of({5, 3});
  fails("mean", {"[0]"}, [&] { at = __LINE__, mean(none); });
  fails("row_means", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, row_means(v); });
  fails("row_means", {"[2,0]"}, [&] { at = __LINE__, row_means(narrow); });
  fails("softmax", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, softmax(v); });
  fails("softmax", {"[2,0]"}, [&] { at = __LINE__, softmax(narrow); });
  fails("log_softmax", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, log_softmax(v); });
  fails("log_softmax", {"[2,0]"}, [&] { at = __LINE__, log_softmax(narrow); });
  fails("causal_softmax", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, causal_softmax(v); });
  fails("causal_softmax", {"[5,3]", "[T,T]"}, [&] { at = __LINE__, causal_softmax(tall); });
  fails("causal_softmax", {"[2,0]"}, [&] { at = __LINE__, causal_softmax(narrow); });
}

TEST_CASE("ops_errors: picking and placing") {
  const Step step{{.training = true, .sequences = 3}};
  using Ids = std::vector<int32_t>;
  const Tensor v = x_of({3}), t = x_of({5, 3});
  fails("embedding", {"table must have rank 2", "[3]"}, [&] { at = __LINE__, embedding(v, Ids{0}); });
  fails("embedding", {"ids[1] is 5", "0 to 4"}, [&] { at = __LINE__, embedding(t, Ids{0, 5}); });
  fails("embedding", {"ids[0] is -1", "0 to 4"}, [&] { at = __LINE__, embedding(t, Ids{-1, 0}); });
  fails("pick", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, pick(v, Ids{0}); });
  fails("pick", {"column has 2", "must have 5"}, [&] { at = __LINE__, pick(t, Ids{0, 1}); });
  fails("pick", {"column[4] is 3", "0 to 2"}, [&] { at = __LINE__, pick(t, Ids{0, 1, 2, 0, 3}); });
  fails("pick", {"column[2] is -1", "0 to 2"}, [&] { at = __LINE__, pick(t, Ids{0, 1, -1, 0, 0}); });
  // Where there is nothing to choose from, no id is right; 0 would be the next parameter's number.
  const Tensor no_rows = constant({0, 3}, 0.0), no_columns = constant({2, 0}, 0.0);
  const char* const nothing = "where there is nothing to choose from";
  fails("embedding", {"ids[0] is 0", nothing}, [&] { at = __LINE__, embedding(no_rows, Ids{0}); });
  fails("embedding", {"ids[0] is -1", nothing}, [&] { at = __LINE__, embedding(no_rows, Ids{-1, 0}); });
  fails("pick", {"column[0] is 0", nothing}, [&] { at = __LINE__, pick(no_columns, Ids{0, 0}); });
  fails("softmax_cross_entropy", {"target[1] is 0", nothing}, [&] {
    at = __LINE__, softmax_cross_entropy(no_columns, Ids{kNoTarget, 0});
  });
  CHECK(embedding(no_rows, Ids{}).shape() == Shape{0, 3});
  CHECK(sum(softmax_cross_entropy(no_columns, Ids{kNoTarget, kNoTarget})).item() == 0);
  const int64_t most = std::numeric_limits<int64_t>::max();
  fails("columns", {"columns 1 to", "[5,3]"}, [&] { at = __LINE__, columns(t, 1, most); });
  fails("columns", {"columns 9223372036854775807 to", "[5,3]"}, [&] { at = __LINE__, columns(t, most, 1); });
  fails("rows", {"rows 9223372036854775807 to", "[5,3]"}, [&] { at = __LINE__, t.rows(most, 1); });
  fails("rows", {"rows 2 to", "[5,3]"}, [&] { at = __LINE__, t.rows(2, most); });
  fails("columns", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, columns(v, 0, 1); });
  fails("columns", {"columns 2 to 4", "[5,3]"}, [&] { at = __LINE__, columns(t, 2, 2); });
  fails("columns", {"columns -1 to 1", "[5,3]"}, [&] { at = __LINE__, columns(t, -1, 2); });
  fails("columns", {"columns 2 to 1", "[5,3]"}, [&] { at = __LINE__, columns(t, 2, -1); });
  fails("concat", {"at least one part"}, [&] { at = __LINE__, concat({}); });
  fails("concat", {"part must have rank 2", "[3]"}, [&] { at = __LINE__, concat(std::vector{t, v}); });
  fails("concat", {"[5,3]", "[2,3]"}, [&] { at = __LINE__, concat(std::vector{t, t.rows(0, 2)}); });
  fails("dropout", {"p is 1,", "[0, 1)"}, [&] { at = __LINE__, dropout(t, 1); });
  fails("dropout", {"p is -0.5,", "[0, 1)"}, [&] { at = __LINE__, dropout(t, -0.5); });
  fails("dropout", {"p is nan,", "[0, 1)"}, [&] { at = __LINE__, dropout(t, std::nan("")); });
  fails("dropout", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, dropout(v, 0.5); });
  fails("dropout", {"[5,3]", "3 sequences"}, [&] { at = __LINE__, dropout(t, 0.5); });
}

TEST_CASE("ops_errors: norm and loss") {
  const Step step;
  using Ids = std::vector<int32_t>;
  const Tensor v = x_of({3}), t = x_of({5, 3}), two = x_of({2});
  fails("layer_norm", {"x must have rank 2", "[3]"}, [&] { at = __LINE__, layer_norm(v, v, v); });
  fails("layer_norm", {"g is [2]", "must be [3]"}, [&] { at = __LINE__, layer_norm(t, two, {}); });
  fails("layer_norm", {"b is [2]", "must be [3]"}, [&] { at = __LINE__, layer_norm(t, v, two); });
  const char* const op = "softmax_cross_entropy";
  const Ids good{0, 1, 2, 0, kNoTarget};
  const std::vector<real> four(4);
  fails(op, {"logits must have rank 2", "[3]"}, [&] { at = __LINE__, softmax_cross_entropy(v, good); });
  fails(op, {"target has 2", "must have 5"}, [&] { at = __LINE__, softmax_cross_entropy(t, Ids{0, 1}); });
  fails(op, {"target[1] is 3", "0 to 2"}, [&] { at = __LINE__, softmax_cross_entropy(t, Ids{0, 3, 0, 0, 0}); });
  fails(op, {"target[0] is -2", "0 to 2"}, [&] { at = __LINE__, softmax_cross_entropy(t, Ids{-2, 0, 0, 0, 0}); });
  fails(op, {"weight has 4", "must have 5"}, [&] { at = __LINE__, softmax_cross_entropy(t, good, four); });
}

TEST_CASE("ops_errors: LSTM and attention") {
  const Step step;
  const Tensor h = x_of({2, 3}), c = x_of({2, 3}), w = x_of({12, 3}), v = x_of({3}), other = x_of({3, 3});
  const Tensor xw = x_of({2, 12}), long_xw = x_of({14, 12}), odd = x_of({13, 12}), wide = x_of({14, 13});
  fails("lstm_cell", {"h must have rank 2", "[3]"}, [&] { at = __LINE__, lstm_cell(xw, {v, c}, w); });
  fails("lstm_cell", {"c is [3,3]", "must be [2,3]"}, [&] { at = __LINE__, lstm_cell(xw, {h, other}, w); });
  fails("lstm_cell", {"xw is [14,12]", "must be [2,12]"}, [&] { at = __LINE__, lstm_cell(long_xw, {h, c}, w); });
  fails("lstm_cell", {"w_hh is [3,3]", "must be [12,3]"}, [&] { at = __LINE__, lstm_cell(xw, {h, c}, other); });
  const Tensor none = constant({0, 3}, 0.0), qkv = x_of({6, 18});
  const char* const op = "causal_attention";
  for (const Rung* rung : {&fused_rung(), &composed_rung()}) {
    CAPTURE(rung->name);
    const auto sequence = [&](const Tensor& x, const LstmState& start, const Tensor& w_hh, Loc where = Loc::here()) {
      return rung->lstm_sequence(x, start, w_hh, where);
    };
    const auto attention = [&](const Tensor& x, int64_t B, int64_t T, int64_t heads, Loc where = Loc::here()) {
      return rung->causal_attention(x, B, T, heads, where);
    };
    fails("lstm_sequence", {"h must have rank 2", "[3]"}, [&] { at = __LINE__, sequence(xw, {v, c}, w); });
    fails("lstm_sequence", {"xw must have rank 2", "[3]"}, [&] { at = __LINE__, sequence(v, {h, c}, w); });
    fails("lstm_sequence", {"c is [3,3]", "[2,3]"}, [&] { at = __LINE__, sequence(xw, {h, other}, w); });
    fails("lstm_sequence", {"xw is [13,12]", "B = 2", "H = 3"}, [&] { at = __LINE__, sequence(odd, {h, c}, w); });
    fails("lstm_sequence", {"xw is [14,13]", "4H"}, [&] { at = __LINE__, sequence(wide, {h, c}, w); });
    fails("lstm_sequence", {"w_hh is [3,3]", "[12,3]"}, [&] { at = __LINE__, sequence(long_xw, {h, c}, other); });
    fails("lstm_sequence", {"B = 0"}, [&] { at = __LINE__, sequence(xw, {none, none}, w); });
    fails(op, {"qkv must have rank 2", "[3]"}, [&] { at = __LINE__, attention(v, 1, 3, 1); });
    fails(op, {"[6,18]", "2*5", "heads = 1"}, [&] { at = __LINE__, attention(qkv, 2, 5, 1); });
    fails(op, {"[6,18]", "2*3", "heads = 4"}, [&] { at = __LINE__, attention(qkv, 2, 3, 4); });
    fails(op, {"[6,18]", "heads = 0"}, [&] { at = __LINE__, attention(qkv, 2, 3, 0); });
    fails(op, {"[6,18]", "heads = -1"}, [&] { at = __LINE__, attention(qkv, 2, 3, -1); });
    fails(op, {"[6,18]", "-2*-3"}, [&] { at = __LINE__, attention(qkv, -2, -3, 1); });
    const auto whole = [&](const std::vector<int32_t>& lengths, Loc where = Loc::here()) {
      return rung->attention(qkv, 2, 3, 1, lengths, where);
    };
    fails("attention", {"lengths has 1 numbers", "must have 2"}, [&] { at = __LINE__, whole({3}); });
    fails("attention", {"lengths[1] is 0", "1 to T = 3"}, [&] { at = __LINE__, whole({3, 0}); });
    fails("attention", {"lengths[0] is 4", "1 to T = 3"}, [&] { at = __LINE__, whole({4, 1}); });
    fails(op, {"[6,18]", "heads = 4611686018427387904"},
          [&] { at = __LINE__, attention(qkv, 2, 3, int64_t{1} << 62); });
    fails(op, {"[6,18]", "4611686018427387904*4"}, [&] { at = __LINE__, attention(qkv, int64_t{1} << 62, 4, 1); });
    fails(op, {"[0,18]", "0*3"}, [&] { at = __LINE__, attention(qkv.rows(0, 0), 0, 3, 1); });
  }
}

TEST_CASE("ops_errors: an empty or dead tensor is named at the caller's line, by every op") {
  Step step;
  const Tensor dead = x_of({2, 3});
  step.tape.new_step();
  const Tensor a = x_of({2, 3}), w = x_of({3, 2}), v = x_of({3});
  using Ids = std::vector<int32_t>;
  const Ids two{0, 1};
  for (const Tensor& bad : {Tensor(), dead}) {
    const std::initializer_list<const char*> why = {bad ? "keep() it before the step ends" : "it is empty"};
    const auto test = [&](const auto& call) { fails("tensor", why, call); };
    test([&] { at = __LINE__, detach(bad); });
    test([&] { at = __LINE__, bad.rows(0, 1); });
    test([&] { at = __LINE__, bad.reshape({6}); });
    test([&] { at = __LINE__, bad.span(); });
    test([&] { at = __LINE__, add(bad, a); });
    test([&] { at = __LINE__, add(a, bad); });
    test([&] { at = __LINE__, sub(bad, a); });
    test([&] { at = __LINE__, sub(a, bad); });
    test([&] { at = __LINE__, mul(bad, a); });
    test([&] { at = __LINE__, mul(a, bad); });
    test([&] { at = __LINE__, scale(bad, 2); });
    test([&] { at = __LINE__, 2 * bad; });
    test([&] { at = __LINE__, a + bad; });
    test([&] { at = __LINE__, add_rows(bad, v); });
    test([&] { at = __LINE__, add_rows(a, bad); });
    test([&] { at = __LINE__, mul_rows(bad, v); });
    test([&] { at = __LINE__, mul_rows(a, bad); });
    test([&] { at = __LINE__, gradus::tanh(bad); });
    test([&] { at = __LINE__, sigmoid(bad); });
    test([&] { at = __LINE__, relu(bad); });
    test([&] { at = __LINE__, gelu(bad); });
    test([&] { at = __LINE__, gelu_erf(bad); });
    test([&] { at = __LINE__, gradus::exp(bad); });
    test([&] { at = __LINE__, gradus::log(bad); });
    test([&] { at = __LINE__, rsqrt(bad); });
    test([&] { at = __LINE__, matmul(bad, w); });
    test([&] { at = __LINE__, matmul(a, bad); });
    test([&] { at = __LINE__, matmul_nt(bad, a); });
    test([&] { at = __LINE__, matmul_nt(a, bad); });
    test([&] { at = __LINE__, linear(bad, w, {}); });
    test([&] { at = __LINE__, linear(a, bad, {}); });
    test([&] { at = __LINE__, linear_gelu(bad, w, {}); });
    test([&] { at = __LINE__, linear_gelu(a, bad, {}); });
    test([&] { at = __LINE__, sum(bad); });
    test([&] { at = __LINE__, mean(bad); });
    test([&] { at = __LINE__, row_means(bad); });
    test([&] { at = __LINE__, softmax(bad); });
    test([&] { at = __LINE__, log_softmax(bad); });
    test([&] { at = __LINE__, causal_softmax(bad); });
    test([&] { at = __LINE__, embedding(bad, two); });
    test([&] { at = __LINE__, pick(bad, two); });
    test([&] { at = __LINE__, columns(bad, 0, 1); });
    test([&] { at = __LINE__, concat(std::vector{a, bad}); });
    test([&] { at = __LINE__, concat(std::vector{bad, a}); });
    test([&] { at = __LINE__, layer_norm(bad, v, v); });
    test([&] { at = __LINE__, layer_norm(a, bad, v); });
    test([&] { at = __LINE__, softmax_cross_entropy(bad, two); });
    test([&] { at = __LINE__, lstm_cell(a, {bad, a}, a); });
    test([&] { at = __LINE__, lstm_cell(a, {a, bad}, a); });
    test([&] { at = __LINE__, lstm_cell(bad, {a, a}, a); });
    test([&] { at = __LINE__, lstm_cell(x_of({2, 12}), {a, a}, bad); });
    test([&] { at = __LINE__, lstm_sequence(a, {bad, a}, a); });
    test([&] { at = __LINE__, lstm_sequence(a, {a, bad}, a); });
    test([&] { at = __LINE__, lstm_sequence(bad, {a, a}, a); });
    test([&] { at = __LINE__, lstm_sequence(x_of({2, 12}), {a, a}, bad); });
    test([&] { at = __LINE__, causal_attention(bad, 1, 2, 1); });
  }
  // An empty bias means none, a dead one is a mistake.
  fails("tensor", {"keep()"}, [&] { at = __LINE__, linear(a, w, dead); });
  fails("tensor", {"keep()"}, [&] { at = __LINE__, linear_gelu(a, w, dead); });
  fails("tensor", {"keep()"}, [&] { at = __LINE__, layer_norm(a, v, dead); });
}

TEST_CASE("ops_errors: no tape, and a tape too many") {
  Tape one, other;
  Tensor a;
  {
    const Tape::Use use(one);
    a = x_of({2, 3});
  }
  fails("tape", {"no tape is current"}, [&] { at = __LINE__, constant({1}, 0.0); });
  fails("tape", {"no tape is current"}, [&] { at = __LINE__, add(a, a); });
  fails("tape", {"no tape is current"}, [&] { at = __LINE__, NoGrad(); });
  const Tape::Use use(other);
  fails("tape", {"[2,3]", "made on another tape"}, [&] { at = __LINE__, add(a, a); });
}

TEST_CASE("ops_errors: the composed rung names the caller's line as well") {
  const Step step;
  const Tensor t = x_of({5, 3}), two = x_of({2}), v = x_of({3}), h = x_of({2, 3}), w = x_of({12, 3});
  const Tensor w35 = x_of({3, 5});
  fails("add_rows", {"b is [2]"}, [&] { at = __LINE__, composed::linear_gelu(t, w35, two); });
  fails("matmul", {"inner dimensions"}, [&] { at = __LINE__, composed::linear_gelu(t, t, {}); });
  fails("mul_rows", {"g is [2]"}, [&] { at = __LINE__, composed::layer_norm(t, two, {}); });
  fails("row_means", {"rank 2", "[3]"}, [&] { at = __LINE__, composed::layer_norm(v, v, {}); });
  fails("add", {"[5,3]", "[2,12]"}, [&] { at = __LINE__, composed::lstm_cell(t, {h, h}, w); });
  fails("pick", {"must have 5"}, [&] { at = __LINE__, composed::softmax_cross_entropy(t, std::vector<int32_t>{0}); });
}

TEST_CASE("ops_errors: nothing to multiply: an inner size of 0 gives zeros, no rows give no rows") {
  Step step;
  for (int i = 0; i < 2; ++i) {  // the second time the arena holds old numbers
    constant({64}, 7.0);
    step.tape.new_step();
    const Tensor a = constant({2, 0}, 0.0), b = constant({0, 3}, 0.0), bt = constant({3, 0}, 0.0), bias = x_of({3});
    CHECK(near(matmul(a, b).span(), std::vector<real>(6)) <= 0);
    CHECK(near(matmul_nt(a, bt).span(), std::vector<real>(6)) <= 0);
    CHECK(near(linear(a, b, {}).span(), std::vector<real>(6)) <= 0);
    const std::vector<real> v = draw(3, 0);
    CHECK(near(linear(a, b, bias).span(), std::vector<real>{v[0], v[1], v[2], v[0], v[1], v[2]}) <= 0);
  }
  const Tensor none = constant({0, 3}, 0.0), t = x_of({5, 3});
  CHECK(sum(none).item() == 0);
  CHECK(softmax(none).numel() == 0);
  CHECK(embedding(t, {}).shape() == Shape{0, 3});
  CHECK(columns(t, 3, 0).shape() == Shape{5, 0});
  CHECK(concat(std::vector{columns(t, 1, 0), t}).shape() == Shape{5, 3});
  CHECK(matmul(none, x_of({3, 2})).shape() == Shape{0, 2});
  CHECK(softmax_cross_entropy(none, {}).numel() == 0);
}

TEST_CASE("ops_errors: a gradient reaches only what needs one") {
  Step step;
  const Tensor a = x_of({2, 3}), b = constant({2, 3}, 2.0), unused = x_of({7}, 1);
  step.tape.backward(sum(mul(a, b)));
  CHECK(near(a.grad(), std::vector<real>(6, 2)) <= 0);
  fails("grad", {"constant [2,3]", "it is a constant"}, [&] { at = __LINE__, b.grad(); });
  fails("grad", {"x [7]", "does not depend"}, [&] { at = __LINE__, unused.grad(); });
  fails("backward", {"backward has already run on this step", "would double the gradients"},
        [&] { at = __LINE__, step.tape.backward(); });
}

TEST_CASE("ops_errors: infinities and NaN") {
  Step step;
  // −inf is a logit that cannot be chosen.
  const Tensor z = variable("z", {2, 5}, std::vector<real>{0, -kInf, 1, -kInf, 2, -kInf, -kInf, 3, -kInf, -kInf});
  const Tensor p = softmax(z), q = log_softmax(z);
  CHECK(all_finite(p.span()));
  CHECK((p.span()[1] == 0 && p.span()[3] == 0 && p.span()[7] == 1));
  CHECK(std::fabs(double(p.span()[0]) + double(p.span()[2]) + double(p.span()[4]) - 1) < (kDouble ? 1e-15 : 1e-6));
  CHECK((q.span()[1] == -kInf && q.span()[7] == 0));
  const std::vector<real> weight = draw(10, 3);
  step.tape.seed(p, weight);
  step.tape.backward();
  CHECK(all_finite(z.grad()));
  CHECK((z.grad()[1] == 0 && z.grad()[5] == 0));

  // An infinite or unknown logit must not be hidden.
  step.tape.new_step();
  for (const real bad : {kInf, kNan}) {
    const Tensor s = softmax(constant({1, 3}, std::vector<real>{0, bad, 1}));
    CHECK_FALSE(all_finite(s.span()));
  }
  CHECK_FALSE(all_finite(softmax(constant({1, 3}, std::vector<real>{kNan, 0, 1})).span()));
  CHECK(std::isnan(relu(constant({1}, std::vector<real>{kNan})).item()));
  CHECK(std::isnan(gelu(constant({1}, std::vector<real>{kNan})).item()));
  CHECK(std::isnan(layer_norm(constant({1, 2}, std::vector<real>{kNan, 1}), constant({2}, 1.0), {}).span()[1]));

  // 0 and below.
  const Tensor edge = log(constant({3}, std::vector<real>{0, -1, kInf}));
  CHECK(edge.span()[0] == -kInf);
  CHECK(std::isnan(edge.span()[1]));
  CHECK(edge.span()[2] == kInf);
  CHECK(rsqrt(constant({1}, 0.0)).item() == double(kInf));
  CHECK(exp(constant({1}, std::vector<real>{-kInf})).item() == 0);
  CHECK(exp(constant({1}, std::vector<real>{kInf})).item() == double(kInf));
  CHECK(tanh(constant({1}, std::vector<real>{kInf})).item() == 1);
  CHECK(sigmoid(constant({1}, std::vector<real>{-kInf})).item() == 0);

  // The slope of relu at 0 is 0, on both sides of the sign.
  step.tape.new_step();
  const Tensor zero = variable("zero", {2}, std::vector<real>{0, real(-0.0)});
  step.tape.backward(sum(relu(zero)));
  CHECK((zero.grad()[0] == 0 && zero.grad()[1] == 0));
}

TEST_CASE("ops_errors: cross entropy and softmax at logits of ±1e4") {
  for (const Rung* rung : {&fused_rung(), &composed_rung()}) {
    const std::string name = rung->name;
    CAPTURE(name);
    Step step;
    const std::vector<real> big{-1e4, 1e4, 0, 1e4, -1e4, 0, 1e4, 1e4, -1e4};
    const Tensor z = variable("z", {3, 3}, big);
    const std::vector<int32_t> target{0, 0, 1};
    const Tensor loss = rung->softmax_cross_entropy(z, target, Loc::here());
    CHECK(near(loss.span(), std::vector<double>{2e4, 0, std::log(2)}) <= (kDouble ? 1e-15 : 1e-7));
    step.tape.seed(loss, std::vector<real>{1, 1, 1});
    step.tape.backward();
    const std::vector<double> wanted{-1, 1, 0, 0, 0, 0, 0.5, -0.5, 0};
    CHECK(near(z.grad(), wanted).absolute <= (kDouble ? 1e-15 : 1e-6));
  }
}

TEST_CASE("ops_errors: large logits cost no digits of their log-probabilities") {
  const Step step;
  for (const double size : {1e4, 1e8, -1e8}) {
    const Tensor z = constant({1, 2}, size);
    CHECK(std::abs(softmax_cross_entropy(z, std::vector<int32_t>{1}).item() - std::log(2.0)) < 1e-6);
    CHECK(std::abs(double(log_softmax(z).span()[0]) + std::log(2.0)) < 1e-6);
  }
  // x Φ(x) far to the left, where 1 + erf would cancel; Φ(-6) = 9.865876450377e-10
  const double y = gelu_erf(constant({}, -6)).item();
  CHECK(std::abs(y / (-6 * 9.865876450377e-10) - 1) < (kDouble ? 1e-11 : 1e-5));
}

TEST_CASE("ops_errors: the gradient through a softmax sums to 0 on each row") {
  constexpr double kZero = kDouble ? 4e-15 : 2e-6;  // a few roundings of numbers of size 2
  for (const Shape& s : {Shape{3, 2}, Shape{5, 7}, Shape{2, 35}}) {
    CAPTURE(s[1]);
    const int64_t N = s[0], M = s[1];
    std::vector<int32_t> target;
    for (int64_t n = 0; n < N; ++n) target.push_back(int32_t(3 * n % M));
    for (int which = 0; which < 3; ++which) {
      CAPTURE(which);
      Step step;
      const Tensor z = x_of(s);
      const Tensor y = which == 0 ? softmax(z) : which == 1 ? log_softmax(z) : softmax_cross_entropy(z, target);
      step.tape.seed(y, draw(y.numel(), 8));
      step.tape.backward();
      for (int64_t n = 0; n < N; ++n) {
        double row = 0;
        for (int64_t j = 0; j < M; ++j) row += double(z.grad()[size_t(n * M + j)]);
        CHECK(std::fabs(row) <= kZero);
      }
    }
  }
}

TEST_CASE("ops_errors: a row without a target is as if it were not there") {
  // Values, gradients and the other rows do not change when its logits do, be they NaN.
  const std::vector<int32_t> target{2, kNoTarget, 0, kNoTarget};
  std::vector<std::vector<real>> values, gradients;
  for (const real filling : {real(0.5), kNan, kInf, -kInf, real(1e30)}) {
    Step step;
    std::vector<real> logits = draw(12, 0);
    for (size_t j = 0; j < 3; ++j) logits[3 + j] = logits[9 + j] = filling;
    const Tensor z = variable("z", {4, 3}, logits);
    const Tensor loss = softmax_cross_entropy(z, target, draw(4, 1));
    step.tape.backward(loss);
    for (size_t j = 0; j < 3; ++j) CHECK((z.grad()[3 + j] == 0 && z.grad()[9 + j] == 0));
    values.push_back(numbers(loss.span()));
    gradients.push_back(numbers(z.grad()));
    CHECK(all_finite(z.grad()));
    CHECK(first_difference(values.back(), values.front()) == -1);
    CHECK(first_difference(gradients.back(), gradients.front()) == -1);
  }
  Step step;
  const Tensor z = x_of({4, 3});
  const Tensor rows = softmax_cross_entropy(z, target);
  CHECK((rows.span()[1] == 0 && rows.span()[3] == 0 && rows.span()[0] > 0));
}

TEST_CASE("ops_errors: a weight of 0 gives a gradient of exactly 0") {
  Step step;
  const Tensor z = x_of({2, 3});
  step.tape.backward(softmax_cross_entropy(z, std::vector<int32_t>{1, 2}, std::vector<real>{0, 1}));
  for (size_t j = 0; j < 3; ++j) {
    CHECK(z.grad()[j] == 0);
    CHECK(z.grad()[3 + j] != 0);
  }
}

TEST_CASE("ops_errors: dropout is off unless the tape trains, and draws the mask of the whole batch") {
  std::vector<real> whole;
  {
    Step step;
    const Tensor x = x_of({6, 5});
    CHECK(first_difference(dropout(x, 0.25).span(), x.span()) == -1);
    CHECK(step.tape.ops().empty());
  }
  const StepInfo all{.seed = 3, .step = 4, .training = true, .sequences = 3};
  {
    Step step(all);
    whole = numbers(dropout(constant({6, 5}, 1.0), 0.25).span());
    const int64_t kept = std::count(whole.begin(), whole.end(), real(1 / 0.75));
    CHECK(kept + std::count(whole.begin(), whole.end(), real(0)) == 30);
    CHECK((kept > 11 && kept < 30));  // false alarm for another seed: 2e-4
    CHECK(first_difference(dropout(constant({6, 5}, 1.0), 0.25).span(), whole) != -1);  // the next one of the step
  }
  for (int64_t first = 0; first < 3; ++first) {  // shards of one sequence each
    StepInfo shard = all;
    shard.first_sequence = first;
    shard.sequences = 1;
    Step step(shard);
    const std::vector<real> part(whole.begin() + first * 10, whole.begin() + first * 10 + 10);
    CHECK(first_difference(dropout(constant({2, 5}, 1.0), 0.25).span(), part) == -1);
  }
}

TEST_CASE("ops_errors: causal_attention: rows before t do not see row t, forward or backward") {
  constexpr int64_t B = 2, T = 5, heads = 2, C = 6;
  for (const Rung* rung : {&fused_rung(), &composed_rung()}) {
    const std::string name = rung->name;
    CAPTURE(name);
    Step step;
    const std::vector<real> plain = draw(B * T * 3 * C, 0);
    const auto run = [&](const std::vector<real>& qkv) {
      return numbers(rung->causal_attention(constant({B * T, 3 * C}, qkv), B, T, heads, Loc::here()).span());
    };
    const std::vector<real> before = run(plain);
    for (int64_t t = 0; t < T; ++t) {
      CAPTURE(t);
      std::vector<real> changed = plain;
      for (int64_t j = 0; j < 3 * C; ++j) changed[size_t(t * 3 * C + j)] += real(1 + j);  // of the first sequence
      const std::vector<real> after = run(changed);
      const auto rows = [&](const std::vector<real>& y, int64_t first, int64_t end) {
        return std::vector<real>(y.begin() + first * C, y.begin() + end * C);
      };
      CHECK(first_difference(rows(after, 0, t), rows(before, 0, t)) == -1);
      CHECK(first_difference(rows(after, T, 2 * T), rows(before, T, 2 * T)) == -1);  // nor does another sequence
      for (int64_t later = t; later < T; ++later)
        CHECK(first_difference(rows(after, later, later + 1), rows(before, later, later + 1)) != -1);

      step.tape.new_step();
      const Tensor qkv = variable("qkv", {B * T, 3 * C}, plain);
      step.tape.backward(sum(rung->causal_attention(qkv, B, T, heads, Loc::here()).rows(t, 1)));
      for (int64_t i = 0; i < B * T * 3 * C; ++i)
        if (i >= (t + 1) * 3 * C) CHECK(qkv.grad()[size_t(i)] == 0);
      const std::span<const real> last = qkv.grad().subspan(size_t(t * 3 * C + 2 * C), C);  // its own value
      CHECK(std::none_of(last.begin(), last.end(), [](real g) { return g == 0; }));
    }
  }
}

TEST_CASE("ops_errors: attention: nothing reads padding, even NaN, and a padded sequence is the sequence alone") {
  constexpr int64_t T = 5, heads = 2, C = 6, L = 3 * C;
  const std::vector<int32_t> lengths{3, 5, 1};
  const int64_t B = int64_t(lengths.size());
  for (const Rung* rung : {&fused_rung(), &composed_rung()}) {
    const std::string name = rung->name;
    CAPTURE(name);
    const std::vector<real> plain = draw(B * T * L, 0);
    std::vector<real> filled = plain;
    for (int64_t b = 0; b < B; ++b)
      std::fill(filled.begin() + (b * T + lengths[size_t(b)]) * L, filled.begin() + (b + 1) * T * L, real(NAN));
    const std::vector<real> arriving = draw(B * T * C, 1);
    const auto run = [&](const std::vector<real>& numbers_in, int64_t sequences, int64_t rows,
                         const std::vector<int32_t>& of, const std::vector<real>& dy) {
      Step step;
      const Tensor qkv = variable("qkv", {sequences * rows, L}, numbers_in);
      const Tensor y = rung->attention(qkv, sequences, rows, heads, of, Loc::here());
      step.tape.seed(y, dy);
      step.tape.backward();
      return std::pair(numbers(y.span()), numbers(qkv.grad()));
    };
    const auto [y, dqkv] = run(plain, B, T, lengths, arriving);
    const auto [y_filled, dqkv_filled] = run(filled, B, T, lengths, arriving);
    CHECK(first_difference(y, y_filled) == -1);
    CHECK(first_difference(dqkv, dqkv_filled) == -1);
    for (int64_t b = 0; b < B; ++b) {
      const int64_t N = lengths[size_t(b)];
      CAPTURE(b);
      const auto part = [&](const std::vector<real>& all, int64_t width, int64_t from, int64_t to) {
        return std::vector<real>(all.begin() + (b * T + from) * width, all.begin() + (b * T + to) * width);
      };
      const auto [y_alone, dqkv_alone] = run(part(plain, L, 0, N), 1, N, {int32_t(N)}, part(arriving, C, 0, N));
      CHECK(first_difference(part(y, C, 0, N), y_alone) == -1);
      CHECK(first_difference(part(dqkv, L, 0, N), dqkv_alone) == -1);
      for (const real x : part(y, C, N, T)) CHECK(x == 0);
      for (const real x : part(dqkv, L, N, T)) CHECK(x == 0);
    }
  }
}

TEST_CASE("ops_errors: models: changing token t changes no logits before t, bit for bit") {
  constexpr int64_t B = 2, T = 6, V = 7;
  for (const char* family : {"lstm", "transformer"})
    for (const char* ops : {"fused", "composed"}) {
      Config config;
      config.model = family;
      config.ops = ops;
      config.layers = 2;
      config.heads = 3;
      config.embd = 6;
      config.hidden = 5;
      config.context = T;
      config.resolve(1);
      const auto model = make_model(config, V);
      const std::string name = text(family, " ", ops);
      CAPTURE(name);
      const Step step;
      const std::vector<int32_t> plain{0, 3, 1, 1, 6, 2, 5, 4, 0, 2, 2, 3};
      const auto run = [&](const std::vector<int32_t>& tokens) { return numbers(model->logits(tokens, B, T).span()); };
      const std::vector<real> before = run(plain);
      for (int64_t t = 0; t < T; ++t) {
        CAPTURE(t);
        std::vector<int32_t> changed = plain;
        changed[size_t(t)] = (changed[size_t(t)] + 3) % V;
        const std::vector<real> after = run(changed);
        const auto rows = [&](const std::vector<real>& y, int64_t first, int64_t end) {
          return std::vector<real>(y.begin() + first * V, y.begin() + end * V);
        };
        CHECK(first_difference(rows(after, 0, t), rows(before, 0, t)) == -1);
        CHECK(first_difference(rows(after, T, 2 * T), rows(before, T, 2 * T)) == -1);
        for (int64_t later = t; later < T; ++later)
          CHECK(first_difference(rows(after, later, later + 1), rows(before, later, later + 1)) != -1);
      }
    }
}

TEST_SUITE_END();
