// models/: the promises of every family. Token by token equals all at once, also beyond the context; states can be
// picked and repeated; names, shapes and first values are those of the checkpoint's contract; training lowers the loss.
// Long, because every promise is kept by two families.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/optim.h"
#include "models/run/config.h"
#include "tests/golden.h"
#include "tests/lm_step.h"

namespace {

using namespace gradus;
using testing::LmStep;
using testing::TokenBatch;

constexpr int64_t kVocabulary = 7;
constexpr double kClose = kDouble ? 1e-12 : 1e-5;

struct OnTape {
  Tape tape;
  Tape::Use use{tape};
};

Config config_of(const std::string& family, int64_t layers, int64_t context = 9) {
  Config c;
  c.model = family;
  c.layers = layers;
  c.heads = 3;
  c.embd = 12;
  c.hidden = 10;
  c.context = context;
  c.resolve(1);
  return c;
}

// A model whose logits differ widely between tokens and positions: the first values times `factor`.
std::unique_ptr<LanguageModel> lively(const Config& config, real factor) {
  auto model = make_model(config, kVocabulary);
  for (int64_t i = 0; i < model->params().count(); ++i)
    if (model->params().shape(i).rank() >= 2)
      for (real& w : model->params().edit(i)) w *= factor;
  return model;
}
std::unique_ptr<LanguageModel> lively(const std::string& family, int64_t layers, int64_t context = 9) {
  return lively(config_of(family, layers, context), family == "transformer" ? 15 : 2);
}

// The logits after one more token for each row, [rows·V].
std::vector<real> next(Tape& tape, const LanguageModel& model, State& state, const std::vector<int32_t>& tokens) {
  const Tape::Mark mark(tape);
  const Tensor y = model.next(state, tokens);
  CHECK(y.shape() == Shape{state.rows, model.vocabulary()});
  return {y.span().begin(), y.span().end()};
}
// The logits after all of `tokens`, in a fresh state of one row.
std::vector<real> logits_after(Tape& tape, const LanguageModel& model, const std::vector<int32_t>& tokens) {
  State state = model.start(1);
  std::vector<real> y;
  for (const int32_t token : tokens) y = next(tape, model, state, {token});
  return y;
}
std::vector<real> row(const std::vector<real>& logits, int64_t r) {
  return {logits.begin() + r * kVocabulary, logits.begin() + (r + 1) * kVocabulary};
}

struct Moments {
  double mean = 0, deviation = 0, most = 0;
  int64_t n = 0;
};
Moments moments(std::span<const real> x) {
  Moments m;
  m.n = int64_t(x.size());
  for (const real v : x) m.mean += double(v) / double(m.n), m.most = std::max(m.most, std::fabs(double(v)));
  for (const real v : x) m.deviation += (double(v) - m.mean) * (double(v) - m.mean) / double(m.n);
  m.deviation = std::sqrt(m.deviation);
  return m;
}
Moments moments(const LanguageModel& model, const std::string& name) {
  const int64_t i = model.params().find(name);
  REQUIRE(i >= 0);
  return moments(model.params().values(i));
}
// Six standard errors: false alarms 1e-8 for each comparison.
void check_spread(const LanguageModel& model, const std::string& name, double deviation, bool uniform = false) {
  INFO(name);
  const Moments m = moments(model, name);
  const double n = double(m.n);
  CHECK(std::fabs(m.mean) < 6 * deviation / std::sqrt(n));
  CHECK(std::fabs(m.deviation / deviation - 1) < 6 * std::sqrt((uniform ? 0.2 : 0.5) / n));
}
void check_constant(const LanguageModel& model, const std::string& name, double value) {
  INFO(name);
  const Moments m = moments(model, name);
  CHECK(m.mean == value);
  CHECK(m.deviation == 0);
}

struct Entry {
  std::string name;
  Shape shape;
};
void check_entries(const LanguageModel& model, const std::vector<Entry>& wanted) {
  const Params& params = model.params();
  CHECK(params.count() == int64_t(wanted.size()));
  int64_t size = 0;
  for (const Entry& e : wanted) {
    INFO(e.name);
    const int64_t i = params.find(e.name);
    REQUIRE(i >= 0);
    CHECK(params.shape(i) == e.shape);
    size += e.shape.numel();
  }
  CHECK(params.size() == size);
}

}  // namespace

TEST_SUITE("models") {
  TEST_CASE("models: token by token gives the logits of the whole sequence") {
    for (const auto& [family_name, n_layers] :
         {std::pair{"lstm", 1}, std::pair{"lstm", 2}, std::pair{"rnn", 1}, std::pair{"rnn", 2},
          std::pair{"transformer", 1}, std::pair{"transformer", 2}}) {
      const std::string family = family_name;
      const int64_t layers = n_layers;
      INFO(family, ", ", layers, " layers");
      for (const int64_t B : {1, 2, 9}) {  // more and fewer rows than the vocabulary has tokens
        const auto model = lively(family, layers);
        const TokenBatch batch = TokenBatch::numbered(B, 9, kVocabulary);
        OnTape t;
        const Tensor all = model->logits(batch.tokens, B, 9);
        State state = model->start(B);
        for (int64_t time = 0; time < 9; ++time) {
          std::vector<int32_t> tokens;
          std::vector<real> wanted;
          for (int64_t b = 0; b < B; ++b) {
            tokens.push_back(batch.tokens[size_t(b * 9 + time)]);
            const auto y = all.rows(b * 9 + time, 1).span();
            wanted.insert(wanted.end(), y.begin(), y.end());
          }
          INFO("B ", B, ", token ", time);
          CHECK(near(next(t.tape, *model, state, tokens), wanted) <= kClose);
          CHECK(state.position == std::vector<int64_t>(size_t(B), time + 1));
        }
        // The model is lively enough to notice a wrong past: two last rows with one token in common differ.
        const auto y = logits_after(t.tape, *model, {1, 2, 3}), z = logits_after(t.tape, *model, {2, 1, 3});
        CHECK(near(y, z) > 1e-2);
      }
    }
  }

  TEST_CASE("models: token by token gives the logits of the whole sequence over a long one, too") {
    for (const std::string& family : generative_families()) {
      INFO(family);
      constexpr int64_t T = 90;
      const auto model = lively(family, 2, T);
      const TokenBatch batch = TokenBatch::numbered(1, T, kVocabulary);
      OnTape t;
      const Tensor all = model->logits(batch.tokens, 1, T);
      State state = model->start(1);
      double worst = 0;
      for (int64_t time = 0; time < T; ++time)
        worst = std::max(
            worst, near(next(t.tape, *model, state, {batch.tokens[size_t(time)]}), all.rows(time, 1).span()).relative);
      CHECK(worst <= 10 * kClose);
    }
  }

  TEST_CASE("models: the composed rung gives the same logits") {
    for (const std::string& family : generative_families()) {
      Config config = config_of(family, 2);
      const auto fused = lively(config, 3);
      config.ops = "composed";
      const auto composed = lively(config, 3);
      CHECK(first_difference(fused->params().data(), composed->params().data()) == -1);
      const TokenBatch batch = TokenBatch::numbered(3, 9, kVocabulary);
      OnTape t;
      const Tensor a = fused->logits(batch.tokens, 3, 9), b = composed->logits(batch.tokens, 3, 9);
      CHECK(near(b.span(), a.span()) <= kClose);
      CHECK(near(logits_after(t.tape, *composed, {1, 2, 3}), logits_after(t.tape, *fused, {1, 2, 3})) <= kClose);
    }
  }

  TEST_CASE("models: a later token changes nothing before it") {
    for (const std::string& family : generative_families()) {
      const auto model = lively(family, 2);
      TokenBatch batch = TokenBatch::numbered(2, 6, kVocabulary);
      OnTape t;
      const Tensor before = model->logits(batch.tokens, 2, 6);
      batch.tokens[4] = (batch.tokens[4] + 1) % int32_t(kVocabulary);
      const Tensor after = model->logits(batch.tokens, 2, 6);
      CHECK(near(after.rows(0, 4).span(), before.rows(0, 4).span()) <= kClose);
      CHECK(near(after.rows(4, 1).span(), before.rows(4, 1).span()) > 1e-3);
      CHECK(near(after.rows(5, 1).span(), before.rows(5, 1).span()) > 1e-3);
      CHECK(near(after.rows(6, 6).span(), before.rows(6, 6).span()) <= kClose);  // nor in another sequence
    }
  }

  TEST_CASE("models: select picks, repeats and mixes rows, whose positions may differ") {
    for (const std::string& family : generative_families()) {
      INFO(family);
      const auto model = lively(family, 2, 8);
      OnTape t;
      // Three rows with pasts of different lengths: grown one at a time by keeping the others out.
      const std::vector<std::vector<int32_t>> past{{1, 2, 3, 4, 0, 6}, {5}, {6, 0}};
      std::vector<State> single;
      for (const auto& tokens : past) {
        single.push_back(model->start(1));
        for (const int32_t token : tokens) next(t.tape, *model, single.back(), {token});
      }
      State state = model->start(3);
      for (size_t r = 0; r < 3; ++r) {
        std::copy_n(single[r].memory.begin(), state.width, state.memory.begin() + long(r) * state.width);
        std::copy_n(single[r].tokens.begin(), state.window, state.tokens.begin() + long(r) * state.window);
        state.position[r] = single[r].position[0];
      }
      const std::vector<int64_t> which{2, 0, 0, 1, 2};
      state.select(which);
      CHECK(state.rows == 5);
      CHECK(state.position == std::vector<int64_t>{2, 6, 6, 1, 2});
      const std::vector<int32_t> one{3, 1, 2, 0, 6}, two{0, 5, 5, 5, 1};
      const std::vector<real> first = next(t.tape, *model, state, one), second = next(t.tape, *model, state, two);
      for (size_t i = 0; i < 5; ++i) {
        std::vector<int32_t> tokens = past[size_t(which[i])];
        tokens.push_back(one[i]);
        CHECK(near(row(first, int64_t(i)), logits_after(t.tape, *model, tokens)) <= kClose);
        tokens.push_back(two[i]);
        CHECK(near(row(second, int64_t(i)), logits_after(t.tape, *model, tokens)) <= kClose);
      }
      // Row 1 is full with 8 tokens and turns over while others go on; it keeps two tokens from before the select.
      std::vector<int32_t> tokens{1, 2, 3, 4, 0, 6, 1, 5};
      for (const int32_t token : {2, 3, 4}) {
        const std::vector<real> y = next(t.tape, *model, state, std::vector<int32_t>(5, token));
        if (family == "transformer" && tokens.size() == 8) tokens.erase(tokens.begin(), tokens.begin() + 4);
        tokens.push_back(token);
        CHECK(near(row(y, 1), logits_after(t.tape, *model, tokens)) <= kClose);
        CHECK(near(row(y, 3), logits_after(t.tape, *model,
                                           token == 2   ? std::vector<int32_t>{5, 0, 5, 2}
                                           : token == 3 ? std::vector<int32_t>{5, 0, 5, 2, 3}
                                                        : std::vector<int32_t>{5, 0, 5, 2, 3, 4})) <= kClose);
      }
      state.select(std::vector<int64_t>{});
      CHECK(state.rows == 0);
      State other = model->start(2);
      CHECK_THROWS_AS(other.select(std::vector<int64_t>{0, 2}), ShapeError);
      CHECK_THROWS_AS(other.select(std::vector<int64_t>{-1}), ShapeError);
      CHECK(other.rows == 2);
    }
  }

  TEST_CASE("models: beyond its context a transformer sees what a fresh one sees that is fed the kept half") {
    for (const int64_t context : {1, 2, 3, 4, 5, 8, 9}) {
      INFO("context ", context);
      const auto model = lively("transformer", 2, context);
      OnTape t;
      State state = model->start(2);
      std::vector<int32_t> window[2];
      const TokenBatch text = TokenBatch::numbered(2, 30, kVocabulary, 4);
      int turns = 0;
      for (size_t time = 0; time < 30; ++time) {
        const std::vector<int32_t> tokens{text.tokens[time], text.targets[time]};
        const std::vector<real> y = next(t.tape, *model, state, tokens);
        for (int64_t r = 0; r < 2; ++r) {
          auto& w = window[r];
          if (int64_t(w.size()) == context) {  // the older half goes, context / 2 newer ones stay
            w.erase(w.begin(), w.end() - context / 2);
            ++turns;
          }
          w.push_back(tokens[size_t(r)]);
          CHECK(near(row(y, r), logits_after(t.tape, *model, w)) <= kClose);
          const Tensor all = model->logits(w, 1, int64_t(w.size()));
          CHECK(near(row(y, r), all.rows(int64_t(w.size()) - 1, 1).span()) <= kClose);
          CHECK(state.position[size_t(r)] == int64_t(w.size()));
        }
      }
      CHECK(turns >= 2 * 30 / context - 2);
    }
  }

  TEST_CASE("models: an LSTM has no context: its state remembers everything") {
    const auto model = lively("lstm", 1, 4);
    OnTape t;
    const TokenBatch text = TokenBatch::numbered(1, 20, kVocabulary);
    const Tensor all = model->logits(text.tokens, 1, 20);
    CHECK(near(logits_after(t.tape, *model, text.tokens), all.rows(19, 1).span()) <= kClose);
  }

  TEST_CASE("models: wrong tokens and sizes are refused") {
    for (const std::string& family : generative_families()) {
      const auto model = make_model(config_of(family, 1), kVocabulary);
      OnTape t;
      const std::vector<int32_t> tokens{1, 2, 3, 4, 5, 6};
      CHECK_THROWS_AS(model->logits(tokens, 2, 4), ShapeError);
      CHECK_THROWS_AS(model->logits(std::vector<int32_t>{1, int32_t(kVocabulary)}, 1, 2), ShapeError);
      CHECK_THROWS_AS(model->logits(std::vector<int32_t>{1, -1}, 1, 2), ShapeError);
      State state = model->start(2);
      CHECK_THROWS_AS(model->next(state, std::vector<int32_t>{1}), ShapeError);
      CHECK_THROWS_AS(model->next(state, std::vector<int32_t>{1, 2, 3}), ShapeError);
      CHECK_THROWS_AS(model->next(state, std::vector<int32_t>{1, int32_t(kVocabulary)}), ShapeError);
    }
    const auto model = make_model(config_of("transformer", 1, 4), kVocabulary);
    OnTape t;
    CHECK_THROWS_AS(model->logits(std::vector<int32_t>{1, 2, 3, 4, 5}, 1, 5), ShapeError);
    CHECK_THROWS_AS(make_model(config_of("no such family", 1), 3), DataError);
    Config config = config_of("transformer", 1);
    config.heads = 5;
    CHECK_THROWS_AS(config.resolve(1), DataError);
  }

  TEST_CASE("models: parameters have the names and shapes of the checkpoint's contract") {
    const int64_t V = kVocabulary, C = 12, H = 10, E = 12;
    std::vector<Entry> gpt{{"wte.weight", {V, C}}, {"wpe.weight", {9, C}}, {"ln_f.weight", {C}}, {"ln_f.bias", {C}}};
    for (const std::string h : {"h.0.", "h.1."})
      for (const Entry& e : std::vector<Entry>{{"ln_1.weight", {C}},
                                               {"ln_1.bias", {C}},
                                               {"attn.c_attn.weight", {C, 3 * C}},
                                               {"attn.c_attn.bias", {3 * C}},
                                               {"attn.c_proj.weight", {C, C}},
                                               {"attn.c_proj.bias", {C}},
                                               {"ln_2.weight", {C}},
                                               {"ln_2.bias", {C}},
                                               {"mlp.c_fc.weight", {C, 4 * C}},
                                               {"mlp.c_fc.bias", {4 * C}},
                                               {"mlp.c_proj.weight", {4 * C, C}},
                                               {"mlp.c_proj.bias", {C}}})
        gpt.push_back({h + e.name, e.shape});
    Config config = config_of("transformer", 2);
    check_entries(*make_model(config, V), gpt);
    config.bias = false;  // --no-bias leaves out every bias and nothing else
    std::erase_if(gpt, [](const Entry& e) { return e.name.ends_with(".bias"); });
    check_entries(*make_model(config, V), gpt);
    {
      const auto model = lively(config, 15);
      OnTape t;
      const Tensor all = model->logits(std::vector<int32_t>{1, 2, 3}, 1, 3);
      CHECK(near(logits_after(t.tape, *model, {1, 2, 3}), all.rows(2, 1).span()) <= kClose);
    }

    check_entries(*make_model(config_of("lstm", 2), V), {{"embedding.weight", {V, E}},
                                                         {"lstm.weight_ih_l0", {4 * H, E}},
                                                         {"lstm.weight_hh_l0", {4 * H, H}},
                                                         {"lstm.bias_l0", {4 * H}},
                                                         {"lstm.weight_ih_l1", {4 * H, H}},
                                                         {"lstm.weight_hh_l1", {4 * H, H}},
                                                         {"lstm.bias_l1", {4 * H}},
                                                         {"head.weight", {V, H}},
                                                         {"head.bias", {V}}});
    check_entries(*make_model(config_of("rnn", 2), V), {{"embedding.weight", {V, E}},
                                                        {"rnn.weight_ih_l0", {H, E}},
                                                        {"rnn.weight_hh_l0", {H, H}},
                                                        {"rnn.bias_l0", {H}},
                                                        {"rnn.weight_ih_l1", {H, H}},
                                                        {"rnn.weight_hh_l1", {H, H}},
                                                        {"rnn.bias_l1", {H}},
                                                        {"head.weight", {V, H}},
                                                        {"head.bias", {V}}});
    check_entries(*make_model(config_of("nnlm", 2), V), {{"embedding.weight", {V + 1, E}},
                                                         {"hidden.weight", {H, 2 * E}},
                                                         {"hidden.bias", {H}},
                                                         {"head.weight", {V, 2 * E + H}},
                                                         {"head.bias", {V}}});
    config = config_of("vae", 1);
    config.latent = 3;
    const auto vae = make_model(config, V);
    check_entries(*vae, {{"embedding.weight", {V + 1, E}},
                         {"encoder.weight_ih_l0", {4 * H, E}},
                         {"encoder.weight_hh_l0", {4 * H, H}},
                         {"encoder.bias_l0", {4 * H}},
                         {"latent.mean.weight", {3, H}},
                         {"latent.mean.bias", {3}},
                         {"latent.log_variance.weight", {3, H}},
                         {"latent.log_variance.bias", {3}},
                         {"decoder.weight_ih_l0", {4 * H, E}},
                         {"decoder.weight_hh_l0", {4 * H, H}},
                         {"decoder.bias_l0", {4 * H}},
                         {"decoder.weight_z", {4 * H, 3}},
                         {"head.weight", {V, H}},
                         {"head.bias", {V}}});
    for (const char* name : {"encoder.bias_l0", "decoder.bias_l0"}) {  // forget gates begin open
      const std::span<const real> bias = vae->params().values(vae->params().find(name));
      for (int64_t k = 0; k < 4 * H; ++k) CHECK((bias[size_t(k)] == 1) == (k / H == 1));
    }
  }

  TEST_CASE("models: first values of a transformer") {
    Config config;
    config.layers = 3;
    config.embd = 64;
    config.context = 64;
    config.resolve(1);
    const auto model = make_model(config, 65);
    check_spread(*model, "wte.weight", 0.02);
    check_spread(*model, "wpe.weight", 0.02);
    for (const std::string h : {"h.0.", "h.1.", "h.2."}) {
      check_spread(*model, h + "attn.c_attn.weight", 0.02);
      check_spread(*model, h + "mlp.c_fc.weight", 0.02);
      check_spread(*model, h + "attn.c_proj.weight", 0.02 / std::sqrt(6.0));  // two additions to the stream a block
      check_spread(*model, h + "mlp.c_proj.weight", 0.02 / std::sqrt(6.0));
      for (const std::string name : {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj", "ln_1", "ln_2"})
        check_constant(*model, h + name + ".bias", 0);
      for (const std::string name : {"ln_1", "ln_2"}) check_constant(*model, h + name + ".weight", 1);
    }
    check_constant(*model, "ln_f.weight", 1);
    check_constant(*model, "ln_f.bias", 0);
    // Normal, not uniform: some numbers lie beyond three deviations (0.27 % of 12288, 33 on average).
    const auto w = model->params().values(model->params().find("h.1.attn.c_attn.weight"));
    const auto far = std::count_if(w.begin(), w.end(), [](real x) { return std::fabs(x) > 0.06; });
    CHECK(far > 5);
    CHECK(far < 90);
    CHECK(std::fabs(moments(model->params().data()).mean) < 0.1);
  }

  TEST_CASE("models: first values of an LSTM") {
    Config config;
    config.model = "lstm";
    config.embd = 40;
    config.hidden = 64;
    config.layers = 2;
    config.resolve(1);
    const auto model = make_model(config, 65);
    const double bound = 1 / std::sqrt(64.0);
    check_spread(*model, "embedding.weight", 1);
    for (const std::string name :
         {"lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.weight_ih_l1", "lstm.weight_hh_l1", "head.weight"}) {
      check_spread(*model, name, bound / std::sqrt(3.0), true);
      CHECK(moments(*model, name).most <= bound);
      CHECK(moments(*model, name).most > 0.99 * bound);
    }
    CHECK(moments(*model, "head.bias").most <= bound);
    for (const std::string name : {"lstm.bias_l0", "lstm.bias_l1"}) {  // gates i f g o: only f begins at 1
      const std::span<const real> bias = model->params().values(model->params().find(name));
      for (size_t j = 0; j < bias.size(); ++j)
        if (j / 64 == 1)
          CHECK(bias[j] == 1);
        else
          CHECK(std::fabs(double(bias[j])) <= bound);
    }
  }

  // --memory 82, four cells: u = 11, 31, 51, 71, so that a cell without input keeps u/(u + 1) of itself a token.
  TEST_CASE("models: first biases of an LSTM with a memory") {
    Config config;
    config.model = "lstm";
    config.hidden = 4;
    config.memory = 82;
    config.resolve(1);
    const auto model = make_model(config, 65);
    const std::span<const real> bias = model->params().values(model->params().find("lstm.bias_l0"));
    for (int64_t k = 0; k < 4; ++k) {
      const double keeps = (11.0 + 20 * double(k)) / (12 + 20 * double(k));
      CHECK(1 / (1 + std::exp(-double(bias[4 + k]))) == doctest::Approx(keeps).epsilon(kDouble ? 1e-14 : 1e-6));
      CHECK(bias[k] == -bias[4 + k]);
      CHECK(std::fabs(bias[8 + k]) <= 0.5);
    }
  }

  TEST_CASE("models: a copy says the same, and goes its own way from then on") {
    for (const std::string& family : generative_families()) {
      INFO(family);
      const auto model = lively(family, 2);
      const auto copy = clone(*model);
      OnTape t;
      const std::vector<int32_t> tokens{1, 2, 3, 0};
      const std::vector<real> before = logits_after(t.tape, *model, tokens);
      CHECK(first_difference(before, logits_after(t.tape, *copy, tokens)) == -1);
      for (real& w : copy->params().edit()) w += 1;
      CHECK(first_difference(before, logits_after(t.tape, *model, tokens)) == -1);
      CHECK(near(before, logits_after(t.tape, *copy, tokens)) > 1e-3);
    }
  }

  TEST_CASE("models: every family that takes steps says which matrices map hidden vectors to hidden vectors") {
    const auto maps_of = [](const std::string& family) {
      const auto model = lively(family, 1);
      const Params& p = model->params();
      std::string all;
      for (int64_t i = 0; i < p.count(); ++i)
        if (const HiddenMaps& maps = p.maps(i)) all += text(p.name(i), ' ', maps.down, "×", maps.across, ' ');
      return all;
    };
    const std::string block =
        "h.0.attn.c_attn.weight 1×3 h.0.attn.c_proj.weight 1×1 h.0.mlp.c_fc.weight 1×1 h.0.mlp.c_proj.weight 1×1 ";
    CHECK(maps_of("transformer") == block);
    CHECK(maps_of("masked") == block);
    CHECK(maps_of("lstm") == "lstm.weight_ih_l0 4×1 lstm.weight_hh_l0 4×1 ");
    CHECK(maps_of("rnn") == "rnn.weight_ih_l0 1×1 rnn.weight_hh_l0 1×1 ");
    CHECK(maps_of("nnlm") == "hidden.weight 1×1 ");
    CHECK(maps_of("vae") ==
          "encoder.weight_ih_l0 4×1 encoder.weight_hh_l0 4×1 decoder.weight_ih_l0 4×1 decoder.weight_hh_l0 4×1 ");
    for (const std::string& family : stepped_families()) CHECK_MESSAGE(maps_of(family) != "", family);
  }

  TEST_CASE("models: features have the width that the model says") {
    for (const std::string& family : stepped_families()) {
      INFO(family);
      const auto model = lively(family, 2);
      OnTape t;
      CHECK(model->features(std::vector<int32_t>{1, 2, 3, 4, 5, 6}, 2, 3).shape() == Shape{6, model->width()});
    }
  }

  TEST_CASE("models: an nnlm computes the formula of its paper, from the last tokens only") {
    const auto model = lively("nnlm", 1);  // order 3: two tokens
    const Params& p = model->params();
    const int64_t E = model->options().embd, H = model->options().hidden, n = 2;
    const auto at = [&](const char* name, int64_t i) { return double(p.values(p.find(name))[size_t(i)]); };
    OnTape t;
    const std::vector<int32_t> tokens{4, 1, 5, 2};
    const Tensor logits = model->logits(tokens, 1, 4);
    for (int64_t time = 0; time < 4; ++time) {
      std::vector<double> x, hidden;
      for (int64_t back = n - 1; back >= 0; --back)
        for (int64_t e = 0; e < E; ++e)
          x.push_back(at("embedding.weight", (back <= time ? tokens[size_t(time - back)] : kVocabulary) * E + e));
      for (int64_t h = 0; h < H; ++h) {
        double sum = at("hidden.bias", h);
        for (int64_t i = 0; i < n * E; ++i) sum += at("hidden.weight", h * n * E + i) * x[size_t(i)];
        hidden.push_back(std::tanh(sum));
      }
      for (int64_t v = 0; v < kVocabulary; ++v) {
        const int64_t row = v * (n * E + H);
        double y = at("head.bias", v);
        for (int64_t i = 0; i < n * E; ++i) y += at("head.weight", row + i) * x[size_t(i)];
        for (int64_t h = 0; h < H; ++h) y += at("head.weight", row + n * E + h) * hidden[size_t(h)];
        CHECK(std::fabs(y - double(logits.data()[time * kVocabulary + v])) <= (kDouble ? 1e-12 : 1e-4));
      }
    }
    CHECK(near(logits_after(t.tape, *model, {1, 5, 2}), logits_after(t.tape, *model, {4, 4, 5, 2})) <= kClose);
    Config config = config_of("nnlm", 1);
    config.order = 1;
    CHECK_THROWS_AS(config.check(), DataError);
  }

  TEST_CASE("models: the seed decides on the first values, and nothing else does") {
    for (const std::string& family : generative_families()) {
      Config config = config_of(family, 2);
      const auto a = make_model(config, kVocabulary), b = make_model(config, kVocabulary);
      CHECK(first_difference(a->params().data(), b->params().data()) == -1);
      config.dropout = 0.3;
      config.batch = 99;
      CHECK(first_difference(make_model(config, kVocabulary)->params().data(), a->params().data()) == -1);
      config.seed = 2;
      const auto c = make_model(config, kVocabulary);
      const int64_t i = c->params().find(family == "transformer" ? "h.1.mlp.c_fc.weight"
                                         : family == "nnlm"      ? "hidden.weight"
                                                                 : family + ".weight_hh_l1");
      const auto x = a->params().values(i), y = c->params().values(i);
      int64_t equal = 0;
      for (size_t j = 0; j < x.size(); ++j) equal += x[j] == y[j];
      CHECK(equal == 0);
    }
  }

  TEST_CASE("models: 150 steps on a short text that repeats bring the loss down") {
    const std::string text = "step by step up the hill, ";  // 26 characters, by themselves and their past
    std::string letters(text);
    std::ranges::sort(letters);
    letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
    for (const std::string& family : generative_families()) {
      Config config = config_of(family, 1, 16);
      config.embd = 24;
      config.hidden = 32;
      config.dropout = 0.05;
      config.order = 10;  // an nnlm must see far enough back to know in which of two "step" it is
      const auto model = make_model(config, int64_t(letters.size()));
      AdamW optimizer(model->params());
      const Schedule schedule{.lr = 1e-2, .min_lr = 1e-3, .warmup = 10, .decay = 150};
      LmStep step(2, 2);
      double first = 0, last = 0;
      for (int64_t n = 1; n <= 150; ++n) {
        TokenBatch batch{4, 16, {}, {}};
        for (int64_t b = 0; b < 4; ++b)
          for (int64_t j = 0; j < 16; ++j) {
            const auto id = [&](int64_t at) { return int32_t(letters.find(text[size_t(at) % text.size()])); };
            const int64_t at = 5 * n + 7 * b + j;
            batch.tokens.push_back(id(at));
            batch.targets.push_back(id(at + 1));
          }
        last = step.run(*model, {.seed = 1, .step = n, .training = true}, batch);
        if (n == 1) first = last;
        const auto g = step.gradient(*model);
        optimizer.step(model->params(), g, schedule.at(n), clip_factor(gradient_norm(g), 1));
      }
      INFO(family, ": from ", first, " to ", last);
      CHECK(std::fabs(first - std::log(double(letters.size()))) < 0.25);  // nothing is known at the start
      CHECK(last < 0.35);
      if (family == "rnn") continue;  // it does not remember in which of two "step" it is
      // And it writes the text on by itself.
      OnTape t;
      State state = model->start(1);
      std::string written = "step by ";
      std::vector<real> y;
      for (const char c : written) y = next(t.tape, *model, state, {int32_t(letters.find(c))});
      while (written.size() < 52) {
        const auto best = int32_t(std::max_element(y.begin(), y.end()) - y.begin());
        written += letters[size_t(best)];
        y = next(t.tape, *model, state, {best});
      }
      CHECK(written == text + text);
    }
  }
}
