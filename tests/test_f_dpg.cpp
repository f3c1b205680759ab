// rl/methods/f_dpg, normaliser, proposal: every divergence's exact gradient is the derivative of that divergence to the
// target, on tables and through networks, on-policy and from a proposal; sampled gradients agree. Long, because each of
// the divergences has its own worked numbers.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <numeric>

#include "rl/methods/normaliser.h"
#include "rl/tables/estimators.h"
#include "rl/tables/posterior.h"
#include "tests/tuned_worlds.h"

#include "tests/line_world.h"
#include "tests/near.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5;
const std::vector<std::string> kDivergences{"reverse-kl", "forward-kl",   "js",        "tv",
                                            "chi2",       "chi2-reverse", "hellinger", "alpha:0.3"};

// f-DPG that knows Z.
std::unique_ptr<Method> f_dpg(const std::string& divergence, double log_z, const std::string& proposal = "policy",
                              const MethodModels& models = {}) {
  auto method = make_method(Tuning{.algorithm = "f-dpg", .divergence = divergence, .proposal = proposal}, models);
  method->restore(std::vector<NamedNumbers>{{"normalisers", {log_z, 1, 0}}});
  return method;
}

// Four outcomes of one draw, π = (.5, .2, .1, .2), q = (.4, .3, .2, .1), reward (1, 0, 1, 0).
struct FourOutcomes : KnownWorld {
  FourOutcomes() : KnownWorld(table({5, 2, 1, 2}), table({4, 3, 2, 1}), {{4}, 4, 1, 1}, 1) { reward = {1, 0, 1, 0}; }
  static std::unique_ptr<LanguageModel> table(const std::vector<int>& times) {
    std::string text;
    for (size_t i = 0; i < 4; ++i)
      for (int n = 0; n < times[i]; ++n) text += std::string(1, char('a' + i)) + "\n";
    const LineWorld lines(text, "word");
    REQUIRE(lines.end_id() == 4);
    return lines.model("tabular");
  }
};
Posterior target_of(const KnownWorld& w, double beta) { return posterior(Table::of_logs(w.log_q()), w.reward, beta); }

std::vector<double> exact(const KnownWorld& w, Method& method, double beta, std::span<const double> log_mu,
                          int64_t group = 1) {
  Shards shards(2, 1);
  return exact_gradient(method, *w.policy, *w.prior, w.world, w.all.sequences, log_mu, w.reward, beta, shards, group);
}
std::vector<double> exact(const KnownWorld& w, const std::string& divergence, double beta) {
  return exact(w, *f_dpg(divergence, target_of(w, beta).log_z), beta, w.log_pi());
}
std::vector<double> normal_direction(size_t n) {
  const Rng rng(17, Stream::kTest);
  std::vector<double> way;
  for (size_t k = 0; k < n; ++k) way.push_back(0.3 * rng.normal(int64_t(k)));
  return way;
}
double largest_z(const EstimatedGradient& e, std::span<const double> wanted) {
  double worst = 0;
  for (size_t k = 0; k < wanted.size(); ++k)
    if (const double off = std::fabs(e.mean[k] - wanted[k]); off > (kDouble ? 1e-10 : 1e-5))
      worst = std::max(worst, off / std::sqrt(e.variance[k] / double(e.samples)));
  return worst;
}

TEST_SUITE_BEGIN("f_dpg");

TEST_CASE("every divergence to the prior and to the posterior has its worked gradient") {
  struct Row {
    const char* divergence;
    double scale;  // the worked numbers are of twice the js of gradus
    double prior[4], posterior[4];
  };
  const Row rows[] = {
      {"forward-kl",
       1,
       {0.1, -0.1, -0.1, 0.1},
       {-0.03536645779069, 0.05228726501452, -0.1676832288953, 0.1507624216715}},
      {"reverse-kl",
       1,
       {0.06167503961137, -0.1010517160399, -0.07929406526514, 0.1186707416937},
       {-0.1383249603886, 0.01894828396007, -0.1192940652651, 0.2386707416937}},
      {"tv", 1, {0.15, -0.14, -0.07, 0.06}, {-0.2, 0.12, -0.04, 0.12}},
      {"js",
       2,
       {0.04015953220611, -0.04963700051196, -0.04305065593538, 0.05252812424123},
       {-0.03955822270389, 0.01914537330920, -0.06532654257409, 0.08573939196878}},
      {"chi2", 1, {0.29, -0.206, -0.278, 0.194}, {0.1322627890232, 0.1731036505267, -0.5754436548628, 0.2700772153129}},
      {"chi2-reverse",
       1,
       {0.04166666666667, -0.2166666666667, -0.1416666666667, 0.3166666666667},
       {-0.6535712469708, -0.09341262780249, -0.2427870158644, 0.9897708906377}},
      {"hellinger",
       1,
       {0.02014452281324, -0.02497395891387, -0.02196041400601, 0.02678985010663},
       {-0.02066418588861, 0.009270823298302, -0.03419986336859, 0.04559322595890}},
  };
  FourOutcomes w;
  for (const Row& row : rows) {
    INFO(row.divergence);
    const auto check = [&](const double(&wanted)[4]) {
      const std::vector<double> g = exact(w, row.divergence, 1);
      std::vector<double> got(g.begin(), g.begin() + 4);
      for (double& x : got) x *= -row.scale;  // the objective to be raised is −D
      CHECK(near(got, wanted).absolute <= (kDouble ? 1e-9 : 1e-5));
    };
    check(row.posterior);
    w.reward = {0, 0, 0, 0};
    check(row.prior);
    w.reward = {1, 0, 1, 0};
  }
}

TEST_CASE("with reverse-kl and the posterior f-DPG is REINFORCE: the gradient of J is beta times its own") {
  for (const std::string family : {"lstm", "transformer"})
    for (const double beta : {0.2, 1.0}) {
      const KnownWorld w(family, 1, ended_world(3));
      Shards shards(2, 1);
      std::vector<double> g = exact(w, "reverse-kl", beta);
      for (double& x : g) x *= beta;
      CHECK(norm(g) > 0.05);
      CHECK(near(g, w.gradient(beta, shards), 1) <= kClose);
    }
}

TEST_CASE("through networks the exact gradient is the derivative of the divergence" * doctest::skip(!kDouble)) {
  for (const std::string family : {"lstm", "transformer"})
    for (const std::string& name : kDivergences) {
      INFO(family << ", " << name);
      KnownWorld w(family, 2, ended_world(3));
      const double beta = 0.5, h = 1e-3;
      const Table t = target_of(w, beta).table;
      const std::vector<double> g = exact(w, name, beta), way = normal_direction(g.size());
      double along = 0;
      for (size_t k = 0; k < g.size(); ++k) along += g[k] * way[k];
      double gone = 0;
      const auto at = [&](double step) {
        for (size_t k = 0; k < g.size(); ++k) w.policy->params().edit()[k] += real((step - gone) * way[k]);
        gone = step;
        w.refresh();
        return -f_divergence(divergence_named(name), Table::of_logs(w.log_pi()), t);
      };
      const double numeric = (-at(2 * h) + 8 * at(h) - 8 * at(-h) + at(-2 * h)) / (12 * h);
      CHECK(norm(g) > 1e-3);
      // No step may cross a kink of |τ − 1|.
      CHECK(std::fabs(numeric - along) <= 1e-8 * std::max(1.0, norm(g)));
    }
}

// |z| < 4.5 in each of some hundred coordinates and 24 gradients: a false-alarm rate of 2 %; the seeds are fixed.
TEST_CASE("sampled gradients agree with the exact ones where Z is known, on tables and through networks") {
  const auto check = [](const KnownWorld& w, double beta, int64_t samples) {
    const RewardFunction reward = table_reward(w.all.sequences, w.reward);
    for (const std::string& name : kDivergences) {
      INFO(name);
      const TuneConfig o = Tuning{.algorithm = "f-dpg", .divergence = name, .kl_coef = beta, .seed = 3};
      const auto method = f_dpg(name, target_of(w, beta).log_z);
      const EstimatedGradient e = estimate_gradient(*method, *w.policy, *w.prior, w.world, reward, o, samples, 2);
      CHECK(largest_z(e, exact(w, name, beta)) < 4.5);
      const double d = f_divergence(divergence_named(name), Table::of_logs(w.log_pi()), target_of(w, beta).table);
      CHECK(std::fabs(e.objective.objective + d) < 4.5 * e.objective_stderr);
    }
  };
  check(FourOutcomes(), 1, 20'000);
  for (const std::string family : {"lstm", "transformer"}) check(KnownWorld(family, 3, ended_world(3)), 1, 4'000);
}

TEST_CASE("drawn from a proposal the gradient has the same mean") {
  for (const std::string family : {"lstm", "transformer"}) {
    const KnownWorld w(family, 4, ended_world(3));
    const double beta = 0.5, log_z = target_of(w, beta).log_z;
    for (const std::string& name : kDivergences) {
      INFO(family << ", " << name);
      const MethodModels models{.policy = w.policy.get(), .prior = w.prior.get()};
      const auto fixed = f_dpg(name, log_z, "fixed", models), adaptive = f_dpg(name, log_z, "adaptive", models);
      CHECK(fixed->behaviour() == w.prior.get());
      CHECK(adaptive->behaviour() != w.policy.get());
      const std::vector<double> g = exact(w, name, beta);
      CHECK(near(exact(w, *fixed, beta, w.log_q()), g, 1) <= (kDouble ? 1e-10 : 1e-4));
      CHECK(near(exact(w, *adaptive, beta, w.log_pi()), g, 1) <= kClose);
    }
  }
}

TEST_CASE("after an update of the policy the weights of the same batch are those of the policy as it is then") {
  KnownWorld w("lstm", 5, ended_world(3));
  const double beta = 0.5, log_z = target_of(w, beta).log_z;
  for (const std::string& name : kDivergences) {
    INFO(name);
    const auto method = f_dpg(name, log_z);
    Shards shards(2, 1);
    TeacherForcing pass(*w.policy, shards);
    Experience e{.sequences = w.all.sequences, .group = std::vector<int32_t>(w.reward.size(), 0)};
    e.batch.fill(w.world.prompt, e.sequences);
    e.reward = on_last_draw(e.batch, w.reward);
    score_batch(pass, shards, *w.prior, nullptr, e, 1);
    method->prepare(e, beta);
    const std::vector<double> log_mu = w.log_pi();
    const std::vector<double> way = normal_direction(size_t(w.policy->params().size()));
    for (size_t k = 0; k < way.size(); ++k) w.policy->params().edit()[k] += real(way[k]);
    w.refresh();
    Weights weights = method->weigh(e, pass.forward(e.batch, 1));
    for (size_t i = 0; i < weights.log_pi.size(); ++i) {
      const size_t b = i / size_t(e.batch.T);
      weights.log_pi[i] *= weights.importance[b] * std::exp(log_mu[b]);
    }
    CHECK(near(pass.backward({.log_pi = weights.log_pi}), exact(w, name, beta), 1) <= (kDouble ? 1e-10 : 1e-4));
  }
}

// One sample x ~ q of −(P/q − B) s with P = q e^{Λφ} for the moment .9: Λ = log 6, Z = 4.
TEST_CASE("the variance of DPG from the prior falls from 11.94 to 7.6333 by its baseline") {
  FourOutcomes w;
  const double z = 4;
  for (double& r : w.reward) r *= std::log(6.0);
  const auto method = f_dpg("forward-kl", std::log(z), "fixed", {.policy = w.policy.get(), .prior = w.prior.get()});
  Shards shards(1, 1);
  TeacherForcing pass(*w.policy, shards);
  Experience e{.sequences = w.all.sequences, .group = {0, 0, 0, 0}};
  e.batch.fill(w.world.prompt, e.sequences);
  e.reward = on_last_draw(e.batch, w.reward);
  const Scores& now = score_batch(pass, shards, *w.prior, method->behaviour(), e, 1);
  method->prepare(e, 1);
  const Weights weights = method->weigh(e, now);
  std::vector<double> with = at_first_draw(e.batch, weights.log_pi), without;
  for (size_t i = 0; i < with.size(); ++i) {
    with[i] *= z * weights.importance[i];
    without.push_back(with[i] + z * weights.importance[i]);
  }
  const Table pi = Table::of_logs(w.log_pi()), q = Table::of_logs(w.log_q());
  CHECK(near(score_moments(pi, q, without).total_variance(), 11.94) <= (kDouble ? 1e-12 : 1e-5));
  CHECK(near(score_moments(pi, q, with).total_variance(), 7.63333333333333) <= (kDouble ? 1e-12 : 1e-5));
  const double mean[] = {0.4, -0.5, 0.8, -0.7};  // −Z ∇KL(p‖π)
  CHECK(near(score_moments(pi, q, with).mean, mean).absolute <= kClose);
  CHECK(near(score_moments(pi, q, without).mean, mean).absolute <= kClose);
}

// The target of a prompt that no earlier batch had is estimated from its own sequences.
TEST_CASE("a first batch of one prompt alone says nothing of the Z of another") {
  FourOutcomes w;
  Shards shards(1, 1);
  TeacherForcing pass(*w.policy, shards);
  const auto target_of = [&](Method& method, int32_t prompt, double extra) {
    Experience e{.sequences = w.all.sequences, .group = std::vector<int32_t>(4, prompt)};
    e.batch.fill(w.world.prompt, e.sequences);
    std::vector<double> reward = w.reward;
    for (double& r : reward) r += extra;
    e.reward = on_last_draw(e.batch, reward);
    score_batch(pass, shards, *w.prior, w.policy.get(), e, 1);
    method.prepare(e, 1);
    method.learn(e);
    return e.log_target;
  };
  const auto first = make_method(Tuning{.algorithm = "f-dpg", .divergence = "chi2"}, {.prompts = 2});
  const auto after = make_method(Tuning{.algorithm = "f-dpg", .divergence = "chi2"}, {.prompts = 2});
  target_of(*after, 0, 0);  // e^5 times less
  CHECK(target_of(*after, 1, 5) == target_of(*first, 1, 5));
}

// Over all ordered pairs, in which each estimates Z from the other.
TEST_CASE("with an estimated Z some divergences keep their gradients, powers their directions; js and tv are biased") {
  const FourOutcomes w;
  const auto cosine = [](const std::vector<double>& a, const std::vector<double>& b) {
    double product = 0;
    for (size_t k = 0; k < a.size(); ++k) product += a[k] * b[k];
    return product / norm(a) / norm(b);
  };
  const auto estimated = [&](const std::string& name) {
    const auto method = make_method(Tuning{.algorithm = "f-dpg", .divergence = name});
    CHECK(method->needs().least_batch == 2);
    return exact(w, *method, 1, w.log_pi(), 2);
  };
  for (const std::string name : {"reverse-kl", "chi2-reverse"})
    CHECK(near(estimated(name), exact(w, name, 1), 1) <= kClose);
  for (const std::string name : {"forward-kl", "chi2", "hellinger", "alpha:0.3"})
    CHECK(near(cosine(estimated(name), exact(w, name, 1)), 1.0) <= kClose);
  CHECK(norm(estimated("forward-kl")) > 1.01 * norm(exact(w, "forward-kl", 1)));
  CHECK(near(estimated("js"), exact(w, "js", 1)) > 0.01);
  CHECK(cosine(estimated("js"), exact(w, "js", 1)) > 0.99);
  CHECK(cosine(estimated("tv"), exact(w, "tv", 1)) < 0.95);
  // From a batch of 64: 63 others draw Z. The mean of the gradient is a sum over all their counts, the multinomial.
  const std::vector<double> pi = Table::of_logs(w.log_pi()).p;
  constexpr int kOthers = 63;
  const auto gradient_at = [&](const Divergence& f, double z) {
    std::vector<double> slope(pi.size()), g(pi.size());
    for (size_t x = 0; x < pi.size(); ++x) slope[x] = f.slope(w.log_pi()[x] - w.log_q()[x] - w.reward[x] + std::log(z));
    const double mean = std::inner_product(pi.begin(), pi.end(), slope.begin(), 0.0);
    for (size_t x = 0; x < pi.size(); ++x) g[x] = pi[x] * (slope[x] - mean);
    return g;
  };
  const auto bias = [&](const std::string& name) {
    const Divergence f = divergence_named(name);
    std::vector<double> off = gradient_at(f, std::exp(target_of(w, 1).log_z));
    const double size = norm(off);
    for (double& x : off) x = -x;
    std::array<int, 4> c;
    for (c[0] = 0; c[0] <= kOthers; ++c[0])
      for (c[1] = 0; c[0] + c[1] <= kOthers; ++c[1])
        for (c[2] = 0; c[0] + c[1] + c[2] <= kOthers; ++c[2]) {
          c[3] = kOthers - c[0] - c[1] - c[2];
          double log_p = std::lgamma(kOthers + 1), z = 0;
          for (size_t x = 0; x < 4; ++x) {
            log_p += c[x] * std::log(pi[x]) - std::lgamma(c[x] + 1);
            z += c[x] * std::exp(w.log_q()[x] + w.reward[x] - w.log_pi()[x]) / kOthers;
          }
          const std::vector<double> g = gradient_at(f, z);
          for (size_t x = 0; x < 4; ++x) off[x] += std::exp(log_p) * g[x];
        }
    return norm(off) / size;
  };
  CHECK(near(bias("js"), 0.0022852813) <= 1e-9);
  CHECK(near(bias("tv"), 0.207057143) <= 1e-8);
}

TEST_CASE("the estimate of Z is a moving mean in logarithms, with its error") {
  Normaliser z;
  CHECK(!z.known());
  z.add(std::vector<double>{-INFINITY, -INFINITY});
  CHECK(!z.known());
  z = {};
  z.add(std::vector<double>{std::log(1.0), std::log(3.0)});
  CHECK(near(z.log_z(), std::log(2.0)) <= 1e-15);
  CHECK(near(z.log_z_error(), 0.5) <= 1e-15);  // √(2/2) / 2
  z.add(std::vector<double>{std::log(5.0), std::log(5.0)});
  const double sum = 0.9 * 2 + 5, weight = 1.9;  // in tenths
  CHECK(near(z.log_z(), std::log(sum / weight)) <= 1e-15);
  CHECK(near(z.log_z_error(), 0.9 * 1 / sum) <= 1e-15);
  z.add(std::vector<double>{-INFINITY, -INFINITY});  // nothing with P > 0: it counts
  CHECK(near(z.log_z(), std::log(0.9 * sum / (0.9 * weight + 1))) <= 1e-15);
  Normaliser far;
  far.add(std::vector<double>{5000, 5000 + std::log(3.0)});
  far.add(std::vector<double>{-INFINITY, 5000});
  CHECK(near(far.log_z(), 5000 + std::log((0.9 * 2 + 0.5) / 1.9)) <= 1e-15);

  const std::vector<double> x{std::log(1.0), std::log(2.0), std::log(4.0), 7, -INFINITY, -INFINITY};
  const std::vector<double> means = log_means_of_others(x, std::vector<int32_t>{0, 0, 0, 1, 2, 2});
  CHECK(near(means, std::vector<double>{std::log(3.0), std::log(2.5), std::log(1.5), 7, 0, 0}) <= 1e-15);
}

TEST_CASE("Z of the method is of earlier batches alone, of each prompt, and comes back from its state") {
  const FourOutcomes w;
  const RewardFunction reward = table_reward(w.all.sequences, w.reward);
  Shards shards(2, 1);
  const TuneConfig o = Tuning{.algorithm = "f-dpg", .divergence = "js", .kl_coef = 1};
  Tuner tuner(*w.policy, *w.prior, {w.world.prompt}, w.world, reward, o, shards);
  CHECK(!tuner.method->z());
  tuner.gradient(1);
  CHECK(!tuner.method->z());
  for (int64_t step = 1; step <= 200; ++step) tuner.gradient(step), tuner.learn();
  const Estimate z = *tuner.method->z();
  CHECK(std::fabs(z.value - 2.03096909707543) < 4 * z.error);
  CHECK(z.error > 0.005);
  CHECK(z.error < 0.1);
  Tuner again(*w.policy, *w.prior, {w.world.prompt}, w.world, reward, o, shards);
  again.method->restore(tuner.method->state());
  const auto a = tuner.gradient(201);
  const std::vector<real> kept(a.begin(), a.end());
  CHECK(first_difference(kept, again.gradient(201)) == -1);
  // Two prompts, with rewards 0 and 3 whatever is said: at π = q their Z are 1 and e³, and p is q.
  const auto same = clone(*w.prior);
  const auto by_prompt = [](const Sequences&, std::span<const int32_t> of) {
    std::vector<double> r;
    for (const int32_t p : of) r.push_back(3 * p);
    return r;
  };
  Tuner two(*same, *w.prior, {w.world.prompt, w.world.prompt}, w.world, by_prompt, o, shards);
  two.gradient(1), two.learn();
  CHECK(!two.method->z());
  CHECK(two.method->state()[0].values.size() == 6);
  two.gradient(2);
  CHECK(near(two.fresh().log_target, sum_over_draws(two.fresh().batch, two.fresh().log_q)) <= kClose);
}

TEST_CASE("what is said of a batch from a proposal is about the policy") {
  const FourOutcomes w;
  const RewardFunction reward = table_reward(w.all.sequences, std::vector<double>{1, 0, 0, 0});
  Shards shards(2, 1);
  TuneConfig o = Tuning{.algorithm = "f-dpg", .divergence = "forward-kl", .proposal = "fixed", .kl_coef = 1};
  o.batch = 256;
  Features first{.names = {"first"}, .of = {reward}, .moments = {0.5}, .lambda = {1}};
  Tuner tuner(*w.policy, *w.prior, {w.world.prompt}, w.world, {}, o, shards, first);
  double kl = 0, entropy = 0, moment = 0, error = 0;
  constexpr int64_t kSteps = 100;
  for (int64_t step = 1; step <= kSteps; ++step) {
    tuner.gradient(step);
    const TuneMetrics& m = tuner.metrics();
    kl += m.kl / kSteps, entropy += m.entropy / kSteps, moment += m.moments[0] / kSteps;
    error += m.kl_stderr * m.kl_stderr / (kSteps * kSteps);
  }
  CHECK(std::fabs(kl - 0.0997934720914665) <
        4.5 * std::sqrt(error) + 1e-3);  // not −KL(q‖π), a bias of 1/256 allowed for
  CHECK(std::fabs(entropy - 1.22060726455302) < 0.02);
  CHECK(std::fabs(moment - 0.5) < 0.02);  // not .4
  CHECK(std::sqrt(error) < 0.005);
}

TEST_CASE("a target that excludes what the policy says is infinitely far for reverse-kl and near for js") {
  FourOutcomes w;
  w.reward = {0, -INFINITY, 0, 0};
  const double log_z = std::log(0.7);
  CHECK_THROWS_WITH_AS(exact(w, *f_dpg("reverse-kl", log_z), 1, w.log_pi()), doctest::Contains("forward-kl, js"),
                       DataError);
  const std::vector<double> g = exact(w, *f_dpg("js", log_z), 1, w.log_pi());
  const Table t = Table::of({0.4 / 0.7, 0, 0.2 / 0.7, 0.1 / 0.7});
  std::vector<double> wanted = f_gradient(divergence_named("js"), Table::of_logs(w.log_pi()), t);
  for (double& x : wanted) x = -x;
  CHECK(near(std::span(g).first(4), wanted).absolute <= kClose);
}

TEST_CASE("an adaptive proposal is replaced by nearer policies alone") {
  for (const uint64_t seed : {1, 2, 3}) {
    const auto prior = random_model("lstm", seed), policy = clone(*prior);
    const World world = ended_world(3);
    const gradus::Enumeration all = gradus::enumerate(*prior, world);
    std::vector<double> r = random_rewards(all.sequences.size(), seed);
    for (double& x : r) x *= 4;
    const Table p = posterior(Table::of_logs(all.log_prob[0]), r, 1).table;
    TuneConfig o = Tuning{.algorithm = "f-dpg", .divergence = "forward-kl", .proposal = "adaptive", .kl_coef = 1};
    o.seed = int64_t(seed);
    Shards shards(2, 1);
    Tuner tuner(*policy, *prior, {world.prompt}, world, table_reward(all.sequences, r), o, shards);
    AdamW optimizer(policy->params(), {.weight_decay = 0});
    const auto distance = [&] {
      return kl(p, Table::of_logs(gradus::enumerate(*tuner.method->behaviour(), world).log_prob[0]));
    };
    double before = distance();
    const double beginning = before;
    int64_t replaced = 0;
    uint64_t version = tuner.method->own_params()->version();
    for (int64_t step = 1; step <= 150; ++step) {
      tuner.step(step, optimizer, 0.02, 1);
      if (tuner.method->own_params()->version() == version) continue;
      version = tuner.method->own_params()->version();
      const double now = distance();
      CHECK(now < before);
      before = now;
      ++replaced;
    }
    CHECK(replaced >= 5);
    CHECK(before < 0.3 * beginning);
    CHECK(*tuner.metrics().ess < double(o.batch));
  }
}

TEST_SUITE_END();

}  // namespace
