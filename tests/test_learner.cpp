// rl/learner, experience: how a batch is cut into minibatches, and that a step of several updates equals one whose
// minibatches, weights and gradients are made by hand. tests/test_tuner.cpp has the mean of one update.
// Long, because the features of a step are made by hand alone and together.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rl/tables/estimators.h"
#include "tests/near.h"
#include "tests/tuned_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-11 : 1e-4, kBeta = 0.3;
using Rows = std::vector<int64_t>;

std::vector<double> counted(int64_t n, double first) {
  std::vector<double> x(size_t(n), 0.0);
  std::iota(x.begin(), x.end(), first);
  return x;
}

// Seven sequences of one to three draws in three groups, every number different.
Experience seven() {
  Experience e{.sequences = Sequences(kEnd), .group = {0, 1, 0, 2, 2, 1, 0}, .independent = 7};
  for (int32_t b = 0; b < 7; ++b) e.sequences.add(std::vector<int32_t>(size_t(1 + b % 3), b % 3));
  e.batch.fill(std::vector<int32_t>{kEnd, 1}, e.sequences);
  e.role = {1, 0, 0, 1, 1, 0, 1};
  e.features = counted(14, 500);
  double first = 1000;
  for (const auto field : {&Experience::reward, &Experience::log_mu, &Experience::log_q, &Experience::log_pi,
                           &Experience::value, &Experience::returns, &Experience::advantage})
    e.*field = counted(e.batch.B * e.batch.T, first += 100);
  return e;
}

// The policy's gradient of −(1/rows) Σ_b Σ_t w[b] ∇ log π(b,t) over the chosen rows of a batch, laid out anew.
std::vector<double> by_hand(const LanguageModel& policy, const World& world, const Sequences& all, const Rows& rows,
                            const std::function<double(int64_t b, double log_pi)>& weight) {
  Sequences chosen(world.end_id);
  for (const int64_t b : rows) chosen.add(all.draws(b));
  PaddedBatch batch;
  batch.fill(world.prompt, chosen);
  Shards shards(1, 1);
  TeacherForcing pass(policy, shards);
  const std::vector<double> log_pi = sum_over_draws(batch, pass.forward(batch, world.temperature).log_pi);
  std::vector<double> w;
  for (size_t i = 0; i < rows.size(); ++i) w.push_back(-weight(rows[i], log_pi[i]) / double(rows.size()));
  const std::span<const real> gradient = pass.backward({.log_pi = on_every_draw(batch, w)});
  return {gradient.begin(), gradient.end()};
}

// Every sequence a reward of its own, by its draws.
std::vector<double> some_reward(const Sequences& s, std::span<const int32_t>) {
  std::vector<double> r;
  for (int64_t i = 0; i < s.size(); ++i) {
    double sum = 0.1;
    for (const int32_t token : s.draws(i)) sum = 0.7 * sum + std::sin(1.0 + token);
    r.push_back(sum);
  }
  return r;
}

TEST_SUITE_BEGIN("learner");

TEST_CASE("minibatches hold every row once, about equally many, and cut no group where groups stay whole") {
  const Experience e = seven();
  CHECK(minibatch(e, 0, 3, false) == Rows{0, 1});
  CHECK(minibatch(e, 1, 3, false) == Rows{2, 3});
  CHECK(minibatch(e, 2, 3, false) == Rows{4, 5, 6});
  CHECK(minibatch(e, 0, 1, false) == Rows{0, 1, 2, 3, 4, 5, 6});
  CHECK(minibatch(e, 6, 7, false) == Rows{6});
  CHECK(minibatch(e, 0, 2, true) == Rows{0, 2, 6});
  CHECK(minibatch(e, 1, 2, true) == Rows{1, 3, 4, 5});
  CHECK_THROWS_WITH_AS(minibatch(e, 0, 8, false), doctest::Contains("7 sequences cannot make 8 minibatches"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(minibatch(e, 0, 4, true), doctest::Contains("3 groups cannot make 4 minibatches"), ShapeError);
  Experience gaps = seven();
  gaps.group = {0, 97, 0, 97, 0, 97, 97};
  CHECK(minibatch(gaps, 0, 2, true) == Rows{0, 2, 4});
  CHECK(minibatch(gaps, 1, 2, true) == Rows{1, 3, 5, 6});
  CHECK_THROWS_WITH_AS(minibatch(gaps, 0, 3, true), doctest::Contains("2 groups cannot make 3 minibatches"),
                       ShapeError);
}

TEST_CASE(
    "rows of an experience carry everything that is known of them; a row may come twice; what is not known stays "
    "so") {
  Experience e = seven();
  const Rows which{5, 0, 5};
  const Experience part = rows_of(e, which);
  REQUIRE(part.size() == 3);
  CHECK(part.batch.T == e.batch.T);
  CHECK(part.independent == 0);
  CHECK(part.group == std::vector<int32_t>{1, 0, 1});
  CHECK(part.role == std::vector<int32_t>{0, 1, 0});
  CHECK(part.features == std::vector<double>{510, 511, 500, 501, 510, 511});
  for (size_t i = 0; i < 3; ++i) {
    CHECK(std::ranges::equal(part.sequences.draws(int64_t(i)), e.sequences.draws(which[i])));
    CHECK(part.batch.prompt[i] == 2);
    CHECK(part.batch.length[i] == int64_t(e.sequences.draws(which[i]).size()));
    const auto same_row = [&](const auto& got, const auto& all) {
      const size_t T = size_t(e.batch.T);
      return got.size() == 3 * T &&
             std::ranges::equal(std::span(got).subspan(i * T, T), std::span(all).subspan(size_t(which[i]) * T, T));
    };
    CHECK(same_row(part.batch.inputs, e.batch.inputs));
    CHECK(same_row(part.batch.targets, e.batch.targets));
    for (const auto field : {&Experience::reward, &Experience::log_mu, &Experience::log_q, &Experience::log_pi,
                             &Experience::value, &Experience::returns, &Experience::advantage})
      CHECK(same_row(part.*field, e.*field));
  }
  e.role.clear(), e.features.clear(), e.value.clear();
  const Experience less = rows_of(e, which);
  CHECK(less.role.empty());
  CHECK(less.features.empty());
  CHECK(less.value.empty());
}

TEST_CASE("leave-one-out subtracts the mean return of the others, each return multiplied by pi/mu of its sequence") {
  Experience e = seven();
  e.group.assign(7, 0);
  std::vector<double> r, ratio, log_ratio, wanted;
  for (int b = 0; b < 7; ++b) {
    r.push_back(1 + b * b);
    ratio.push_back(0.5 + 0.2 * b);
    log_ratio.push_back(std::log(ratio.back()));
  }
  e.reward = on_last_draw(e.batch, r);
  e.log_pi = on_last_draw(e.batch, log_ratio);
  e.log_mu = e.log_q = std::vector<double>(e.reward.size(), 0.0);
  make_method(Tuning{.baseline = "leave-one-out"})->prepare(e, 0);
  for (size_t b = 0; b < 7; ++b) {
    double others = 0;
    for (size_t c = 0; c < 7; ++c) others += c == b ? 0 : ratio[c] * r[c] / 6;
    wanted.push_back(r[b] - others);
  }
  CHECK(near(at_first_draw(e.batch, e.advantage), wanted) <= 1e-14);
}

TEST_CASE(
    "two epochs of two minibatches are four updates by the gradients of four batches made by hand, each weighted "
    "by pi/mu") {
  const auto prior = random_model("lstm", 41), policy = random_model("lstm", 42), mine = clone(*policy);
  const World world = ended_world(3);
  const TuneConfig options = Tuning{.baseline = "none", .kl_coef = kBeta, .batch = 9, .epochs = 2, .minibatches = 2};
  Shards shards(2, 1);
  // What is seen of each update: the scores of its minibatch under the policy of that moment.
  struct Watched : Method {
    std::unique_ptr<Method> of;
    mutable std::vector<std::vector<double>> seen;
    explicit Watched(const TuneConfig& o) : of(make_method(o)) {}
    void prepare(Experience& e, double kl_coef) override { of->prepare(e, kl_coef); }
    Weights weigh(const Experience& e, const Scores& now) const override {
      seen.push_back(sum_over_draws(e.batch, now.log_pi));
      return of->weigh(e, now);
    }
  } method(options);
  RolloutSource source({world.prompt}, world, some_reward, options, shards);
  Learner learner(*policy, *prior, source, method, options, shards);
  AdamW optimizer(policy->params(), {.weight_decay = 0}), my_optimizer(mine->params(), {.weight_decay = 0});
  constexpr double kRate = 0.05;
  learner.step(1, optimizer, kRate);
  CHECK(optimizer.steps == 4);

  const Experience& e = learner.fresh();
  Shards one(1, 1);
  one.begin({}, e.size());
  const std::vector<double> mu = sum_over_draws(e.batch, token_log_probs(*mine, one, e.batch, 1)),
                            q = sum_over_draws(e.batch, token_log_probs(*prior, one, e.batch, 1)),
                            r = some_reward(e.sequences, e.group);
  std::vector<double> ratios;  // of the last epoch
  REQUIRE(method.seen.size() == 4);
  for (size_t u = 0; u < 4; ++u) {
    const Rows rows = u % 2 == 0 ? Rows{0, 1, 2, 3} : Rows{4, 5, 6, 7, 8};
    std::vector<double> scores;
    if (u == 2) ratios.clear();
    const std::vector<double> g = by_hand(*mine, world, e.sequences, rows, [&](int64_t b, double log_pi) {
      scores.push_back(log_pi);
      ratios.push_back(std::exp(log_pi - mu[size_t(b)]));
      return ratios.back() * (r[size_t(b)] - kBeta * (log_pi - q[size_t(b)]));  // the KL of this moment
    });
    CHECK(near(method.seen[u], scores) <= kClose);
    if (u > 0) CHECK(std::fabs(ratios.back() - 1) > 1e-3);
    const std::vector<real> descent(g.begin(), g.end());
    my_optimizer.step(mine->params(), descent, kRate);
  }
  CHECK(near(optimizer.m, my_optimizer.m) <= kClose);
  CHECK(near(policy->params().data(), mine->params().data()) <= kClose);
  CHECK(*learner.metrics().ess == doctest::Approx(effective_sample_size(ratios)).epsilon(kClose));
  CHECK(*learner.metrics().ess < 9 - 1e-3);
}

TEST_CASE("the gradient over a replayed and a fresh batch is the mean of both by hand, the value network's too") {
  const auto prior = random_model("lstm", 43), policy = random_model("lstm", 44);
  const World world = ended_world(3);
  TuneConfig options = Tuning{.baseline = "value", .kl_coef = kBeta, .replay = 1, .batch = 6};
  options.reward_to_go = true;
  options.entropy_coef = 0.2;
  Shards shards(2, 1);
  Tuner tuner(*policy, *prior, {world.prompt}, world, some_reward, options, shards);
  tuner.gradient(1);
  const Experience old = tuner.fresh();
  std::ranges::copy(random_model("lstm", 45)->params().data(), policy->params().edit().begin());
  tuner.value()->params().edit()[0] = real(0.5);  // it says something, and not the same of all prefixes
  const std::span<const real> got = tuner.gradient(2);
  const std::vector<double> gradient(got.begin(), got.end()),
      value_gradient(tuner.value_gradient().begin(), tuner.value_gradient().end());
  std::vector<double> wanted(gradient.size(), 0.0);
  double slope_of_bias = 0;
  Shards one(1, 1);
  for (const Experience* e : std::initializer_list<const Experience*>{&old, &tuner.fresh()}) {
    const PaddedBatch& batch = e->batch;
    TeacherForcing pass(*policy, one, {.value = true}, nullptr, tuner.value());
    const Scores now = pass.forward(batch, 1);
    const std::vector<double> mu = e == &old ? old.log_pi : now.log_pi, r = some_reward(e->sequences, e->group),
                              q = token_log_probs(*prior, one, batch, 1), pi_sum = sum_over_draws(batch, now.log_pi),
                              mu_sum = sum_over_draws(batch, mu);
    std::vector<double> w(now.log_pi.size(), 0.0);
    double slope = 0, draws = 0;
    for (int64_t b = 0; b < batch.B; ++b) {
      const double ratio = std::exp(pi_sum[size_t(b)] - mu_sum[size_t(b)]);
      for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) {
        double rest = r[size_t(b)];  // from this draw onward
        for (int64_t k = t; k < batch.end_slot(b); ++k) {
          const size_t i = size_t(b * batch.T + k);
          rest -= kBeta * (now.log_pi[i] - q[i]) + 0.2 * now.log_pi[i];
        }
        const size_t i = size_t(b * batch.T + t);
        w[i] = -ratio * (rest - now.value[i]) / double(batch.B);
        slope -= ratio * (rest - now.value[i]);
        ++draws;
      }
    }
    slope_of_bias += slope / draws / 2;
    const std::span<const real> part = pass.backward({.log_pi = w});
    for (size_t k = 0; k < wanted.size(); ++k) wanted[k] += double(part[k]) / 2;
  }
  CHECK(near(gradient, wanted) <= kClose);
  CHECK(value_gradient.back() == doctest::Approx(slope_of_bias).epsilon(kClose));
  CHECK(*tuner.metrics().ess < 12 - 1e-3);
}

// A batch as the learner should have prepared it, made by hand of what was seen when it was drawn.
struct Prepared {
  Experience e;                  // with log μ and log q
  std::vector<double> baseline;  // [B], by the policy as the step begins
};
// π/μ of each sequence of e, [B].
std::vector<double> ratios_of(const Experience& e, std::span<const double> log_pi) {
  std::vector<double> ratio = sum_over_draws(e.batch, log_pi);
  const std::vector<double> mu = sum_over_draws(e.batch, e.log_mu);
  for (size_t b = 0; b < ratio.size(); ++b) ratio[b] = std::exp(ratio[b] - mu[b]);
  return ratio;
}
// The returns from each draw on, [B,T], or of the whole sequence on each, with the KL and the entropy of a policy.
std::vector<double> returns_by_hand(const Experience& e, std::span<const double> log_pi, const TuneConfig& o) {
  std::vector<double> back(log_pi.size(), 0.0);
  for (int64_t b = 0; b < e.size(); ++b) {
    const size_t first = size_t(b * e.batch.T + e.batch.first_slot(b)),
                 end = size_t(b * e.batch.T + e.batch.end_slot(b));
    double rest = 0;
    for (size_t i = end; i-- > first;)
      back[i] = rest += e.reward[i] - o.kl_coef * (log_pi[i] - e.log_q[i]) - o.entropy_coef * log_pi[i];
    if (!o.reward_to_go) std::fill(back.begin() + int64_t(first), back.begin() + int64_t(end), rest);
  }
  return back;
}
// The mean return of the others of the same prompt, each times its π/μ.
Prepared prepared(const Experience& e, const LanguageModel& policy, const TuneConfig& o) {
  Shards one(1, 1);
  one.begin({}, e.size());
  const std::vector<double> log_pi = token_log_probs(policy, one, e.batch, 1), ratio = ratios_of(e, log_pi),
                            whole = at_first_draw(e.batch, returns_by_hand(e, log_pi, o));
  Prepared p{e, {}};
  for (int64_t b = 0; b < e.size(); ++b) {
    double others = 0, n = 0;
    for (int64_t c = 0; c < e.size(); ++c)
      if (c != b && e.group[size_t(c)] == e.group[size_t(b)]) others += ratio[size_t(c)] * whole[size_t(c)], ++n;
    p.baseline.push_back(others / n);
  }
  return p;
}

TEST_CASE(
    "several prompts, two replayed batches, two epochs of two minibatches, entropy and reward to go together are the "
    "updates made by hand") {
  for (const bool to_go : {false, true}) {
    const auto prior = random_model("lstm", 51), policy = random_model("lstm", 52), mine = clone(*policy);
    const World world = ended_world(3);
    const std::vector<std::vector<int32_t>> prompts{{kEnd}, {0, 1}, {2, 2, 0}};
    TuneConfig o = Tuning{.reward_to_go = to_go, .kl_coef = kBeta, .entropy_coef = 0.2, .replay = 2, .batch = 13};
    o.epochs = o.minibatches = 2;
    Shards shards(2, 1), one(1, 1);
    Tuner tuner(*policy, *prior, prompts, world, some_reward, o, shards);
    AdamW optimizer(policy->params(), {.weight_decay = 0}), my_optimizer(mine->params(), {.weight_decay = 0});
    std::vector<Experience> drawn;  // in all steps
    double largest = 0, smallest = 1;
    constexpr double kRate = 0.15;
    for (int64_t step = 1; step <= 4; ++step) {
      tuner.step(step, optimizer, kRate);
      Experience fresh{
          .sequences = tuner.fresh().sequences, .batch = tuner.fresh().batch, .group = tuner.fresh().group};
      fresh.reward = on_last_draw(fresh.batch, some_reward(fresh.sequences, fresh.group));
      one.begin({}, fresh.size());
      fresh.log_mu = token_log_probs(*mine, one, fresh.batch, 1);
      fresh.log_q = token_log_probs(*prior, one, fresh.batch, 1);
      drawn.push_back(std::move(fresh));
      std::vector<Prepared> batches;
      for (size_t i = drawn.size() > 3 ? drawn.size() - 3 : 0; i < drawn.size(); ++i)
        batches.push_back(prepared(drawn[i], *mine, o));
      std::vector<double> importance;  // of the last epoch, as are the least and the largest
      for (int64_t u = 0; u < 4; ++u) {
        if (u % 2 == 0) importance.clear();
        std::vector<double> g(size_t(mine->params().size()), 0.0);
        for (const Prepared& p : batches) {
          const Rows rows = minibatch(p.e, u % 2, 2, false);
          const Experience part = rows_of(p.e, rows);
          TeacherForcing pass(*mine, one);
          const std::vector<double> now = pass.forward(part.batch, 1).log_pi, ratio = ratios_of(part, now),
                                    returns = returns_by_hand(part, now, o);
          std::vector<double> w;
          for (size_t r = 0; r < rows.size(); ++r)
            for (int64_t t = 0; t < part.batch.T; ++t)
              w.push_back(-ratio[r] * (returns[r * size_t(part.batch.T) + size_t(t)] - p.baseline[size_t(rows[r])]) /
                          double(rows.size() * batches.size()));
          const std::span<const real> up = pass.backward({.log_pi = w});
          for (size_t k = 0; k < g.size(); ++k) g[k] += double(up[k]);
          importance.insert(importance.end(), ratio.begin(), ratio.end());
        }
        const std::vector<real> descent(g.begin(), g.end());
        my_optimizer.step(mine->params(), descent, kRate);
      }
      largest = std::max(largest, std::ranges::max(importance));
      smallest = std::min(smallest, std::ranges::min(importance));
      INFO("step ", step, ", reward to go ", to_go);
      CHECK(near(policy->params().data(), mine->params().data()) <= (kDouble ? 1e-9 : 1e-2));
      CHECK(*tuner.metrics().ess == doctest::Approx(effective_sample_size(importance)).epsilon(kDouble ? 1e-9 : 1e-2));
      std::ranges::copy(mine->params().data(), policy->params().edit().begin());  // or Adam lets rounding grow
      std::ranges::copy(my_optimizer.m, optimizer.m.begin());
      std::ranges::copy(my_optimizer.v, optimizer.v.begin());
    }
    CHECK(largest > 1.5);  // a ratio that is cut off somewhere would show
    CHECK(smallest < 0.6);
  }
}

TEST_CASE("the effective sample size counts the weights of every batch that is shown, the fresh one's too") {
  const auto prior = random_model("lstm", 53), policy = random_model("lstm", 54);
  const World world = ended_world(3);
  const TuneConfig o = Tuning{.baseline = "none", .kl_coef = kBeta, .replay = 2, .batch = 5};
  Shards shards(2, 1);
  Tuner tuner(*policy, *prior, {world.prompt}, world, some_reward, o, shards);
  std::vector<Experience> drawn;
  const Rng rng(55, Stream::kTest);
  for (int64_t step = 1; step <= 3; ++step) {
    tuner.gradient(step);
    drawn.push_back(tuner.fresh());
    if (step == 3) break;
    for (int64_t i = 0; i < policy->params().size(); ++i)
      policy->params().edit()[size_t(i)] += real(0.3 * rng.normal(step * 10'000 + i));
  }
  std::vector<double> weights;
  for (const Experience& e : drawn) {
    shards.begin({}, e.size());
    const std::vector<double> w = ratios_of(e, token_log_probs(*policy, shards, e.batch, 1));
    weights.insert(weights.end(), w.begin(), w.end());
  }
  CHECK(*tuner.metrics().ess == doctest::Approx(effective_sample_size(weights)).epsilon(kDouble ? 1e-12 : 1e-5));
  CHECK(std::fabs(*tuner.metrics().ess - 5) > 1);     // not that of the fresh batch,
  CHECK(std::fabs(*tuner.metrics().ess - 15) > 0.1);  // nor the number of sequences
}

TEST_CASE("leave-one-out compares within the group of a prompt alone, whatever the other prompts are worth") {
  Experience e = seven();  // three groups
  std::vector<double> r;
  for (int b = 0; b < 7; ++b) r.push_back(b * b + (e.group[size_t(b)] == 1 ? 1000 : 0));
  e.reward = on_last_draw(e.batch, r);
  e.log_pi = e.log_mu = e.log_q = std::vector<double>(e.reward.size(), 0.0);
  make_method(Tuning{.baseline = "leave-one-out"})->prepare(e, 0);
  const std::vector<double> wanted{0 - (4 + 36) / 2.0, 1 - 25.0, 4 - 36 / 2.0, 9 - 16.0,
                                   16 - 9.0,           25 - 1.0, 36 - 4 / 2.0};
  CHECK(near(at_first_draw(e.batch, e.advantage), wanted) <= 1e-12);
}

TEST_CASE("the standard error of KL is the unbiased one, of sequences or of the prompts that were drawn") {
  const auto prior = random_model("lstm", 56), policy = random_model("lstm", 57);
  std::vector<std::vector<int32_t>> many;
  for (int32_t i = 0; i < 9; ++i) many.push_back({i % 4, (i / 4) % 4});
  struct Row {
    std::vector<std::vector<int32_t>> prompts;
    int64_t batch;
    size_t independent;
  };
  for (const Row& row : {Row{{{kEnd}}, 3, 3}, Row{{{kEnd}, {1}}, 5, 5}, Row{many, 6, 3}, Row{many, 7, 3}}) {
    const auto& [prompts, batch, independent] = row;
    INFO(row.prompts.size(), " prompts, ", row.batch, " sequences");
    Shards shards(2, 1);
    Tuner tuner(*policy, *prior, prompts, ended_world(3), some_reward,
                Tuning{.baseline = "none", .kl_coef = kBeta, .batch = batch}, shards);
    tuner.gradient(1);
    const Experience& e = tuner.fresh();
    std::vector<double> kl = sum_over_draws(e.batch, e.log_pi), off(independent, 0.0);
    const std::vector<double> q = sum_over_draws(e.batch, e.log_q);
    double mean = 0, squares = 0;
    for (size_t b = 0; b < kl.size(); ++b) mean += (kl[b] -= q[b]) / double(batch);
    for (size_t b = 0; b < kl.size(); ++b) off[b % independent] += kl[b] - mean;  // one observation for each prompt
    for (const double x : off) squares += x * x;
    const double n = double(independent);
    CHECK(tuner.metrics().kl == doctest::Approx(mean).epsilon(kClose));
    CHECK(tuner.metrics().kl_stderr ==
          doctest::Approx(std::sqrt(squares * n / (n - 1)) / double(batch)).epsilon(kClose));
  }
}

TEST_CASE(
    "a checkpoint that knows log mu of whole sequences only goes on as one that knows it of every draw, in "
    "minibatches too") {
  const auto prior = random_model("lstm", 46), start = random_model("lstm", 47), other = random_model("lstm", 48);
  const World world = ended_world(3);
  const TuneConfig options = Tuning{.baseline = "none", .kl_coef = kBeta, .replay = 1, .batch = 7, .minibatches = 2};
  Shards shards(2, 1);
  Experience kept;
  {
    RolloutSource first({world.prompt}, world, some_reward, options, shards);
    kept = *first.draw(1, *other).back();
    kept.log_mu = token_log_probs(*other, shards, kept.batch, 1);
    kept.log_q = token_log_probs(*prior, shards, kept.batch, 1);
    kept.reward = sum_over_draws(kept.batch, kept.reward);  // as a checkpoint has it
  }
  const auto after_a_step = [&](std::vector<double> log_mu) {
    const auto policy = clone(*start);
    Experience memory = kept;
    memory.log_mu = std::move(log_mu);
    Tuner tuner(*policy, *prior, {world.prompt}, world, some_reward, options, shards);
    tuner.source.restore({memory});
    AdamW optimizer(policy->params(), {.weight_decay = 0});
    tuner.step(2, optimizer, 0.05);
    CHECK(optimizer.steps == 2);
    return std::vector<real>(policy->params().data().begin(), policy->params().data().end());
  };
  std::vector<double> of_sequences = sum_over_draws(kept.batch, kept.log_mu);
  const std::vector<real> wanted = after_a_step(kept.log_mu);
  CHECK(near(after_a_step(of_sequences), wanted) <= kClose);
  for (double& x : of_sequences) x *= 0.5;
  CHECK(near(after_a_step(of_sequences), wanted) > 1e-3);
}

TEST_SUITE_END();

}  // namespace
