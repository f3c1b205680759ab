// rl/tuner, value, known_worlds: what one step of fine-tuning does, exactly; tests/test_tuning.cpp trains with it.
// Long, because every option of a step has its own exact answer.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "models/run/config.h"
#include "rl/controller.h"
#include "rl/exact_gradient.h"
#include "rl/methods/baselines.h"
#include "rl/rollout.h"
#include "rl/tables/posterior.h"
#include "rl/tables/running_moments.h"
#include "tests/method_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5, kBeta = 0.3;
const std::vector<std::string> kFamilies{"lstm", "transformer"};

// A KnownWorld's policy and prior, two different models, under a Tuner.
struct Known : KnownWorld {
  RewardFunction by_table;
  Shards shards;
  Known(const std::string& family, uint64_t seed, World w, int count = 2, int threads = 1)
      : KnownWorld(family, seed, std::move(w)), by_table(table_reward(all.sequences, reward)), shards(count, threads) {}
  Tuner tuner(TuneConfig options) { return Tuner(*policy, *prior, {world.prompt}, world, by_table, options, shards); }
  std::vector<double> exact(double beta) { return gradient(beta, shards); }
};

TuneConfig options(const std::string& baseline, bool to_go = false, double beta = kBeta, int64_t batch = 16) {
  return Tuning{.baseline = baseline, .reward_to_go = to_go, .kl_coef = beta, .batch = batch};
}

// The bound that n independent |z| of N(0,1) all stay below with probability 1 − alpha (union bound).
double bonferroni(size_t n, double alpha) {
  double low = 0, high = 20;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::sqrt(2.0)) > alpha / double(n) ? low : high) = middle;
  }
  return low;
}

// Mean and variance of gradient(step) over many steps at one place; everything else learns on.
RunningMoments moments(Tuner& tuner, const LanguageModel& policy, int64_t steps, int64_t first = 0) {
  RunningMoments m(size_t(policy.params().size()));
  for (int64_t step = first + 1; step <= first + steps; ++step) {
    m.add(tuner.gradient(step));
    tuner.learn();
  }
  return m;
}
// −mean is `wanted`, in every coordinate. False-alarm rate 1e-4 over all of them.
void check_mean(const RunningMoments& m, std::span<const double> wanted) {
  const std::vector<double> variance = m.variance();
  double worst = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double off = std::fabs(-m.mean()[i] - wanted[i]);
    if (off > (kDouble ? 1e-10 : 1e-5)) worst = std::max(worst, off / std::sqrt(variance[i] / double(m.count())));
  }
  CHECK(worst <= bonferroni(wanted.size(), 1e-4));
}
std::vector<double> zero_reward(const Sequences& s, std::span<const int32_t>) {
  return std::vector<double>(size_t(s.size()), 0.0);
}
double total(const std::vector<double>& x) {
  double sum = 0;
  for (double v : x) sum += v;
  return sum;
}

TEST_SUITE_BEGIN("tuner");

TEST_CASE("at the prior every ratio is 1 and KL is 0, to the last bit, on any threads, with dropout configured") {
  for (const std::string& family : kFamilies)
    for (const std::string baseline : {"leave-one-out", "value"}) {
      std::vector<std::vector<real>> results;
      for (const int threads : {1, 2}) {
        Config config = small_config(family);
        config.dropout = 0.5;
        config.layers = 2;
        TuneConfig o = options(baseline);
        o.replay = 1;
        const auto reward = [](const Sequences& s, std::span<const int32_t>) { return random_rewards(s.size(), 3); };
        TunedWorld w(random_model(config, kEnd + 1, 1), ended_world(4), reward, o, threads);
        const std::vector<real> before(w.prior->params().data().begin(), w.prior->params().data().end());
        w.tuner.gradient(1);
        const Experience& e = w.tuner.fresh();
        CHECK(w.tuner.metrics().kl == 0);
        CHECK(w.tuner.metrics().kl_stderr == 0);
        CHECK(*w.tuner.metrics().ess == double(o.batch));
        CHECK(first_difference(e.log_q, e.log_mu) == -1);
        w.train(5, 0.05, 1);
        CHECK(w.tuner.metrics().kl > 1e-3);
        CHECK(first_difference(before, w.prior->params().data()) == -1);
        results.emplace_back(w.policy->params().data().begin(), w.policy->params().data().end());
      }
      CHECK(first_difference(results[0], results[1]) == -1);
    }
}

TEST_CASE("every baseline, return and entropy bonus has the exact gradient of J as its mean") {
  for (const std::string& family : kFamilies)
    for (const double temperature : {1.0, 0.6}) {
      Known w(family, 2, ended_world(3, temperature));
      const std::vector<double> g = w.exact(kBeta);
      CHECK(norm(g) > 0.1);
      for (const std::string& b : baseline_names())
        for (const bool to_go : {false, true}) {
          Tuner tuner = w.tuner(options(b, to_go));
          check_mean(moments(tuner, *w.policy, 600), g);
        }
    }
}

TEST_CASE("the entropy bonus raises J + alpha H; backpropagating -log pi of samples would do nothing") {
  Known w("lstm", 3, ended_world(3));
  const double alpha = 0.4;
  // ∇(E[r] − β KL + α H) = that of the reward r − α log q under the coefficient β + α.
  std::vector<double> r = w.reward;
  for (size_t i = 0; i < r.size(); ++i) r[i] -= alpha * w.log_q()[i];
  const std::vector<double> g = exact_gradient(*make_method(Tuning{.baseline = "none"}), *w.policy, *w.prior, w.world,
                                               w.all.sequences, w.log_pi(), r, kBeta + alpha, w.shards);
  for (const bool to_go : {false, true}) {
    TuneConfig o = options("leave-one-out", to_go);
    o.entropy_coef = alpha;
    Tuner tuner = w.tuner(o);
    check_mean(moments(tuner, *w.policy, 600), g);
    CHECK(tuner.metrics().objective ==
          doctest::Approx(tuner.metrics().reward - kBeta * tuner.metrics().kl + alpha * tuner.metrics().entropy));
  }
  // And ∇H alone is not 0, which is what E[∇(−log π)] is.
  const std::vector<double> without = w.exact(kBeta);
  CHECK(near(g, without, 1) > 0.05);
}

TEST_CASE("the value network: least squares on the returns, no gradient into the policy, less variance than none") {
  for (const std::string& family : kFamilies) {
    Known w(family, 4, ended_world(3));
    // The same draws with and without it: an untrained network says 0, so the gradients are the same bits.
    Tuner with = w.tuner(options("value")), without = w.tuner(options("none"));
    const auto a = with.gradient(1), b = without.gradient(1);
    CHECK(first_difference(a, b) == -1);
    // Its slope by finite differences of the mean squared error that the metrics report.
    const auto loss = [&] {
      with.gradient(1);
      return *with.metrics().value_loss;
    };
    Params& v = with.value()->params();
    std::vector<double> slope;
    const double h = kDouble ? 1e-5 : 1e-2;
    for (int64_t i = 0; i < v.size(); ++i) {
      const real at = v.data()[size_t(i)];
      v.edit()[size_t(i)] = at + real(h);
      const double up = loss();
      v.edit()[size_t(i)] = at - real(h);
      slope.push_back((up - loss()) / (2 * h) / 2);
      v.edit()[size_t(i)] = at;
    }
    with.gradient(1);
    CHECK(near(with.value_gradient(), slope, 0.1) <= (kDouble ? 1e-7 : 1e-3));
  }
}

TEST_CASE("a value network lowers the variance of the gradient and leaves its mean") {
  Known w("lstm", 5, ended_world(3));
  for (double& r : w.reward) r += 3;  // far from 0: without a baseline most of the variance is this
  w.by_table = table_reward(w.all.sequences, w.reward);
  Tuner none = w.tuner(options("none")), value = w.tuner(options("value"));
  moments(value, *w.policy, 1500);  // learns; the policy stays
  const RunningMoments a = moments(none, *w.policy, 500, 1500), b = moments(value, *w.policy, 500, 1500);
  CHECK(total(b.variance()) < 0.2 * total(a.variance()));
  check_mean(b, w.exact(kBeta));
}

TEST_CASE("the value network learns E[R|X]: four prompts, rmse below 0.02") {
  const std::vector<std::vector<int32_t>> prompts{{0}, {1, 2}, {2}, {0, 1, 1}};
  const auto reward = [](const Sequences& s, std::span<const int32_t> of) {  // a different mean after each prompt
    std::vector<double> r;
    for (int64_t i = 0; i < s.size(); ++i)
      r.push_back(double(of[size_t(i)]) + (s.draws(i)[0] == 1) - 0.3 * double(s.draws(i).size()));
    return r;
  };
  TuneConfig o = options("value", false, 0, 64);
  o.value_lr = 0.03;
  Config config = small_config("lstm");
  config.hidden = 32;  // more features than prefixes: the network can be right about all of them
  TunedWorld w(random_model(config, kEnd + 1, 6, 1.0), ended_world(2), reward, o, 1, prompts);
  RunningMoments error;
  std::vector<double> seen(prompts.size(), 0.0), times(prompts.size(), 0.0);
  for (int64_t step = 1; step <= 1500; ++step) {
    w.tuner.gradient(step);
    w.tuner.learn();
    if (step <= 1200) continue;
    for (int64_t b = 0; b < o.batch; ++b) {
      const Experience& e = w.tuner.fresh();
      seen[size_t(e.group[size_t(b)])] += e.value[size_t(b * e.batch.T + e.batch.first_slot(b))];
      ++times[size_t(e.group[size_t(b)])];
    }
  }
  const KnownWorlds known = w.known();
  KnownWorlds truth = known;
  truth.of(*w.policy, 0);
  double squares = 0;
  for (size_t p = 0; p < prompts.size(); ++p) {
    const KnownWorlds::Known& k = truth.worlds()[p];
    double mean = 0;
    for (size_t i = 0; i < k.reward.size(); ++i) mean += std::exp(k.log_pi[i]) * k.reward[i];
    squares += std::pow(seen[p] / times[p] - mean, 2);
  }
  CHECK(std::sqrt(squares / double(prompts.size())) < 0.02);
}

TEST_CASE("a buffer of old sequences, weighted by pi/mu, has the fresh gradient as its mean; unweighted it has not") {
  Known w("lstm", 7, ended_world(2));
  // Enumerated, μ the prior: E_μ[(π/μ) A s].
  const std::vector<double> g = w.exact(kBeta);
  struct FromPrior : Method {
    const LanguageModel& prior;
    std::unique_ptr<Method> of = make_method(Tuning{.baseline = "none"});
    bool weighted;
    FromPrior(const LanguageModel& q, bool importance) : prior(q), weighted(importance) {}
    const LanguageModel* behaviour() const override { return &prior; }
    void prepare(Experience& e, double kl_coef) override { of->prepare(e, kl_coef); }
    Weights weigh(const Experience& e, const Scores& now) const override {
      Weights w = of->weigh(e, now);
      if (!weighted) w.importance.clear();
      return w;
    }
  };
  const auto mean = [&](bool weighted) {
    FromPrior method(*w.prior, weighted);
    return exact_gradient(method, *w.policy, *w.prior, w.world, w.all.sequences, w.log_q(), w.reward, kBeta, w.shards);
  };
  CHECK(near(mean(true), g, 1) <= kClose);
  CHECK(near(mean(false), g, 1) > 0.05);

  // Sampled, by the Tuner: the second step uses the first one's sequences again, which another policy drew.
  TuneConfig o = options("leave-one-out");
  o.replay = 1;
  const std::vector<real> here(w.policy->params().data().begin(), w.policy->params().data().end());
  RunningMoments m(here.size());
  double ess = 0;
  for (int64_t n = 0; n < 1500; ++n) {
    Tuner tuner = w.tuner(o);
    for (size_t i = 0; i < here.size(); ++i)
      w.policy->params().edit()[i] = real(0.8 * double(here[i]) + 0.2 * double(w.prior->params().data()[i]));
    tuner.gradient(2 * n + 1);
    std::ranges::copy(here, w.policy->params().edit().begin());
    m.add(tuner.gradient(2 * n + 2));
    ess += *tuner.metrics().ess / 1500;
  }
  check_mean(m, g);
  CHECK(ess < 2 * 16 - 0.5);
  CHECK(ess > 16);
}

TEST_CASE("the moving baseline is read before it is updated, and forgets") {
  Known w("lstm", 8, ended_world(2));
  Tuner tuner = w.tuner(options("moving"));
  tuner.gradient(1);
  CHECK(tuner.metrics().baseline == doctest::Approx(0));
  const double first = tuner.metrics().objective;
  tuner.learn();
  tuner.gradient(2);
  CHECK(tuner.metrics().baseline == doctest::Approx(first));
  const double second = tuner.metrics().objective;
  tuner.learn();
  tuner.gradient(3);
  CHECK(tuner.metrics().baseline == doctest::Approx((0.9 * 0.1 * first + 0.1 * second) / (0.9 * 0.1 + 0.1)));
}

TEST_CASE("the controller moves the coefficient by Ziegler's rule, after the step") {
  Known w("lstm", 9, ended_world(3));
  TuneConfig o = options("leave-one-out");
  o.kl_target = 0.05;
  o.kl_horizon = 100;
  Tuner tuner = w.tuner(o);
  tuner.gradient(1);
  CHECK(tuner.metrics().kl_coef == kBeta);
  tuner.learn();
  CHECK(tuner.kl_coef() == next_kl_coef(kBeta, tuner.metrics().kl, 0.05, 16, 100));
  CHECK(tuner.kl_coef() != kBeta);
  tuner.gradient(2);
  CHECK(tuner.metrics().kl_coef == tuner.kl_coef());
  const Experience& e = tuner.fresh();  // and the returns of the next step have it
  std::vector<double> wanted = sum_over_draws(e.batch, e.reward);
  const std::vector<double> pi = sum_over_draws(e.batch, e.log_pi), q = sum_over_draws(e.batch, e.log_q);
  for (size_t b = 0; b < wanted.size(); ++b) wanted[b] -= tuner.kl_coef() * (pi[b] - q[b]);
  CHECK(near(at_first_draw(e.batch, e.returns), wanted) <= kClose);
}

TEST_CASE("metrics are those of the batch, and of the world within their spread") {
  Known w("transformer", 10, ended_world(4));
  Tuner tuner = w.tuner(options("none", false, kBeta, 4000));
  tuner.gradient(1);
  const TuneMetrics& m = tuner.metrics();
  const Objective j = w.objective(kBeta);
  CHECK(std::fabs(m.kl - j.kl) <= 4.5 * m.kl_stderr);
  CHECK(m.kl_stderr < 0.2);
  CHECK(std::fabs(m.reward - j.reward) <= 4.5 / std::sqrt(4000.0));  // |r| <= 1
  CHECK(std::fabs(m.entropy - j.entropy) <= 0.1);
  CHECK(m.objective == doctest::Approx(m.reward - kBeta * m.kl));
  CHECK(m.baseline == 0);
  CHECK(!m.ess);
  CHECK(!m.value_loss);
  double cut = 0, length = 0;  // of the world
  for (int64_t i = 0; i < w.all.sequences.size(); ++i) {
    cut += std::exp(w.log_pi()[size_t(i)]) * !w.all.sequences.ended(i);
    length += std::exp(w.log_pi()[size_t(i)]) * double(w.all.sequences.draws(i).size());
  }
  CHECK(std::fabs(m.cut - cut) <= 4.5 * 0.5 / std::sqrt(4000.0));
  CHECK(std::fabs(m.length - length) <= 4.5 * 2 / std::sqrt(4000.0));
}

TEST_CASE("prompts take turns: over the steps none is continued more often than another") {
  const std::vector<std::vector<int32_t>> prompts{{0}, {1, 2}, {2}};
  TunedWorld w(random_model("lstm", 16), ended_world(2), zero_reward, options("leave-one-out", false, kBeta, 8), 1,
               prompts);
  std::vector<int64_t> times(3);
  for (int64_t step = 1; step <= 3; ++step) {
    w.tuner.gradient(step);
    for (const int32_t p : w.tuner.fresh().group) ++times[size_t(p)];
  }
  CHECK(times == std::vector<int64_t>{8, 8, 8});
}

TEST_CASE("the standard error of KL knows that two sequences of one drawn prompt are no independent witnesses") {
  std::vector<std::vector<int32_t>> prompts;
  for (int32_t i = 0; i < 64; ++i) prompts.push_back({i % 4, (i / 4) % 4, i / 16});
  // A policy that nearly always says the same after a prompt: all that varies is the prompt.
  const auto prior = random_model(small_config("lstm"), kEnd + 1, 17, 1.5),
             policy = random_model(small_config("lstm"), kEnd + 1, 18, 20);
  Shards shards(2, 1);
  Tuner tuner(*policy, *prior, prompts, ended_world(1), zero_reward, options("none", false, kBeta, 16), shards);
  RunningMoments kl, square;
  for (int64_t step = 1; step <= 3000; ++step) {
    tuner.gradient(step);
    kl.add(tuner.metrics().kl);
    square.add(std::pow(tuner.metrics().kl_stderr, 2));
  }
  // Both are known within about 3 %.
  CHECK(square.mean()[0] / kl.variance()[0] == doctest::Approx(1).epsilon(0.1));
}

TEST_CASE("a spread of one sequence is not a number") {
  Known w("lstm", 19, ended_world(2));
  Tuner one = w.tuner(options("none", false, 0, 1));
  one.gradient(1);
  CHECK(std::isnan(one.metrics().kl_stderr));
  CHECK(std::isnan(one.metrics().advantage_spread));
}

TEST_CASE("distinct n-grams over the whole batch, end mark not counted") {
  Sequences s(9);
  CHECK(distinct_share(s, 1) == 0);
  for (const std::vector<int32_t>& draws : {std::vector<int32_t>{1, 2, 1, 2, 9}, {1, 2, 9}, {9}, {3}}) s.add(draws);
  CHECK(distinct_share(s, 1) == doctest::Approx(3.0 / 7));
  CHECK(distinct_share(s, 2) == doctest::Approx(2.0 / 4));  // 12 21 12, 12
  CHECK(distinct_share(s, 5) == 0);
}

TEST_CASE("rollouts of prompts of mixed lengths are those of each prompt alone; prompts are never scored") {
  for (const std::string& family : kFamilies) {
    const auto model = random_model(family, 11);
    const World world = ended_world(4);
    const std::vector<std::vector<int32_t>> prompts{{0}, {1, 2, 0}, {2, 2}};
    std::vector<int32_t> of;
    for (int32_t i = 0; i < 60; ++i) of.push_back(i % 3);
    Shards shards(3, 1);
    shards.begin({}, 60);
    const Rng rng(3, Stream::kSample, 1);
    const Rollouts mixed = roll_out(*model, world, prompts, of, rng, shards);
    PaddedBatch batch;
    batch.fill(prompts, of, mixed.sequences);
    const std::vector<double> scored = sum_over_draws(batch, token_log_probs(*model, shards, batch, 1));
    int64_t draws = 0;
    for (int64_t i = 0; i < 60; ++i) {
      World alone = world;
      alone.prompt = prompts[size_t(of[size_t(i)])];
      const Rollouts one = roll_out(*model, alone, rng, i, 1);
      CHECK(std::ranges::equal(one.sequences.draws(0), mixed.sequences.draws(i)));
      CHECK(std::fabs(one.log_prob[0] - mixed.log_prob[size_t(i)]) <= 10 * kClose);
      CHECK(std::fabs(scored[size_t(i)] - mixed.log_prob[size_t(i)]) <= 10 * kClose);
      draws += int64_t(one.sequences.draws(0).size());
      const auto last = mixed.sequences.draws(i).back();
      CHECK((last == kEnd || mixed.sequences.draws(i).size() == 4));
    }
    CHECK(std::ranges::count_if(batch.targets, [](int32_t t) { return t != kNoTarget; }) == draws);
  }
}

TEST_CASE("the truth about several prompts: J* - J = (beta + alpha) KL to the posterior, at any policy") {
  const std::vector<std::vector<int32_t>> prompts{{0}, {1, 2}};
  const auto reward = [](const Sequences& s, std::span<const int32_t> of) {
    return random_rewards(s.size(), uint64_t(of[0]) + 50);
  };
  for (const double alpha : {0.0, 0.25}) {
    const auto prior = random_model("lstm", 12), policy = random_model("lstm", 13);
    KnownWorlds known(*prior, prompts, ended_world(3), reward, 1000);
    const Truth at_prior = known.of(*prior, kBeta, alpha), t = known.of(*policy, kBeta, alpha);
    CHECK(at_prior.at.kl == 0);
    CHECK(t.at.kl > 0.1);
    CHECK(t.j_star == at_prior.j_star);
    CHECK(t.j_star - t.at.objective == doctest::Approx((kBeta + alpha) * *t.kl_to_posterior).epsilon(1e-9));
    CHECK(t.at.objective == doctest::Approx(t.at.reward - kBeta * t.at.kl + alpha * t.at.entropy).epsilon(1e-12));
    const Truth greedy = known.of(*policy, 0);
    CHECK(!greedy.kl_to_posterior);
    CHECK(greedy.j_star >= greedy.at.reward);
    CHECK_THROWS_AS(KnownWorlds(*prior, prompts, ended_world(3), reward, known.sequences() - 1), DataError);
  }
}

// Σ γ^t of what a policy is paid for each draw, by hand; at the optimum of the soft values it is J*.
TEST_CASE("with a discount the truth is that of discounted rewards, and its optimum is theirs") {
  for (const bool step : {false, true})
    for (const double alpha : {0.0, 0.2}) {
      constexpr double kGamma = 0.7;
      MethodWorld w("lstm", 12);
      const std::vector<std::vector<int32_t>> prompts{w.world.prompt};
      KnownWorlds known(*w.prior, prompts, w.world, w.whole, kMaxSequences,
                        {.gamma = kGamma, .paid = step ? w.by_step : RewardFunction()});
      const Truth truth = known.of(*w.policy, kBeta, alpha);
      const std::vector<double> paid = w.paid(step);
      double by_hand = 0;
      size_t draw = size_t(w.all.sequences.first(w.all.sequences.size()));
      std::vector<double> of_draws(draw, 0.0);
      for (int64_t i = 0; i < w.all.sequences.size(); ++i)
        for (int64_t k = w.all.sequences.first(i); k < w.all.sequences.first(i + 1); ++k)
          of_draws[size_t(k)] = step ? paid[size_t(k)] : k + 1 == w.all.sequences.first(i + 1) ? paid[size_t(i)] : 0;
      w.for_draws([&](int64_t b, size_t slot, int64_t t) {
        const int64_t number = t - w.batch.first_slot(b);
        const double pi = w.log_pi_of_draws[slot], q = w.log_q_of_draws[slot];
        by_hand += std::exp(w.log_pi()[size_t(b)]) * std::pow(kGamma, double(number)) *
                   (of_draws[size_t(w.all.sequences.first(b) + number)] - kBeta * (pi - q) - alpha * pi);
      });
      CHECK(near(truth.at.objective, by_hand) <= kClose);
      CHECK(near(truth.at.kl, exact_objective(w.log_pi(), w.log_q(), w.reward, kBeta).kl) <= kClose);
      const KnownWorlds::Known& here = known.worlds()[0];
      const PrefixTree tree(here.sequences);
      const std::vector<double> log_q = tree.log_conditionals(here.log_q),
                                best = tree.log_conditionals(here.log_posterior);
      std::vector<double> r = tree.of_edges(here.sequences, here.paid);
      for (size_t k = 0; k < r.size(); ++k) r[k] -= alpha * log_q[k];
      CHECK(std::fabs(log_sum_exp(here.log_posterior)) <= kClose);
      CHECK(near(policy_values(tree, r, best, log_q, kBeta + alpha, kGamma).value[0], truth.j_star) <= kClose);
      CHECK(near(*truth.kl_to_posterior, kl(Table::of_logs(here.log_pi), Table::of_logs(here.log_posterior))) <=
            kClose);
      for (uint64_t seed = 1; seed <= 5; ++seed) {
        const Truth other = known.of(*random_model("lstm", 70 + seed), kBeta, alpha);
        CHECK(other.at.objective < other.j_star);
        CHECK(near(other.j_star, truth.j_star) <= kClose);
      }
      // Another optimum than that of the whole reward.
      KnownWorlds whole(*w.prior, prompts, w.world, w.whole, kMaxSequences);
      CHECK(std::fabs(*whole.of(*w.policy, kBeta, alpha).kl_to_posterior - *truth.kl_to_posterior) > 1e-3);
      const Truth greedy = known.of(*w.policy, 0, 0);
      CHECK(near(greedy.j_star, best_values(tree, tree.of_edges(here.sequences, here.paid), log_q, kGamma).value[0]) <=
            kClose);
      CHECK(!greedy.kl_to_posterior);
    }
}

TEST_CASE("a step that fails changes nothing; options that mean nothing are refused") {
  Known w("lstm", 14, ended_world(2));
  TuneConfig o = options("leave-one-out");
  o.replay = 2;
  bool dead = false;
  const RewardFunction sometimes = [&](const Sequences& s, std::span<const int32_t> of) {
    if (dead) throw DataError("the reward program died");
    return w.by_table(s, of);
  };
  const auto third = [&](bool fails) {
    Tuner tuner(*w.policy, *w.prior, {w.world.prompt}, w.world, sometimes, o, w.shards);
    for (int64_t step = 1; step <= 2; ++step) tuner.gradient(step), tuner.learn();
    dead = fails;
    if (fails) CHECK_THROWS_AS(tuner.gradient(3), DataError);
    dead = false;
    const auto g = tuner.gradient(3);
    return std::vector<real>(g.begin(), g.end());
  };
  CHECK(first_difference(third(false), third(true)) == -1);

  CHECK_THROWS_AS(w.tuner(options("leave-one-out", false, kBeta, 1)), ShapeError);
  CHECK_THROWS_AS(w.tuner(options("none", false, -1)), ShapeError);
  o.kl_target = -1;
  CHECK_THROWS_AS(w.tuner(o), ShapeError);
  o.kl_target = 1;
  o.kl_horizon = 0;
  CHECK_THROWS_AS(w.tuner(o), ShapeError);
  o.kl_horizon = 0.2 * double(o.batch);  // a step far below the target would bring the coefficient to 0, or below
  CHECK_THROWS_AS(w.tuner(o), ShapeError);
  o.kl_horizon = 1000;
  o.kl_coef = 0;  // no factor moves it
  CHECK_THROWS_AS(w.tuner(o), ShapeError);
  CHECK_THROWS_AS(Tuner(*w.policy, *w.policy, {w.world.prompt}, w.world, sometimes, o, w.shards), ShapeError);
}

TEST_CASE("what a Tuner remembers can be taken out and put back") {
  for (const std::string baseline : {"moving", "value"}) {
    Known w("lstm", 15, ended_world(3));
    TuneConfig o = options(baseline);
    o.replay = 2;
    o.kl_target = 0.1;
    Tuner whole = w.tuner(o);
    for (int64_t step = 1; step <= 4; ++step) whole.gradient(step), whole.learn();
    Tuner again = w.tuner(o);
    std::vector<Experience> memory;
    for (const Experience* e : whole.source.remembered()) {
      memory.push_back({.sequences = e->sequences,
                        .group = e->group,
                        .reward = sum_over_draws(e->batch, e->reward),
                        .log_mu = e->log_mu,
                        .log_q = e->log_q});
      if (memory.size() == 1) memory[0].log_mu = sum_over_draws(e->batch, e->log_mu);  // as version 0.1 kept it
    }
    CHECK(memory.size() == 2);
    again.source.restore(std::move(memory));
    again.method->restore(whole.method->state());
    again.set_kl_coef(whole.kl_coef());
    if (whole.value()) again.value()->params().copy_from(whole.value()->params());
    for (int64_t step = 5; step <= 6; ++step) {
      const auto a = whole.gradient(step), b = again.gradient(step);
      CHECK(first_difference(a, b) == -1);
      CHECK(whole.kl_coef() == again.kl_coef());
      whole.learn();
      again.learn();
      if (whole.value()) break;  // the network's optimiser is not part of the state
    }
  }
}

TEST_SUITE_END();

}  // namespace
