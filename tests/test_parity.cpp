// Whole models against PyTorch: logits, loss, every gradient and twenty AdamW steps of the golden models, on both rungs
// and through one and two shards. The bounds are those of tests/goldens/README.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/optim.h"
#include "tests/golden_model.h"
#include "tests/lm_step.h"

namespace {

using namespace gradus;
using testing::Golden;
using testing::golden_model;
using testing::LmStep;
using testing::TokenBatch;

constexpr double kClose = kDouble ? 1e-10 : 1e-5;    // logits, loss, gradients
constexpr double kTrained = kDouble ? 1e-8 : 1e-4;   // losses, norms and weights of the twenty steps
constexpr double kKeyBias = kDouble ? 1e-12 : 1e-6;  // the gradient of the keys' bias, which is 0 but for rounding

// `values`, laid out like parameter i: cut into what has a gradient and the keys' third of c_attn.bias, if there is
// one.
struct Cut {
  std::vector<double> rest, keys;
  Cut(const Params& params, int64_t i, std::span<const real> values) { cut(params, i, values); }
  Cut(const Params& params, int64_t i, const std::vector<double>& values) { cut(params, i, values); }

 private:
  template <class V>
  void cut(const Params& params, int64_t i, const V& values) {
    const size_t third = params.name(i).ends_with("attn.c_attn.bias") ? values.size() / 3 : 0;
    for (size_t j = 0; j < values.size(); ++j) (third > 0 && j / third == 1 ? keys : rest).push_back(double(values[j]));
  }
};

struct Worst {
  double logits = 0, loss = 0, gradient = 0, key_bias = 0, losses = 0, norms = 0, weights = 0;
};

void check_parity(const std::string& name, const std::string& ops, int n_shards, Worst& worst) {
  INFO(name, ", ", ops, ", ", n_shards, " shards");
  const Golden golden(name);
  const auto model = golden_model(golden, ops);
  Params& params = model->params();
  const TensorInfo& info = golden.file().at("tokens");
  const TokenBatch batch{info.shape[0], info.shape[1], golden.ids("tokens"), golden.ids("targets")};
  LmStep step(n_shards, n_shards);
  const auto note = [](double& most, double value) { most = std::max(most, value); };

  {
    Tape tape;
    const Tape::Use use(tape);
    const Near logits = near(model->logits(batch.tokens, batch.B, batch.T).span(), golden.numbers("logits"));
    CHECK(logits <= kClose);
    note(worst.logits, logits.relative);
  }
  const Near loss = near(step.run(*model, {}, batch), golden.numbers("loss")[0]);
  CHECK(loss <= kClose);
  note(worst.loss, loss.relative);

  const std::span<const real> gradient = step.gradient(*model);
  for (int64_t i = 0; i < params.count(); ++i) {
    INFO(params.name(i));
    const Cut got(params, i, gradient.subspan(size_t(params.offset(i)), size_t(params.shape(i).numel())));
    const Cut wanted(params, i, golden.numbers("grad/" + params.name(i)));
    const double distance = testing::norm_distance(got.rest, wanted.rest);
    CHECK(distance <= kClose);
    note(worst.gradient, distance);
    CHECK(near(got.rest, wanted.rest) <= kClose);
    CHECK(near(got.keys, wanted.keys, 1).absolute <= kKeyBias);
    note(worst.key_bias, near(got.keys, wanted.keys, 1).absolute);
    for (size_t j = 0; j < wanted.rest.size(); ++j)
      if (wanted.rest[j] == 0) CHECK(got.rest[j] == 0);  // rows that no token reaches
  }

  AdamW optimizer(params);
  std::vector<double> losses, norms;
  for (int64_t n = 1; n <= 20; ++n) {
    losses.push_back(step.run(*model, {.step = n, .training = true}, batch));
    const std::span<const real> g = step.gradient(*model);
    norms.push_back(gradient_norm(g));
    optimizer.step(params, g, 1e-2, clip_factor(norms.back(), 1));
  }
  const std::vector<double> wanted_losses = golden.numbers("losses"), wanted_norms = golden.numbers("grad_norms");
  for (size_t n = 0; n < 20; ++n) {
    INFO("step ", n + 1);
    const Near a = near(losses[n], wanted_losses[n]), b = near(norms[n], wanted_norms[n]);
    CHECK(a <= kTrained);
    CHECK(b <= kTrained);
    note(worst.losses, a.relative);
    note(worst.norms, b.relative);
  }
  for (int64_t i = 0; i < params.count(); ++i) {
    INFO(params.name(i));
    const Cut got(params, i, params.values(i)), wanted(params, i, golden.numbers("final/" + params.name(i)));
    const Near apart = near(got.rest, wanted.rest, 1);
    CHECK(apart.absolute <= kTrained);
    note(worst.weights, apart.absolute);
  }
}

}  // namespace

TEST_SUITE("parity") {
  TEST_CASE("parity: transformer, LSTM and RNN reproduce PyTorch") {
    for (const std::string name : {"transformer", "lstm_1", "lstm_2", "rnn"}) {
      Worst worst;
      for (const std::string ops : {"fused", "composed"})
        for (const int shards : {1, 2}) check_parity(name, ops, shards, worst);
      INFO(name);
      // Far within the bounds: a sign of what rounding alone does.
      CHECK(worst.logits <= kClose / 5);
      CHECK(worst.gradient <= kClose / 5);
      if (std::getenv("GRADUS_FIGURES"))
        MESSAGE(name, " ", std::string(kRealName), ": logits ", worst.logits, ", loss ", worst.loss, ", gradient ",
                worst.gradient, ", keys' bias ", worst.key_bias, ", 20 losses ", worst.losses, ", norms ", worst.norms,
                ", weights ", worst.weights);
    }
  }
}
