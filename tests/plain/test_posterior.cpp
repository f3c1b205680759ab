// rl/tables/posterior.h: the identities that hold for any table, limits, and what is refused.
#include <doctest/doctest.h>

#include <cmath>

#include "apps/kl/worked_example.h"
#include "rl/controller.h"
#include "rl/tables/moments.h"
#include "rl/tables/posterior.h"
#include "tests/near.h"
#include "tests/random_table.h"

namespace {

using namespace gradus;
using testing::normals;
using testing::random_table;

}  // namespace

TEST_SUITE("posterior") {
  TEST_CASE("posterior: J* − J(π) = β KL(π‖π*) for every π, q, r and β, and no π is better") {
    for (int64_t trial = 0; trial < 200; ++trial) {
      const size_t n = size_t(2 + trial % 40);
      const Table pi = random_table(4 * trial, n), q = random_table(4 * trial + 1, n);
      const std::vector<double> r = normals(4 * trial + 2, n);
      const double beta = std::exp(normals(4 * trial + 3, 1)[0]);
      const Posterior best = posterior(q, r, beta);
      const double gap = best.j_star - objective(pi, q, r, beta);
      CHECK(near(std::vector{gap}, std::vector{beta * kl(pi, best.table)}, 1) <= 1e-12);
      CHECK(gap >= 0);
      CHECK(near(std::vector{objective(best.table, q, r, beta)}, std::vector{best.j_star}, 1) <= 1e-12);
      // RLHF is the reverse KL to π*: ∇J = −β ∇KL(π‖π*).
      std::vector<double> away = f_gradient(divergence_named("reverse-kl"), pi, best.table);
      for (double& x : away) x *= -beta;
      CHECK(near(objective_gradient(pi, q, r, beta), away, 1) <= 1e-12);
      // A constant added to the rewards moves J* by it and the posterior not at all.
      std::vector<double> raised = r;
      for (double& x : raised) x += 3;
      CHECK(near(posterior(q, raised, beta).table.p, best.table.p, 1) <= 1e-13);
      CHECK(std::fabs(posterior(q, raised, beta).j_star - best.j_star - 3) <= 1e-12);
    }
  }

  TEST_CASE("posterior: β → ∞ gives q, β → 0 gives q among the best, and nothing overflows") {
    const Table q = Table::of({0.4, 0.3, 0.2, 0.1, 0});
    const std::vector<double> r{1, 0, 1, 0, 5};  // the last cannot happen, whatever it pays
    CHECK(near(posterior(q, r, 1e12).table.p, q.p) <= 1e-11);
    CHECK(near(posterior(q, r, 1e-6).table.p, std::vector{2.0 / 3, 0.0, 1.0 / 3, 0.0, 0.0}) <= 1e-9);
    CHECK(near(posterior(q, r, 1e-6).j_star, 1.0) <= 1e-6);
    CHECK(near(objective(q, q, r, 0), 0.6) <= 1e-15);
    const Table beyond = Table::of({0, 0, 0, 0, 1});  // where q says nothing; β = 0 does not ask
    CHECK(objective(beyond, q, r, 0) == 5);
    CHECK(objective_gradient(Table::of({0.5, 0, 0, 0, 0.5}), q, r, 0) == std::vector<double>{-1, 0, 0, 0, 1});
    CHECK_THROWS_AS(posterior(q, r, 0), ShapeError);
    // Far from the posterior the gap is measured in logarithms, not lost as 0 or infinity.
    const Table pi = Table::of({0.1, 0.9, 0, 0, 0});
    CHECK(near(kl(pi, posterior(q, r, 1e-3).table), (posterior(q, r, 1e-3).j_star - objective(pi, q, r, 1e-3)) * 1e3) <=
          1e-12);
  }

  TEST_CASE(
      "posterior: log Z is that of rewards measured from the best, so neither size nor level of rewards costs digits") {
    const Table q = Table::of({0.4, 0.3, 0.2, 0.1});
    const std::vector<double> r{1, 0.25, -0.5, 0.75};
    const Posterior near_zero = posterior(q, r, 0.5);
    for (const double level : {1e9, -1e9, 1e12}) {  // of which r/β alone would keep 7 digits or 4
      std::vector<double> raised = r;
      for (double& x : raised) x += level;
      const Posterior at = posterior(q, raised, 0.5);
      for (double& x : raised) x -= level;  // as far as the sum kept them
      const Posterior wanted = posterior(q, raised, 0.5);
      CHECK(near(at.table.p, wanted.table.p) <= 1e-15);
      CHECK(near(at.table.log_p, wanted.table.log_p) <= 1e-15);
      CHECK(near(at.log_z, wanted.log_z + level / 0.5) <= 1e-15);
      CHECK(near(at.j_star, wanted.j_star + level) <= 1e-15);
    }
    CHECK(near(near_zero.j_star, 0.5 * near_zero.log_z) <= 1e-14);
    // r/β is no number any more, yet the best outcomes, their J* and the posterior are.
    const Posterior huge = posterior(q, std::vector{1e308, 0.0, 1e308, -1e308}, 0.01);
    CHECK(near(huge.table.p, std::vector{2.0 / 3, 0.0, 1.0 / 3, 0.0}) <= 1e-15);
    CHECK(huge.j_star == 1e308);
    CHECK(near(posterior(q, std::vector{-1e308, -1e308, -1e308, -1e308}, 0.01).table.p, q.p) <= 1e-15);
  }

  TEST_CASE("posterior: with no reward, ascent returns to the prior from anywhere") {
    const Table q = random_table(900, 6);
    const std::vector<double> r(6, 0.0);
    CHECK(kl(posterior(q, r, 0.3).table, q) <= 1e-15);
    // ascend begins at q; the same steps begun elsewhere:
    std::vector<double> z = normals(901, 6);
    CHECK(kl(Table::of_logits(z), q) > 0.1);
    for (int n = 0; n < 2000; ++n) {
      const std::vector<double> g = objective_gradient(Table::of_logits(z), q, r, 1);
      for (size_t j = 0; j < z.size(); ++j) z[j] += g[j];
    }
    CHECK(kl(Table::of_logits(z), q) <= 1e-6);
  }

  TEST_CASE("posterior: the coefficient for a KL target, alone and by the controller in a closed loop") {
    for (int64_t trial = 0; trial < 10; ++trial) {
      const Table q = random_table(910 + trial, 9);
      const std::vector<double> r = normals(930 + trial, 9, 10);
      const double beta = kl_coef_for(q, r, 0.05);
      CHECK(near(kl(posterior(q, r, beta).table, q), 0.05) <= 1e-12);
    }
    const FourSentences w;
    const Table missing = Table::of({0.4, 0.3, 0.2, 0.1, 0});  // what cannot happen is not the best
    CHECK(near(kl_coef_for(missing, std::vector{1.0, 0.0, 1.0, 0.0, 9.0}, 0.1), kl_coef_for(w.q, w.r, 0.1)) <= 1e-13);
    CHECK_THROWS_AS(kl_coef_for(missing, std::vector{1.0, 0.0, 1.0, 0.0, 9.0}, 0.52), DataError);
    CHECK(kl_coef_for(w.q, w.r, std::nextafter(-std::log(0.4 + 0.2), 0)) < 0.04);  // the most there is: it ends
    double beta = 0.2;
    for (int n = 0; n < 20000; ++n) beta = next_kl_coef(beta, kl(posterior(w.q, w.r, beta).table, w.q), 0.1, 64, 10000);
    CHECK(near(beta, kl_coef_for(w.q, w.r, 0.1)) <= 1e-10);
    for (double target : {0.0, 1e-13, -1.0, 0.52, std::nan("")})
      CHECK_THROWS_AS(kl_coef_for(w.q, w.r, target), DataError);
    CHECK_THROWS_AS(kl_coef_for(w.q, std::vector{1.0, 1.0, 1.0, 1.0}, 0.1), DataError);  // nothing to gain
    CHECK_THROWS_AS(next_kl_coef(0.2, 1, 0, 64, 1000), ShapeError);
    CHECK_THROWS_AS(next_kl_coef(0.2, 1, 6, 64, 0), ShapeError);
  }

  TEST_CASE("posterior: moments that can be met are met by the nearest table, others are refused") {
    for (int64_t trial = 0; trial < 20; ++trial) {
      const Table q = random_table(950 + trial, 12), other = random_table(980 + trial, 12);
      const std::vector<std::vector<double>> phi{normals(1000 + trial, 12), normals(1030 + trial, 12)};
      const std::vector<double> mu{other.mean(phi[0]), other.mean(phi[1])};
      const MomentFit fit = fit_moments(q, phi, mu);
      CHECK(near(std::vector{fit.table.mean(phi[0]), fit.table.mean(phi[1])}, mu, 1) <= 1e-12);
      double z = 0;  // of features as they are, not measured from their means
      for (size_t i = 0; i < q.size(); ++i)
        z += q.p[i] * std::exp(fit.lambda[0] * phi[0][i] + fit.lambda[1] * phi[1][i]);
      CHECK(near(fit.log_z, std::log(z)) <= 1e-11);
      // I-projection: KL(t‖q) = KL(t‖p) + KL(p‖q) for every t with these moments.
      CHECK(near(kl(other, q), kl(other, fit.table) + kl(fit.table, q)) <= 1e-11);
    }
    const FourSentences w;
    // A rare feature asked to be common: whole Newton steps would leap to where nothing varies.
    CHECK(near(fit_moments(Table::of({1e-4, 1 - 1e-4}), {{1, 0}}, std::vector{0.9}).table.p, std::vector{0.9, 0.1}) <=
          1e-12);
    for (double scale : {1e-6, 1e6}) {  // the unit of a feature does not matter
      const std::vector<double> scaled{scale, 0, scale, 0};
      CHECK(near(fit_moments(w.q, {scaled}, std::vector{0.5 * scale}).table.p,
                 fit_moments(w.q, {w.r}, std::vector{0.5}).table.p) <= 1e-12);
      CHECK_THROWS_AS(fit_moments(w.q, {scaled}, std::vector{scale}), DataError);
    }
    for (double mu : {1.2, 1.0, 0.0, -0.1}) CHECK_THROWS_AS(fit_moments(w.q, {w.r}, std::vector{mu}), DataError);
    CHECK_THROWS_AS(fit_moments(w.q, {{0, 0, 0, 0}}, std::vector{0.5}), DataError);  // a feature never seen
    CHECK_THROWS_AS(fit_moments(w.q, {w.r, w.r}, std::vector{0.5, 0.6}), DataError);
    // Rare is not dependent: a feature and one that differs from it in one outcome of probability 1e-6.
    const Table rare = Table::of({0.5, 0.5 - 1e-6, 1e-6});
    CHECK(near(fit_moments(rare, {{1, 0, 0}, {1, 0, 1}}, std::vector{0.3, 0.5}).table.p, std::vector{0.3, 0.5, 0.2}) <=
          1e-11);
  }

  // The third feature is 2a - b + 1, the fourth never changes, in units that differ by 1e6.
  TEST_CASE("posterior: features that depend on each other have the smallest Lambda that meets them, in any units") {
    for (const size_t prompts : {1u, 3u})
      for (int64_t trial = 0; trial < 10; ++trial) {
        std::vector<int32_t> prompt;
        for (size_t c = 0; c < prompts; ++c)
          for (size_t i = 0; i < 12 / prompts; ++i) prompt.push_back(int32_t(c));
        const auto joint = [&](int64_t seed) {
          std::vector<double> all;
          for (size_t c = 0; c < prompts; ++c)
            for (const double x : random_table(seed + int64_t(c), 12 / prompts).p) all.push_back(x / double(prompts));
          return Table::of(all);
        };
        const Table q = joint(1200 + 10 * trial), other = joint(1400 + 10 * trial);
        const std::vector<double> a = normals(1600 + trial, 12), b = normals(1630 + trial, 12);
        std::vector<double> c, constant(12, 7.0);
        for (size_t i = 0; i < 12; ++i) c.push_back(1e6 * (2 * a[i] - b[i] + 1));
        const std::vector<std::vector<double>> phi{a, b, c, constant};
        std::vector<double> mu;
        for (const std::vector<double>& one : phi) mu.push_back(other.mean(one));
        const MomentFit fit = fit_moments(q, phi, mu, prompt),
                        two = fit_moments(q, {a, b}, std::vector{mu[0], mu[1]}, prompt);
        CHECK(near(fit.table.p, two.table.p) <= 1e-11);
        CHECK(std::fabs(fit.log_z - two.log_z - fit.lambda[2] * 1e6 - fit.lambda[3] * 7) <= 1e-9);
        CHECK(std::fabs(fit.lambda[3]) <= 1e-12);
        CHECK(near(std::vector{fit.lambda[0] + 2e6 * fit.lambda[2], fit.lambda[1] - 1e6 * fit.lambda[2]}, two.lambda) <=
              1e-10);
        // The smallest in units of the ranges is at a right angle to what changes nothing: (2, -1, -1e-6).
        const auto range = [](const std::vector<double>& x) { return std::ranges::max(x) - std::ranges::min(x); };
        const double ra = range(a), rb = range(b), rc = range(c);
        const double along = fit.lambda[0] * ra * 2 * ra - fit.lambda[1] * rb * rb - fit.lambda[2] * rc * 1e-6 * rc;
        CHECK(std::fabs(along) <= 1e-9 * ra * ra * (1 + std::fabs(two.lambda[0])));
        mu[2] += 1e3;
        CHECK_THROWS_WITH_AS(fit_moments(q, phi, mu, prompt), doctest::Contains("cannot be met together"), DataError);
      }
  }

  // Three prompts of five texts: a table of 15 in which each prompt has one third.
  TEST_CASE("posterior: moments of several prompts are means over them, and no prompt becomes more likely") {
    const auto joint = [](int64_t trial) {
      std::vector<double> p;
      for (int64_t c = 0; c < 3; ++c)
        for (const double x : random_table(3 * trial + c, 5).p) p.push_back(x / 3);
      return Table::of(p);
    };
    std::vector<int32_t> prompt;
    for (int32_t i = 0; i < 15; ++i) prompt.push_back(i / 5);
    for (int64_t trial = 0; trial < 20; ++trial) {
      const Table q = joint(400 + trial), other = joint(440 + trial);
      const std::vector<std::vector<double>> phi{normals(1060 + trial, 15), normals(1090 + trial, 15)};
      const std::vector<double> mu{other.mean(phi[0]), other.mean(phi[1])};
      const MomentFit fit = fit_moments(q, phi, mu, prompt);
      CHECK(near(std::vector{fit.table.mean(phi[0]), fit.table.mean(phi[1])}, mu, 1) <= 1e-12);
      double log_z = 0;
      for (size_t c = 0; c < 3; ++c) {
        double share = 0, z = 0;
        for (size_t i = 5 * c; i < 5 * c + 5; ++i) {
          share += fit.table.p[i];
          z += 3 * q.p[i] * std::exp(fit.lambda[0] * phi[0][i] + fit.lambda[1] * phi[1][i]);
        }
        CHECK(near(share, 1.0 / 3) <= 1e-14);
        log_z += std::log(z) / 3;
      }
      CHECK(near(fit.log_z, log_z) <= 1e-11);
      // It is the nearest of those with these moments that keep every prompt as likely as it is.
      CHECK(near(kl(other, q), kl(other, fit.table) + kl(fit.table, q)) <= 1e-11);
    }
    const std::vector<int32_t> one(12, 0);  // one prompt, named or not
    const Table q = random_table(950, 12);
    CHECK(fit_moments(q, {normals(1000, 12)}, std::vector{0.1}, one).lambda ==
          fit_moments(q, {normals(1000, 12)}, std::vector{0.1}).lambda);
  }
}
