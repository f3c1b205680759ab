// DPO and its source of pairs: the loss of Bradley and Terry against worked numbers, the exact gradient by hand and
// where it must be zero, that pairs come in turn, and that what is learnt is the posterior.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "rl/preferences.h"
#include "rl/tables/bradley_terry.h"
#include "rl/tables/posterior.h"
#include "tests/method_worlds.h"
#include "tests/near.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kBeta = 0.5, kTight = kDouble ? 1e-12 : 1e-5;

std::unique_ptr<Method> dpo_of(const KnownWorld& w) {
  return make_method(Tuning{.algorithm = "dpo"}, {.policy = w.policy.get(), .prior = w.prior.get()});
}
// Over ordered pairs of draws of the prior, with the choices that the rewards make in the mean.
std::vector<double> exact_gradient_of(const KnownWorld& w, double beta) {
  Shards shards(2, 1);
  return exact_gradient(*dpo_of(w), *w.policy, *w.prior, w.world, w.all.sequences, w.log_q(), w.reward, beta, shards,
                        2);
}
// The loss over the same, of a policy with these log-probabilities.
double population_loss(const KnownWorld& w, std::span<const double> log_pi, double beta) {
  std::vector<double> h;
  std::vector<Choice> choices;
  for (size_t x = 0; x < log_pi.size(); ++x) {
    h.push_back(beta * (log_pi[x] - w.log_q()[x]));
    for (size_t y = 0; y < log_pi.size(); ++y)
      choices.push_back(
          {int64_t(x), int64_t(y), std::exp(w.log_q()[x] + w.log_q()[y]) * preference(w.reward[x], w.reward[y])});
  }
  return choice_loss(h, choices).loss;
}
Table posterior_of(const KnownWorld& w, double beta) {
  return posterior(Table::of_logs(w.log_q()), w.reward, beta).table;
}

// All pairs of four sentences as often as the prior and the rewards have them, of about `times` in all.
TokenPairs all_pairs(const FourSentences& w, double times) {
  TokenPairs pairs{.prompts = {w.world.prompt}, .sequences = Sequences(w.world.end_id)};
  for (int64_t x = 0; x < w.all.sequences.size(); ++x)
    for (int64_t y = 0; y < w.all.sequences.size(); ++y) {
      const double p =
          std::exp(w.log_q()[size_t(x)] + w.log_q()[size_t(y)]) * preference(w.reward[size_t(x)], w.reward[size_t(y)]);
      for (int64_t n = 0; x != y && n < std::llround(times * p); ++n) {
        pairs.sequences.add(w.all.sequences.draws(x));
        pairs.sequences.add(w.all.sequences.draws(y));
        pairs.of.push_back(0);
      }
    }
  return pairs;
}

}  // namespace

TEST_SUITE_BEGIN("dpo");

TEST_CASE("the loss is log 2 at the prior and least at the posterior, by the worked numbers") {
  const FourSentences w;
  for (const double beta : {0.5, 1.0}) {
    CHECK(std::fabs(population_loss(w, w.log_q(), beta) - 0.693147180559945) <= kTight);
    CHECK(std::fabs(population_loss(w, posterior_of(w, beta).log_p, beta) - 0.639894026157516) <= kTight);
    const double at_pi = beta == 1 ? 0.736647230392393 : 0.703021362711514;
    CHECK(std::fabs(population_loss(w, w.log_pi(), beta) - at_pi) <= kTight);
  }
}

TEST_CASE("where the policy is the posterior the exact gradient is zero, elsewhere it is not, on a table and an LSTM" *
          doctest::skip(!kDouble)) {
  for (const bool lstm : {true, false}) {
    std::shared_ptr<KnownWorld> w;  // which ends each as what it is
    if (lstm)
      w = std::make_shared<KnownWorld>("lstm", 5, ended_world(2));
    else
      w = std::make_shared<FourSentences>();
    CHECK(norm(exact_gradient_of(*w, kBeta)) > 0.01);
    for (size_t x = 0; x < w->reward.size(); ++x) w->reward[x] = 3 + kBeta * (w->log_pi()[x] - w->log_q()[x]);
    CHECK(norm(exact_gradient_of(*w, kBeta)) <= 1e-13);
    CHECK(norm(exact_gradient_of(*w, kBeta * 1.1)) > 1e-3);  // another beta has another posterior
  }
}

TEST_CASE("descending the exact gradient ends in the posterior" * doctest::skip(!kDouble)) {
  FourSentences w;
  AdamW optimizer(w.policy->params(), {.weight_decay = 0});
  for (int step = 0; step < 400; ++step) {
    std::vector<real> descent;
    for (const double g : exact_gradient_of(w, kBeta)) descent.push_back(real(-g));
    optimizer.step(w.policy->params(), descent, 0.05 * (1 - step / 400.0));
    w.refresh();
  }
  CHECK(kl(Table::of_logs(w.log_pi()), posterior_of(w, kBeta)) < 1e-6);
  CHECK(std::fabs(population_loss(w, w.log_pi(), kBeta) - 0.639894026157516) < 1e-8);
}

TEST_CASE("a sampled gradient has the exact one as its mean, in groups of any size") {
  const MethodWorld w("lstm", 3, ended_world(2));
  Shards shards(2, 1);
  const auto method = dpo_of(w);
  const std::vector<double> exact =
      exact_gradient(*method, *w.policy, *w.prior, w.world, w.all.sequences, w.log_q(), w.reward, kBeta, shards, 2);
  for (const int64_t batch : {2, 8}) {
    const EstimatedGradient e =
        w.sampled(*method, Tuning{.algorithm = "dpo", .batch = batch}, kBeta, false, kDouble ? 8000 : 1600);
    CHECK(largest_z(e, exact) < 4.5);  // false alarm for each of about 200 parameters: 7e-6
  }
}

TEST_CASE("of a pair both texts are pulled alike, the loss of a step that begins at the prior is log 2") {
  const FourSentences w;
  const auto prior = clone(*w.prior), policy = clone(*prior);
  Shards shards(2, 1);
  const TuneConfig options = Tuning{.algorithm = "dpo", .kl_coef = kBeta, .batch = 6};
  PairSource source(all_pairs(w, 20), w.world, options);
  const auto method = make_method(options, {.policy = policy.get(), .prior = prior.get()});
  TeacherForcing pass(*policy, shards);
  Experience& e = *source.draw(1, *policy)[0];
  const Scores& now = score_batch(pass, shards, *prior, method->behaviour(), e, 1);
  method->prepare(e, kBeta);
  CHECK(std::string(method->figures()[0].name) == "preference_loss");
  CHECK(std::fabs(method->figures()[0].value - std::log(2)) <= 1e-15);
  CHECK(method->figures()[1].value == 0.5);
  const std::vector<double> w_of = at_first_draw(e.batch, method->weigh(e, now).log_pi);
  for (size_t b = 0; b < w_of.size(); ++b) CHECK(std::fabs(w_of[b] - (b % 2 == 0 ? 0.5 : -0.5) * kBeta) <= 1e-15);
  Learner learner(*policy, *prior, source, *method, options, shards);
  AdamW optimizer(policy->params(), {.weight_decay = 0});
  for (int64_t step = 1; step <= 30; ++step) learner.step(step, optimizer, 0.02, 1);
  CHECK(learner.metrics().of_method[0].value < 0.68);
  CHECK(std::isnan(learner.metrics().kl));  // given texts say nothing of the policy
}

TEST_CASE("trained on pairs of its prior, a policy goes to the posterior of the rewards that chose" *
          doctest::skip(!kDouble)) {
  const FourSentences w;
  const auto prior = clone(*w.prior), policy = clone(*prior);
  Shards shards(2, 1);
  TokenPairs pairs = all_pairs(w, 400);
  const TuneConfig options = Tuning{.algorithm = "dpo", .kl_coef = kBeta, .batch = 2 * pairs.size(), .minibatches = 4};
  PairSource source(std::move(pairs), w.world, options);
  const auto method = make_method(options, {.policy = policy.get(), .prior = prior.get()});
  Learner learner(*policy, *prior, source, *method, options, shards);
  AdamW optimizer(policy->params(), {.weight_decay = 0});
  const Schedule schedule{0.05, 0, 0, 80};
  for (int64_t step = 1; step <= 80; ++step) learner.step(step, optimizer, schedule.at(step));
  KnownWorlds known(*prior, {w.world.prompt}, w.world, FourSentences::cat(w.lines), 1000);
  CHECK(*known.of(*policy, kBeta).kl_to_posterior < 1e-3);
}

TEST_CASE("pairs come in turn: each once a round, in another order, the same for the same seed") {
  const FourSentences w;
  TokenPairs pairs{.prompts = {w.world.prompt, {0, 4}}, .sequences = Sequences(w.world.end_id)};
  for (int32_t i = 0; i < 7; ++i) {
    pairs.sequences.add(std::vector<int32_t>{i % 4, i / 4, 4});
    pairs.sequences.add(std::vector<int32_t>{3, 3, 3});
    pairs.of.push_back(i % 2);
  }
  const auto drawn = [&](int64_t batch, int64_t first, int64_t last, int64_t seed) {
    PairSource source(pairs, w.world, Tuning{.algorithm = "dpo", .batch = batch, .seed = seed});
    std::vector<int32_t> order;
    for (int64_t step = first; step <= last; ++step) {
      const Experience& e = *source.draw(step, *w.policy)[0];
      CHECK(e.size() == batch);
      for (int64_t b = 0; b < batch; b += 2) {
        CHECK((e.role[size_t(b)] == kChosen && e.role[size_t(b) + 1] == kRejected));
        CHECK(e.group[size_t(b)] == e.group[size_t(b) + 1]);
        const auto draws = e.sequences.draws(b);
        order.push_back(draws[0] + 4 * draws[1]);
        CHECK(e.batch.prompt[size_t(b)] == 1 + order.back() % 2);  // its own prompt
        CHECK(e.sequences.draws(b + 1)[0] == 3);
      }
    }
    return order;
  };
  const std::vector<int32_t> all = drawn(2, 1, 21, 1);
  for (size_t round = 0; round < 3; ++round) {
    std::vector<int32_t> part(all.begin() + int64_t(7 * round), all.begin() + int64_t(7 * round) + 7);
    std::ranges::sort(part);
    CHECK(part == std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6});
  }
  CHECK(!std::equal(all.begin(), all.begin() + 7, all.begin() + 7));
  CHECK(drawn(6, 1, 7, 1) == all);  // however they are cut into batches
  const std::vector<int32_t> rest = drawn(6, 4, 7, 1);
  CHECK(std::equal(rest.begin(), rest.end(), all.begin() + 9));
  CHECK(drawn(2, 1, 21, 2) != all);
}

TEST_CASE("a text that the prior holds impossible is refused with a sentence") {
  const FourSentences w;
  TokenPairs pairs{.prompts = {w.world.prompt}, .of = {0}, .sequences = Sequences(w.world.end_id)};
  pairs.sequences.add(w.all.sequences.draws(0));
  pairs.sequences.add(std::vector<int32_t>{w.all.sequences.draws(0)[0], 4});
  const auto policy = clone(*w.prior);
  Shards shards(1, 1);
  const TuneConfig options = Tuning{.algorithm = "dpo", .batch = 2};
  PairSource source(std::move(pairs), w.world, options);
  const auto method = make_method(options, {.policy = policy.get(), .prior = w.prior.get()});
  Learner learner(*policy, *w.prior, source, *method, options, shards);
  AdamW optimizer(policy->params());
  CHECK_THROWS_WITH_AS(learner.step(1, optimizer, 0.1), doctest::Contains("holds a text of the preferences impossible"),
                       DataError);
}

TEST_SUITE_END();
