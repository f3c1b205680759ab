// rl/teacher_forcing, methods/reinforce, rollout, exact_gradient: every advantage gives the gradient that it promises,
// exactly where all sequences (or all groups) are enumerated and within its spread where they are sampled; the
// well-known wrong ones give the wrong gradient that theory says. Long, because every right and every wrong advantage
// has its own exact answer.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "models/run/config.h"
#include "rl/methods/returns.h"
#include "rl/rollout.h"
#include "rl/tables/estimators.h"
#include "tests/exact_worlds.h"
#include "tests/near.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5, kBeta = 0.3;
const std::vector<std::string> kFamilies{"lstm", "transformer"};

// ∇ of Σ weight(x) log π(x), the weights constants.
std::vector<double> score(const KnownWorld& w, const std::vector<double>& weight) {
  Shards shards(2, 1);
  return weighted_score(*w.policy, w.world, w.all.sequences, weight, shards);
}
std::vector<double> exact(const KnownWorld& w, double beta = kBeta) {
  Shards shards(2, 1);
  return w.gradient(beta, shards);
}
double pi(const KnownWorld& w, size_t x) { return std::exp(w.log_pi()[x]); }
double return_of(const KnownWorld& w, size_t x, double beta = kBeta) {
  return w.reward[x] - beta * (w.log_pi()[x] - w.log_q()[x]);
}
// f(x) for every sequence.
template <class F>
std::vector<double> for_all(const KnownWorld& w, F f) {
  std::vector<double> y;
  for (size_t x = 0; x < w.reward.size(); ++x) y.push_back(f(x));
  return y;
}

TEST_SUITE_BEGIN("policy_gradient");

// --- the losses that are used for KL ---------------------------------------------------------------------------------

// E_π of the gradient of a loss k(log π(x) − log q(x)), the sequences drawn from a frozen π: what backpropagation
// through the loss of a sample gives on average.
template <class K>
std::vector<real> mean_gradient_of_loss(const KnownWorld& w, K k) {
  Tape tape;
  const Tape::Use use(tape);
  PaddedBatch batch;
  batch.fill(w.world.prompt, w.all.sequences);
  const Tensor losses = softmax_cross_entropy(w.policy->logits(batch.inputs, batch.B, batch.T), batch.targets)
                            .reshape({batch.B, batch.T});
  const Tensor log_pi = scale(row_means(losses), -double(batch.T));
  const auto constant_of = [&](auto f) {
    std::vector<real> y;
    for (size_t x = 0; x < w.reward.size(); ++x) y.push_back(real(f(x)));
    return constant(log_pi.shape(), y);
  };
  const Tensor log_q = constant_of([&](size_t x) { return w.log_q()[x]; });
  const Tensor p = constant_of([&](size_t x) { return pi(w, x); });
  tape.backward(sum(mul(p, k(sub(log_pi, log_q)))));
  const auto g = tape.gradient(w.policy->params().array());
  return {g.begin(), g.end()};
}

TEST_CASE("k1, k2 and k3 as losses: gradient 0, of KL(pi, q), and of KL(q, pi)") {
  for (const std::string& family : kFamilies) {
    const KnownWorld w(family, 1, ended_world(3));
    std::vector<double> kl_of_pi = exact(w, 1), reward_part = exact(w, 0);  // ∇J = ∇E[r] − β ∇KL
    for (size_t i = 0; i < kl_of_pi.size(); ++i) kl_of_pi[i] = reward_part[i] - kl_of_pi[i];
    const auto kl_of_q = score(w, for_all(w, [&](size_t x) { return -std::exp(w.log_q()[x]); }));
    CHECK(norm(kl_of_pi) > 0.1);
    CHECK(norm(kl_of_q) > 0.1);
    CHECK(near(kl_of_pi, kl_of_q) > 0.1);

    const auto k1 = mean_gradient_of_loss(w, [](const Tensor& u) { return u; });
    CHECK(near(k1, std::vector<double>(k1.size(), 0.0), 1) <= kClose);
    const auto k2 = mean_gradient_of_loss(w, [](const Tensor& u) { return scale(mul(u, u), 0.5); });
    CHECK(near(k2, kl_of_pi, 1) <= kClose);
    const auto k3 = mean_gradient_of_loss(w, [](const Tensor& u) { return add(exp(scale(u, -1)), u); });
    CHECK(near(k3, kl_of_q, 1) <= kClose);
    // k3, constant, as a reward: ∇KL(π‖q) − ∇KL(q‖π). As a reward k1 is right: that is what exact() does.
    const auto k3_reward = score(w, for_all(w, [&](size_t x) {
                                   const double u = w.log_pi()[x] - w.log_q()[x];
                                   return pi(w, x) * (std::exp(-u) - 1 + u);
                                 }));
    std::vector<double> wanted(kl_of_pi);
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i] -= kl_of_q[i];
    CHECK(near(k3_reward, wanted, 1) <= kClose);
  }
}

// --- advantages, over all sequences or all groups
// ---------------------------------------------------------------------

TEST_CASE("whole return and reward to go have the exact gradient as their mean; dropping the future KL does not") {
  for (const std::string& family : kFamilies)
    for (const double temperature : {1.0, 0.6}) {
      const KnownWorld w(family, 2, ended_world(4, temperature));
      // ∇J by its formula, Σ π (r − β log(π/q) − J) ∇ log π, with the log-probabilities of the enumeration.
      const double j = w.objective(kBeta).objective;
      const std::vector<double> g = score(w, for_all(w, [&](size_t x) { return pi(w, x) * (return_of(w, x) - j); }));
      Shards shards(2, 1);
      for (const bool to_go : {false, true})
        CHECK(near(w.gradient(kBeta, shards, Tuning{.baseline = "none", .reward_to_go = to_go}), g, 1) <= kClose);
      // r − β (log π_t − log q_t) of this draw alone: a KL of each token along sampled prefixes.
      const auto myopic = exact_mean(w, [](const Experience& e, const Scores& now) {
        std::vector<double> a = on_every_draw(e.batch, sum_over_draws(e.batch, e.reward));
        for (size_t i = 0; i < a.size(); ++i) a[i] -= kBeta * (now.log_pi[i] - e.log_q[i]);
        return a;
      });
      CHECK(near(myopic, g, 1) > 1e-3);
    }
}

// What was paid before a draw has mean 0 there, whatever its factor: only numbers by hand can tell it.
TEST_CASE("advantages by hand") {
  Sequences sequences(kEnd);
  sequences.add(std::vector<int32_t>{1, 2, kEnd});
  sequences.add(std::vector<int32_t>{kEnd});
  Experience e{.sequences = sequences, .group = {0, 0}};
  e.batch.fill(std::vector<int32_t>{kEnd, 0}, sequences);  // the first of 4 slots is the prompt's
  REQUIRE(e.batch.T == 4);
  e.reward = on_last_draw(e.batch, std::vector<double>{1, 3});
  CHECK(e.reward == std::vector<double>{0, 0, 0, 1, 0, 3, 0, 0});
  e.log_pi = e.log_mu = {9, -1, -2, -3, 9, -0.5, 9, 9};
  e.log_q = {7, -1.5, -2, -4, 7, -1, 7, 7};
  const auto a = [&](double beta, const std::string& baseline, bool to_go) {
    make_method(Tuning{.baseline = baseline, .reward_to_go = to_go})->prepare(e, beta);
    return e.advantage;
  };
  // β = 2: the ratios .5, 0, 1 cost 3 in all and .5 costs 1.
  CHECK(at_first_draw(e.batch, returns_of_draws(e, e.log_pi, {.kl_coef = 2})) == std::vector<double>{-2, 2});
  CHECK(a(2, "none", false) == std::vector<double>{0, -2, -2, -2, 0, 2, 0, 0});
  CHECK(a(2, "none", true) == std::vector<double>{0, -2, -1, -1, 0, 2, 0, 0});
  CHECK(a(2, "leave-one-out", false) == std::vector<double>{0, -4, -4, -4, 0, 4, 0, 0});
  CHECK(a(2, "leave-one-out", true) == std::vector<double>{0, -4, -3, -3, 0, 4, 0, 0});
  CHECK(a(0, "none", true) == std::vector<double>{0, 1, 1, 1, 0, 3, 0, 0});
}

// The mean over all ordered pairs of sequences, drawn independently, of ½ Σ A ∇ log π with A made from the pair.
template <class Make>
std::vector<double> over_pairs(const KnownWorld& w, Make make) {
  std::vector<double> weight(w.reward.size(), 0.0);
  for (size_t x = 0; x < weight.size(); ++x)
    for (size_t y = 0; y < weight.size(); ++y) {
      const double p = pi(w, x) * pi(w, y) / 2;
      const std::vector<double> a = make(std::vector<double>{return_of(w, x), return_of(w, y)});
      weight[x] += p * a[0];
      weight[y] += p * a[1];
    }
  return score(w, weight);
}

TEST_CASE("leave-one-out is unbiased; a mean that contains the sample itself shrinks the gradient by (B-1)/B") {
  for (const std::string& family : kFamilies) {
    const KnownWorld w(family, 3, ended_world(3));
    const std::vector<double> g = exact(w);
    const auto leave_one_out = over_pairs(w, [](std::vector<double> r) { return leave_one_out_advantages(r); });
    CHECK(near(leave_one_out, g, 1) <= kClose);
    // The same by the method, over ordered groups of 2.
    Shards shards(2, 1);
    CHECK(near(exact_gradient(*make_method(TuneConfig{}), *w.policy, *w.prior, w.world, w.all.sequences, w.log_pi(),
                              w.reward, kBeta, shards, 2),
               g, 1) <= kClose);
    const auto with_itself = over_pairs(w, [](std::vector<double> r) {
      const double mean = (r[0] + r[1]) / 2;
      return std::vector<double>{r[0] - mean, r[1] - mean};
    });
    std::vector<double> half(g);
    for (double& x : half) x /= 2;
    CHECK(near(with_itself, half, 1) <= kClose);
    CHECK(norm(g) > 0.1);
  }
}

TEST_CASE("what stands in padding or behind the end mark changes nothing") {
  for (const char* ops : {"fused", "composed"}) {
    Config config = small_config("lstm");
    config.ops = ops;
    const KnownWorld w(random_model(config, kEnd + 1, 4), random_model(config, kEnd + 1, 5), ended_world(4), 4);
    Shards shards(3, 1);
    TeacherForcing pass(*w.policy, shards);
    Experience e{.sequences = w.all.sequences, .group = std::vector<int32_t>(w.reward.size(), 0)};
    e.batch.fill(w.world.prompt, w.all.sequences);
    PaddedBatch& batch = e.batch;
    const auto run = [&](double poison) {
      const auto spoil = [&](std::vector<double>& slots) {
        int64_t spoilt = 0;
        for (size_t i = 0; i < slots.size(); ++i)
          if (batch.targets[i] == kNoTarget) slots[i] = poison, ++spoilt;
        CHECK(spoilt > 0);
      };
      e.reward = on_last_draw(batch, w.reward);
      e.log_q.clear();
      const std::unique_ptr<Method> method = make_method(Tuning{.reward_to_go = true});
      Scores now = score_batch(pass, shards, *w.prior, nullptr, e, 1);
      for (auto field : {&Experience::reward, &Experience::log_pi, &Experience::log_mu, &Experience::log_q})
        spoil(e.*field);
      method->prepare(e, kBeta);
      spoil(e.advantage);
      spoil(now.log_pi);
      Weights weights = method->weigh(e, now);
      CHECK(std::ranges::all_of(weights.importance, [](double ratio) { return ratio == 1; }));
      spoil(weights.log_pi);
      const auto g = pass.backward(weights);
      return std::vector<real>(g.begin(), g.end());
    };
    const std::vector<real> clean = run(0);
    CHECK(norm(std::vector<double>(clean.begin(), clean.end())) > 0.1);
    for (int64_t b = 0; b < batch.B; ++b)  // other tokens behind the last input of each row
      for (int64_t t = batch.end_slot(b); t < batch.T; ++t) batch.inputs[size_t(b * batch.T + t)] = int32_t(t % 3);
    CHECK(near(run(std::nan("")), clean, 1) <= 1e-12);
  }
}

// --- sampling --------------------------------------------------------------------------------------------------------

TEST_CASE("rollouts: keyed, scored as drawn, distributed as enumerated") {
  for (const std::string& family : kFamilies) {
    const KnownWorld w(family, 5, ended_world(3, 0.8));
    const Rng rng(7, Stream::kSample, 3);
    const Rollouts all = roll_out(*w.policy, w.world, rng, 0, 20000), tail = roll_out(*w.policy, w.world, rng, 100, 50);
    for (int64_t i = 0; i < 50; ++i) CHECK(std::ranges::equal(all.sequences.draws(100 + i), tail.sequences.draws(i)));

    std::map<std::vector<int32_t>, size_t> index;
    for (int64_t i = 0; i < w.all.sequences.size(); ++i) {
      const auto draws = w.all.sequences.draws(i);
      index[{draws.begin(), draws.end()}] = size_t(i);
    }
    std::vector<double> seen(w.reward.size(), 0.0);
    double worst = 0;
    for (int64_t i = 0; i < all.sequences.size(); ++i) {
      const auto draws = all.sequences.draws(i);
      const size_t x = index.at({draws.begin(), draws.end()});
      ++seen[x];
      worst = std::max(worst, std::fabs(all.log_prob[size_t(i)] - w.log_pi()[x]));
    }
    CHECK(worst <= (kDouble ? 1e-12 : 2e-5));
    // χ² over the sequences expected at least 5 times; the rest is one class. Its mean is n − 1, its variance 2(n − 1):
    // 6 deviations above is far beyond 1e-4 for n ≥ 10.
    double chi2 = 0, rest_p = 0, rest_seen = 0;
    int64_t n = 1;
    for (size_t x = 0; x < seen.size(); ++x) {
      const double expected = 20000 * pi(w, x);
      if (expected < 5) {
        rest_p += pi(w, x);
        rest_seen += seen[x];
        continue;
      }
      ++n;
      chi2 += (seen[x] - expected) * (seen[x] - expected) / expected;
    }
    if (rest_p > 0) chi2 += (rest_seen - 20000 * rest_p) * (rest_seen - 20000 * rest_p) / (20000 * rest_p);
    CHECK(n >= 10);
    CHECK(chi2 <= double(n - 1) + 6 * std::sqrt(2 * double(n - 1)));
  }
}

RewardFunction reward_of(const KnownWorld& w) {
  auto table = std::make_shared<std::map<std::vector<int32_t>, double>>();
  for (int64_t i = 0; i < w.all.sequences.size(); ++i) {
    const auto draws = w.all.sequences.draws(i);
    (*table)[{draws.begin(), draws.end()}] = w.reward[size_t(i)];
  }
  return [table](const Sequences& s, std::span<const int32_t>) {
    std::vector<double> r;
    for (int64_t i = 0; i < s.size(); ++i) r.push_back(table->at({s.draws(i).begin(), s.draws(i).end()}));
    return r;
  };
}

TuneConfig options(const std::string& baseline, bool to_go, int64_t batch, int64_t seed) {
  return Tuning{.baseline = baseline, .reward_to_go = to_go, .kl_coef = kBeta, .batch = batch, .seed = seed};
}

EstimatedGradient estimated(const KnownWorld& w, const TuneConfig& o, int64_t samples, int threads) {
  return estimate_gradient(*make_method(o), *w.policy, *w.prior, w.world, reward_of(w), o, samples, threads);
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

// False-alarm rate 1e-4 over all coordinates of one call. Coordinates that are 0 but for rounding (the keys of an
// attention have no bias that matters) have no spread to speak of.
void check_mean(const EstimatedGradient& e, std::span<const double> g) {
  double worst = 0;
  for (size_t i = 0; i < g.size(); ++i) {
    const double off = std::fabs(e.mean[i] - g[i]), deviation = std::sqrt(e.variance[i] / double(e.samples));
    if (off > (kDouble ? 1e-12 : 1e-6)) worst = std::max(worst, off / deviation);
  }
  CHECK(worst <= bonferroni(g.size(), 1e-4));
}

TEST_CASE("sampled gradients have the exact gradient as their mean, away from the prior") {
  for (const std::string& family : kFamilies) {
    const KnownWorld w(family, 6, ended_world(3));
    const std::vector<double> g = exact(w);
    CHECK(norm(g) > 0.1);
    const Objective j = w.objective(kBeta);
    for (const std::string baseline : {"none", "leave-one-out"})
      for (const bool to_go : {false, true}) {
        const EstimatedGradient e = estimated(w, options(baseline, to_go, 16, 5), 20000, 2);
        CHECK(e.samples == 20000);
        check_mean(e, g);
        CHECK(std::fabs(e.objective.kl - j.kl) <= 4.5 * e.kl_stderr);
        CHECK(std::fabs(e.objective.reward - j.reward) <= 4.5 / std::sqrt(20000.0));  // |r| ≤ 1
        CHECK(near(e.objective.objective, e.objective.reward - kBeta * e.objective.kl) <= kClose);
        CHECK(std::fabs(e.objective.entropy - j.entropy) <= 0.05);
      }
  }
}

// The variance of g = c(x) s(x), and of a leave-one-out group, in every coordinate. A leave-one-out group's mean is the
// U-statistic of h(x,y) = ½ (R_x − R_y)(s_x − s_y), whose variance is Hoeffding's
// (4 (B−2) ζ_1 + 2 ζ_2) / (B (B−1)), with ζ_1 = Var E[h | x] and ζ_2 = Var h.
struct TrueVariance {
  std::vector<double> none, leave_one_out;
};
TrueVariance true_variance(const KnownWorld& w, double B) {
  const size_t N = w.reward.size(), P = size_t(w.policy->params().size());
  std::vector<std::vector<double>> s;
  for (size_t x = 0; x < N; ++x) s.push_back(score(w, for_all(w, [&](size_t y) { return x == y ? 1.0 : 0.0; })));
  TrueVariance v{std::vector<double>(P), std::vector<double>(P)};
  for (size_t k = 0; k < P; ++k) {
    double m = 0, square = 0, zeta_1 = 0, zeta_2 = 0;
    for (size_t x = 0; x < N; ++x) {
      const double g = return_of(w, x) * s[x][k];
      m += pi(w, x) * g;
      square += pi(w, x) * g * g;
    }
    for (size_t x = 0; x < N; ++x) {
      double mean_h = 0;
      for (size_t y = 0; y < N; ++y) {
        const double h = 0.5 * (return_of(w, x) - return_of(w, y)) * (s[x][k] - s[y][k]);
        mean_h += pi(w, y) * h;
        zeta_2 += pi(w, x) * pi(w, y) * h * h;
      }
      zeta_1 += pi(w, x) * mean_h * mean_h;
    }
    zeta_1 -= m * m;
    zeta_2 -= m * m;
    v.none[k] = square - m * m;
    v.leave_one_out[k] = B * (4 * (B - 2) * zeta_1 + 2 * zeta_2) / (B * (B - 1));
  }
  return v;
}

TEST_CASE("sequences of another model, weighted by pi/mu, estimate the gradient and the objective of the policy") {
  struct Elsewhere : Method {
    std::unique_ptr<Method> of;
    const LanguageModel* mu;
    Elsewhere(const TuneConfig& o, const LanguageModel& model) : of(make_method(o)), mu(&model) {}
    Needs needs() const override { return of->needs(); }
    const LanguageModel* behaviour() const override { return mu; }
    void prepare(Experience& e, double kl_coef) override { of->prepare(e, kl_coef); }
    Weights weigh(const Experience& e, const Scores& now) const override { return of->weigh(e, now); }
  };
  const KnownWorld w("lstm", 6, ended_world(3));
  const auto mu = clone(*w.policy);
  const Rng rng(12, Stream::kTest);
  for (int64_t i = 0; i < mu->params().size(); ++i) mu->params().edit()[size_t(i)] += real(0.2 * rng.normal(i));
  const Objective j = w.objective(kBeta);
  const std::vector<double> g = exact(w);
  for (const std::string baseline : {"none", "leave-one-out"}) {
    const TuneConfig o = options(baseline, false, 16, 5);
    Elsewhere method(o, *mu);
    const EstimatedGradient e = estimate_gradient(method, *w.policy, *w.prior, w.world, reward_of(w), o, 20000, 2);
    check_mean(e, g);
    CHECK(std::fabs(e.objective.kl - j.kl) <= 4.5 * e.kl_stderr);
    CHECK(std::fabs(e.objective.reward - j.reward) <= 0.05);
    CHECK(std::fabs(e.objective.entropy - j.entropy) <= 0.05);
  }
}

TEST_CASE("sampled variances are the enumerated ones within 3 %") {
  const KnownWorld w("lstm", 7, ended_world(2));
  const TrueVariance v = true_variance(w, 4);
  const auto check = [&](const std::string& baseline, std::span<const double> wanted) {
    const EstimatedGradient e = estimated(w, options(baseline, false, 4, 8), 100000, 2);
    CHECK(near(e.variance, wanted) <= 0.03);  // of the largest
    double sum = 0, wanted_sum = 0;
    for (size_t k = 0; k < wanted.size(); ++k) sum += e.variance[k], wanted_sum += wanted[k];
    CHECK(std::fabs(sum / wanted_sum - 1) <= 0.03);
  };
  check("none", v.none);
  check("leave-one-out", v.leave_one_out);
}

TEST_CASE("the standard error of an estimated KL is the unbiased one") {
  const KnownWorld w("lstm", 10, ended_world(3));
  for (const int64_t n : {2, 3, 5}) {
    const EstimatedGradient e = estimated(w, options("none", false, 8, 11), n, 1);
    Shards shards(1, 1);
    PaddedBatch batch;
    batch.fill(w.world.prompt, roll_out(*w.policy, w.world, Rng(11, Stream::kSample, 0), 0, n).sequences);
    shards.begin({}, n);
    const std::vector<double> pi = sum_over_draws(batch, token_log_probs(*w.policy, shards, batch, 1)),
                              q = sum_over_draws(batch, token_log_probs(*w.prior, shards, batch, 1));
    double mean = 0, squares = 0;
    for (size_t i = 0; i < pi.size(); ++i) mean += (pi[i] - q[i]) / double(n);
    for (size_t i = 0; i < pi.size(); ++i) squares += std::pow(pi[i] - q[i] - mean, 2);
    CHECK(e.objective.kl == doctest::Approx(mean).epsilon(kClose));
    CHECK(e.kl_stderr == doctest::Approx(std::sqrt(squares / double(n - 1) / double(n))).epsilon(kClose));
  }
}

TEST_CASE("an estimate is the same on any number of threads, and of its seed alone") {
  const KnownWorld w("lstm", 9, ended_world(3));
  for (const std::string baseline : {"none", "leave-one-out"}) {
    const auto run = [&](int64_t seed, int threads) {
      return estimated(w, options(baseline, false, 8, seed), 100, threads);
    };
    const EstimatedGradient one = run(1, 1), two = run(1, 2);
    CHECK(first_difference(one.mean, two.mean) == -1);
    CHECK(first_difference(one.variance, two.variance) == -1);
    CHECK(first_difference(one.mean, run(2, 1).mean) != -1);
    CHECK(one.samples == (baseline == "none" ? 100 : 104));
  }
}

TEST_SUITE_END();

}  // namespace
