// The seam of rl/methods. The exact gradient of DPO, which compares sequences, is the derivative of its enumerated
// objective, through a table and an LSTM; a wrong one is shown wrong. And every score that a method may ask for has the
// right gradient.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "rl/tables/bradley_terry.h"
#include "tests/tuned_worlds.h"

#include "tests/line_world.h"
#include "tests/near.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kBeta = 0.3;

// Policy and prior with random numbers in every parameter, and a third model, near the policy, that draws.
struct ProbeWorld : KnownWorld {
  std::unique_ptr<LanguageModel> old;
  explicit ProbeWorld(const std::string& family) : KnownWorld(model(family, 1), model(family, 2), ended_world(3), 5) {
    old = model(family, 1);
    const Rng rng(9, Stream::kTest);
    for (int64_t i = 0; i < old->params().size(); ++i) old->params().edit()[size_t(i)] += real(0.2 * rng.normal(i));
    log_old = enumerate(*old, world).log_prob[0];
  }
  std::vector<double> log_old;

  static std::unique_ptr<LanguageModel> model(const std::string& family, uint64_t seed) {
    if (family == "lstm") return random_model(family, seed);
    std::string text;  // every line of at most three of three letters has a row of its own
    for (const char* a : {"a", "b", "c"})
      for (const char* b : {"", " a", " b", " c"})
        for (const char* c : {" a", " b", " c"}) text += std::string(a) + b + c + "\n";
    const LineWorld lines(text, "word");
    REQUIRE(lines.end_id() == kEnd);
    auto table = lines.model("tabular");
    const Rng rng(seed, Stream::kTest);
    for (int64_t i = 0; i < table->params().size(); ++i) table->params().edit()[size_t(i)] = real(0.7 * rng.normal(i));
    return table;
  }

  // A pass over all sequences, with what the policy of this moment says.
  TeacherForcing pass(Shards& shards, PaddedBatch& batch, const Needs& needs = {}) {
    batch.fill(world.prompt, all.sequences);
    TeacherForcing forced(*policy, shards, needs, prior.get());
    forced.forward(batch, 1);
    return forced;
  }

  // How far g is from the derivative of `objective` by the policy's parameters, by differences in 4 points, at every
  // parameter; in units of the largest of them.
  double off(std::span<const double> g, const std::function<double()>& objective) {
    const double h = 1e-3, scale = std::max(1.0, norm(g));
    double worst = 0;
    for (size_t k = 0; k < g.size(); ++k) {
      real& x = policy->params().edit()[k];
      const real before = x;
      const auto at = [&](double step) {
        x = real(double(before) + step);
        return objective();
      };
      const double numeric = (-at(2 * h) + 8 * at(h) - 8 * at(-h) + at(-2 * h)) / (12 * h);
      x = before;
      worst = std::max(worst, std::fabs(numeric - g[k]) / scale);
    }
    return worst;
  }
  std::vector<double> gradient(Method& method, std::span<const double> log_mu, int64_t group = 1) {
    Shards shards(2, 1);
    return exact_gradient(method, *policy, *prior, world, all.sequences, log_mu, reward, kBeta, shards, group);
  }
};

// A method with all its weights turned round.
struct WrongSign : Method {
  std::unique_ptr<Method> right;
  explicit WrongSign(std::unique_ptr<Method> m) : right(std::move(m)) {}
  Needs needs() const override { return right->needs(); }
  const LanguageModel* behaviour() const override { return right->behaviour(); }
  void prepare(Experience& e, double kl_coef) override { right->prepare(e, kl_coef); }
  Weights weigh(const Experience& e, const Scores& now) const override {
    Weights w = right->weigh(e, now);
    for (double& x : w.log_pi) x = -x;
    return w;
  }
};

TEST_SUITE_BEGIN("probes");

TEST_CASE("DPO: over ordered pairs the exact gradient is the derivative of the mean log sigma; a wrong sign is seen" *
          doctest::skip(!kDouble)) {
  for (const std::string family : {"tabular", "lstm"}) {
    ProbeWorld w(family);
    Shards shards(2, 1);
    PaddedBatch batch;
    const auto objective = [&] {  // of a sequence: half that of a pair
      const std::vector<double> log_pi = sum_over_draws(batch, w.pass(shards, batch).scores().log_pi);
      double sum = 0;
      for (size_t c = 0; c < log_pi.size(); ++c)
        for (size_t r = 0; r < log_pi.size(); ++r) {
          const double delta = kBeta * (log_pi[c] - w.log_q()[c] - log_pi[r] + w.log_q()[r]);
          sum -= std::exp(w.log_q()[c] + w.log_q()[r]) * preference(w.reward[c], w.reward[r]) *
                 std::log1p(std::exp(-delta));  // both orders, halved
        }
      return sum;
    };
    w.pass(shards, batch);
    const auto dpo = [&] { return make_method(Tuning{.algorithm = "dpo"}, {.prior = w.prior.get()}); };
    const std::vector<double> g = w.gradient(*dpo(), w.log_q(), 2);
    CHECK(norm(g) > 0.01);
    CHECK(w.off(g, objective) <= 1e-8);
    WrongSign wrong(dpo());
    CHECK(w.off(w.gradient(wrong, w.log_q(), 2), objective) > 1e-3);
  }
}

TEST_CASE("every score that a method may ask for has the right gradient, and the largest logit is that of its model") {
  ProbeWorld w("lstm");
  struct Every : Method {
    Needs wanted;
    std::vector<double> Weights::*on;
    const LanguageModel* mu;
    Needs needs() const override { return wanted; }
    const LanguageModel* behaviour() const override { return mu; }
    void prepare(Experience&, double) override {}
    Weights weigh(const Experience& e, const Scores&) const override {
      Weights weights;
      weights.*on = on_every_draw(e.batch, std::vector<double>(size_t(e.size()), 1.0));
      return weights;
    }
  };
  Shards shards(2, 1);
  PaddedBatch batch;
  const Needs every{.entropy = true, .kl = true, .logit = true, .other = w.prior.get()};
  for (size_t k = 2; k < kScores && kDouble; ++k) {
    Every method;
    method.wanted = every;
    method.on = kWeightOf[k];
    method.mu = w.old.get();
    const std::vector<double> g = w.gradient(method, w.log_old);
    CHECK(norm(g) > 0.05);
    CHECK(w.off(g, [&] {
      double sum = 0;
      const std::vector<double> s = sum_over_draws(batch, w.pass(shards, batch, every).scores().*kScoreOf[k]);
      for (size_t x = 0; x < s.size(); ++x) sum += std::exp(w.log_old[x]) * s[x];
      return sum;
    }) <= 1e-8);
  }
  // Their values: over all sequences the row entropies and row KLs add up to those of sequences.
  const TeacherForcing pass = w.pass(shards, batch, every);
  const Objective j = w.objective(1);
  double entropy = 0, kl = 0;
  for (int64_t b = 0; b < batch.B; ++b) {
    const double p = std::exp(w.log_pi()[size_t(b)]);
    entropy += p * sum_over_draws(batch, pass.scores().entropy)[size_t(b)];
    kl += p * sum_over_draws(batch, pass.scores().kl)[size_t(b)];
  }
  CHECK(near(entropy, j.entropy) <= (kDouble ? 1e-12 : 1e-5));
  CHECK(near(kl, j.kl) <= (kDouble ? 1e-12 : 1e-5));
  Tape tape;
  const Tape::Use use(tape);
  const Tensor logits = w.prior->logits(batch.inputs, batch.B, batch.T);
  std::vector<double> largest;
  for (int64_t i = 0; i < batch.B * batch.T; ++i)
    largest.push_back(batch.targets[size_t(i)] == kNoTarget ? 0 : double(std::ranges::max(logits.rows(i, 1).span())));
  CHECK(near(pass.scores().largest, largest) <= (kDouble ? 1e-12 : 1e-5));
}

TEST_CASE("how many sequences a batch must have is asked of the method, whatever baseline the options name") {
  struct Least : Method {
    int64_t least;
    explicit Least(int64_t n) : least(n) {}
    Needs needs() const override { return {.least_batch = least}; }
    void prepare(Experience&, double) override {}
    Weights weigh(const Experience&, const Scores&) const override { return {}; }
  } one(1), three(3);
  const auto prior = random_model("lstm", 33), policy = clone(*prior);
  const World world = ended_world(3);
  Shards shards(1, 1);
  const auto make = [&](Method& method, int64_t batch) {
    const TuneConfig options = Tuning{.baseline = "leave-one-out", .batch = batch};
    RolloutSource source(
        {world.prompt}, world,
        [](const Sequences& s, std::span<const int32_t>) { return std::vector<double>(size_t(s.size()), 0.0); },
        options, shards);
    Learner(*policy, *prior, source, method, options, shards);
  };
  make(one, 1);
  make(three, 3);
  CHECK_THROWS_WITH_AS(make(three, 2), doctest::Contains("needs at least 3"), ShapeError);
}

TEST_SUITE_END();

}  // namespace
