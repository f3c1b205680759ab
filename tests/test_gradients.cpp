// The gradient of every op against finite differences: every element of every input, several shapes, in five settings:
// plain leaves, windows, one input at a time needing a gradient, parameters, and the op alone on its tape.
//
// Bound: |analytic − numeric| ≤ kGradBound max(1, |analytic|, |numeric|). In f64 it is 1e-8, and the worst row has
// 5e-10. In f32 it is 1e-3, and the worst row has 1.5e-4 (why so much: engine/gradcheck.h): a term that is lost or has
// the wrong sign shows there too if it makes up 1 percent of the gradient. Rows that need a smaller h than float allows
// say kF64.
//
// tests/check_ops_covered.sh requires a row for every op of the engine. Sizes are 1, 2, 3, 5, 7, of which a shape has
// different ones where the op allows it, not only powers of two; 19 and 35 fill the 16 lanes of the kernels and leave a
// rest. The file is long because the table is.
//
// GRADUS_TABLE=1 prints the worst error of each op.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/gradcheck.h"
#include "engine/inspect.h"
#include "engine/rng.h"

TEST_SUITE_BEGIN("gradients");

namespace {

using namespace gradus;
using Inputs = std::span<const Tensor>;
using Outputs = std::vector<Tensor>;

enum Range {
  kAny,       // [−2, 2)
  kPositive,  // [0.5, 2.5)
  kKink,      // ±[0.3, 2.3): further from 0 than any x ± 2h
  kWide,      // [−40, 40): saturates a gate
  kSteps,     // −1e4 ... 1e4, all different by far more than h
  kOffset,    // 1e4 + [−2, 2)
  kNarrow,    // 1 + 1e-3 [−2, 2)
};

struct In {
  const char* name;
  Shape shape;
  Range range = kAny;
};

enum Flavours { kBoth, kF64 };

struct Row {
  std::string op;
  std::vector<In> in;
  std::function<Outputs(Inputs)> f;
  GradCheckOptions options{};
  Flavours flavours = kBoth;
};

std::vector<real> draw(const In& in, int64_t coordinate) {
  const Rng rng = Rng(7, Stream::kTest).at(coordinate, 1);
  const int64_t n = in.shape.numel();
  std::vector<real> x;
  for (int64_t k = 0; k < n; ++k) {
    const double u = 4 * rng.uniform(k) - 2, size = std::fabs(u);
    // A step of the permutation k → 5k + 2 of the n levels, when 5 does not divide n, else of k → 7k + 2.
    const int64_t level = ((n % 5 ? 5 : 7) * k + 2) % n;
    x.push_back(real(in.range == kAny        ? u
                     : in.range == kPositive ? size + 0.5
                     : in.range == kKink     ? std::copysign(size + 0.3, u)
                     : in.range == kWide     ? 20 * u
                     : in.range == kSteps    ? 1e4 * (2.0 * double(level) / double(std::max<int64_t>(n - 1, 1)) - 1)
                     : in.range == kOffset   ? 1e4 + u
                                             : 1 + 1e-3 * u));
  }
  return x;
}

GradCheckOptions with_h(double h) { return {.h = h}; }

class Table {
 public:
  Table() {
    elementwise();
    matrices();
    reductions();
    indices();
    norms_and_losses();
    lstm();
    rnn();
    attention();
  }
  std::vector<Row> rows;

 private:
  template <class F>
  void row(const char* op, std::vector<In> in, const F& f, GradCheckOptions options = {}, Flavours flavours = kBoth) {
    rows.push_back({op, std::move(in), [f](Inputs x) { return Outputs{f(x)}; }, options, flavours});
  }

  void elementwise();
  void matrices();
  void reductions();
  void indices();
  void norms_and_losses();
  void lstm();
  void rnn();
  void attention();
};

const Shape kShapes[] = {{}, {1}, {7}, {2, 3}, {5, 1, 3}, {2, 1, 3, 5}, {5, 7}};
const Shape kMatrices[] = {{1, 1}, {1, 7}, {5, 1}, {2, 3}, {7, 5}, {3, 19}, {2, 35}};

void Table::elementwise() {
  for (const Shape& s : kShapes) {
    row("add", {{"a", s}, {"b", s}}, [](Inputs x) { return add(x[0], x[1]); });
    row("sub", {{"a", s}, {"b", s}}, [](Inputs x) { return sub(x[0], x[1]); });
    row("mul", {{"a", s}, {"b", s}}, [](Inputs x) { return mul(x[0], x[1]); });
    row("scale", {{"x", s}}, [](Inputs x) { return scale(x[0], -1.75); });
    row("tanh", {{"x", s}}, [](Inputs x) { return tanh(x[0]); });
    row("sigmoid", {{"x", s}}, [](Inputs x) { return sigmoid(x[0]); });
    row("relu", {{"x", s, kKink}}, [](Inputs x) { return relu(x[0]); });
    row("gelu", {{"x", s}}, [](Inputs x) { return gelu(x[0]); });
    row("gelu_erf", {{"x", s}}, [](Inputs x) { return gelu_erf(x[0]); });
    row("exp", {{"x", s}}, [](Inputs x) { return exp(x[0]); });
    row("log", {{"x", s, kPositive}}, [](Inputs x) { return log(x[0]); });
    row("rsqrt", {{"x", s, kPositive}}, [](Inputs x) { return rsqrt(x[0]); });
    // The same tensor twice.
    row("add", {{"a", s}}, [](Inputs x) { return add(x[0], x[0]); });
    row("sub", {{"a", s}}, [](Inputs x) { return sub(x[0], x[0]); });
    row("mul", {{"a", s}}, [](Inputs x) { return mul(x[0], x[0]); });
  }
  // Twice through two windows, and as a whole with a part of itself.
  row("mul", {{"a", {5, 3}}}, [](Inputs x) { return mul(x[0].rows(0, 3), x[0].rows(2, 3)); });
  row("mul", {{"a", {3, 5}}}, [](Inputs x) { return mul(x[0], x[0].reshape({5, 3}).reshape({3, 5})); });
  row("sub", {{"a", {7}}}, [](Inputs x) { return sub(x[0].rows(0, 5), x[0].rows(2, 5)); });
  row("scale", {{"x", {3}}}, [](Inputs x) { return scale(x[0], 0); });

  // Far out, where functions saturate. The default h would grow with x.
  const Shape far{3, 7};
  const auto h = with_h(std::exp2(kDouble ? -10 : -6));
  row(
      "tanh", {{"x", far, kWide}}, [](Inputs x) { return tanh(x[0]); }, h);
  row(
      "sigmoid", {{"x", far, kWide}}, [](Inputs x) { return sigmoid(x[0]); }, h);
  row(
      "gelu", {{"x", far, kWide}}, [](Inputs x) { return gelu(x[0]); }, h);
  row(
      "gelu_erf", {{"x", far, kWide}}, [](Inputs x) { return gelu_erf(x[0]); }, h);
  row(
      "exp", {{"x", far, kWide}}, [](Inputs x) { return exp(x[0]); }, h);
  row("relu", {{"x", {2, 5}, kSteps}}, [](Inputs x) { return relu(x[0]); });
  row("log", {{"x", far, kOffset}}, [](Inputs x) { return log(x[0]); });
  row("rsqrt", {{"x", far, kOffset}}, [](Inputs x) { return rsqrt(x[0]); });
  row("mul", {{"a", {2, 5}, kSteps}, {"b", {2, 5}, kSteps}}, [](Inputs x) { return mul(x[0], x[1]); });

  for (const Shape& s : kMatrices) {
    row("add_rows", {{"x", s}, {"b", {s[1]}}}, [](Inputs x) { return add_rows(x[0], x[1]); });
    row("mul_rows", {{"x", s}, {"g", {s[1]}}}, [](Inputs x) { return mul_rows(x[0], x[1]); });
  }
  row("add_rows", {{"x", {3, 5}}}, [](Inputs x) { return add_rows(x[0], x[0].rows(1, 1).reshape({5})); });
  row("mul_rows", {{"x", {3, 5}}}, [](Inputs x) { return mul_rows(x[0], x[0].rows(2, 1).reshape({5})); });
}

void Table::matrices() {
  struct Sizes {
    int64_t M, K, N;
  };
  for (const auto [M, K, N] : {Sizes{1, 1, 1}, {2, 3, 5}, {7, 1, 2}, {1, 5, 7}, {5, 7, 1}, {3, 2, 7}, {2, 19, 3}}) {
    const In a{"a", {M, K}}, x_in{"x", {M, K}}, w{"w", {K, N}}, b{"b", {N}};
    row("matmul", {a, {"b", {K, N}}}, [](Inputs x) { return matmul(x[0], x[1]); });
    row("matmul_nt", {a, {"b", {N, K}}}, [](Inputs x) { return matmul_nt(x[0], x[1]); });
    row("linear", {x_in, w}, [](Inputs x) { return linear(x[0], x[1], {}); });
    row("linear", {x_in, w, b}, [](Inputs x) { return linear(x[0], x[1], x[2]); });
    row("linear_gelu", {x_in, w}, [](Inputs x) { return linear_gelu(x[0], x[1], {}); });
    row("linear_gelu", {x_in, w, b}, [](Inputs x) { return linear_gelu(x[0], x[1], x[2]); });
  }
  // The same tensor twice: only a square one fits.
  row("matmul", {{"a", {3, 3}}}, [](Inputs x) { return matmul(x[0], x[0]); });
  row("matmul_nt", {{"a", {5, 3}}}, [](Inputs x) { return matmul_nt(x[0], x[0]); });
  row("linear", {{"x", {3, 3}}}, [](Inputs x) { return linear(x[0], x[0], x[0].rows(1, 1).reshape({3})); });
  row("linear_gelu", {{"x", {3, 3}}}, [](Inputs x) { return linear_gelu(x[0], x[0], x[0].rows(1, 1).reshape({3})); });
  row("matmul", {{"a", {2, 5}, kSteps}, {"b", {5, 3}}}, [](Inputs x) { return matmul(x[0], x[1]); });
  row(
      "linear_gelu", {{"x", {5, 2}, kWide}, {"w", {2, 3}}, {"b", {3}}},
      [](Inputs x) { return linear_gelu(x[0], x[1], x[2]); }, with_h(std::exp2(-14)), kF64);
}

void Table::reductions() {
  for (const Shape& s : kShapes) {
    row("sum", {{"x", s}}, [](Inputs x) { return sum(x[0]); });
    row("mean", {{"x", s}}, [](Inputs x) { return mean(x[0]); });
  }
  row("sum", {{"x", {3, 5}, kSteps}}, [](Inputs x) { return sum(x[0]); });
  row("mean", {{"x", {3, 5}, kSteps}}, [](Inputs x) { return mean(x[0]); });
  for (const Shape& s : kMatrices) {
    row("row_means", {{"x", s}}, [](Inputs x) { return row_means(x[0]); });
    row("softmax", {{"x", s}}, [](Inputs x) { return softmax(x[0]); });
    row("log_softmax", {{"x", s}}, [](Inputs x) { return log_softmax(x[0]); });
  }
  for (const Shape& s : {Shape{1, 5}, Shape{3, 7}, Shape{2, 19}}) {
    row("softmax", {{"x", s, kSteps}}, [](Inputs x) { return softmax(x[0]); });
    row("log_softmax", {{"x", s, kSteps}}, [](Inputs x) { return log_softmax(x[0]); });
    row(
        "softmax", {{"x", s, kOffset}}, [](Inputs x) { return softmax(x[0]); }, with_h(std::exp2(-7)), kF64);
    row(
        "log_softmax", {{"x", s, kOffset}}, [](Inputs x) { return log_softmax(x[0]); }, with_h(std::exp2(-7)), kF64);
  }
  for (const Shape& s : {Shape{1, 1}, Shape{2, 2}, Shape{3, 3}, Shape{10, 5}, Shape{21, 7}, Shape{19, 19}})
    row("causal_softmax", {{"x", s}}, [](Inputs x) { return causal_softmax(x[0]); });
  row("causal_softmax", {{"x", {6, 3}, kSteps}}, [](Inputs x) { return causal_softmax(x[0]); });
}

void Table::indices() {
  struct Lookup {
    Shape table;
    std::vector<int32_t> id;
  };
  for (const Lookup& l : {Lookup{{1, 1}, {0}}, Lookup{{2, 3}, {1}}, Lookup{{5, 3}, {4, 0, 4, 4, 2, 0, 1}},
                          Lookup{{3, 7}, {1, 1, 1, 1, 1}}, Lookup{{7, 2}, {6, 5, 6}}, Lookup{{2, 19}, {0, 1, 0}}})
    row("embedding", {{"table", l.table}}, [id = l.id](Inputs x) { return embedding(x[0], id); });
  for (const Lookup& l : {Lookup{{1, 1}, {0}}, Lookup{{2, 3}, {2, 0}}, Lookup{{7, 5}, {4, 0, 1, 1, 4, 3, 2}},
                          Lookup{{3, 7}, {6, 6, 6}}, Lookup{{5, 1}, {0, 0, 0, 0, 0}}})
    row("pick", {{"x", l.table}}, [id = l.id](Inputs x) { return pick(x[0], id); });

  struct Part {
    Shape x;
    int64_t first, count;
  };
  for (const auto& [s, first, count] : {Part{{1, 1}, 0, 1}, Part{{2, 5}, 0, 3}, Part{{3, 7}, 2, 5}, Part{{5, 3}, 1, 1},
                                        Part{{7, 2}, 0, 2}, Part{{3, 35}, 7, 19}})
    row("columns", {{"x", s}}, [first = first, count = count](Inputs x) { return columns(x[0], first, count); });
  row("columns", {{"x", {3, 7}}}, [](Inputs x) { return Outputs{columns(x[0], 0, 5), columns(x[0], 2, 5)}; });

  for (int64_t N : {1, 3, 7}) {
    row("concat", {{"a", {N, 5}}}, [](Inputs x) { return concat(x); });
    row("concat", {{"a", {N, 2}}, {"b", {N, 5}}}, [](Inputs x) { return concat(x); });
    row("concat", {{"a", {N, 3}}, {"b", {N, 1}}, {"c", {N, 7}}, {"d", {N, 2}}}, [](Inputs x) { return concat(x); });
  }
  row("concat", {{"a", {2, 3}}, {"b", {2, 1}}}, [](Inputs x) { return concat(std::vector{x[0], x[1], x[0]}); });

  // The mask is a function of seed and step: the same at every run. The last shard has a first row other than 0.
  struct Drop {
    Shape x;
    double p;
    int64_t sequences, first;
  };
  const Drop drops[] = {
      {{1, 7}, 0.5, 1, 0}, {{6, 5}, 0.2, 3, 0}, {{2, 3}, 0.7, 2, 5}, {{3, 19}, 0.1, 1, 2}, {{2, 261}, 0.5, 2, 0}};
  for (const auto& [s, p, sequences, first] : drops) {
    const StepInfo info{.seed = 3, .step = 11, .training = true, .first_sequence = first, .sequences = sequences};
    row("dropout", {{"x", s}}, [p = p](Inputs x) { return dropout(x[0], p); }, {.info = info});
    row("dropout", {{"x", s}}, [p = p](Inputs x) { return dropout(dropout(x[0], p), 0.25); }, {.info = info});
  }
}

void Table::norms_and_losses() {
  for (const Shape& s : kMatrices) {
    if (s[1] == 1) continue;  // all zero: a row of its own below
    const In x{"x", s}, g{"g", {s[1]}}, b{"b", {s[1]}};
    row("layer_norm", {x, g}, [](Inputs in) { return layer_norm(in[0], in[1], {}); });
    row("layer_norm", {x, g, b}, [](Inputs in) { return layer_norm(in[0], in[1], in[2]); });
  }
  row("layer_norm", {{"x", {5, 1}}, {"g", {1}}, {"b", {1}}}, [](Inputs x) { return layer_norm(x[0], x[1], x[2]); });
  row("layer_norm", {{"x", {3, 5}}, {"g", {5}}}, [](Inputs x) { return layer_norm(x[0], x[1], x[1]); });
  row("layer_norm", {{"x", {3, 7}, kSteps}, {"g", {7}}, {"b", {7}}},
      [](Inputs x) { return layer_norm(x[0], x[1], x[2]); });
  // The variance is below ε: the slope is about 300.
  row(
      "layer_norm", {{"x", {3, 7}, kNarrow}, {"g", {7}}, {"b", {7}}},
      [](Inputs x) { return layer_norm(x[0], x[1], x[2]); }, with_h(std::exp2(-17)), kF64);

  struct Targets {
    Shape logits;
    std::vector<int32_t> target;
  };
  const Targets all[] = {{{1, 1}, {0}},
                         {{2, 3}, {2, 0}},
                         {{5, 7}, {6, kNoTarget, 0, 3, kNoTarget}},
                         {{7, 2}, {0, 1, 1, kNoTarget, 0, 1, 0}},
                         {{3, 5}, {kNoTarget, kNoTarget, kNoTarget}},
                         {{2, 19}, {18, 7}}};
  for (const Targets& t : all) {
    const std::vector<real> weight = draw({"weight", {t.logits[0]}}, 99);  // of both signs, as advantages are
    const auto f = [t](Inputs x) { return softmax_cross_entropy(x[0], t.target); };
    row("softmax_cross_entropy", {{"logits", t.logits}}, f);
    row("softmax_cross_entropy", {{"logits", t.logits}},
        [t, weight](Inputs x) { return softmax_cross_entropy(x[0], t.target, weight); });
    row("softmax_cross_entropy", {{"logits", t.logits, kSteps}}, f);
    row("softmax_cross_entropy", {{"logits", t.logits, kOffset}}, f, with_h(std::exp2(-7)), kF64);
  }
}

void Table::lstm() {
  const auto cell = [](Inputs x) {
    const LstmState s = lstm_cell(x[0], {x[1], x[2]}, x[3]);
    return Outputs{s.h, s.c};
  };
  const auto sequence = [](Inputs x) {
    const LstmOutput s = lstm_sequence(x[0], {x[1], x[2]}, x[3]);
    return Outputs{s.h, s.c_last};
  };
  struct Sizes {
    int64_t B, H;
  };
  for (const auto [B, H] : {Sizes{1, 1}, {2, 3}, {3, 5}, {5, 2}, {1, 7}}) {
    const In h{"h", {B, H}}, c{"c", {B, H}}, w{"w_hh", {4 * H, H}};
    row("lstm_cell", {{"xw", {B, 4 * H}}, h, c, w}, cell);
    row("lstm_cell", {{"xw", {B, 4 * H}}, h, w}, [](Inputs x) {  // h and c the same; only h used
      return lstm_cell(x[0], {x[1], x[1]}, x[2]).h;
    });
    row("lstm_cell", {{"xw", {B, 4 * H}}, h, c, w}, [](Inputs x) { return lstm_cell(x[0], {x[1], x[2]}, x[3]).c; });
    for (int64_t T : {1, 2, 7}) {
      row("lstm_sequence", {{"xw", {B * T, 4 * H}}, h, c, w}, sequence);
      row("lstm_sequence", {{"xw", {B * T, 4 * H}}, h, w}, [](Inputs x) {
        return lstm_sequence(x[0], {x[1], x[1]}, x[2]).h;
      });
      row("lstm_sequence", {{"xw", {B * T, 4 * H}}, h, c, w}, [](Inputs x) {
        return lstm_sequence(x[0], {x[1], x[2]}, x[3]).c_last;
      });
    }
  }
  const auto h = with_h(std::exp2(kDouble ? -10 : -6));
  row("lstm_cell", {{"xw", {2, 12}, kWide}, {"h", {2, 3}}, {"c", {2, 3}, kWide}, {"w_hh", {12, 3}}}, cell, h);
  row("lstm_sequence", {{"xw", {14, 12}, kWide}, {"h", {2, 3}}, {"c", {2, 3}, kWide}, {"w_hh", {12, 3}}}, sequence, h);
}

void Table::rnn() {
  struct Sizes {
    int64_t B, H;
  };
  const auto sequence = [](Inputs x) { return rnn_sequence(x[0], x[1], x[2]); };
  const auto h = with_h(std::exp2(kDouble ? -13 : -6));  // a state that returns often bends sharply
  for (const auto [B, H] : {Sizes{1, 1}, {2, 3}, {3, 5}, {5, 2}, {1, 7}})
    for (int64_t T : {1, 2, 7, 20})
      row("rnn_sequence", {{"xw", {B * T, H}}, {"h", {B, H}}, {"w_hh", {H, H}}}, sequence, h, T > 2 ? kF64 : kBoth);
  row("rnn_sequence", {{"xw", {6, 3}}, {"w_hh", {3, 3}}}, [](Inputs x) {
    return rnn_sequence(x[0], x[0], x[1]);  // one tensor twice
  });
  row("rnn_sequence", {{"xw", {14, 3}, kWide}, {"h", {2, 3}}, {"w_hh", {3, 3}}}, sequence, h);
}

void Table::attention() {
  struct Sizes {
    int64_t B, T, heads, D;
  };
  for (const auto& [B, T, heads, D] : {Sizes{1, 1, 1, 1}, Sizes{2, 3, 1, 5}, Sizes{1, 7, 2, 3}, Sizes{3, 5, 3, 2},
                                       Sizes{2, 2, 3, 7}, Sizes{5, 1, 2, 1}, Sizes{1, 19, 1, 3}})
    row("causal_attention", {{"qkv", {B * T, 3 * heads * D}}},
        [B = B, T = T, heads = heads](Inputs x) { return causal_attention(x[0], B, T, heads); });
  row(
      "causal_attention", {{"qkv", {5, 6}, kWide}}, [](Inputs x) { return causal_attention(x[0], 1, 5, 2); },
      with_h(std::exp2(-15)), kF64);
  static constexpr int32_t kLengths[] = {1, 5, 3, 4};
  for (const auto& [B, T, heads, D] : {Sizes{1, 1, 1, 1}, Sizes{4, 5, 1, 3}, Sizes{3, 5, 3, 2}, Sizes{2, 7, 2, 1}})
    row("attention", {{"qkv", {B * T, 3 * heads * D}}}, [B = B, T = T, heads = heads](Inputs x) {
      return gradus::attention(x[0], B, T, heads, std::span(kLengths).first(size_t(B)));
    });
}

const std::vector<Row>& rows() {
  static const Table table;
  return table.rows;
}

std::map<std::string, double>& worst_errors() {
  static std::map<std::string, double> worst;
  return worst;
}

std::vector<GradLeaf> leaves(const Row& row) {
  std::vector<GradLeaf> list;
  for (size_t i = 0; i < row.in.size(); ++i)
    list.push_back({row.in[i].name, row.in[i].shape, draw(row.in[i], int64_t(i))});
  return list;
}

void check(const Row& row, const GradCheck& c) {
  INFO(c);
  CHECK(c.passes());
  double& worst = worst_errors()[row.op];
  worst = std::max(worst, c.error);
}

// Runs test(row) for each row of this flavour.
template <class Test>
void for_each_row(const Test& test) {
  for (size_t i = 0; i < rows().size(); ++i) {
    const Row& row = rows()[i];
    if (row.flavours == kF64 && !kDouble) continue;
    INFO("row ", i, ": ", row.op);
    test(row);
  }
}

// Runs test(tape, i, row) for each op i that the rows record from variables.
template <class Test>
void for_each_op(const Test& test) {
  for_each_row([&](const Row& row) {
    Tape tape;
    const Tape::Use use(tape);
    tape.new_step(row.options.info);
    std::vector<Tensor> x;
    const std::vector<GradLeaf> values = leaves(row);
    for (const GradLeaf& leaf : values) x.push_back(variable(leaf.name.c_str(), leaf.shape, leaf.values));
    row.f(x);
    CHECK(tape.ops().size() > 0);
    for (size_t i = 0; i < tape.ops().size(); ++i) test(tape, i, row);
  });
}

}  // namespace

TEST_CASE("gradients: every row runs the op that it names, and every op has at least three shapes") {
  std::map<std::string, std::vector<std::string>> shapes;
  for_each_row([&](const Row& row) {
    bool seen = false;
    check(row, check_gradient(
                   row.op.c_str(), leaves(row),
                   [&](Inputs x) {
                     Outputs y = row.f(x);
                     for (const Op& op : Tape::current(Loc::here()).ops()) seen |= op.kind->name == row.op;
                     return y;
                   },
                   row.options));
    CHECK(seen);
    std::string all;
    for (const In& in : row.in) all += text(in.shape);
    auto& of_op = shapes[row.op];
    if (std::find(of_op.begin(), of_op.end(), all) == of_op.end()) of_op.push_back(all);
  });
  for (const auto& entry : shapes) {
    CAPTURE(entry.first);
    CHECK(entry.second.size() >= 3);
  }
}

TEST_CASE("gradients: through windows, with nothing left outside of them") {
  for_each_row([&](const Row& row) {
    // Each input is a slice of a larger leaf, reshaped to and fro; the elements around it must get exactly nothing.
    std::vector<GradLeaf> wide = leaves(row);
    for (size_t i = 0; i < wide.size(); ++i) {
      const Shape s = row.in[i].shape;
      const int64_t n = s.numel(), slice = s.rank() ? n / s[0] : 1;
      wide[i].shape = s.rank() == 0   ? Shape{3}
                      : s.rank() == 1 ? Shape{s[0] + 2}
                      : s.rank() == 2 ? Shape{s[0] + 2, s[1]}
                      : s.rank() == 3 ? Shape{s[0] + 2, s[1], s[2]}
                                      : Shape{s[0] + 2, s[1], s[2], s[3]};
      wide[i].values.insert(wide[i].values.begin(), size_t(slice), real(0.625));
      wide[i].values.insert(wide[i].values.end(), size_t(slice), real(-0.375));
    }
    const auto f = [&](Inputs x) {
      Outputs inner;
      for (size_t i = 0; i < x.size(); ++i) {
        const Shape s = row.in[i].shape;
        const Tensor slice = x[i].rows(1, s.rank() ? s[0] : 1);
        inner.push_back(slice.reshape({1, slice.numel()}).reshape(s));
      }
      return row.f(inner);
    };
    check(row, check_gradient(row.op.c_str(), wide, f, row.options));
  });
}

TEST_CASE("gradients: one input constant, or all but one") {
  for_each_row([&](const Row& row) {
    if (row.in.size() < 2) return;
    for (const bool chosen_needs : {false, true})
      for (size_t chosen = 0; chosen < row.in.size(); ++chosen) {
        std::vector<GradLeaf> some = leaves(row);
        for (size_t i = 0; i < some.size(); ++i) some[i].needs_grad = (i == chosen) == chosen_needs;
        CAPTURE(chosen_needs);
        CAPTURE(chosen);
        check(row, check_gradient(row.op.c_str(), some, row.f, row.options));
      }
  });
}

TEST_CASE("gradients: parameters") {
  for_each_row([&](const Row& row) {
    Params params;
    for (const In& in : row.in) params.add(in.name, in.shape, Init::constant(0));
    params.init(1);
    const std::vector<GradLeaf> values = leaves(row);
    for (size_t i = 0; i < values.size(); ++i)
      std::copy(values[i].values.begin(), values[i].values.end(), params.edit(int64_t(i)).begin());
    check(row, check_parameters(row.op.c_str(), params, row.f, row.options));
  });
}

TEST_CASE("gradients: every op has its mathematics, a line for each direction") {
  for_each_op([&](Tape& tape, size_t i, const Row&) {
    const Op& op = tape.ops()[i];
    const std::string kind = op.kind->name;
    CAPTURE(kind);
    const OpMath& math = op.kind->math;
    CHECK(std::string(math.formula).find('=') != std::string::npos);
    CHECK(std::string(math.gradient).find("=") != std::string::npos);
    std::istringstream words(math.inputs);
    const auto letters = std::distance(std::istream_iterator<std::string>(words), {});
    CHECK((letters >= op.n_in || kind == "concat"));
  });
}

TEST_CASE("gradients: changing one number of an input changes those numbers of the outputs that the op says") {
  // Of each input of each op: whether a change has reached an output elsewhere than at its own element, and elsewhere
  // than in its own column. What an op promises holds for all rows; what it does not promise fails in one of them.
  struct Reach {
    bool anywhere = false, beyond_element = false, beyond_column = false;
  };
  std::map<std::string, std::vector<Reach>> seen;
  std::map<std::string, const OpKind*> kinds;
  for_each_op([&](Tape& tape, size_t at, const Row&) {
    OpCopy copy(tape.ops()[at]);
    const size_t n_in = size_t(copy.op.n_in);
    std::vector<Reach>& reach = seen[copy.op.kind->name];
    if (reach.size() < n_in) reach.resize(n_in);
    kinds[copy.op.kind->name] = copy.op.kind;
    copy.op.kind->forward(copy.op);
    const std::vector<std::vector<real>> before = copy.data;
    for (size_t i = 0; i < n_in; ++i)
      for (size_t j = 0; j < before[i].size(); ++j) {
        copy.data[i][j] += real(0.5);
        copy.op.kind->forward(copy.op);
        for (size_t k = n_in; k < before.size(); ++k)
          for (size_t e = 0; e < before[k].size(); ++e) {
            if (copy.data[k][e] == before[k][e]) continue;
            reach[i].anywhere = true;
            reach[i].beyond_element |= e != j;
            reach[i].beyond_column |= e % before[i].size() != j;
          }
        copy.data[i][j] = before[i][j];
      }
  });
  for (const auto& of_op : seen)
    for (size_t i = 0; i < of_op.second.size(); ++i) {
      const auto& [op, reach] = of_op;
      CAPTURE(of_op.first);
      CAPTURE(i);
      const std::string letters = kinds[op]->math.elements;
      const char letter = i < letters.size() ? letters[i] : '-';
      CHECK(reach[i].anywhere);
      CHECK(reach[i].beyond_element == (letter != 'e'));
      CHECK(reach[i].beyond_column == (letter == '-'));
    }
}

TEST_CASE("gradients: every recorded op alone") {
  for_each_op([&](Tape& tape, size_t i, const Row& row) {
    const OpCheck c = check_op(tape, i, row.options);
    INFO(c);
    CHECK(c.passes());
  });
}

TEST_CASE("gradients: the table printed on request") {
  if (std::getenv("GRADUS_TABLE"))
    for (const auto& [op, error] : worst_errors()) std::printf("%-24s %.1e\n", op.c_str(), error);
}

TEST_SUITE_END();
