// rl/worlds/values: the worked values of the four sentences, the posterior token by token, the greedy policy, and the
// same numbers by a walk of the token-level decision process.
#include <doctest/doctest.h>

#include <functional>

#include "rl/tables/posterior.h"
#include "rl/worlds/known_worlds.h"
#include "tests/mdp.h"
#include "tests/method_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5;

TEST_SUITE_BEGIN("values");

TEST_CASE("the four sentences: what a policy earns behind each prefix, the best, and the soft values of four betas") {
  const FourSentences w;
  const PrefixTree tree(w.all.sequences);
  CHECK(tree.nodes.size() == 7);  // the start, two words, four sentences without their mark
  const std::vector<double> log_pi = tree.log_conditionals(w.log_pi()), log_q = tree.log_conditionals(w.log_q()),
                            r = tree.of_edges(w.all.sequences, w.reward);
  const size_t the = size_t(w.node(tree, "the")), a = size_t(w.node(tree, "a"));
  const Values earned = policy_values(tree, r, log_pi, log_q, 0, 1);
  const double got[] = {earned.value[0], earned.value[the], earned.value[a]},
               wanted[] = {0.6, 0.714285714285714, 0.333333333333333};
  CHECK(near(got, wanted) <= kClose);
  CHECK(best_values(tree, r, log_q, 1).value[0] == 1);
  CHECK(best_values(tree, r, log_q, 0.5).value[0] == 0.25);  // paid with the third draw
  struct Row {
    double beta, v_the, v_a, v_root, p_the, cat_the, cat_a;
  };
  for (const Row& row :
       {Row{0.1, 0.9440418261432, 0.9594557591599, 0.9489204642396, 0.6666691888087, 0.9999659512120, 0.9999773005504},
        Row{0.5, 0.7685292134965, 0.8300056935057, 0.7877785588258, 0.6735630752413, 0.9078517224991, 0.9366210616670},
        Row{1, 0.6840435330960, 0.7633825153901, 0.7085130668623, 0.6830791927762, 0.7837545974938, 0.8446375965030},
        Row{2, 0.6306400071062, 0.7188155985578, 0.6575032505388, 0.6906607260029, 0.6873334100293, 0.7673034623811}}) {
    const Values soft = soft_values(tree, r, log_q, row.beta, 1);
    const auto optimal = [&](size_t node, const std::string& word) {
      const int32_t token = w.lines.ids(word)[0];
      for (auto k = size_t(tree.nodes[node].first_edge); k < size_t(tree.nodes[node].end_edge); ++k)
        if (tree.edges[k].token == token) return std::exp(log_q[k] + (soft.q[k] - soft.value[node]) / row.beta);
      return -1.0;
    };
    const double mine[] = {soft.value[the],   soft.value[a],       soft.value[0],
                           optimal(0, "the"), optimal(the, "cat"), optimal(a, "cat")};
    const double theirs[] = {row.v_the, row.v_a, row.v_root, row.p_the, row.cat_the, row.cat_a};
    CHECK(near(mine, theirs).absolute <= kClose);
  }
}

TEST_CASE("V of the start is J*, J and the best reward; the greedy policy is the best of all sequences") {
  for (const std::string family : {"lstm", "transformer"})
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      const MethodWorld w(family, seed);
      const PrefixTree tree(w.all.sequences);
      const std::vector<double> log_pi = tree.log_conditionals(w.log_pi()), log_q = tree.log_conditionals(w.log_q());
      const double beta = 0.3, best = std::ranges::max(w.reward);
      for (const bool step : {false, true}) {
        const std::vector<double> r = tree.of_edges(w.all.sequences, w.paid(step));
        CHECK(near(soft_values(tree, r, log_q, beta, 1).value[0],
                   posterior(Table::of_logs(w.log_q()), w.reward, beta).j_star) <= kClose);
        CHECK(near(policy_values(tree, r, log_pi, log_q, beta, 1).value[0], w.objective(beta).objective) <= kClose);
        const Values hard = best_values(tree, r, log_q, 1);
        CHECK(near(hard.value[0], best) <= 1e-12);
        const auto found = tree.edges[size_t(greedy_path(tree, hard, log_q).back())].sequence;
        CHECK(w.reward[size_t(found)] == best);
      }
    }
}

TEST_CASE("a walk of the decision process, paid at the end or by step and discounted, has the same values") {
  const LineWorld lines("a b c\nb c a\nc a b\n", "word");
  const auto q = lines.model("transformer");
  const World world{.prompt = {lines.end_id()}, .end_id = lines.end_id(), .max_tokens = 3};
  const gradus::Enumeration all = gradus::enumerate(*q, world);
  const PrefixTree tree(all.sequences);
  const std::vector<double> log_q = tree.log_conditionals(all.log_prob[0]);
  const auto worth = [](const Generated& g) {
    double sum = g.ended ? 0.3 : 0;
    for (const int32_t token : g.tokens) sum = 0.7 * sum + std::sin(1.0 + token);
    return sum;
  };
  const RewardFunction whole = [&](const Sequences& s, std::span<const int32_t>) {
    std::vector<double> r;
    for (int64_t i = 0; i < s.size(); ++i) r.push_back(worth({.text = {}, .tokens = s.text(i), .ended = s.ended(i)}));
    return r;
  };
  const std::vector<int32_t> none(size_t(all.sequences.size()), 0);
  for (const bool step : {false, true})
    for (const double gamma : {1.0, 0.7}) {
      const TokenMdp mdp(lines.tokenizer, 3, step ? TokenMdp::Pay::kPerStep : TokenMdp::Pay::kTerminal, worth);
      const double beta = 0.4;
      // V of a state by recursion, soft or the best, with q(a|h) of the table of all sequences.
      const std::function<double(const TokenMdp::State&, bool)> value = [&](const TokenMdp::State& s, bool soft) {
        std::vector<double> mass(size_t(lines.end_id()) + 1, 0.0);
        for (int64_t i = 0; i < all.sequences.size(); ++i) {
          const auto draws = all.sequences.draws(i);
          if (draws.size() > s.tokens().size() && std::equal(s.tokens().begin(), s.tokens().end(), draws.begin()))
            mass[size_t(draws[s.tokens().size()])] += std::exp(all.log_prob[0][size_t(i)]);
        }
        double total = 0, sum = 0, best = -INFINITY;
        for (const double m : mass) total += m;
        for (int32_t token = 0; token <= lines.end_id(); ++token) {
          const auto [next, r] = mdp.step(s, token);
          const double x = r + (next.done() ? 0 : gamma * value(next, soft));
          sum += mass[size_t(token)] / total * std::exp(x / beta);
          best = std::max(best, x);
        }
        return soft ? beta * std::log(sum) : best;
      };
      const std::vector<double> r =
          tree.of_edges(all.sequences, step ? paid_by_step(whole)(all.sequences, none) : whole(all.sequences, none));
      CHECK(near(soft_values(tree, r, log_q, beta, gamma).value[0], value(mdp.reset({}), true)) <= kClose);
      CHECK(near(best_values(tree, r, log_q, gamma).value[0], value(mdp.reset({}), false)) <= kClose);
    }
}

TEST_CASE("where the critic is right the mean advantage is 0 in every state, whatever lambda and gamma") {
  for (const std::string family : {"lstm", "transformer"}) {
    const MethodWorld w(family, 5);
    const PrefixTree tree(w.all.sequences);
    const std::vector<double> log_pi = tree.log_conditionals(w.log_pi()), log_q = tree.log_conditionals(w.log_q());
    for (const double gamma : {1.0, 0.8})
      for (const double lambda : {0.0, 0.6, 1.0}) {
        const double beta = 0.3;
        const std::vector<double> paid = w.paid(true);
        const Values v = policy_values(tree, tree.of_edges(w.all.sequences, paid), log_pi, log_q, beta, gamma);
        Experience e{.sequences = w.all.sequences, .batch = w.batch};
        e.reward = paid_on_draws(e.batch, paid);
        e.log_q = w.log_q_of_draws;
        e.value = on_draws(e.batch, tree.before_draws(w.all.sequences, v.value));
        estimate_advantages(e, rewards_of_draws(e, w.log_pi_of_draws, {.kl_coef = beta, .gamma = gamma}), gamma,
                            lambda);
        std::vector<double> number, mean(tree.nodes.size(), 0.0);
        for (size_t n = 0; n < tree.nodes.size(); ++n) number.push_back(double(n));
        const std::vector<double> state = on_draws(e.batch, tree.before_draws(w.all.sequences, number));
        double size = 0;
        w.for_draws([&](int64_t b, size_t i, int64_t) {
          mean[size_t(state[i])] += std::exp(w.log_pi()[size_t(b)]) * e.advantage[i];
          size += std::fabs(e.advantage[i]);
        });
        CHECK(size > 1);
        for (const double m : mean) CHECK(std::fabs(m) <= kClose);
      }
  }
}

TEST_CASE("discounted returns of whole sequences climb V of the start: the gradient is its derivative" *
          doctest::skip(!kDouble)) {
  for (const std::string family : {"lstm", "transformer"})
    for (const bool step : {false, true})
      for (const std::string kl : {"k1", "full"}) {
        MethodWorld w(family, 6);
        const double beta = 0.3, gamma = 0.8, h = 1e-3;
        TuneConfig o = Tuning{.baseline = "none", .kl_coef = beta};
        o.gamma = gamma;
        o.kl_estimator = kl;
        const std::vector<double> g = w.exact(*make_method(o), beta, step), paid = w.paid(step);
        const Rng rng(17, Stream::kTest);
        double along = 0, gone = 0;
        for (size_t k = 0; k < g.size(); ++k) along += g[k] * 0.3 * rng.normal(int64_t(k));
        const auto at = [&](double size) {
          for (size_t k = 0; k < g.size(); ++k)
            w.policy->params().edit()[k] += real((size - gone) * 0.3 * rng.normal(int64_t(k)));
          gone = size;
          w.refresh();
          const PrefixTree tree(w.all.sequences);
          return policy_values(tree, tree.of_edges(w.all.sequences, paid), tree.log_conditionals(w.log_pi()),
                               tree.log_conditionals(w.log_q()), beta, gamma)
              .value[0];
        };
        const double numeric = (-at(2 * h) + 8 * at(h) - 8 * at(-h) + at(-2 * h)) / (12 * h);
        CHECK(std::fabs(along) > 1e-3);
        CHECK(std::fabs(numeric - along) <= 1e-8 * std::max(1.0, norm(g)));
      }
}

TEST_CASE("what the prior excludes is no choice, however well it would be paid") {
  const FourSentences w(FourSentences::text({5, 2, 1, 2}), FourSentences::text({4, 3, 0, 3}));  // no "a cat"
  const PrefixTree tree(w.all.sequences);
  std::vector<double> reward(w.reward.size(), 0.0);
  const int32_t a = w.lines.ids("a dog")[0], cat = w.lines.ids("the cat")[1];
  for (int64_t i = 0; i < w.all.sequences.size(); ++i) {
    const auto draws = w.all.sequences.draws(i);
    reward[size_t(i)] = draws[0] == a && draws[1] == cat ? 10 : draws[1] == cat ? 1 : 0;
  }
  const std::vector<double> r = tree.of_edges(w.all.sequences, reward), log_q = tree.log_conditionals(w.log_q());
  const Values best = best_values(tree, r, log_q, 1);
  CHECK(best.value[0] == 1);
  CHECK(best.value[size_t(w.node(tree, "a"))] == 0);
  const auto greedy = w.all.sequences.draws(tree.edges[size_t(greedy_path(tree, best, log_q).back())].sequence);
  CHECK((greedy[0] != a && greedy[1] == cat));
  const Values soft = soft_values(tree, r, log_q, 0.5, 1);
  CHECK(std::fabs(soft.value[size_t(w.node(tree, "a"))]) <= 1e-12);
  CHECK(near(soft.value[0], posterior(Table::of_logs(w.log_q()), reward, 0.5).j_star) <= kClose);
}

TEST_CASE("soft values stay numbers where rewards over beta do not") {
  const FourSentences w(FourSentences::text({5, 2, 1, 2}), FourSentences::text({4, 3, 1, 3}));
  const PrefixTree tree(w.all.sequences);
  const std::vector<double> log_q = tree.log_conditionals(w.log_q());
  for (const double reward : {1e300, -1e300, 1e308}) {
    const std::vector<double> r = tree.of_edges(w.all.sequences, std::vector<double>(w.reward.size(), reward));
    const Values soft = soft_values(tree, r, log_q, 1e-9, 1);
    for (const double v : soft.value) CHECK(v == reward);
  }
}

TEST_CASE("what is no tree and no sequence of the world is refused") {
  Sequences s(kEnd);
  s.add(std::vector<int32_t>{0, 1});
  s.add(std::vector<int32_t>{0});
  CHECK_THROWS_WITH_AS(PrefixTree{s}, doctest::Contains("beginning of another"), ShapeError);
  const PrefixTree tree(MethodWorld("lstm", 1).all.sequences);
  const std::vector<double> v(tree.nodes.size());
  Sequences other(kEnd);
  other.add(std::vector<int32_t>{0, kEnd + 1});
  CHECK_THROWS_WITH_AS(tree.before_draws(other, v), doctest::Contains("one of the world"), DataError);
  CHECK_THROWS_AS(soft_values(tree, v, v, 0, 1), ShapeError);
}

TEST_SUITE_END();

}  // namespace
