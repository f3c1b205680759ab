// What attention and recurrent ops keep inside, against the same op composed from primitives.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "apps/layer_sizes.h"
#include "apps/look/insight.h"
#include "engine/composed.h"
#include "engine/ops_inside.h"
#include "engine/optim.h"
#include "engine/rng.h"
#include "tests/near.h"

namespace {

using namespace gradus;

constexpr double kClose = kDouble ? 1e-14 : 1e-5;

std::vector<real> numbers(int64_t n, int64_t a) {
  const Rng rng = Rng(1, Stream::kTest).at(a);
  std::vector<real> x;
  for (int64_t i = 0; i < n; ++i) x.push_back(real(rng.normal(i)));
  return x;
}
// The outputs of the ops of this name on the tape, in order.
std::vector<const Value*> outputs(const Tape& tape, const std::string& name) {
  std::vector<const Value*> found;
  for (const Op& op : tape.ops())
    if (op.kind->name == name) found.push_back(op.out[0]);
  return found;
}

}  // namespace

TEST_SUITE("inside") {
  TEST_CASE("inside: the weights of each head of each sequence are those of composed attention") {
    const int64_t B = 2, T = 5, heads = 3, C = 6;
    const std::vector<real> qkv = numbers(B * T * 3 * C, 0);
    Tape fused, composed_tape;
    {
      const Tape::Use use(fused);
      causal_attention(variable("qkv", {B * T, 3 * C}, qkv), B, T, heads);
    }
    {
      const Tape::Use use(composed_tape);
      composed::attention(variable("qkv", {B * T, 3 * C}, qkv), B, T, heads, {});
    }
    const std::vector<const Value*> P = outputs(composed_tape, "causal_softmax");
    REQUIRE(int64_t(P.size()) == B * heads);
    for (int64_t b = 0; b < B; ++b) {
      const std::vector<Inside> all = inside(fused.ops().back(), b);
      REQUIRE(int64_t(all.size()) == heads);
      for (int64_t h = 0; h < heads; ++h) {
        const Inside& head = all[size_t(h)];
        CHECK(head.name == "head " + std::to_string(h));
        CHECK(head.weights);
        CHECK(head.columns == T);
        const Value* p = P[size_t(b * heads + h)];
        CHECK(near(head.numbers, std::span(p->data, size_t(T * T)), 1).absolute <= kClose);
      }
    }
  }

  TEST_CASE("inside: gates, cells and output of each sequence are those of a composed LSTM") {
    const int64_t B = 2, T = 4, H = 3;
    const std::vector<real> xw = numbers(B * T * 4 * H, 1), w = numbers(4 * H * H, 2), start = numbers(B * H, 3);
    Tape tape;
    const Tape::Use use(tape);
    const Tensor x = variable("xw", {B * T, 4 * H}, xw), w_hh = variable("w", {4 * H, H}, w);
    const LstmState begin{constant({B, H}, start), constant({B, H}, start)};
    lstm_sequence(x, begin, w_hh);
    const Op op = tape.ops().back();
    for (int64_t b = 0; b < B; ++b) {
      const std::vector<Inside> all = inside(op, b);
      REQUIRE(all.size() == 6);
      LstmState state{begin.h.rows(b, 1), begin.c.rows(b, 1)};
      for (int64_t t = 0; t < T; ++t) {
        const size_t before = tape.ops().size();
        state = composed::lstm_cell(x.rows(b * T + t, 1), state, w_hh);
        std::vector<const real*> want;  // i f g o as they are composed, then c and h
        for (size_t k = before; k < tape.ops().size(); ++k)
          if (const std::string name = tape.ops()[k].kind->name; name == "sigmoid" || name == "tanh")
            want.push_back(tape.ops()[k].y());
        REQUIRE(want.size() == 5);
        want.back() = state.c.data();  // was tanh c
        want.push_back(state.h.data());
        const char* const names[] = {"i", "f", "g", "o", "c", "h"};
        for (size_t k = 0; k < 6; ++k) {
          CHECK(all[k].name == names[k]);
          CHECK(all[k].columns == H);
          for (int64_t u = 0; u < H; ++u)
            CHECK(std::fabs(all[k].numbers[size_t(t * H + u)] - double(want[k][u])) <= kClose);
        }
      }
    }
  }

  TEST_CASE("inside: the output of a recurrent layer; nothing of other ops") {
    const int64_t B = 2, T = 3, H = 2;
    Tape tape;
    const Tape::Use use(tape);
    const Tensor y = rnn_sequence(variable("xw", {B * T, H}, numbers(B * T * H, 4)), constant({B, H}, 0.5),
                                  variable("w", {H, H}, numbers(H * H, 5)));
    const std::vector<Inside> second = inside(tape.ops().back(), 1);
    REQUIRE(second.size() == 1);
    CHECK(second[0].name == "h");
    CHECK(near(second[0].numbers, y.span().subspan(size_t(T * H)), 1).absolute == 0);
    tanh(y);
    CHECK(inside(tape.ops().back()).empty());
  }

  // A full window of 5 drops all but the 2 newest inputs: it begins at input 3, then at 6.
  TEST_CASE("look: attention at each place is that of the composed model on the inputs that it sees") {
    const std::string content = "the miller saw";
    Config config;
    config.layers = 2;
    config.heads = 2;
    config.embd = 8;
    config.context = 5;
    Tokenizer tokenizer = Tokenizer::from_text("char", content);
    auto model = make_model(config, tokenizer.size());
    const Checkpoint run{config, std::move(tokenizer), std::move(model), {}, 0, {}, 1, {}, "", "", ""};
    ModelOptions options = config;
    options.ops = "composed";
    const auto composed_model = declare_model(options, run.tokenizer.size());
    composed_model->params().allocate();
    composed_model->params().copy_from(run.model->params());
    std::vector<int32_t> tokens = run.tokenizer.encode(content);
    tokens.resize(10);
    const Insight insight = look_into(run, {tokens});
    REQUIRE(insight.places.size() == 10);
    REQUIRE(insight.parts.size() == 4);
    const int64_t firsts[] = {0, 0, 0, 0, 0, 3, 3, 3, 6, 6};
    for (size_t i = 0; i < 10; ++i) {
      const Place& place = insight.places[i];
      CHECK(place.first == firsts[i]);
      std::vector<int32_t> inputs;  // of this place alone: later ones change nothing
      for (size_t at = size_t(place.first); at <= i; ++at) inputs.push_back(at == 0 ? run.start_id : tokens[at - 1]);
      Tape tape;
      const Tape::Use use(tape);
      composed_model->features(inputs, 1, int64_t(inputs.size()));
      const std::vector<const Value*> P = outputs(tape, "causal_softmax");
      REQUIRE(P.size() == 4);
      for (size_t k = 0; k < 4; ++k) {
        CHECK(insight.parts[k].layer == int64_t(k / 2));
        const real* last = P[k]->data + (inputs.size() - 1) * inputs.size();
        CHECK(near(place.parts[k], std::span(last, inputs.size()), 1).absolute <= 10 * kClose);
      }
    }
  }

  TEST_CASE("layer sizes: names of layers, and sums of squares by hand") {
    CHECK(layer_of("h.10.attn.c_attn.weight") == "h.10");
    CHECK(layer_of("wte.weight") == "wte");
    CHECK(layer_of("lstm.weight_ih_l1") == "lstm.1");
    CHECK(layer_of("lstm.bias_l0") == "lstm.0");
    CHECK(layer_of("w") == "w");
    CHECK(layer_of("a_layer.weight") == "a_layer");
    Params params;
    params.add("a.w", {2}, Init::constant(3));
    params.add("a.b", {1}, Init::constant(4));
    params.add("h.0.w", {2}, Init::constant(0));
    params.init(1);
    const real gradient[] = {1, 2, 2, 0, 5};
    const LayerSizes sizes(params, gradient);
    sgd_step(params, gradient, 0.5);
    const Json record = sizes.record(7, params);
    CHECK(record["step"] == Json(7));
    REQUIRE(record["layers"].size() == 2);
    CHECK(record["layers"][0]["name"] == Json("a"));
    CHECK(record["layers"][0]["grad_norm"].get<double>() == doctest::Approx(3));
    CHECK(record["layers"][0]["update_ratio"].get<double>() == doctest::Approx(1.5 / std::sqrt(34)));
    CHECK(record["layers"][1]["grad_norm"].get<double>() == doctest::Approx(5));
    CHECK(record["layers"][1]["update_ratio"].is_null());  // the weights were 0
  }
}
