// Fused = composed: the values and all gradients of every function of a Rung, and the first 20 losses of whole models.
// The primitives below both are compared with their definitions in double: a gradient check does not see a function
// that is wrong in the same way forward and backward.
//
// Bounds, relative to the largest number of the list: 1e-12 in f64, 1e-5 in f32. Losses of whole models, after up to 19
// updates by AdamW, which divides a gradient by its own size: 1e-10 and 1e-5.
// Long, because every function has its definition here.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "engine/composed.h"
#include "engine/optim.h"
#include "engine/rng.h"
#include "engine/rung.h"
#include "models/language_model.h"
#include "models/run/config.h"
#include "tests/near.h"

TEST_SUITE_BEGIN("composed");

namespace {

using namespace gradus;
using Inputs = std::span<const Tensor>;
using Outputs = std::vector<Tensor>;

constexpr double kBound = kDouble ? 1e-12 : 1e-5;

std::vector<real> draw(int64_t n, int64_t coordinate, double size = 2) {
  const Rng rng = Rng(9, Stream::kTest).at(coordinate, 3);
  std::vector<real> x;
  for (int64_t k = 0; k < n; ++k) x.push_back(real(size * (2 * rng.uniform(k) - 1)));
  return x;
}

// All outputs, and the gradient of each input for fixed random gradients at the outputs.
struct Result {
  std::vector<std::vector<real>> outputs, gradients;
};
template <class F>
Result run(const std::vector<Shape>& shapes, const F& f) {
  Tape tape;
  const Tape::Use use(tape);
  std::vector<Tensor> x;
  for (size_t i = 0; i < shapes.size(); ++i) x.push_back(variable("x", shapes[i], draw(shapes[i].numel(), int64_t(i))));
  Result r;
  const Outputs y = f(Inputs(x));
  for (size_t i = 0; i < y.size(); ++i) {
    r.outputs.emplace_back(y[i].span().begin(), y[i].span().end());
    tape.seed(y[i], draw(y[i].numel(), 100 + int64_t(i)));
  }
  tape.backward();
  for (const Tensor& leaf : x) r.gradients.emplace_back(leaf.grad().begin(), leaf.grad().end());
  return r;
}

// The same function of a Rung on both rungs.
template <class F>
void check_rungs(const char* what, const std::vector<Shape>& shapes, const F& f) {
  const std::string name = text(what, ' ', shapes[0]);
  CAPTURE(name);
  const Result fused = run(shapes, [&](Inputs x) { return Outputs{f(fused_rung(), x)}; });
  const Result composed = run(shapes, [&](Inputs x) { return Outputs{f(composed_rung(), x)}; });
  REQUIRE(fused.outputs.size() == composed.outputs.size());
  for (size_t i = 0; i < fused.outputs.size(); ++i) {
    CAPTURE(i);
    CHECK(near(fused.outputs[i], composed.outputs[i]) <= kBound);
  }
  for (size_t i = 0; i < fused.gradients.size(); ++i) {
    CAPTURE(i);
    // What arrives is of size 2; a gradient below 0.1 is what a cancellation leaves (layer_norm of two numbers).
    CHECK(near(fused.gradients[i], composed.gradients[i], 0.1) <= kBound);
  }
}

}  // namespace

TEST_CASE("composed: primitives element by element are what they are called") {
  struct Primitive {
    const char* name;
    Tensor (*op)(const Tensor&, Loc);
    double (*definition)(double);
    bool positive = false;
  };
  const Primitive primitives[] = {
      {"tanh", tanh, std::tanh},
      {"sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"relu", relu, [](double x) { return x > 0 ? x : 0; }},
      {"gelu", gelu,
       [](double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
      {"gelu_erf", gelu_erf, [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2))); }},
      {"exp", exp, std::exp},
      {"log", log, std::log, true},
      {"rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, true},
      {"scale", [](const Tensor& x, Loc where) { return scale(x, -2.5, where); }, [](double x) { return -2.5 * x; }}};
  Tape tape;
  const Tape::Use use(tape);
  for (const Primitive& p : primitives) {
    const std::string name = p.name;
    CAPTURE(name);
    std::vector<real> x = draw(35, 0, 4);
    std::vector<double> wanted;
    for (real& v : x) wanted.push_back(p.definition(double(v = p.positive ? std::fabs(v) + real(0.1) : v)));
    CHECK(near(p.op(constant({5, 7}, x), Loc::here()).span(), wanted) <= kBound / 10);
  }
}

TEST_CASE("composed: the activations have their limits at infinity, and slopes there") {
  struct Limits {
    Tensor (*op)(const Tensor&, Loc);
    double low, high, slope_low, slope_high;
  };
  const double inf = std::numeric_limits<double>::infinity();
  for (const Limits& l : {Limits{gelu_erf, 0, inf, 0, 1}, Limits{gelu, 0, inf, 0, 1}, Limits{relu, 0, inf, 0, 1},
                          Limits{tanh, -1, 1, 0, 0}, Limits{sigmoid, 0, 1, 0, 0}}) {
    Tape tape;
    const Tape::Use use(tape);
    const real r = real(inf), far = std::numeric_limits<real>::max();
    const Tensor x = variable("x", {5}, std::vector<real>{-r, r, -far, far, real(std::nan(""))});
    const Tensor y = l.op(x, Loc::here());
    tape.seed(y, std::vector<real>(5, real(1)));
    tape.backward();
    CHECK((y.data()[0] == l.low && y.data()[1] == real(l.high)));
    CHECK((x.grad()[0] == l.slope_low && x.grad()[1] == l.slope_high));
    CHECK((y.data()[2] == l.low && y.data()[3] == (l.high == inf ? far : real(1))));
    CHECK((x.grad()[2] == l.slope_low && x.grad()[3] == l.slope_high));
    CHECK(std::isnan(y.data()[4]));
  }
}

TEST_CASE("composed: primitives on rows and matrices are what they are called") {
  constexpr size_t N = 5, K = 3, M = 7;
  const std::vector<real> a = draw(N * K, 0), b = draw(K * M, 1), c = draw(N * M, 2), d = draw(N * M, 3);
  const std::vector<real> g = draw(M, 4);
  std::vector<double> product(N * M), plus(N * M), minus(N * M), times(N * M), plus_row(N * M), times_row(N * M);
  std::vector<double> soft(N * M), log_soft(N * M), means(N), picked(N), drawn;
  std::vector<real> b_transposed(K * M);
  const std::vector<int32_t> id{6, 0, 3, 3, 1};
  double total = 0;
  for (size_t n = 0; n < N; ++n) {
    double row_sum = 0, exp_sum = 0;
    for (size_t j = 0; j < M; ++j) {
      const size_t i = n * M + j;
      for (size_t k = 0; k < K; ++k) product[i] += double(a[n * K + k]) * double(b[k * M + j]);
      for (size_t k = 0; k < K; ++k) b_transposed[j * K + k] = b[k * M + j];
      plus[i] = double(c[i]) + double(d[i]);
      minus[i] = double(c[i]) - double(d[i]);
      times[i] = double(c[i]) * double(d[i]);
      plus_row[i] = double(c[i]) + double(g[j]);
      times_row[i] = double(c[i]) * double(g[j]);
      row_sum += double(c[i]);
      exp_sum += std::exp(double(c[i]));
    }
    for (size_t j = 0; j < M; ++j) {
      log_soft[n * M + j] = double(c[n * M + j]) - std::log(exp_sum);
      soft[n * M + j] = std::exp(log_soft[n * M + j]);
    }
    means[n] = row_sum / double(M);
    picked[n] = double(c[n * M + size_t(id[n])]);
    total += row_sum;
  }
  for (const int32_t i : {2, 0, 2})
    for (size_t j = 0; j < M; ++j) drawn.push_back(double(c[size_t(i) * M + j]));
  Tape tape;
  const Tape::Use use(tape);
  const Tensor A = constant({N, K}, a), B = constant({K, M}, b), Bt = constant({M, K}, b_transposed);
  const Tensor C = constant({N, M}, c), D = constant({N, M}, d), G = constant({M}, g);
  CHECK(near(matmul(A, B).span(), product) <= kBound);
  CHECK(near(matmul_nt(A, Bt).span(), product) <= kBound);
  CHECK(near(linear(A, B, {}).span(), product) <= kBound);
  CHECK(near(linear(A, B, G).span(), add_rows(matmul(A, B), G).span()) <= kBound);
  CHECK(near(add(C, D).span(), plus) <= kBound);
  CHECK(near(sub(C, D).span(), minus) <= kBound);
  CHECK(near(mul(C, D).span(), times) <= kBound);
  CHECK(near(add_rows(C, G).span(), plus_row) <= kBound);
  CHECK(near(mul_rows(C, G).span(), times_row) <= kBound);
  CHECK(near(softmax(C).span(), soft) <= kBound);
  CHECK(near(log_softmax(C).span(), log_soft) <= kBound);
  CHECK(near(row_means(C).span(), means) <= kBound);
  CHECK(near(sum(C).item(), total) <= kBound);
  CHECK(near(mean(C).item(), total / double(N * M)) <= kBound);
  CHECK(near(pick(C, id).span(), picked) <= kBound);
  CHECK(near(embedding(C, std::vector<int32_t>{2, 0, 2}).span(), drawn) <= kBound);
  // A part and its rest, side by side again.
  const Tensor left = columns(C, 0, 3), right = columns(C, 3, 4);
  CHECK(first_difference(concat(std::vector{left, right}).span(), C.span()) == -1);
  CHECK((left.span()[3] == c[M] && right.span()[4] == c[M + 3]));
  // Row t of a block is the softmax of its first t + 1 numbers.
  const Tensor blocks = constant({2 * K, K}, draw(2 * K * K, 5)), causal = causal_softmax(blocks);
  for (int64_t r = 0; r < int64_t(2 * K); ++r) {
    const int64_t visible = r % int64_t(K) + 1;
    const std::span<const real> row = causal.rows(r, 1).span();
    CHECK(near(row.first(size_t(visible)), softmax(columns(blocks.rows(r, 1), 0, visible)).span()) <= kBound);
    for (size_t j = size_t(visible); j < K; ++j) CHECK(row[j] == 0);
  }
}

TEST_CASE("composed: linear_gelu and layer_norm") {
  struct Sizes {
    int64_t N, K, M;
  };
  for (const auto [N, K, M] : {Sizes{1, 1, 1}, {2, 3, 5}, {7, 5, 2}, {3, 1, 7}, {5, 19, 35}}) {
    check_rungs("linear_gelu, no bias", {{N, K}, {K, M}},
                [](const Rung& r, Inputs x) { return r.linear_gelu(x[0], x[1], {}, Loc::here()); });
    check_rungs("linear_gelu", {{N, K}, {K, M}, {M}},
                [](const Rung& r, Inputs x) { return r.linear_gelu(x[0], x[1], x[2], Loc::here()); });
  }
  for (const Shape& s : {Shape{1, 2}, Shape{2, 3}, Shape{7, 5}, Shape{5, 7}, Shape{3, 35}}) {
    check_rungs("layer_norm, no bias", {s, {s[1]}},
                [](const Rung& r, Inputs x) { return r.layer_norm(x[0], x[1], {}, Loc::here()); });
    check_rungs("layer_norm", {s, {s[1]}, {s[1]}},
                [](const Rung& r, Inputs x) { return r.layer_norm(x[0], x[1], x[2], Loc::here()); });
  }
}

TEST_CASE("composed: lstm_cell and lstm_sequence") {
  struct Sizes {
    int64_t B, H;
  };
  for (const auto [B, H] : {Sizes{1, 1}, {2, 3}, {3, 7}, {7, 5}, {1, 19}}) {
    check_rungs("lstm_cell", {{B, 4 * H}, {B, H}, {B, H}, {4 * H, H}}, [](const Rung& r, Inputs x) {
      const LstmState s = r.lstm_cell(x[0], {x[1], x[2]}, x[3], Loc::here());
      return Outputs{s.h, s.c};
    });
    for (const int64_t T : {1, 2, 7})
      check_rungs("lstm_sequence", {{B * T, 4 * H}, {B, H}, {B, H}, {4 * H, H}}, [](const Rung& r, Inputs x) {
        const LstmOutput s = r.lstm_sequence(x[0], {x[1], x[2]}, x[3], Loc::here());
        return Outputs{s.h, s.c_last};
      });
  }
}

TEST_CASE("composed: rnn_sequence") {
  struct Sizes {
    int64_t B, H;
  };
  for (const auto [B, H] : {Sizes{1, 1}, {2, 3}, {3, 7}, {7, 5}, {1, 19}})
    for (const int64_t T : {1, 2, 7})
      check_rungs("rnn_sequence", {{B * T, H}, {B, H}, {H, H}},
                  [](const Rung& r, Inputs x) { return r.rnn_sequence(x[0], x[1], x[2], Loc::here()); });
}

TEST_CASE("composed: causal_attention") {
  struct Sizes {
    int64_t B, T, heads, D;
  };
  for (const Sizes s : {Sizes{1, 1, 1, 1}, {2, 3, 1, 5}, {1, 7, 2, 3}, {3, 5, 3, 2}, {2, 19, 2, 7}})
    check_rungs("causal_attention", {{s.B * s.T, 3 * s.heads * s.D}},
                [s](const Rung& r, Inputs x) { return r.causal_attention(x[0], s.B, s.T, s.heads, Loc::here()); });
}

TEST_CASE("composed: attention over whole sequences of several lengths") {
  struct Sizes {
    std::vector<int32_t> lengths;
    int64_t T, heads, D;
  };
  for (const Sizes& s : {Sizes{{1}, 1, 1, 1}, {{3}, 7, 2, 3}, {{3, 5, 1}, 5, 3, 2}, {{19, 4}, 19, 2, 7}})
    check_rungs("attention", {{int64_t(s.lengths.size()) * s.T, 3 * s.heads * s.D}}, [&s](const Rung& r, Inputs x) {
      return r.attention(x[0], int64_t(s.lengths.size()), s.T, s.heads, s.lengths, Loc::here());
    });
}

// y_t = Σ_{j≤t} P_tj v_j, P_t the softmax of q_t·k_j / √D over j ≤ t, in double.
static std::vector<double> attention_by_definition(const std::vector<real>& qkv, int64_t T, int64_t heads, int64_t D) {
  const int64_t C = heads * D;
  std::vector<double> y(size_t(T * C), 0.0);
  const auto at = [&](int64_t t, int64_t part, int64_t head, int64_t d) {
    return double(qkv[size_t(t * 3 * C + part * C + head * D + d)]);
  };
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t t = 0; t < T; ++t) {
      std::vector<double> e;
      double total = 0;
      for (int64_t j = 0; j <= t; ++j) {
        double product = 0;
        for (int64_t d = 0; d < D; ++d) product += at(t, 0, head, d) * at(j, 1, head, d);
        total += e.emplace_back(std::exp(product / std::sqrt(double(D))));
      }
      for (int64_t j = 0; j <= t; ++j)
        for (int64_t d = 0; d < D; ++d) y[size_t(t * C + head * D + d)] += e[size_t(j)] / total * at(j, 2, head, d);
    }
  return y;
}

// Rows of several vectors with a rest: one position too few at some place would show in values or gradients.
TEST_CASE("composed: attention and recurrent layers over long rows") {
  for (const int64_t T : {16, 33, 70, 150}) {
    INFO("T ", T);
    const int64_t heads = 2, D = 3;
    check_rungs("causal_attention", {{T, 3 * heads * D}},
                [=](const Rung& r, Inputs x) { return r.causal_attention(x[0], 1, T, heads, Loc::here()); });
    const std::vector<real> qkv = draw(T * 3 * heads * D, 0);
    Tape tape;
    const Tape::Use use(tape);
    const Tensor y = causal_attention(constant({T, 3 * heads * D}, qkv), 1, T, heads);
    CHECK(near(y.span(), attention_by_definition(qkv, T, heads, D)) <= kBound);
    const Tensor square = constant({T, T}, draw(T * T, 1)), causal = causal_softmax(square);
    for (int64_t t = 0; t < T; ++t)
      CHECK(near(causal.rows(t, 1).span().first(size_t(t) + 1), softmax(columns(square.rows(t, 1), 0, t + 1)).span()) <=
            kBound);
    if (T > 70) continue;  // a chaotic layer multiplies rounding
    check_rungs("rnn_sequence", {{2 * T, 5}, {2, 5}, {5, 5}}, [](const Rung& r, Inputs x) {
      return scale(r.rnn_sequence(x[0], x[1], scale(x[2], 0.1), Loc::here()), 1);
    });
    check_rungs("lstm_sequence", {{2 * T, 20}, {2, 5}, {2, 5}, {20, 5}}, [](const Rung& r, Inputs x) {
      const LstmOutput s = r.lstm_sequence(x[0], {x[1], x[2]}, scale(x[3], 0.1), Loc::here());
      return Outputs{s.h, s.c_last};
    });
  }
}

TEST_CASE("composed: softmax_cross_entropy") {
  struct Targets {
    Shape logits;
    std::vector<int32_t> target;
  };
  const Targets all[] = {{{1, 1}, {0}},
                         {{2, 3}, {2, 0}},
                         {{5, 7}, {6, kNoTarget, 0, 3, kNoTarget}},
                         {{3, 5}, {kNoTarget, kNoTarget, kNoTarget}},
                         {{2, 35}, {34, 17}}};
  for (const Targets& t : all)
    check_rungs("softmax_cross_entropy", {t.logits},
                [&t](const Rung& r, Inputs x) { return r.softmax_cross_entropy(x[0], t.target, Loc::here()); });
}

TEST_CASE("composed: the rungs say their names, and differ") {
  CHECK(std::string(fused_rung().name) == "fused");
  CHECK(std::string(composed_rung().name) == "composed");
  CHECK((fused_rung().linear_gelu != composed_rung().linear_gelu));
  CHECK((fused_rung().layer_norm != composed_rung().layer_norm));
  CHECK((fused_rung().lstm_cell != composed_rung().lstm_cell));
  CHECK((fused_rung().lstm_sequence != composed_rung().lstm_sequence));
  CHECK((fused_rung().rnn_sequence != composed_rung().rnn_sequence));
  CHECK((fused_rung().attention != composed_rung().attention));
  CHECK((fused_rung().softmax_cross_entropy != composed_rung().softmax_cross_entropy));
}

namespace {

struct Model {
  const char* family;
  int64_t layers;
  bool bias;
  double dropout;
};

constexpr int64_t kB = 3, kT = 7, kV = 11, kSteps = 20;

// The first losses of a run, and the ops that the last step recorded.
struct Training {
  std::vector<double> loss;
  size_t ops = 0;
};
Training train(const Model& m, const char* rung) {
  Config config;
  config.model = m.family;
  config.ops = rung;
  config.layers = m.layers;
  config.bias = m.bias;
  config.dropout = m.dropout;
  config.heads = 3;
  config.embd = 15;
  config.hidden = 13;
  config.context = kT;
  config.resolve(1);
  const auto model = make_model(config, kV);
  AdamW optimizer(model->params());
  Tape tape;
  const Tape::Use use(tape);
  Training result;
  for (int64_t step = 1; step <= kSteps; ++step) {
    tape.new_step({.seed = 1, .step = step, .training = true, .sequences = kB});
    const Rng rng(1, Stream::kTest, step);
    std::vector<int32_t> token, target;  // each token is followed by its square, so that there is something to learn
    for (int64_t i = 0; i < kB * kT; ++i) {
      token.push_back(int32_t(rng.below(i, kV)));
      target.push_back(i % 10 == 9 ? kNoTarget : int32_t(token.back() * token.back() % kV));
    }
    const Tensor loss = mean(model->rung().softmax_cross_entropy(model->logits(token, kB, kT), target, Loc::here()));
    result.loss.push_back(loss.item());
    result.ops = tape.ops().size();
    tape.backward(loss);
    const std::span<const real> gradient = tape.gradient(model->params().array());
    optimizer.step(model->params(), gradient, 1e-2, clip_factor(gradient_norm(gradient), 1));
  }
  return result;
}

}  // namespace

TEST_CASE("composed: whole models train alike on both rungs") {
  for (const Model& m :
       {Model{"lstm", 1, true, 0}, Model{"lstm", 2, true, 0}, Model{"lstm", 2, true, 0.3},
        Model{"transformer", 2, true, 0}, Model{"transformer", 2, false, 0}, Model{"transformer", 1, true, 0.3}}) {
    const std::string name = text(m.family, ", layers ", m.layers, ", bias ", m.bias, ", dropout ", m.dropout);
    CAPTURE(name);
    const Training fused = train(m, "fused"), composed = train(m, "composed");
    const Near n = near(fused.loss, composed.loss);
    CAPTURE(n);
    CHECK(n.absolute <= (kDouble ? 1e-10 : 1e-5));
    CHECK(fused.loss.size() == size_t(kSteps));
    CHECK(fused.loss.back() < 0.95 * fused.loss.front());  // it does learn: equal losses of nothing would prove nothing
    CHECK(fused.ops < composed.ops);                       // and the rungs did run different ops
  }
}

TEST_SUITE_END();
