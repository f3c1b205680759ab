// tests/soft_bellman.h: the recursion against the sum over every sequence, the worked numbers of the four-sentence
// world, and a world far too large to enumerate.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "rl/tables/posterior.h"
#include "rl/worlds/enumerate.h"
#include "tests/exact_worlds.h"
#include "tests/near.h"
#include "tests/soft_bellman.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

// Rows that sum to 1; some entries 0 where `holes`.
std::vector<double> random_table(size_t V, uint64_t seed, bool holes) {
  const Rng rng(seed, Stream::kTest);
  std::vector<double> table;
  for (size_t a = 0; a < V; ++a) {
    std::vector<double> p;
    double sum = 0;
    for (size_t b = 0; b < V; ++b) {
      p.push_back(holes && (a + 2 * b) % V == 1 ? 0 : 0.05 + rng.uniform(int64_t(a * V + b)));
      sum += p.back();
    }
    for (const double x : p) table.push_back(std::log(x / sum));
  }
  return table;
}

// Calls leaf(log q, log π, reward) for every sequence of the world.
void for_each_sequence(const World& world, size_t V, std::span<const double> log_q, std::span<const double> log_pi,
                       std::span<const double> reward, const std::function<void(double, double, double)>& leaf) {
  std::function<void(int64_t, int32_t, double, double, double)> walk = [&](int64_t t, int32_t a, double q, double p,
                                                                           double r) {
    if (t == world.max_tokens || (t > 0 && a == world.end_id)) return leaf(q, p, r);
    for (size_t b = 0; b < V; ++b) {
      const size_t i = size_t(a) * V + b;
      if (log_q[i] != kImpossible) walk(t + 1, int32_t(b), q + log_q[i], p + log_pi[i], r + reward[b]);
    }
  };
  walk(0, world.prompt.back(), 0, 0, 0);
}

TEST_SUITE_BEGIN("soft_bellman");

TEST_CASE("J* and J(pi) of the recursion are those of the sum over every sequence") {
  constexpr size_t V = 4;
  for (const int32_t end : {-1, 3})
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      const bool holes = seed % 2 == 0;
      const World world{{3}, end, 5};
      const auto log_q = random_table(V, seed, holes), log_pi = random_table(V, seed + 100, holes);
      const std::vector<double> r = random_rewards(V, seed);
      const double beta = 0.2 * double(seed);
      std::vector<double> log_prior, reward;
      double j = 0;
      for_each_sequence(world, V, log_q, log_pi, r, [&](double q, double p, double sum) {
        log_prior.push_back(q);
        reward.push_back(sum);
        j += std::exp(p) * (sum - beta * (p - q));
      });
      const SoftValues values = soft_values(log_q, r, world, beta);
      CHECK(near(values.j_star, posterior(Table::of_logs(log_prior), reward, beta).j_star) <= 1e-12);
      CHECK(near(bigram_objective(log_pi, log_q, r, world, beta), j) <= 1e-12);
      CHECK(values.j_star > j);
      // π* sums to 1 after every prefix.
      for (int64_t t = 0; t < world.max_tokens; ++t)
        for (int32_t a = 0; a < int32_t(V); ++a) {
          double sum = 0;
          for (int32_t b = 0; b < int32_t(V); ++b) sum += std::exp(log_optimal(values, log_q, r, world, beta, t, a, b));
          CHECK(near(sum, 1.0) <= 1e-12);
        }
    }
}

// Tokens: the, a, cat, dog, end. q as in the worked example; a cat is worth 1.
TEST_CASE("the worked four sentences: values and token-level posterior") {
  const double none = kImpossible;
  const std::vector<double> log_q{none,
                                  none,
                                  std::log(4.0 / 7),
                                  std::log(3.0 / 7),
                                  none,  //
                                  none,
                                  none,
                                  std::log(2.0 / 3),
                                  std::log(1.0 / 3),
                                  none,  //
                                  none,
                                  none,
                                  none,
                                  none,
                                  0,  //
                                  none,
                                  none,
                                  none,
                                  none,
                                  0,  //
                                  std::log(0.7),
                                  std::log(0.3),
                                  none,
                                  none,
                                  none};
  const std::vector<double> cat{0, 0, 1, 0, 0};
  const World world{{4}, 4, 3};
  struct Row {
    double beta, v_the, v_a, v_root, the, cat_the, cat_a;
  };
  for (const Row& row :
       {Row{0.1, 0.9440418261432, 0.9594557591599, 0.9489204642396, 0.6666691888087, 0.9999659512120, 0.9999773005504},
        Row{0.5, 0.7685292134965, 0.8300056935057, 0.7877785588258, 0.6735630752413, 0.9078517224991, 0.9366210616670},
        Row{1, 0.6840435330960, 0.7633825153901, 0.7085130668623, 0.6830791927762, 0.7837545974938, 0.8446375965030},
        Row{2, 0.6306400071062, 0.7188155985578, 0.6575032505388, 0.6906607260029, 0.6873334100293, 0.7673034623811}}) {
    const SoftValues v = soft_values(log_q, cat, world, row.beta);
    const auto optimal = [&](int64_t t, int32_t a, int32_t b) {
      return std::exp(log_optimal(v, log_q, cat, world, row.beta, t, a, b));
    };
    const double got[] = {v.at(1, 0), v.at(1, 1), v.j_star, optimal(0, 4, 0), optimal(1, 0, 2), optimal(1, 1, 2)};
    const double wanted[] = {row.v_the, row.v_a, row.v_root, row.the, row.cat_the, row.cat_a};
    CHECK(near(got, wanted).absolute <= 1e-12);  // printed to 13 digits
  }
}

// Where every sequence has the return r − β log(π*/q) = J*, and π* sums to 1, π* is the posterior: no sum over the
// 32^20 sequences is needed to see it.
TEST_CASE("32 tokens and 20 draws: every sequence has the return J* under the optimal policy") {
  constexpr size_t V = 32;
  const auto log_q = random_table(V, 9, false);
  const std::vector<double> r = random_rewards(V, 3);
  const World world{{31}, 30, 20};
  const double beta = 0.3;
  const SoftValues values = soft_values(log_q, r, world, beta);
  CHECK(values.j_star > bigram_objective(log_q, log_q, r, world, beta));
  for (int64_t n = 0; n < 50; ++n) {
    const Rng rng = Rng(4, Stream::kTest).at(n);
    double value = 0;
    int32_t a = 31;
    for (int64_t t = 0; t < world.max_tokens && a != world.end_id; ++t) {
      const int32_t b = int32_t(rng.below(t, V));
      value += r[size_t(b)] -
               beta * (log_optimal(values, log_q, r, world, beta, t, a, b) - log_q[size_t(a) * V + size_t(b)]);
      a = b;
    }
    CHECK(near(value, values.j_star) <= 1e-12);
  }
}

TEST_CASE("a model that looks further back than one token is no bigram model") {
  CHECK_THROWS_AS(bigram_table(*random_model("lstm", 1)), DataError);
  CHECK_THROWS_AS(soft_values(random_table(3, 1, false), random_rewards(3, 1), {{0}, -1, 2}, 0), ShapeError);
}

TEST_SUITE_END();

}  // namespace
