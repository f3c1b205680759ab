// rl/tuner trained: from its prior a policy reaches the posterior that the enumerated world promises, and fails as it
// must where a term is missing. tests/test_tuner.cpp tests single steps. GRADUS_SLOW=1, which `make test-slow` sets,
// runs ten worlds and seeds instead of a few.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "models/run/config.h"
#include "rl/tables/posterior.h"
#include "tests/near.h"
#include "tests/soft_bellman.h"
#include "tests/tuned_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

const bool kLong = std::getenv("GRADUS_SLOW") != nullptr;

TEST_SUITE_BEGIN("tuning");

// V = 5 with the end mark, lines of at most `max_tokens` draws.
constexpr int32_t kMark = 4;
World world_of_five(int64_t max_tokens) { return {{kMark}, kMark, max_tokens, 1}; }
std::unique_ptr<LanguageModel> prior_of_five(const std::string& family, uint64_t seed) {
  Config c = small_config(family);
  c.embd = family == "transformer" ? 32 : 16;
  c.hidden = 24;
  if (family == "transformer") c.layers = 2;
  return random_model(c, 5, seed, family == "transformer" ? 0.1 : 0.3);
}
// log p of the sequences under a table of logits, N(0,1), of its own for every beginning.
std::vector<double> random_tabular(const Sequences& sequences, uint64_t seed) {
  const Rng rng(seed, Stream::kTest);
  std::vector<double> log_p;
  for (int64_t i = 0; i < sequences.size(); ++i) {
    log_p.push_back(0);
    int64_t beginning = 1;
    for (const int32_t v : sequences.draws(i)) {
      std::vector<double> z;
      for (int64_t k = 0; k < 5; ++k) z.push_back(rng.at(beginning).normal(k));
      log_p.back() += Table::of_logits(z).log_p[size_t(v)];
      beginning = 5 * beginning + v;
    }
  }
  return log_p;
}
// A prior that was pretrained: maximum likelihood on a random tabular world, each step all sequences with their
// probabilities.
std::unique_ptr<LanguageModel> pretrained(const std::string& family, uint64_t seed, const World& world) {
  auto model = prior_of_five(family, seed);
  const Sequences sequences = enumerate(*model, world).sequences;
  const Table text = Table::of_logs(random_tabular(sequences, seed + 900));
  std::vector<double> weight(text.p);
  for (double& w : weight) w = -w;  // an optimiser descends
  Shards shards(2, 1);
  AdamW optimizer(model->params(), {.weight_decay = 0});
  const Schedule schedule{family == "transformer" ? 0.005 : 0.02, 0, 0, 300};
  for (int64_t step = 1; step <= schedule.decay; ++step) {
    const std::vector<double> g = weighted_score(*model, world, sequences, weight, shards);
    optimizer.step(model->params(), std::vector<real>(g.begin(), g.end()), schedule.at(step));
  }
  CHECK(kl(text, Table::of_logs(enumerate(*model, world).log_prob[0])) < 0.03);
  return model;
}
TunedWorld random_world(std::unique_ptr<LanguageModel> prior, uint64_t seed, TuneConfig o, int64_t max_tokens) {
  const World world = world_of_five(max_tokens);
  const Enumeration all = enumerate(*prior, world);
  return TunedWorld(std::move(prior), world,
                    table_reward(all.sequences, random_rewards(all.sequences.size(), seed + 500)), o);
}

// Slope of log(π/q) regressed on r, weighted by q: 1/β at the posterior.
double tilt(const KnownWorlds::Known& w) {
  double weight = 0, mean_r = 0, mean_y = 0, covariance = 0, variance = 0;
  for (size_t i = 0; i < w.reward.size(); ++i) {
    const double q = std::exp(w.log_q[i]);
    weight += q;
    mean_r += q * w.reward[i];
    mean_y += q * (w.log_pi[i] - w.log_q[i]);
  }
  mean_r /= weight;
  mean_y /= weight;
  for (size_t i = 0; i < w.reward.size(); ++i) {
    const double q = std::exp(w.log_q[i]), r = w.reward[i] - mean_r;
    covariance += q * r * (w.log_pi[i] - w.log_q[i] - mean_y);
    variance += q * r * r;
  }
  return covariance / variance;
}

// One world here, ten in make test-slow; the seeds are fixed, so that what holds holds always.
TEST_CASE("from the prior to the posterior: KL and J within 0.003 of the optimum, log(pi/q) rises by r/beta") {
  const int64_t worlds = kLong ? 10 : 1;
  for (const std::string family : {"lstm", "transformer"}) {
    std::vector<double> kl;
    int64_t good = 0;
    for (int64_t n = 0; n < worlds; ++n) {
      const double beta = n % 2 == 0 ? 0.5 : 1;
      const uint64_t seed = uint64_t(n) + 1;
      TunedWorld w = random_world(pretrained(family, seed, world_of_five(3 + n % 2)), seed,
                                  Tuning{.kl_coef = beta, .batch = 128}, 3 + n % 2);
      KnownWorlds known = w.known();
      const Truth before = known.of(*w.policy, beta);
      CHECK(before.at.kl == 0);
      CHECK(*before.kl_to_posterior > 0.02);
      w.train(kLong ? 1500 : 900, family == "transformer" ? 0.003 : 0.01);
      const Truth after = known.of(*w.policy, beta);
      CHECK(after.at.objective <= after.j_star + 1e-12);
      kl.push_back(*after.kl_to_posterior);
      const double slope = tilt(known.worlds()[0]);
      const bool is_good = *after.kl_to_posterior < 0.003 && after.j_star - after.at.objective < 0.003 &&
                           std::fabs(slope * beta - 1) < 0.05;
      good += is_good;
      INFO(family, " world ", n, ": KL to the posterior ", *after.kl_to_posterior, ", slope times beta ", slope * beta);
      CHECK_MESSAGE((is_good || kLong), "not there");
    }
    CHECK(good * 10 >= worlds * 9);
    std::ranges::sort(kl);
    CHECK(kl[kl.size() / 2] < 1e-3);
    MESSAGE(family, ": median KL to the posterior ", kl[kl.size() / 2], ", worst ", kl.back(), ", ", good, " of ",
            worlds);
  }
}

TEST_CASE("no reward: at the prior nothing moves, to the last bit; from elsewhere the policy comes back") {
  const auto zero = [](const Sequences& s, std::span<const int32_t>) {
    return std::vector<double>(size_t(s.size()), 0.0);
  };
  const TuneConfig o = Tuning{.kl_coef = 0.5, .batch = 64};
  TunedWorld w(prior_of_five("lstm", 3), world_of_five(3), zero, o);
  w.train(5, 0.01);
  CHECK(first_difference(w.policy->params().data(), w.prior->params().data()) == -1);

  KnownWorlds known = w.known();
  w.policy->params().copy_from(prior_of_five("lstm", 4)->params());  // far away
  CHECK(known.of(*w.policy, 0.5).at.kl > 0.3);
  w.train(900, 0.02);
  CHECK(known.of(*w.policy, 0.5).at.kl < 1e-3);
}

// In double: 1e-6 is below what float leaves of a gradient.
TEST_CASE("no reward: the exact gradient brings a policy from elsewhere back to the prior" * doctest::skip(!kDouble)) {
  const auto zero = [](const Sequences& s, std::span<const int32_t>) {
    return std::vector<double>(size_t(s.size()), 0.0);
  };
  TunedWorld w(prior_of_five("lstm", 3), world_of_five(3), zero, Tuning{.kl_coef = 0.5, .batch = 64});
  KnownWorlds known = w.known();
  w.policy->params().copy_from(prior_of_five("lstm", 4)->params());  // far away
  CHECK(known.of(*w.policy, 0.5).at.kl > 0.3);
  Shards shards(2, 1);
  AdamW optimizer(w.policy->params(), {.weight_decay = 0});
  const std::unique_ptr<Method> method = make_method(Tuning{.baseline = "none"});
  for (int64_t step = 1; step <= 600; ++step) {
    const LanguageModel* const both[] = {w.policy.get(), w.prior.get()};
    const Enumeration all = enumerate(both, w.world);
    const std::vector<double> r(all.log_prob[0].size(), 0.0);
    std::vector<real> g;
    for (const double x :
         exact_gradient(*method, *w.policy, *w.prior, w.world, all.sequences, all.log_prob[0], r, 0.5, shards))
      g.push_back(real(-x));
    optimizer.step(w.policy->params(), g, Schedule{0.01, 0, 0, 600}.at(step));
  }
  CHECK(known.of(*w.policy, 0.5).at.kl < 1e-6);
}

TEST_CASE("without the KL term the policy collapses on the best sequences, with it it does not") {
  const int64_t seeds = kLong ? 10 : 3;
  int64_t collapsed = 0, kept = 0;
  for (int64_t seed = 1; seed <= seeds; ++seed)
    for (const double beta : {0.0, 0.1}) {
      TunedWorld w =
          random_world(prior_of_five("lstm", uint64_t(seed)), uint64_t(seed), Tuning{.kl_coef = beta, .batch = 64}, 3);
      KnownWorlds known = w.known();
      const double before = known.of(*w.policy, beta).at.entropy;
      w.tuner.gradient(1'000'000);
      const double distinct = w.tuner.metrics().distinct_2;
      w.train(400, 0.02);
      const Truth after = known.of(*w.policy, beta);
      w.tuner.gradient(1'000'001);
      const bool gone = after.at.entropy < 0.1 * before && w.tuner.metrics().distinct_2 < 0.5 * distinct;
      (beta == 0 ? collapsed : kept) += beta == 0 ? gone : after.at.entropy > 0.1 * before;
    }
  CHECK(collapsed * 10 >= seeds * 9);
  CHECK(kept * 10 >= seeds * 9);
}

TEST_CASE("a KL target is met: the coefficient settles where KL is what was asked for") {
  TuneConfig o = Tuning{.kl_coef = 0.5, .kl_target = 0.1, .kl_horizon = 600, .batch = 64};
  TunedWorld w = random_world(prior_of_five("lstm", 5), 5, o, 3);
  KnownWorlds known = w.known();
  w.train(800, 0.02);
  const Truth t = known.of(*w.policy, w.tuner.kl_coef());
  CHECK(t.at.kl == doctest::Approx(0.1).epsilon(0.1));
  const KnownWorlds::Known& k = known.worlds()[0];
  const double wanted = kl_coef_for(Table::of_logs(k.log_q), k.reward, 0.1);
  CHECK(w.tuner.kl_coef() == doctest::Approx(wanted).epsilon(0.1));
}

TEST_CASE("an entropy bonus alone ends at softmax(r / alpha)") {
  TuneConfig o = Tuning{.kl_coef = 0, .entropy_coef = 0.5, .batch = 128};
  TunedWorld w = random_world(prior_of_five("lstm", 6), 6, o, 2);
  KnownWorlds known = w.known();
  w.train(800, 0.02);
  const Truth t = known.of(*w.policy, 0, 0.5);
  CHECK(*t.kl_to_posterior < 2e-3);
  const KnownWorlds::Known& k = known.worlds()[0];
  double z = 0;
  for (const double r : k.reward) z += std::exp(r / 0.5);
  double worst = 0;
  for (size_t i = 0; i < k.reward.size(); ++i)
    worst = std::max(worst, std::fabs(std::exp(k.log_posterior[i]) - std::exp(k.reward[i] / 0.5) / z));
  CHECK(worst < 1e-6);
}

// An LSTM that is a bigram model: its memory is shut, so that only the last token speaks.
std::unique_ptr<LanguageModel> bigram_lstm(int64_t vocabulary, uint64_t seed) {
  Config c = small_config("lstm");
  c.embd = 16;
  c.hidden = 32;
  auto model = random_model(c, vocabulary, seed, 0.3);
  Params& p = model->params();
  std::ranges::fill(p.edit(p.find("lstm.weight_hh_l0")), real(0));
  const auto bias = p.edit(p.find("lstm.bias_l0"));
  std::fill_n(bias.begin() + c.hidden, c.hidden, real(-40));  // the forget gate
  return model;
}

TEST_CASE("V = 32, T = 20, bigram prior, additive reward: never above J*, and 90 % of the way there") {
  constexpr int64_t kV = 32;
  const double beta = 0.5;
  const World world{{kV - 1}, kV - 1, 20, 1};
  std::vector<double> each;  // what each draw adds; the end mark nothing
  const Rng rng(9, Stream::kTest);
  for (int64_t v = 0; v < kV; ++v) each.push_back(v == kV - 1 ? 0 : rng.uniform(v) - 0.5);
  const auto reward = [&](const Sequences& s, std::span<const int32_t>) {
    std::vector<double> r(size_t(s.size()), 0.0);
    for (int64_t i = 0; i < s.size(); ++i)
      for (const int32_t v : s.draws(i)) r[size_t(i)] += each[size_t(v)];
    return r;
  };
  TunedWorld w(bigram_lstm(kV, 21), world, reward, Tuning{.kl_coef = beta, .batch = 128});
  const std::vector<double> log_q = bigram_table(*w.prior);
  const double j_star = soft_values(log_q, each, world, beta).j_star;
  const double j_prior = bigram_objective(log_q, log_q, each, world, beta);
  CHECK(j_star - j_prior > 0.5);
  // 4 standard errors: a false alarm in 3e-5 of the steps, if the policy were at the optimum all along.
  const Schedule schedule{0.01, 0, 0, 250};
  double reached = 0;
  for (int64_t step = 1; step <= 250; ++step) {
    w.tuner.step(step, w.optimizer, schedule.at(step), 1);
    const TuneMetrics& m = w.tuner.metrics();
    CHECK(m.objective <= j_star + 4 * m.advantage_spread / std::sqrt(128.0));
    if (step > 230) reached += m.objective / 20;
  }
  INFO("J of the prior ", j_prior, ", J* ", j_star, ", reached ", reached);
  CHECK(reached >= j_prior + 0.9 * (j_star - j_prior));
  CHECK(reached <= j_star + 0.05);
}

TEST_SUITE_END();

}  // namespace
