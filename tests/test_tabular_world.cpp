// Exact worlds on tabular policies, against worked numbers: four outcomes of one draw (softmax of four logits), and the
// four sentences of two words, where the KL of the first word is earned later.
#include <doctest/doctest.h>

#include "models/run/config.h"
#include "rl/methods/returns.h"
#include "rl/tables/posterior.h"
#include "tests/exact_worlds.h"
#include "tests/line_world.h"
#include "tests/near.h"
#include "tests/soft_bellman.h"

namespace {

using namespace gradus;
using testing::KnownWorld;
using testing::LineWorld;

constexpr double kClose = kDouble ? 1e-12 : 1e-5;

// A line of `lines` each as often as `times` says.
std::string repeated(const std::vector<std::string>& lines, const std::vector<int>& times) {
  std::string text;
  for (size_t i = 0; i < lines.size(); ++i)
    for (int n = 0; n < times[i]; ++n) text += lines[i] + "\n";
  return text;
}

// Policy π = (.5, .2, .1, .2), prior q = (.4, .3, .2, .1), reward (1, 0, 1, 0), in the order of `lines`.
KnownWorld known(const std::vector<std::string>& lines, int64_t max_tokens) {
  const LineWorld pi(repeated(lines, {5, 2, 1, 2}), "word");
  const LineWorld q(repeated(lines, {4, 3, 2, 1}), "word");
  const World world{{pi.end_id()}, pi.end_id(), max_tokens};
  KnownWorld w(pi.model("tabular"), q.model("tabular"), world, 1);
  for (int64_t i = 0; i < w.all.sequences.size(); ++i) {
    const std::string text = pi.tokenizer.decode(w.all.sequences.text(i));
    w.reward[size_t(i)] = text == lines[0] || text == lines[2] ? 1 : 0;
  }
  return w;
}
const std::vector<std::string> kOutcomes{"a", "b", "c", "d"}, kSentences{"the cat", "the dog", "a cat", "a dog"};

// The gradient of the first four logits of the first row.
std::vector<double> first_logits(std::span<const double> g) { return {g.begin(), g.begin() + 4}; }
std::vector<double> exact(const KnownWorld& w, double beta) {
  Shards shards(2, 1);
  return w.gradient(beta, shards);
}

TEST_SUITE_BEGIN("tabular_world");

TEST_CASE("four outcomes: J, its parts and its gradient are the worked numbers") {
  const KnownWorld w = known(kOutcomes, 1);
  REQUIRE(w.all.sequences.size() == 4);
  const double wanted_j[][2] = {
      {0.1, 0.590020652790853}, {0.5, 0.550103263954267}, {1, 0.500206527908533}, {2, 0.400413055817067}};
  for (const auto& [beta, j] : wanted_j) CHECK(near(w.objective(beta).objective, j) <= kClose);
  const double gradient[][5] = {{0.1, 0.1938324960389, -0.1098948283960, 0.04792940652651, -0.1318670741694},
                                {0.5, 0.1691624801943, -0.06947414198004, 0.07964703263257, -0.1793353708468},
                                {1, 0.1383249603886, -0.01894828396007, 0.1192940652651, -0.2386707416937},
                                {2, 0.07664992077726, 0.08210343207985, 0.1985881305303, -0.3573414833874}};
  for (const auto& row : gradient) {
    const std::vector<double> g = exact(w, row[0]);
    CHECK(near(first_logits(g), std::span(row).subspan(1)).absolute <= kClose);
    for (size_t k = 4; k < g.size(); ++k) CHECK(g[k] == 0);  // nothing else decides a single draw
  }
}

// "" a, b, c; after c anything: a line that goes on from a beginning that was never seen has the last row, uniform at
// first, whichever way it is asked.
TEST_CASE("a table: all beginnings that were never seen share the last row, by every way into the table") {
  const LineWorld lines("a a\na b\nb a\nb a\nc\n", "word");
  const auto model = lines.model("tabular");
  const int64_t V = model->vocabulary();
  const std::vector<int32_t> line = lines.ids("c b a");  // "c" ended each time: "c b" was never seen, nor "c b a"
  std::vector<int32_t> tokens{lines.end_id()};
  tokens.insert(tokens.end(), line.begin(), line.end());
  Params& params = model->params();
  const int64_t rows = params.shape(0)[0];
  for (int64_t v = 0; v < V; ++v) params.edit(0)[size_t((rows - 1) * V + v)] = real(0.5 * double(v) - 1);
  const std::span<const real> last = params.values(0).last(size_t(V));
  Tape tape;
  const Tape::Use use(tape);
  const Tensor features = model->features(tokens, 1, 4), all = model->logits(tokens, 1, 4);
  CHECK(first_difference(all.span(), model->head(features).span()) == -1);
  State state = model->start(1);
  for (int64_t t = 0; t < 4; ++t) {
    INFO("after ", t, " words");
    const Tensor now = model->next(state, std::vector<int32_t>{tokens[size_t(t)]});
    CHECK(first_difference(now.span(), all.rows(t, 1).span()) == -1);
    CHECK((first_difference(now.span(), last) == -1) == (t >= 2));
  }
  // Back at the mark a line is known again; and a weight on an unseen row reaches the last row alone.
  CHECK(first_difference(model->next(state, std::vector<int32_t>{lines.end_id()}).span(), all.rows(0, 1).span()) == -1);
  tape.new_step();
  tape.seed(model->logits(tokens, 1, 4).rows(3, 1), std::vector<real>(size_t(V), real(1)));
  tape.backward();
  const std::span<const real> g = tape.gradient(params.array());
  for (size_t i = 0; i < g.size(); ++i) CHECK(g[i] == (i < size_t((rows - 1) * V) ? 0 : 1));
}

RewardFunction reward_for(const std::vector<int32_t>& rewarded) {
  return [rewarded](const Sequences& s, std::span<const int32_t>) {
    std::vector<double> r;
    for (int64_t i = 0; i < s.size(); ++i) r.push_back(std::ranges::count(rewarded, s.draws(i)[0]) > 0 ? 1 : 0);
    return r;
  };
}

// REINFORCE without a KL: total variance .2136. Leave-one-out of B: the U-statistic's, which for B → ∞ is that of the
// baseline E[r], .1104. The spread of a variance from 200,000 samples is below 0.5 %.
TEST_CASE("four outcomes: the sampled variance is the worked one within 3 %, the mean within its spread") {
  const KnownWorld w = known(kOutcomes, 1);
  const auto run = [&](const std::string& baseline, int64_t batch) {
    const TuneConfig options = testing::Tuning{.baseline = baseline, .kl_coef = 0, .batch = batch, .seed = 3};
    return estimate_gradient(*make_method(options), *w.policy, *w.prior, w.world, reward_for({0, 2}), options, 200'000,
                             2);
  };
  const double g[] = {0.2, -0.12, 0.04, -0.12};
  const auto check_mean = [&](const EstimatedGradient& e) {
    for (size_t k = 0; k < 4; ++k)  // 8 numbers in all: |z| < 4.4 gives a false-alarm rate of 1e-4
      CHECK(std::fabs(e.mean[k] - g[k]) <= 4.4 * std::sqrt(e.variance[k] / double(e.samples)));
  };
  const auto total = [](const EstimatedGradient& e) {
    double sum = 0;
    for (const double v : e.variance) sum += v;
    return sum;
  };
  const EstimatedGradient none = run("none", 64);
  check_mean(none);
  CHECK(std::fabs(total(none) / 0.2136 - 1) <= 0.03);
  // Each coordinate: Var(r s_k) = Σ π r s_k² − g_k², with s_k(x) = [x = k] − π_k.
  const double pi[] = {0.5, 0.2, 0.1, 0.2};
  for (size_t k = 0; k < 4; ++k) {
    double square = 0;
    for (const size_t x : {0u, 2u}) square += pi[x] * std::pow((x == k ? 1 : 0) - pi[k], 2);
    CHECK(std::fabs(none.variance[k] / (square - g[k] * g[k]) - 1) <= 0.03);
  }
  const EstimatedGradient pairs = run("leave-one-out", 2);
  check_mean(pairs);
  // A pair's mean is h = ½ (r_x − r_y)(s_x − s_y); times two, the size of the group.
  double variance = 0;
  for (size_t k = 0; k < 4; ++k) {
    double square = 0;
    for (size_t x = 0; x < 4; ++x)
      for (size_t y = 0; y < 4; ++y) {
        const double h = 0.5 * (double(x % 2 == 0) - double(y % 2 == 0)) * (double(x == k) - double(y == k));
        square += pi[x] * pi[y] * h * h;
      }
    CHECK(std::fabs(pairs.variance[k] / (2 * (square - g[k] * g[k])) - 1) <= 0.03);
    variance += square - g[k] * g[k];
  }
  CHECK(std::fabs(total(pairs) / (2 * variance) - 1) <= 0.03);
}

// Tokens in the order of their code points: a, cat, dog, the, mark. Rows: "", "a", "a cat", ...
TEST_CASE("four sentences: the gradient of the first word carries the KL of the second") {
  const KnownWorld w = known(kSentences, 3);
  REQUIRE(w.all.sequences.size() == 4);
  const int64_t V = 5, the = 3, cat = 1;
  const auto row_of = [&](std::vector<int32_t> prefix) {  // the row whose gradient answers a weight on this prefix only
    Sequences s(w.world.end_id);
    prefix.push_back(int32_t(cat));
    s.add(prefix);
    Shards shards(1, 1);
    World world = w.world;
    world.prompt.insert(world.prompt.end(), prefix.begin(), prefix.end() - 1);
    Sequences one(w.world.end_id);
    one.add(std::span(prefix).last(1));
    const std::vector<double> g = testing::weighted_score(*w.policy, world, one, std::vector<double>{1}, shards);
    for (size_t k = 0; k < g.size(); ++k)
      if (g[k] != 0) return int64_t(k) / V;
    return int64_t(-1);
  };
  const int64_t row_the = row_of({3}), row_a = row_of({0});
  REQUIRE(row_the > 0);
  REQUIRE(row_a > 0);
  const auto three = [&](std::span<const double> g) {
    return std::vector<double>{g[size_t(the)], g[size_t(row_the * V + cat)], g[size_t(row_a * V + cat)]};
  };
  const std::vector<double> reward = three(exact(w, 0)), both = three(exact(w, 1));
  std::vector<double> kl;
  for (size_t k = 0; k < 3; ++k) kl.push_back(reward[k] - both[k]);
  CHECK(near(reward, std::vector<double>{0.08, 0.142857142857143, 0.0666666666666667}).absolute <= kClose);
  CHECK(near(kl, std::vector<double>{-0.03937667642855, 0.08980123706034, -0.09241962407466}).absolute <= kClose);

  // Reward to go gives the same; the KL of each draw by itself gives 0 for the first word.
  const auto to_go = three(testing::exact_mean(w, [](Experience e, const Scores&) {
    std::ranges::fill(e.reward, 0);
    return returns_of_draws(e, e.log_pi, {.kl_coef = 1, .reward_to_go = true});
  }));
  CHECK(near(to_go, std::vector<double>{-kl[0], -kl[1], -kl[2]}).absolute <= kClose);
  const auto myopic = three(testing::exact_mean(w, [](const Experience& e, const Scores& now) {
    std::vector<double> a(now.log_pi);
    for (size_t i = 0; i < a.size(); ++i) a[i] -= e.log_q[i];
    return a;
  }));
  CHECK(near(myopic, std::vector<double>{0, 0.08980123706034, -0.09241962407466}).absolute <= kClose);
}

TEST_CASE("J* - J(pi) = beta KL(pi, posterior) and the gradient is the derivative, on random tables") {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    KnownWorld w = known(kSentences, 3);
    const Rng rng(seed, Stream::kTest);
    for (int64_t i = 0; i < w.policy->params().size(); ++i) {
      w.policy->params().edit()[size_t(i)] = real(rng.normal(2 * i));
      w.prior->params().edit()[size_t(i)] = real(rng.normal(2 * i + 1));
    }
    w.refresh();
    for (size_t i = 0; i < w.reward.size(); ++i) w.reward[i] = rng.normal(1000 + int64_t(i));
    const double beta = 0.1 * double(seed);
    const Posterior best = posterior(Table::of_logs(w.log_q()), w.reward, beta);
    const double gap = beta * kl(Table::of_logs(w.log_pi()), best.table);
    CHECK(near(best.j_star - w.objective(beta).objective, gap) <= (kDouble ? 1e-9 : 1e-4));
    if (!kDouble) continue;
    const std::vector<double> g = exact(w, beta);
    const double h = 1e-3;
    for (size_t k = 0; k < g.size(); ++k) {
      const real before = w.policy->params().data()[k];
      const auto at = [&](double step) {
        w.policy->params().edit()[k] = real(double(before) + step);
        w.refresh();
        return w.objective(beta).objective;
      };
      const double numeric = (-at(2 * h) + 8 * at(h) - 8 * at(-h) + at(-2 * h)) / (12 * h);
      w.policy->params().edit()[k] = before;
      CHECK(std::fabs(numeric - g[k]) <= 1e-8);
    }
  }
}

TEST_CASE("a bigram prior and a reward of tokens: the recursion has the J* of the enumeration") {
  const LineWorld lines(testing::kTwoWords, "word");
  const auto bigram = lines.model("ngram", [](Config& c) {
    c.order = 2;
    c.smoothing = "add";
  });
  const World world{{lines.end_id()}, lines.end_id(), 5};
  const Enumeration all = enumerate(*bigram, world);
  CHECK(all.sequences.size() == full_size(world, 5));
  const std::vector<double> r{0.5, -1, 2, 0.25, -0.3};
  std::vector<double> reward;
  for (int64_t i = 0; i < all.sequences.size(); ++i) {
    reward.push_back(0);
    for (const int32_t token : all.sequences.draws(i)) reward.back() += r[size_t(token)];
  }
  const std::vector<double> table = bigram_table(*bigram);
  for (const double beta : {0.2, 1.0})
    CHECK(near(soft_values(table, r, world, beta).j_star,
               posterior(Table::of_logs(all.log_prob[0]), reward, beta).j_star) <= kClose);
  // What follows b depends on what stands before it.
  const LineWorld further("a b c\nd b e\n", "word");
  CHECK_THROWS_AS(bigram_table(*further.model("ngram", [](Config& c) { c.order = 3; })), DataError);
}

TEST_SUITE_END();

}  // namespace
