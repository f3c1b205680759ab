// The later updates of a step, whose policy is no longer the one that drew: their exact mean gradient, and a step that
// a KL ends early.
#include <doctest/doctest.h>

#include <numbers>
#include <optional>
#include <string_view>

#include "engine/long_loop.h"

#include "tests/method_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5, kBeta = 0.3;

void move(LanguageModel& policy, double size) {
  const Rng rng(23, Stream::kTest);
  const std::span<real> w = policy.params().edit();
  for (int64_t k = 0; k < policy.params().size(); ++k) w[size_t(k)] += real(size * rng.normal(k));
}

// All sequences of a world as one batch that the policy drew, prepared before it moves.
struct Drawn {
  MethodWorld& w;
  Experience e;
  std::vector<double> log_mu;
  Drawn(MethodWorld& world, bool step, const RewardFunction& critic, const Needs& needs) : w(world) {
    e = {.sequences = w.all.sequences, .batch = w.batch, .group = w.prompts()};
    e.reward = paid_on_draws(e.batch, w.paid(step));
    TeacherForcing pass(*w.policy, w.shards, needs, w.prior.get());
    score_batch(pass, w.shards, *w.prior, nullptr, e, w.world.temperature);
    e.value = on_draws(e.batch, critic(w.all.sequences, w.prompts()));
    log_mu = w.log_pi();
  }
};

Needs without_value(const Method& method) {
  Needs needs = method.needs();
  needs.value = false;
  return needs;
}

// factor [B] times every weight of the policy's scores, with π/μ in it.
Weights scaled(Weights w, const PaddedBatch& batch, const std::vector<double>& factor) {
  for (const auto field : kWeightOf)
    for (size_t i = 0; i < (w.*field).size(); ++i) {
      const size_t b = i / size_t(batch.T);
      (w.*field)[i] *= factor[b] * w.importance[b];
    }
  w.value.clear();
  w.importance.clear();
  return w;
}

std::vector<double> exponentials(std::vector<double> x) {
  for (double& v : x) v = std::exp(v);
  return x;
}

TEST_SUITE_BEGIN("epochs");

TEST_CASE(
    "where the policy has moved since it drew, the mean is the method's own at the policy as it is: of reinforce that "
    "is the gradient of J") {
  for (const std::string family : {"lstm", "transformer"})
    for (const std::string algorithm : {"reinforce", "actor-critic"})
      for (const std::string kl : {"k1", "full"})
        for (const bool to_go : {false, true})
          for (const double gamma : {1.0, 0.8}) {
            if (algorithm != "reinforce" && to_go) continue;
            CAPTURE(family + " " + algorithm + " " + kl);
            TuneConfig o = Tuning{.algorithm = algorithm,
                                  .baseline = "value",
                                  .reward_to_go = to_go,
                                  .kl_coef = kBeta,
                                  .entropy_coef = 0.2};
            o.kl_estimator = kl;
            o.gamma = gamma;
            MethodWorld w(family, 3, ended_world(3, 0.9));
            const auto method = make_method(o);
            const Needs needs = without_value(*method);
            Drawn drawn(w, gamma < 1, w.critic(), needs);
            method->prepare(drawn.e, kBeta);
            const std::vector<double> before = w.exact(*make_method(o), kBeta, gamma < 1, 1, w.critic());
            move(*w.policy, 0.4);
            TeacherForcing pass(*w.policy, w.shards, needs, w.prior.get());
            Scores now = pass.forward(drawn.e.batch, w.world.temperature);
            now.value = drawn.e.value;
            const auto g =
                pass.backward(scaled(method->weigh(drawn.e, now), drawn.e.batch, exponentials(drawn.log_mu)));
            const std::vector<double> got(g.begin(), g.end());
            w.score();
            const std::vector<double> wanted = w.exact(*make_method(o), kBeta, gamma < 1, 1, w.critic());
            CHECK(near(before, wanted, 1) > 0.05);
            CHECK(near(got, wanted, 1) <= kClose);
          }
}

TEST_CASE("so it is with leave-one-out, whose baseline stays: a sum over all pairs that the policy drew") {
  for (const std::string family : {"lstm", "transformer"}) {
    const TuneConfig o = Tuning{.kl_coef = kBeta};
    MethodWorld w(family, 4, ended_world(2));
    const auto method = make_method(o);
    Drawn drawn(w, false, w.critic(), {});
    const std::vector<double> mu = exponentials(drawn.log_mu);
    std::vector<Experience> pairs;
    std::vector<double> share;
    for (int64_t i = 0; i < w.all.sequences.size(); ++i)
      for (int64_t j = 0; j < w.all.sequences.size(); ++j) {
        pairs.push_back(rows_of(drawn.e, std::vector<int64_t>{i, j}));
        pairs.back().group = {0, 0};
        method->prepare(pairs.back(), kBeta);
        share.push_back(mu[size_t(i)] * mu[size_t(j)] / 2);
      }
    move(*w.policy, 0.4);
    TeacherForcing pass(*w.policy, w.shards);
    std::vector<double> got(size_t(w.policy->params().size()), 0.0);
    for (size_t k = 0; k < pairs.size(); ++k) {
      const Scores& now = pass.forward(pairs[k].batch, 1);
      const auto g = pass.backward(scaled(method->weigh(pairs[k], now), pairs[k].batch, {share[k], share[k]}));
      for (size_t p = 0; p < got.size(); ++p) got[p] += double(g[p]);
    }
    w.score();
    CHECK(near(got, w.of_j(kBeta), 1) <= 10 * kClose);
  }
}

TEST_CASE("a critic learns from what it says now, in every update") {
  for (const std::string algorithm : {"ppo", "actor-critic", "reinforce"}) {
    MethodWorld w("lstm", 5);
    const auto method = make_method(Tuning{.algorithm = algorithm, .baseline = "value", .kl_coef = kBeta});
    const Needs needs = without_value(*method);
    Drawn drawn(w, false, w.critic(), needs);
    method->prepare(drawn.e, kBeta);
    move(*w.policy, 0.4);
    TeacherForcing pass(*w.policy, w.shards, needs, w.prior.get());
    Scores now = pass.forward(drawn.e.batch, 1);
    now.value = drawn.e.value;
    for (double& v : now.value) v = 2 * v + 1;
    const std::vector<double> got = method->weigh(drawn.e, now).value;
    w.for_draws([&](int64_t, size_t i, int64_t) { CHECK(got[i] == drawn.e.returns[i] - now.value[i]); });
  }
}

// As tune runs it, with what each update saw of KL(start‖now) made anew.
TEST_CASE("a step ends before the update at which the KL from its beginning has reached --stop-kl") {
  for (const std::string algorithm : {"ppo", "grpo"}) {
    TuneConfig o =
        Tuning{.algorithm = algorithm, .kl_coef = kBeta, .batch = 32, .epochs = 6, .minibatches = 2, .seed = 5};
    o.group = algorithm == "grpo" ? 4 : 0;
    o.critic_lr = 0.01;
    const EasyWorld easy(31);
    // KL(start‖now) by its sum over all sequences, after so many updates.
    const auto run = [&](double stop, int64_t& updates) {
      o.stop_kl = stop;
      TunedWorld t(clone(*easy.prior), easy.world, easy.reward, o);
      t.tuner.step(1, t.optimizer, 0.01, 1);
      CHECK(t.tuner.metrics().updates.has_value() == (stop > 0));
      updates = t.optimizer.steps;
      if (stop > 0) CHECK(*t.tuner.metrics().updates == updates);
      if (ValueNetwork* value = t.tuner.value()) {
        CHECK(value != nullptr);
        CHECK(t.tuner.value_optimizer()->steps == updates);
      }
      const LanguageModel* const both[] = {t.prior.get(), t.policy.get()};
      const gradus::Enumeration all = gradus::enumerate(both, t.world);
      return kl(Table::of_logs(all.log_prob[0]), Table::of_logs(all.log_prob[1]));
    };
    int64_t updates = 0;
    const double freely = run(0, updates);
    CHECK(updates == 12);
    const double hardly = run(1e9, updates);
    CHECK(updates == 12);
    CHECK(hardly == freely);
    const double limit = freely / 8, stopped = run(limit, updates);
    INFO(algorithm, ": ", freely, " nats freely, ", stopped, " after ", updates, " updates with a limit of ", limit);
    CHECK(updates >= 2);
    CHECK(updates < 10);
    CHECK(stopped > 0.5 * limit);
    CHECK(stopped < 2.5 * limit);
    run(1e-12, updates);
    CHECK(updates == 1);  // the first is never left out
  }
}

// Ends the updates of a step before one of them.
class EndsUpdates final : public Watcher {
 public:
  explicit EndsUpdates(int64_t before) : before_(before) { watch_with(this); }
  ~EndsUpdates() override { watch_with(nullptr); }
  void see(const LongLoop& loop, int64_t done) override {
    if (std::string_view(loop.what) == "updating the policy" && done == before_) throw Interrupted();
  }
  void see_end(const LongLoop&) noexcept override {}

 private:
  const int64_t before_;
};

// All numbers that the next step depends on.
struct TunedState {
  std::vector<real> params;
  AdamW optimizer;
  std::vector<real> value_params;
  std::optional<AdamW> value_optimizer;
  double kl_coef;
  explicit TunedState(TunedWorld& t)
      : params(t.policy->params().data().begin(), t.policy->params().data().end()),
        optimizer(t.optimizer),
        kl_coef(t.tuner.kl_coef()) {
    if (!t.tuner.value()) return;
    value_params.assign(t.tuner.value()->params().data().begin(), t.tuner.value()->params().data().end());
    value_optimizer.emplace(*t.tuner.value_optimizer());
  }
  static bool same(const AdamW& a, const AdamW& b) { return a.m == b.m && a.v == b.v && a.steps == b.steps; }
  bool operator==(const TunedState& o) const {
    return params == o.params && same(optimizer, o.optimizer) && value_params == o.value_params &&
           (!value_optimizer || same(*value_optimizer, *o.value_optimizer)) && kl_coef == o.kl_coef;
  }
};

TEST_CASE(
    "a step that ends between its updates leaves the state of before it, and is then done as if nothing had been") {
  for (const std::string algorithm : {"ppo", "grpo", "reinforce"}) {
    TuneConfig o = Tuning{.algorithm = algorithm,
                          .baseline = "value",
                          .kl_coef = kBeta,
                          .batch = 16,
                          .epochs = 2,
                          .minibatches = 2,
                          .seed = 5};
    o.group = algorithm == "grpo" ? 4 : 0;
    o.kl_target = 0.5;
    o.replay = algorithm == "reinforce" ? 1 : 0;
    const EasyWorld easy(31);
    const auto step = [](TunedWorld& t, int64_t n) { return t.tuner.step(n, t.optimizer, 0.02, 1); };
    TunedWorld calm(clone(*easy.prior), easy.world, easy.reward, o);
    step(calm, 1);
    const TunedState before(calm);
    step(calm, 2);
    CHECK(!(TunedState(calm) == before));
    for (int64_t update = 0; update < 4; ++update) {
      CAPTURE(algorithm);
      CAPTURE(update);
      TunedWorld cut(clone(*easy.prior), easy.world, easy.reward, o);
      step(cut, 1);
      {
        const EndsUpdates end(update);
        CHECK_THROWS_AS(step(cut, 2), Interrupted);
      }
      CHECK(TunedState(cut) == before);
      CHECK(cut.tuner.source.remembered().size() == size_t(o.replay));
      step(cut, 2);
      CHECK(TunedState(cut) == TunedState(calm));
    }
  }
}

// One long update, and limits on both sides of its exact KL.
TEST_CASE("what --stop-kl is compared with is KL(start, now), as from the draws of a large batch") {
  for (const double rate : {0.3, 0.6, 1.0}) {
    TuneConfig o = Tuning{.algorithm = "ppo", .kl_coef = kBeta, .batch = 8192, .epochs = 2, .seed = 5};
    const EasyWorld easy(31);
    double forward = 0;
    const auto updates = [&](double stop) {
      o.stop_kl = stop;
      TunedWorld t(clone(*easy.prior), easy.world, easy.reward, o);
      t.tuner.step(1, t.optimizer, rate, 1);
      const LanguageModel* const both[] = {t.prior.get(), t.policy.get()};
      const gradus::Enumeration all = gradus::enumerate(both, t.world);
      forward = kl(Table::of_logs(all.log_prob[0]), Table::of_logs(all.log_prob[1]));
      return t.optimizer.steps;
    };
    CHECK(updates(1e-9) == 1);
    const double exact = forward;
    INFO("rate ", rate, ": ", exact, " nats");
    CHECK(updates(0.92 * exact) == 1);
    CHECK(updates(1.08 * exact) == 2);
  }
}

// The first step of Adam is as long as its rate.
TEST_CASE("the rate of a value network falls as --lr does, and is not warmed up") {
  for (const std::string algorithm : {"ppo", "reinforce"}) {
    TuneConfig o = Tuning{.algorithm = algorithm, .baseline = "value", .kl_coef = kBeta, .batch = 16};
    (algorithm == "ppo" ? o.critic_lr : o.value_lr) = 0.05;
    o.lr = 0.02, o.min_lr = 0.01, o.warmup = 5, o.decay_steps = 10;
    const EasyWorld easy(32);
    TunedWorld t(clone(*easy.prior), easy.world, easy.reward, o);
    t.tuner.step(1, t.optimizer, 0.001);
    const double moved = std::fabs(double(t.tuner.value()->params().data().back()));  // its bias, which began at 0
    const double share = (0.01 + 0.01 * (1 + std::cos(std::numbers::pi / 10)) / 2) / 0.02;
    CHECK(near(moved, 0.05 * share) <= 1e-5);
  }
}

TEST_SUITE_END();

}  // namespace
