// rl/methods/q_learning, soft_q, greedy: errors by hand, the fixed points, the epsilon-greedy policy as a language
// model, the target network, and what they learn: the best text, and the posterior token by token.
#include <doctest/doctest.h>

#include "rl/methods/greedy.h"
#include "rl/tables/running_moments.h"
#include "tests/method_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5;

TuneConfig tuning(const std::string& algorithm, double gamma = 1, double beta = 0.3) {
  TuneConfig o = Tuning{.algorithm = algorithm, .kl_coef = algorithm == "soft-q" ? beta : 0, .seed = 5};
  o.gamma = gamma;
  return o;
}

// All sequences as a batch, prepared.
struct Prepared {
  Experience e;
  Scores now;
  Prepared(MethodWorld& w, Method& method, bool step, double beta, double temperature = 1) {
    e = {.sequences = w.all.sequences, .batch = w.batch, .group = w.prompts()};
    e.reward = paid_on_draws(e.batch, w.paid(step));
    TeacherForcing pass(*w.policy, w.shards, method.needs(), w.prior.get());
    now = score_batch(pass, w.shards, *w.prior, method.behaviour(), e, temperature);
    method.prepare(e, beta);
  }
};

// The logits of a model after each prefix of the batch's slots, [B·T][V].
std::vector<std::vector<double>> logits_of(const LanguageModel& model, const PaddedBatch& batch) {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor z = model.logits(batch.inputs, batch.B, batch.T);
  std::vector<std::vector<double>> rows;
  for (int64_t i = 0; i < batch.B * batch.T; ++i) {
    const auto row = z.rows(i, 1).span();
    rows.emplace_back(row.begin(), row.end());
  }
  return rows;
}

TEST_SUITE_BEGIN("q_learning");

TEST_CASE("the epsilon-greedy policy: the best token, or any that may follow; a model to sampler and enumeration") {
  const FourSentences w;
  const auto values = clone(*w.policy);
  const EpsilonGreedy explorer(*values, 0.2, 1), greedy(*values, 0, 1), tempered(*values, 0.2, 2);
  World world = w.world;
  const gradus::Enumeration all = gradus::enumerate(explorer, world);
  CHECK(near(all.total_probability(), 1.0) <= kClose);
  // "the" has the larger logit, and behind each "cat" or "dog"; what the table excludes stays excluded.
  std::map<std::vector<int32_t>, double> p;
  for (int64_t i = 0; i < all.sequences.size(); ++i) {
    const auto text = all.sequences.text(i);
    p[{text.begin(), text.end()}] = std::exp(all.log_prob[0][size_t(i)]);
  }
  CHECK(p.size() == 4);
  CHECK(near(p[w.lines.ids("the cat")], 0.81) <= kClose);
  CHECK(near(p[w.lines.ids("the dog")], 0.09) <= kClose);
  CHECK(near(p[w.lines.ids("a dog")], 0.09) <= kClose);
  CHECK(near(p[w.lines.ids("a cat")], 0.01) <= kClose);
  CHECK(gradus::enumerate(greedy, world).sequences.size() == 1);
  world.temperature = 2;
  const std::vector<double> again = gradus::enumerate(tempered, world).log_prob[0];
  CHECK(near(again, all.log_prob[0]) <= kClose);
}

TEST_CASE("the error of Q-learning by hand: r + gamma max Q' behind the draw - Q; nothing behind the last one") {
  for (const std::string family : {"lstm", "transformer"})
    for (const bool step : {false, true})
      for (const double gamma : {1.0, 0.7}) {
        MethodWorld w(family, 1);
        const auto method = make_method(tuning("dqn", gamma), {.policy = w.policy.get(), .prior = w.prior.get()});
        const auto target = clone(*w.policy);
        for (real& x : w.policy->params().edit()) x *= real(0.9);  // the target network stays as it was
        Prepared p(w, *method, step, 0);
        const auto q = logits_of(*w.policy, w.batch), next = logits_of(*target, w.batch);
        const Weights weights = method->weigh(p.e, p.now);
        double size = 0;
        w.for_draws([&](int64_t b, size_t i, int64_t t) {
          const double behind = t + 1 < w.batch.end_slot(b) ? std::ranges::max(next[i + 1]) : 0,
                       error = p.e.reward[i] + gamma * behind - q[i][size_t(w.batch.targets[i])];
          CHECK(std::fabs(weights.logit[i] - error) <= (kDouble ? 1e-12 : 1e-4));
          size += std::fabs(error);
        });
        CHECK(size > 1);
        CHECK((weights.log_pi.empty() && weights.importance.empty()));
      }
}

TEST_CASE("the exact mean is the sum of errors under the policy that draws; sampled ones agree") {
  for (const std::string family : {"lstm", "transformer"}) {
    MethodWorld w(family, 2);
    const MethodModels models{.policy = w.policy.get(), .prior = w.prior.get()};
    for (const std::string algorithm : {"dqn", "soft-q"})
      for (const bool step : {false, true}) {
        TuneConfig o = tuning(algorithm, 0.8);
        const auto method = make_method(o, models);
        const LanguageModel& mu = method->behaviour() ? *method->behaviour() : *w.policy;
        const LanguageModel* const both[] = {w.policy.get(), &mu};
        const std::vector<double> log_mu = gradus::enumerate(both, w.world).log_prob[1];
        Prepared p(w, *method, step, 0.3);
        Weights weights = method->weigh(p.e, p.now);
        for (size_t i = 0; i < weights.logit.size(); ++i) weights.logit[i] *= std::exp(log_mu[i / size_t(w.batch.T)]);
        TeacherForcing pass(*w.policy, w.shards, method->needs(), w.prior.get());
        pass.forward(w.batch, 1);
        const auto g = pass.backward({.logit = weights.logit});
        const std::vector<double> wanted(g.begin(), g.end());
        const double beta = algorithm == "soft-q" ? 0.3 : 0;
        CHECK(norm(wanted) > 0.05);
        CHECK(near(exact_gradient(*method, *w.policy, *w.prior, w.world, w.all.sequences, log_mu, w.paid(step), beta,
                                  w.shards),
                   wanted, 1) <= kClose);
        // |z| < 5 in each of at most 250 coordinates and 8 gradients: a false-alarm rate of 0.1 %; the seeds are fixed.
        CHECK(largest_z(w.sampled(*method, o, beta, step, 4000), wanted) < 5);
      }
  }
}

TEST_CASE("the target network is a copy that is renewed every so many steps, and is restored") {
  const auto policy = random_model("lstm", 3), prior = clone(*policy);
  const MethodModels models{.policy = policy.get(), .prior = prior.get()};
  TuneConfig o = tuning("dqn");
  o.target_every = 3;
  const auto method = make_method(o, models);
  const Params& target = *method->own_params();
  CHECK(&target != &policy->params());
  const std::vector<real> before(target.data().begin(), target.data().end());
  CHECK(first_difference(before, policy->params().data()) == -1);
  policy->params().edit()[0] += 1;
  CHECK(first_difference(before, target.data()) == -1);
  const Experience none;
  for (int step = 1; step <= 2; ++step) method->learn(none);
  CHECK(first_difference(before, target.data()) == -1);
  const auto again = make_method(o, models);
  again->restore(method->state());
  again->own_params()->copy_from(target);
  policy->params().edit()[0] += 1;
  for (Method* m : {method.get(), again.get()}) {
    m->learn(none);
    CHECK(first_difference(policy->params().data(), m->own_params()->data()) == -1);
  }
  CHECK_THROWS_AS(method->restore(std::vector<NamedNumbers>{{"target_age", {0.5}}}), DataError);
  // Of q, which is a table and its own target.
  CHECK_THROWS_WITH_AS(make_method(tuning("q"), models), doctest::Contains("needs a table"), DataError);
  const FourSentences w;
  const auto q = make_method(tuning("q"), {.policy = w.policy.get(), .prior = w.prior.get()});
  CHECK(q->needs().other == w.policy.get());
  CHECK(q->own_params() == nullptr);
}

TEST_CASE("of action values the log has no KL; its batch is measured as it was drawn") {
  TuneConfig o = tuning("dqn");
  TunedWorld t(random_model("lstm", 4), ended_world(3), reward_of_beginnings, o);
  t.train(2, 0.01);
  const TuneMetrics& m = t.tuner.metrics();
  CHECK((std::isnan(m.kl) && std::isnan(m.entropy)));
  CHECK(m.objective == m.reward);
  const std::vector<double> r = sum_over_draws(t.tuner.fresh().batch, t.tuner.fresh().reward);
  double mean = 0;
  for (const double x : r) mean += x / double(r.size());
  CHECK(near(m.reward, mean) <= 1e-12);
}

// What the greedy policy writes has the reward J*.
double greedy_reward(const TunedWorld& t) {
  const EpsilonGreedy greedy(*t.policy, 0, 1);
  const gradus::Enumeration one = gradus::enumerate(greedy, t.world);
  CHECK(one.sequences.size() == 1);
  return t.reward(one.sequences, std::vector<int32_t>{0})[0];
}

TEST_CASE("a table learns the values of the four sentences; a network with replay the best of all texts") {
  FourSentences w;
  TuneConfig o = tuning("q");
  o.epsilon = 0.5;
  o.batch = 32;
  TunedWorld t(clone(*w.prior), w.world, FourSentences::cat(w.lines), o);
  t.train(400, 0.1);
  CHECK(greedy_reward(t) == 1);
  PaddedBatch batch;
  batch.fill(w.world.prompt, w.all.sequences);
  const auto q = logits_of(*t.policy, batch);
  CHECK(std::fabs(std::ranges::max(q[0]) - 1) < 0.01);  // V of the start

  TuneConfig deep = tuning("dqn");
  deep.replay = 4;
  deep.batch = 32;
  deep.target_every = 5;
  deep.epsilon = 0.3;
  TunedWorld d(random_model("lstm", 8), ended_world(3), reward_of_beginnings, deep);
  KnownWorlds known = d.known();
  const double best = known.of(*d.prior, 0).j_star;
  d.train(250, 0.02);
  CHECK(greedy_reward(d) == best);
}

TEST_CASE("with the logits log q + Q / beta of the soft values every error is 0, tempered and discounted") {
  const double beta = 0.5;
  const MethodWorld w("lstm", 6);
  const PrefixTree tree(w.all.sequences);
  const std::vector<double> log_q = tree.log_conditionals(w.log_q());
  for (const double temperature : {1.0, 0.7})
    for (const bool step : {false, true})
      for (const double gamma : {1.0, 0.8}) {
        const Values v = soft_values(tree, tree.of_edges(w.all.sequences, w.paid(step)), log_q, beta, gamma);
        std::vector<double> number;
        for (size_t n = 0; n < tree.nodes.size(); ++n) number.push_back(double(n));
        const std::vector<double> node = on_draws(w.batch, tree.before_draws(w.all.sequences, number));
        Experience e{.sequences = w.all.sequences, .batch = w.batch};
        e.reward = paid_on_draws(e.batch, w.paid(step));
        e.log_q.assign(e.reward.size(), 0);
        Scores now;
        now.log_pi = now.logit = e.log_q;
        w.for_draws([&](int64_t, size_t i, int64_t) {
          const PrefixTree::Node& n = tree.nodes[size_t(node[i])];
          for (auto k = size_t(n.first_edge); k < size_t(n.end_edge); ++k) {
            if (tree.edges[k].token != w.batch.targets[i]) continue;
            e.log_q[i] = log_q[k];
            now.logit[i] = temperature * (log_q[k] + v.q[k] / beta);
            now.log_pi[i] = log_q[k] + (v.q[k] - v.value[size_t(node[i])]) / beta;
          }
        });
        TuneConfig o = tuning("soft-q", gamma, beta);
        o.temperature = temperature;
        const auto method = make_method(o);
        method->prepare(e, beta);
        const Weights weights = method->weigh(e, now);
        for (const double x : weights.logit) CHECK(std::fabs(x) <= 1e-12);
        const int64_t longest = std::ranges::max_element(w.batch.length) - w.batch.length.begin();
        now.log_pi[size_t(longest * w.batch.T + w.batch.first_slot(longest) + 1)] -= 0.1;  // a V that is too large
        double size = 0;
        for (const double x : method->weigh(e, now).logit) size += std::fabs(x);
        CHECK(std::fabs(size - 0.1 * gamma) <= 1e-12);
      }
}

TEST_CASE("a trained table has the soft values and is the posterior; so is a network") {
  const double beta = 0.5;
  FourSentences w;
  TuneConfig o = tuning("soft-q", 1, beta);
  TunedWorld t(clone(*w.prior), w.world, FourSentences::cat(w.lines), o);
  t.train(600, 0.05);
  KnownWorlds known = t.known();
  CHECK(*known.of(*t.policy, beta).kl_to_posterior < (kDouble ? 1e-10 : 1e-6));
  PaddedBatch batch;
  batch.fill(w.world.prompt, w.all.sequences);
  const auto rows = logits_of(*t.policy, batch);
  double total = 0;  // V(root) = beta log sum e^z
  for (const double z : rows[0]) total += std::exp(z);
  CHECK(std::fabs(beta * std::log(total) - 0.7877785588258) < (kDouble ? 1e-6 : 1e-4));

  const EasyWorld easy(31);
  TunedWorld net(clone(*easy.prior), easy.world, easy.reward, tuning("soft-q"));
  KnownWorlds of_net = net.known();
  const double before = *of_net.of(*net.policy, 0.3).kl_to_posterior;
  net.train(400, 0.05);
  const double after = *of_net.of(*net.policy, 0.3).kl_to_posterior;
  INFO("KL to the posterior ", before, " before, ", after, " after");
  CHECK(after < 0.1 * before);
}

TEST_SUITE_END();

}  // namespace
