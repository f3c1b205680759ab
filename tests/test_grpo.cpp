// rl/methods/grpo: advantages of groups by hand, each of its biases exactly, over all ordered groups of a world, groups
// of prompts in a batch, and training.
#include <doctest/doctest.h>

#include "rl/tables/running_moments.h"
#include "tests/method_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5, kBeta = 0.3;

TuneConfig tuning(int64_t group, bool divide_std, bool divide_length) {
  TuneConfig o = Tuning{.algorithm = "grpo", .kl_coef = kBeta, .seed = 5};
  o.group = group;
  o.divide_std = divide_std;
  o.divide_length = divide_length;
  return o;
}

// Advantages of sequences with these rewards and lengths, at their first draws.
std::vector<double> advantages(const std::vector<double>& reward, const std::vector<int64_t>& length,
                               std::vector<int32_t> group, const TuneConfig& o) {
  Experience e{.sequences = Sequences(-1), .group = std::move(group)};
  for (const int64_t n : length) e.sequences.add(std::vector<int32_t>(size_t(n), 1));
  e.batch.fill({kEnd}, e.sequences);
  e.reward = on_last_draw(e.batch, reward);
  e.log_pi = e.log_q = e.log_mu = std::vector<double>(e.reward.size(), 0.0);
  make_method(o)->prepare(e, kBeta);
  const std::vector<double> first = at_first_draw(e.batch, e.advantage);
  CHECK(near(e.advantage, on_every_draw(e.batch, first), 1) <= 0);
  return first;
}

TEST_SUITE_BEGIN("grpo");

TEST_CASE("three of eight right: the worked advantages; none and all right: 0, not NaN") {
  const std::vector<int64_t> ones(8, 1);
  const std::vector<int32_t> one(8, 0);
  const std::vector<double> r{1, 0, 0, 1, 0, 0, 1, 0};
  const double right = 1.207614728849, wrong = -0.7245688373095;
  const std::vector<double> a = advantages(r, ones, one, tuning(8, true, true));
  for (size_t i = 0; i < 8; ++i) CHECK(a[i] == doctest::Approx(r[i] > 0 ? right : wrong).epsilon(1e-12));
  for (const double same : {0.0, 0.1, 1.0})
    for (const bool by_std : {false, true})
      for (const double x : advantages(std::vector<double>(8, same), ones, one, tuning(8, by_std, true)))
        CHECK(std::fabs(x) <= 1e-16);
  const std::vector<double> plain = advantages(r, ones, one, tuning(8, false, true));
  for (size_t i = 0; i < 8; ++i) CHECK(plain[i] == doctest::Approx(r[i] - 0.375).epsilon(1e-15));
}

TEST_CASE("a batch holds several groups of each prompt, in its order; length divides where it may") {
  const std::vector<int32_t> group{0, 1, 0, 0, 1, 0};
  const std::vector<double> r{1, 10, 3, 5, 30, 9};
  const std::vector<int64_t> length{1, 2, 3, 1, 4, 2};
  CHECK(near(advantages(r, length, group, tuning(2, false, false)), std::vector<double>{-1, -10, 1, -2, 10, 2}) <=
        1e-15);
  CHECK(near(advantages(r, length, group, tuning(2, false, true)), std::vector<double>{-1, -5, 1.0 / 3, -2, 2.5, 1}) <=
        1e-15);
  const double h = std::sqrt(0.5);
  CHECK(near(advantages(r, length, group, tuning(2, true, false)), std::vector<double>{-h, -h, h, -h, h, h}) <= 1e-15);
  CHECK_THROWS_WITH_AS(advantages(r, length, group, tuning(4, true, true)), doctest::Contains("left in groups of 4"),
                       ShapeError);
}

TEST_CASE("without division the mean over all ordered groups is exactly (G - 1)/G of the gradient of J") {
  for (const std::string family : {"lstm", "transformer"}) {
    const MethodWorld w(family, 1, ended_world(2));
    std::vector<double> g = w.of_j(kBeta);
    CHECK(norm(g) > 0.1);
    for (const int64_t G : {2, 3}) {
      std::vector<double> wanted = g;
      for (double& x : wanted) x *= double(G - 1) / double(G);
      for (const bool step : {false, true})
        CHECK(near(w.exact(*make_method(tuning(G, false, false)), kBeta, step, G), wanted, 1) <= kClose);
    }
  }
}

TEST_CASE("each division has the bias that a sum over all pairs makes by hand") {
  for (const std::string family : {"lstm", "transformer"}) {
    const MethodWorld w(family, 2, ended_world(2));
    const size_t N = w.reward.size();
    std::vector<double> R;
    for (size_t x = 0; x < N; ++x) R.push_back(w.reward[x] - kBeta * (w.log_pi()[x] - w.log_q()[x]));
    for (const bool by_std : {false, true})
      for (const bool by_length : {false, true}) {
        std::vector<double> mean(N, 0.0);  // E over the partner of A / T
        for (size_t x = 0; x < N; ++x)
          for (size_t y = 0; y < N; ++y) {
            if (R[x] == R[y]) continue;
            const double apart = (R[x] - R[y]) / 2, std = std::fabs(R[x] - R[y]) / std::sqrt(2.0);
            mean[x] +=
                std::exp(w.log_pi()[y]) * apart / (by_std ? std : 1) / (by_length ? double(w.batch.length[x]) : 1);
          }
        const std::vector<double> wanted = w.by_hand(on_every_draw(w.batch, mean));
        CHECK(norm(wanted) > 0.01);
        CHECK(near(w.exact(*make_method(tuning(2, by_std, by_length)), kBeta, false, 2), wanted, 1) <= kClose);
      }
  }
}

// |z| < 4.6 in each of at most 200 coordinates and 16 gradients: a false-alarm rate of 1.4 %; the seeds are fixed.
TEST_CASE("sampled groups have the mean of the enumerated ones, discounted and paid by step too") {
  for (const std::string family : {"lstm", "transformer"}) {
    const MethodWorld w(family, 3, ended_world(2));
    for (const bool divided : {false, true})
      for (const bool step : {false, true})
        for (const double gamma : {1.0, 0.8}) {
          TuneConfig o = tuning(2, divided, divided);
          o.gamma = gamma;
          o.batch = 8;
          const auto method = make_method(o);
          CHECK(method->needs().least_batch == 2);
          CHECK(largest_z(w.sampled(*method, o, kBeta, step, 8000), w.exact(*method, kBeta, step, 2)) < 4.6);
        }
  }
}

TEST_CASE("a batch of the source is whole groups of a prompt: all prompts in turn, or drawn anew in each step") {
  const auto prior = random_model("lstm", 1);
  Shards shards(2, 1);
  for (const size_t prompts : {1u, 3u, 4u, 9u}) {
    std::vector<std::vector<int32_t>> all;
    for (size_t p = 0; p < prompts; ++p) all.push_back(std::vector<int32_t>(p % 3 + 1, int32_t(p) % 3));
    TuneConfig o = tuning(4, true, true);
    o.batch = 16;
    RolloutSource source(all, ended_world(3), reward_of_beginnings, o, shards);
    std::vector<int64_t> seen(prompts, 0);
    for (int64_t step = 1; step <= 12; ++step) {
      const Experience& e = *source.draw(step, *prior).back();
      std::vector<int64_t> count(prompts, 0);
      for (const int32_t p : e.group) ++count[size_t(p)];
      for (size_t p = 0; p < prompts; ++p) {
        CHECK(count[p] % 4 == 0);
        seen[p] += count[p];
      }
      CHECK(e.independent == (prompts <= 4 ? 16 : 4));
      for (size_t b = 0; b + 4 < 16; ++b) CHECK(e.group[b] == e.group[b + 4]);
    }
    const auto [least, most] = std::ranges::minmax(seen);
    if (prompts <= 4) CHECK(least == most);
    CHECK(least > 0);
  }
}

// Of two prompts, whose rewards lie apart, twice two sequences in a batch.
TEST_CASE(
    "leave-one-out within each prompt has the variance that enumeration says, which is less than across prompts") {
  const std::vector<std::vector<int32_t>> prompts{{kEnd}, {0}};
  const RewardFunction reward = [](const Sequences& s, std::span<const int32_t> prompt) {
    std::vector<double> r = reward_of_beginnings(s, prompt);
    for (size_t i = 0; i < r.size(); ++i) r[i] += 3 * prompt[i];
    return r;
  };
  struct Outcome {
    double p, R;
    std::vector<double> score;
  };
  const auto policy = random_model("lstm", 1), prior = random_model("lstm", 1001);
  Shards shards(2, 1);
  std::vector<std::vector<Outcome>> of(2);
  for (size_t p = 0; p < 2; ++p) {
    World world = ended_world(2);
    world.prompt = prompts[p];
    const LanguageModel* const both[] = {policy.get(), prior.get()};
    const gradus::Enumeration all = gradus::enumerate(both, world);
    const std::vector<double> r = reward(all.sequences, std::vector<int32_t>(size_t(all.sequences.size()), int32_t(p)));
    for (size_t x = 0; x < r.size(); ++x) {
      std::vector<double> one(r.size(), 0.0);
      one[x] = 1;
      of[p].push_back({.p = std::exp(all.log_prob[0][x]),
                       .R = r[x] - kBeta * (all.log_prob[0][x] - all.log_prob[1][x]),
                       .score = weighted_score(*policy, world, all.sequences, one, shards)});
    }
  }
  // E |g|² − |E g|² of a batch a, b of the first prompt and c, d of the second, the others being those of the same one.
  const auto variance = [&](bool across) {
    const size_t n = of[0][0].score.size();
    std::vector<double> mean(n, 0.0), g(n);
    double square = 0;
    for (const Outcome& a : of[0])
      for (const Outcome& b : of[0])
        for (const Outcome& c : of[1])
          for (const Outcome& d : of[1]) {
            const double p = a.p * b.p * c.p * d.p, sum = a.R + b.R + c.R + d.R;
            const Outcome* const batch[] = {&a, &b, &c, &d};
            const double other[] = {b.R, a.R, d.R, c.R};
            std::ranges::fill(g, 0.0);
            for (size_t i = 0; i < 4; ++i) {
              const double w = (batch[i]->R - (across ? (sum - batch[i]->R) / 3 : other[i])) / 4;
              for (size_t k = 0; k < n; ++k) g[k] += w * batch[i]->score[k];
            }
            for (size_t k = 0; k < n; ++k) {
              mean[k] += p * g[k];
              square += p * g[k] * g[k];
            }
          }
    for (const double m : mean) square -= m * m;
    return square;
  };
  const double within = variance(false);
  CHECK(within < 0.8 * variance(true));
  const TuneConfig o = Tuning{.kl_coef = kBeta, .batch = 4};
  Tuner tuner(*policy, *prior, prompts, ended_world(2), reward, o, shards);
  RunningMoments m(of[0][0].score.size());
  for (int64_t step = 1; step <= 6000; ++step) m.add(tuner.gradient(step));
  double seen = 0;
  for (const double v : m.variance()) seen += v;
  CHECK(near(seen, within) <= 0.05);
}

TEST_CASE("trained for several epochs without division it ends at the posterior") {
  TuneConfig o = tuning(8, false, false);
  o.epochs = 2;
  const EasyWorld easy(31);
  TunedWorld t(clone(*easy.prior), easy.world, easy.reward, o);
  KnownWorlds known = t.known();
  const double before = *known.of(*t.policy, kBeta).kl_to_posterior;
  t.train(200, 0.05);
  const double after = *known.of(*t.policy, kBeta).kl_to_posterior;
  INFO("KL to the posterior ", before, " before, ", after, " after");
  CHECK(after < 0.05 * before);
  CHECK(t.tuner.metrics().clip_share.has_value());
}

TEST_SUITE_END();

}  // namespace
