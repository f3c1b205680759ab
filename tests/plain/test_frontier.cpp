// rl/tables/frontier.h: no policy lies above the frontier, and best-of-N is what N draws give.
#include <doctest/doctest.h>

#include <cmath>

#include "rl/tables/frontier.h"
#include "rl/tables/posterior.h"
#include "tests/near.h"
#include "tests/random_table.h"

namespace {

using namespace gradus;
using testing::normals;
using testing::random_table;

const Table kSentences = Table::of({0.4, 0.3, 0.2, 0.1});
const std::vector<double> kCat{1, 0, 1, 0};

}  // namespace

TEST_SUITE("frontier") {
  TEST_CASE("frontier: its points are posteriors, from the prior to its best outcomes") {
    const std::vector<FrontierPoint> curve = frontier_points(kSentences, kCat, 11);
    REQUIRE(curve.size() == 11);
    CHECK(curve[0].beta == INFINITY);
    CHECK(near(curve[0].reward, 0.6) <= 1e-15);
    CHECK(curve[0].kl == 0);
    CHECK(curve[10].reward == 1);
    CHECK(near(curve[10].kl, -std::log(0.6)) <= 1e-15);
    for (size_t k = 1; k < 10; ++k) {
      const double e = 0.6 * std::exp(1 / curve[k].beta), z = 0.4 + e;
      CHECK(near(curve[k].reward, e / z) <= 1e-12);
      CHECK(near(curve[k].kl, e / z / curve[k].beta - std::log(z)) <= 1e-10);
      CHECK(near(curve[k].kl, -std::log(0.6) * double(k * k) / 100) <= 1e-10);
      CHECK(curve[k].reward > curve[k - 1].reward);
    }
    CHECK(frontier_points(kSentences, std::vector<double>(4, 2.0), 11).size() == 1);
  }

  TEST_CASE("frontier: the distance to it is 0 on it, positive elsewhere, and infinite where the prior excludes") {
    for (int64_t trial = 0; trial < 20; ++trial) {
      const Table q = random_table(300 + trial, 8), pi = random_table(330 + trial, 8);
      const std::vector<double> r = normals(360 + trial, 8);
      const Table best = posterior(q, r, 0.5).table;
      CHECK(std::fabs(kl_to_frontier(best, q, r)) <= 1e-10);
      const double above = kl_to_frontier(pi, q, r);
      CHECK(above > 0);
      // The least KL with the same reward, by the posterior that has it.
      double low = -50, high = 50;  // 1/β
      for (int k = 0; k < 200; ++k) {
        std::vector<double> scaled(r);
        const double middle = (low + high) / 2;
        for (double& x : scaled) x *= middle;
        (posterior(q, scaled, 1).table.mean(r) < pi.mean(r) ? low : high) = middle;
      }
      std::vector<double> scaled(r);
      for (double& x : scaled) x *= low;
      CHECK(near(above, kl(pi, q) - kl(posterior(q, scaled, 1).table, q)) <= 1e-9);
    }
    CHECK(std::fabs(kl_to_frontier(Table::of({2.0 / 3, 0, 1.0 / 3, 0}), kSentences, kCat)) <= 1e-12);
    CHECK(near(kl_to_frontier(Table::of({1, 0, 0, 0}), kSentences, kCat), std::log(1.5)) <= 1e-12);
    CHECK(kl_to_frontier(Table::of({0.5, 0.5}), Table::of({1, 0}), std::vector{1.0, 0.0}) == INFINITY);
  }

  TEST_CASE("frontier: best of N by hand, and by all pairs of draws") {
    const BestOfN one = best_of_n(kSentences, kCat, 1), two = best_of_n(kSentences, kCat, 2);
    CHECK(near(one.reward, 0.6) <= 1e-15);
    CHECK(std::fabs(one.kl) <= 1e-15);
    CHECK(one.kl_usual == 0);
    CHECK(near(two.reward, 0.84) <= 1e-15);
    CHECK(near(two.kl, 0.84 * std::log(1.4) + 0.16 * std::log(0.4)) <= 1e-14);
    CHECK(near(two.kl_usual, std::log(2.0) - 0.5) <= 1e-15);
    const Table q = random_table(400, 6);
    const std::vector<double> r{3, 1, 3, 2, 1, 3};
    std::vector<double> p(6, 0.0);
    for (size_t a = 0; a < 6; ++a)
      for (size_t b = 0; b < 6; ++b) p[r[b] > r[a] ? b : a] += q.p[a] * q.p[b];
    const BestOfN pair = best_of_n(q, r, 2);
    CHECK(near(pair.reward, Table::of(p).mean(r)) <= 1e-14);
    CHECK(near(pair.kl, kl(Table::of(p), q)) <= 1e-13);
    CHECK(pair.kl < pair.kl_usual);
    const BestOfN many = best_of_n(q, r, 1024);
    CHECK(near(many.reward, 3.0) <= 1e-12);
    CHECK(near(many.kl, -std::log(q.p[0] + q.p[2] + q.p[5])) <= 1e-10);
  }

  TEST_CASE("frontier: best of N is never nearer than 0, and a rare best has all its digits") {
    // Sums of these probabilities are not 1 to the last bit.
    for (const std::vector<double>& p : {std::vector<double>(10, 0.1), {0.7, 0.1, 0.2}, {1.0 / 3, 1.0 / 3, 1.0 / 3}})
      for (const int64_t n : {1, 2, 4, 1024}) {
        const Table q = Table::of(p);
        std::vector<double> same(p.size(), 2.0), different;
        for (size_t i = 0; i < p.size(); ++i) different.push_back(double(i));
        CHECK(best_of_n(q, same, n).kl == 0);
        CHECK(near(best_of_n(q, same, n).reward, 2.0) <= 1e-15);
        CHECK(best_of_n(q, different, n).kl >= (n == 1 ? 0 : 0.01));
        if (n == 1) CHECK(best_of_n(q, different, n).kl <= 1e-30);
      }
    // By mpmath: the best comes once in 10^12 draws.
    const BestOfN four = best_of_n(Table::of({1 - 1e-12, 1e-12}), std::vector{0.0, 1.0}, 4);
    CHECK(near(four.reward, 3.999999999994e-12) <= 1e-15);
    CHECK(near(four.kl, 2.545177444478e-12) <= 1e-11);
  }
}
