// rl/methods/ppo, clip, actor_critic: the clip by its table; the first gradient, which is that of REINFORCE, and of J
// where the critic is right; the gradient after an update, which is the derivative of the clipped objective; advantages
// by hand, paid by step and discounted, through networks and their own critics. Over 350 lines, because PPO and the
// actor-critic share these worlds.
#include <doctest/doctest.h>

#include "rl/methods/clip.h"
#include "rl/tables/running_moments.h"
#include "tests/method_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5, kBeta = 0.3;

// Of every draw r − β log π/q, and γ λ-weighted sums of TD errors, as written in the papers: a sum for each draw.
std::vector<double> advantages_by_hand(const MethodWorld& w, std::span<const double> paid,
                                       std::span<const double> value, double gamma, double lambda) {
  const PaddedBatch& batch = w.batch;
  std::vector<double> a(w.log_pi_of_draws.size(), 0.0);
  size_t first = 0;
  for (int64_t b = 0; b < batch.B; ++b) {
    const size_t n = size_t(batch.length[size_t(b)]), slot = size_t(b * batch.T + batch.first_slot(b));
    const bool at_end = paid.size() == size_t(batch.B);
    for (size_t t = 0; t < n; ++t)
      for (size_t k = t; k < n; ++k) {
        const double r = (at_end ? (k + 1 == n ? paid[size_t(b)] : 0) : paid[first + k]) -
                         kBeta * (w.log_pi_of_draws[slot + k] - w.log_q_of_draws[slot + k]);
        const double delta = r + (k + 1 < n ? gamma * value[first + k + 1] : 0) - value[first + k];
        a[slot + t] += std::pow(gamma * lambda, double(k - t)) * delta;
      }
    first += n;
  }
  return a;
}

TuneConfig tuning(const std::string& algorithm, double gamma = 1, double lambda = 0.95) {
  TuneConfig o = Tuning{.algorithm = algorithm, .kl_coef = kBeta, .seed = 5};
  o.gamma = gamma;
  o.gae = lambda;
  return o;
}

TEST_SUITE_BEGIN("ppo");

TEST_CASE("the clip: min of both, flat on one side of each sign of A, and no gradient there") {
  struct Row {
    double ratio, advantage, value;
    bool clipped;
  };
  for (const Row& row :
       {Row{1.5, 1, 1.2, true}, Row{0.5, 1, 0.5, false}, Row{1.5, -1, -1.5, false}, Row{0.5, -1, -0.8, true},
        Row{1, 1, 1, false}, Row{1, -1, -1, false}, Row{1.2, 1, 1.2, false}, Row{3, 0, 0, false}}) {
    CAPTURE(row.ratio);
    CHECK(clipped_objective(row.ratio, row.advantage, 0.2) == doctest::Approx(row.value).epsilon(1e-15));
    CHECK(is_clipped(row.ratio, row.advantage, 0.2) == row.clipped);
  }
  Experience e{.sequences = Sequences(kEnd)};
  for (int i = 0; i < 4; ++i) e.sequences.add(std::vector<int32_t>{kEnd});
  e.batch.fill({kEnd}, e.sequences);
  e.log_mu = {-1, -1, -1, -1};
  e.advantage = {1, 1, -1, -1};
  const std::vector<double> now{-1 + std::log(1.5), -1 + std::log(0.5), -1 + std::log(1.5), -1 + std::log(0.5)};
  const Weights w = clipped_weights(e, now, 0.2);
  const double wanted[] = {0, 0.5, -1.5, 0};
  CHECK(near(w.log_pi, wanted) <= 1e-15);
  CHECK(w.clipped == 2);
}

TEST_CASE("advantages of the worked three draws: .446828575 .37515 .3, and returns that are these plus the values") {
  Experience e{.sequences = Sequences(-1), .group = {0}};
  e.sequences.add(std::vector<int32_t>{0, 1, 2});
  e.batch.fill({kEnd}, e.sequences);
  e.reward = {0, 0, 1};
  e.value = {0.5, 0.6, 0.7};
  e.log_pi = e.log_q = e.log_mu = {0, 0, 0};
  make_method(tuning("ppo", 0.99))->prepare(e, kBeta);
  const double wanted[] = {0.446828575, 0.37515, 0.3}, returns[] = {0.946828575, 0.97515, 1};
  CHECK(near(e.advantage, wanted) <= 1e-12);
  CHECK(near(e.returns, returns) <= 1e-12);
  make_method(tuning("actor-critic", 0.99))->prepare(e, kBeta);
  const double errors[] = {0.99 * 0.6 - 0.5, 0.99 * 0.7 - 0.6, 1 - 0.7};
  CHECK(near(e.advantage, errors) <= 1e-12);
}

TEST_CASE("with a right critic the mean is the gradient of J for every lambda, by both estimators of the KL") {
  for (const std::string family : {"lstm", "transformer"}) {
    const MethodWorld w(family, 1);
    const std::vector<double> g = w.of_j(kBeta);
    CHECK(norm(g) > 0.1);
    const PrefixTree tree(w.all.sequences);
    const std::vector<double> log_pi = tree.log_conditionals(w.log_pi());
    for (const bool step : {false, true}) {
      const Values v = policy_values(tree, tree.of_edges(w.all.sequences, w.paid(step)), log_pi,
                                     tree.log_conditionals(w.log_q()), kBeta, 1);
      for (const std::string kl : {"k1", "full"}) {
        // Of whole rows, what follows a prefix is without the KL of its own row.
        const std::vector<double> follows = kl == "k1" ? v.value : mean_of_edges(tree, log_pi, v.q);
        const RewardFunction critic = [&](const Sequences& s, std::span<const int32_t>) {
          return tree.before_draws(s, follows);
        };
        for (const std::string algorithm : {"ppo", "actor-critic"})
          for (const double lambda : {0.0, 0.5, 1.0}) {
            TuneConfig o = tuning(algorithm, 1, lambda);
            o.kl_estimator = kl;
            CHECK(near(w.exact(*make_method(o), kBeta, step, 1, critic), g, 1) <= kClose);
          }
      }
    }
    // A wrong one is a baseline where lambda is 1, and a bias where it is not.
    CHECK(near(w.exact(*make_method(tuning("ppo", 1, 1)), kBeta, false, 1, w.critic()), g, 1) <= kClose);
    CHECK(near(w.exact(*make_method(tuning("ppo", 1, 0.5)), kBeta, false, 1, w.critic()), g, 1) > 0.01);
  }
}

TEST_CASE("any critic, gamma below 1 and pay by step: the exact mean is that of advantages made by hand") {
  for (const std::string family : {"lstm", "transformer"}) {
    const MethodWorld w(family, 2, ended_world(3, 0.7));
    const std::vector<double> value = w.critic()(w.all.sequences, w.prompts());
    for (const bool step : {false, true})
      for (const double gamma : {1.0, 0.8}) {
        CHECK(near(w.exact(*make_method(tuning("ppo", gamma, 0.6)), kBeta, step, 1, w.critic()),
                   w.by_hand(advantages_by_hand(w, w.paid(step), value, gamma, 0.6)), 1) <= kClose);
        CHECK(near(w.exact(*make_method(tuning("actor-critic", gamma)), kBeta, step, 1, w.critic()),
                   w.by_hand(advantages_by_hand(w, w.paid(step), value, gamma, 0)), 1) <= kClose);
      }
  }
}

TEST_CASE("discounted rewards to go: the exact mean is that of sums made by hand") {
  for (const std::string family : {"lstm", "transformer"}) {
    const MethodWorld w(family, 8);
    const std::vector<double> nothing(size_t(w.all.sequences.first(w.all.sequences.size())), 0.0);
    for (const bool step : {false, true}) {
      TuneConfig o = Tuning{.baseline = "none", .reward_to_go = true, .kl_coef = kBeta};
      o.gamma = 0.7;
      CHECK(near(w.exact(*make_method(o), kBeta, step), w.by_hand(advantages_by_hand(w, w.paid(step), nothing, 0.7, 1)),
                 1) <= kClose);
    }
  }
}

// |z| < 4.6 in each of at most 200 coordinates and 16 gradients: a false-alarm rate of 1.4 %; the seeds are fixed.
TEST_CASE("sampled gradients have the exact mean, away from the prior, discounted and paid by step") {
  for (const std::string family : {"lstm", "transformer"}) {
    const MethodWorld w(family, 3);
    for (const std::string algorithm : {"ppo", "actor-critic"})
      for (const bool step : {false, true})
        for (const double gamma : {1.0, 0.8}) {
          const TuneConfig o = tuning(algorithm, gamma, 0.7);
          const auto method = make_method(o);
          CHECK(largest_z(w.sampled(*method, o, kBeta, step, 4000, w.critic()),
                          w.exact(*method, kBeta, step, 1, w.critic())) < 4.6);
        }
  }
}

// Policy and prior of a MethodWorld under a Tuner, whose critic says something.
struct Tuned {
  MethodWorld w;
  Shards shards{2, 1};
  TuneConfig options;
  Tuner tuner;
  Tuned(const std::string& family, uint64_t seed, TuneConfig o, bool step = false)
      : w(family, seed),
        options(std::move(o)),
        tuner(*w.policy, *w.prior, {w.world.prompt}, w.world, step ? w.by_step : w.whole, options, shards) {
    Params& v = tuner.value()->params();
    for (const char* name : {"weight", "bias"})
      for (real& x : v.edit(v.find(name))) x += real(0.3 + 0.1 * double(&x - v.data().data()));
  }
};

TEST_CASE("the first gradient is that of REINFORCE with the same critic, and every ratio is 1 to the bit") {
  for (const std::string family : {"lstm", "transformer"})
    for (const int64_t minibatches : {1, 2}) {
      TuneConfig ppo = tuning("ppo", 1, 1), plain = tuning("reinforce");
      plain.reward_to_go = true;
      plain.baseline = "value";
      ppo.minibatches = plain.minibatches = minibatches;
      Tuned a(family, 4, ppo), b(family, 4, plain);
      // One critic has an encoder of its own, which is a copy of the policy; their heads say the same.
      const Params &of_b = b.tuner.value()->params(), &of_a = a.tuner.value()->params();
      CHECK(of_a.size() == of_b.size() + a.w.policy->params().size());
      for (const char* name : {"weight", "bias"})
        std::ranges::copy(of_b.values(of_b.find(name)), a.tuner.value()->params().edit(of_a.find(name)).begin());
      const auto g = a.tuner.gradient(1), wanted = b.tuner.gradient(1);
      CHECK(norm(std::vector<double>(g.begin(), g.end())) > 0.05);
      CHECK(near(g, wanted, 1) <= kClose);
      CHECK(near(a.tuner.fresh().value, b.tuner.fresh().value) <= kClose);
      if (minibatches > 1) continue;
      const Experience& e = a.tuner.fresh();
      CHECK(first_difference(e.log_mu, e.log_pi) == -1);
      Scores now;
      now.log_pi = e.log_pi;
      now.value = e.value;
      CHECK(first_difference(make_method(ppo)->weigh(e, now).log_pi, e.advantage) == -1);
      CHECK(*a.tuner.metrics().clip_share == 0);
    }
}

// The gradient that a step sends through the policy has the mean of the enumerated one with the critic as it is.
TEST_CASE("through the learner and a critic of its own the gradient has the exact mean; the critic has none of it") {
  for (const std::string family : {"lstm", "transformer"})
    for (const std::string algorithm : {"ppo", "actor-critic"}) {
      TuneConfig o = tuning(algorithm, 0.8, 0.7);
      o.batch = 16;
      o.critic_lr = 0;
      Tuned t(family, 5, o, true);
      TeacherForcing pass(*t.w.policy, t.w.shards, {.value = true}, nullptr, t.tuner.value());
      const std::vector<double> said = pass.forward(t.w.batch, 1).value;
      std::vector<double> value;
      for (int64_t b = 0; b < t.w.batch.B; ++b)
        for (int64_t s = t.w.batch.first_slot(b); s < t.w.batch.end_slot(b); ++s)
          value.push_back(said[size_t(b * t.w.batch.T + s)]);
      const RewardFunction critic = [&](const Sequences&, std::span<const int32_t>) { return value; };
      const std::vector<double> wanted = t.w.exact(*make_method(o), kBeta, true, 1, critic);
      RunningMoments m(wanted.size());
      for (int64_t step = 1; step <= 400; ++step) m.add(t.tuner.gradient(step));
      double worst = 0;
      const std::vector<double> variance = m.variance();
      for (size_t k = 0; k < wanted.size(); ++k)
        if (const double off = std::fabs(-m.mean()[k] - wanted[k]); off > (kDouble ? 1e-10 : 1e-5))
          worst = std::max(worst, off / std::sqrt(variance[k] / 400));
      CHECK(worst < 4.6);  // as above
    }
}

TEST_CASE("after an update the weights of the same batch are the derivative of the clipped objective" *
          doctest::skip(!kDouble)) {
  for (const std::string family : {"lstm", "transformer"}) {
    MethodWorld w(family, 6);
    const double epsilon = 0.1;
    TuneConfig o = tuning("ppo", 0.9, 0.8);
    o.clip_ratio = epsilon;
    const auto method = make_method(o);
    Experience e{.sequences = w.all.sequences, .batch = w.batch, .group = w.prompts()};
    TeacherForcing pass(*w.policy, w.shards);
    e.reward = paid_on_draws(e.batch, w.paid(true));
    score_batch(pass, w.shards, *w.prior, nullptr, e, 1);
    e.value = on_draws(e.batch, w.critic()(w.all.sequences, w.prompts()));
    method->prepare(e, kBeta);
    const std::vector<double> log_mu = w.log_pi();
    const Rng rng(17, Stream::kTest);
    const int64_t n = w.policy->params().size();
    const auto move = [&](double size, uint64_t which) {
      for (int64_t k = 0; k < n; ++k)
        w.policy->params().edit()[size_t(k)] += real(size * rng.at(int64_t(which)).normal(k));
    };
    move(0.2, 1);  // the update
    Scores now = pass.forward(e.batch, 1);
    now.value = e.value;
    Weights weights = method->weigh(e, now);
    CHECK(*weights.clipped > 20);
    for (size_t i = 0; i < weights.log_pi.size(); ++i) weights.log_pi[i] *= std::exp(log_mu[i / size_t(e.batch.T)]);
    const auto g = pass.backward({.log_pi = weights.log_pi});
    double along = 0;
    for (int64_t k = 0; k < n; ++k) along += double(g[size_t(k)]) * rng.at(2).normal(k);
    const auto objective = [&] {
      const Scores& s = pass.forward(e.batch, 1);
      double sum = 0;
      w.for_draws([&](int64_t b, size_t i, int64_t) {
        const double ratio = std::exp(s.log_pi[i] - e.log_mu[i]), a = e.advantage[i];
        sum += std::exp(log_mu[size_t(b)]) * std::min(ratio * a, std::clamp(ratio, 1 - epsilon, 1 + epsilon) * a);
      });
      return sum;
    };
    double at[4];
    const double h = 1e-4, points[] = {2 * h, h, -h, -2 * h};  // no step may cross a kink of the clip
    for (int p = 0; p < 4; ++p) {
      move(points[p], 2);
      at[p] = objective();
      move(-points[p], 2);
    }
    const double numeric = (-at[0] + 8 * at[1] - 8 * at[2] + at[3]) / (12 * h);
    CHECK(std::fabs(along) > 1e-3);
    CHECK(std::fabs(numeric - along) <= 1e-7 * std::max(1.0, std::fabs(along)));
  }
}

TEST_CASE("the KL of whole rows has the mean of k1, in every form of return, and less variance") {
  const FourSentences four;
  for (const std::string family : {"lstm", "transformer", "a table, which excludes tokens"}) {
    const MethodWorld w =
        family.size() > 12 ? MethodWorld(clone(*four.policy), clone(*four.prior), four.world) : MethodWorld(family, 7);
    for (const bool to_go : {false, true})
      for (const double gamma : {1.0, 0.8}) {
        TuneConfig o = Tuning{.baseline = "none", .reward_to_go = to_go, .kl_coef = 1, .seed = 3};
        o.gamma = gamma;
        const auto k1 = make_method(o);
        o.kl_estimator = "full";
        const auto full = make_method(o);
        const std::vector<double> g = w.exact(*k1, 1, true);
        CHECK(norm(g) > 0.1);
        CHECK(near(w.exact(*full, 1, true), g, 1) <= kClose);
        if (family.size() > 12) continue;
        const EstimatedGradient a = w.sampled(*k1, o, 1, true, 2000), b = w.sampled(*full, o, 1, true, 2000);
        CHECK(largest_z(b, g) < 4.6);
        double of_k1 = 0, of_full = 0;
        for (size_t k = 0; k < g.size(); ++k) of_k1 += a.variance[k], of_full += b.variance[k];
        CHECK(of_full < 0.9 * of_k1);
      }
  }
}

TEST_CASE("trained with epochs, minibatches and their critics both end at the posterior") {
  for (const std::string algorithm : {"ppo", "actor-critic"}) {
    TuneConfig o = tuning(algorithm);
    o.batch = 64;
    o.epochs = algorithm == "ppo" ? 3 : 1;
    o.minibatches = algorithm == "ppo" ? 2 : 1;
    o.critic_lr = 0.01;
    const EasyWorld easy(31);
    TunedWorld t(clone(*easy.prior), easy.world, easy.reward, o);
    KnownWorlds known = t.known();
    const double before = *known.of(*t.policy, kBeta).kl_to_posterior;
    t.train(algorithm == "ppo" ? 100 : 300, algorithm == "ppo" ? 0.02 : 0.05);
    const double after = *known.of(*t.policy, kBeta).kl_to_posterior;
    INFO(algorithm, ": KL to the posterior ", before, " before, ", after, " after");
    CHECK(after < 0.05 * before);
  }
}

TEST_CASE("the critic of temporal differences learns what the policy earns: .6 .714285714 .333333333") {
  const FourSentences w;
  TuneConfig o = Tuning{.algorithm = "actor-critic", .kl_coef = 0, .batch = 64};
  o.steps = o.decay_steps = 1500;  // with the default rate, which falls to 0
  Shards shards(2, 1);
  const auto policy = clone(*w.policy);
  const auto prior = clone(*w.prior);
  Tuner tuner(*policy, *prior, {w.world.prompt}, w.world, FourSentences::cat(w.lines), o, shards);
  for (int64_t step = 1; step <= 1500; ++step) {
    tuner.gradient(step);
    tuner.learn();
  }
  const PrefixTree tree(w.all.sequences);
  PaddedBatch batch;
  batch.fill(w.world.prompt, w.all.sequences);
  TeacherForcing pass(*policy, shards, {.value = true}, nullptr, tuner.value());
  const std::vector<double> said = pass.forward(batch, 1).value;
  std::vector<double> flat;
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t s = batch.first_slot(b); s < batch.end_slot(b); ++s) flat.push_back(said[size_t(b * batch.T + s)]);
  const std::vector<double> of_edges = tree.of_edges(w.all.sequences, flat);  // V before each draw
  const double got[] = {of_edges[0], of_edges[size_t(tree.nodes[size_t(w.node(tree, "the"))].first_edge)],
                        of_edges[size_t(tree.nodes[size_t(w.node(tree, "a"))].first_edge)]},
               wanted[] = {0.6, 0.714285714, 0.333333333};
  CHECK(near(got, wanted).absolute <= 0.01);  // of 64 texts a step
  CHECK(*tuner.metrics().explained_variance > 0.5);
}

TEST_SUITE_END();

}  // namespace
