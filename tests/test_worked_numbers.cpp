// rl/worked_example.h against data/worked_numbers.json, number by number; and the identities that hold for any table:
// rl/posterior.h and rl/estimators.h.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/rng.h"
#include "rl/estimators.h"
#include "rl/posterior.h"
#include "rl/worked_example.h"
#include "tests/near.h"

namespace {

using namespace gradus;

std::vector<double> normals(int64_t which, size_t n, double scale = 1) {
  const Rng rng = Rng(3, Stream::kTest).at(which);
  std::vector<double> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = scale * rng.normal(int64_t(i));
  return x;
}
Table random_table(int64_t which, size_t n) { return Table::of_logits(normals(which, n)); }

nlohmann::json data() {
  std::ifstream file("data/worked_numbers.json");
  REQUIRE_MESSAGE(file.good(), "run from the repository root: data/worked_numbers.json is not here");
  return nlohmann::json::parse(file);
}

// The mean of s(x) f(x) and the trace of its covariance, term by term as defined.
Moments by_definition(const Table& pi, const Table& sampler, const std::vector<double>& f) {
  const size_t n = pi.size();
  Moments m{std::vector<double>(n), std::vector<double>(n)};
  for (size_t j = 0; j < n; ++j) {
    for (size_t x = 0; x < n; ++x) m.mean[j] += sampler.p[x] * f[x] * ((x == j) - pi.p[j]);
    for (size_t x = 0; x < n; ++x) m.variance[j] += sampler.p[x] * std::pow(f[x] * ((x == j) - pi.p[j]) - m.mean[j], 2);
  }
  return m;
}

}  // namespace

TEST_SUITE("worked_numbers") {
  TEST_CASE("worked numbers: every number of the documents' examples, to 1e-12") {
    const WorkedNumbers got = worked_numbers();
    const nlohmann::json wanted = data().at("numbers");
    std::set<std::string> names;
    for (const WorkedNumbers::Entry& entry : got.entries()) CHECK_MESSAGE(names.insert(entry.name).second, entry.name);
    CHECK(names.size() == wanted.size());
    for (const auto& number : wanted) {
      const std::string name = number.at("name");
      const bool trajectory = name.rfind("ascent.", 0) == 0 || name.rfind("collapse.", 0) == 0;
      CHECK_MESSAGE(near(got[name], number.at("values").get<std::vector<double>>(), 1) <= (trajectory ? 1e-9 : 1e-12),
                    name);
    }
    CHECK_THROWS_AS(got["no such number"], ShapeError);
  }

  TEST_CASE("worked numbers: what the documents print beside what is true") {
    const nlohmann::json file = data();
    const WorkedNumbers got = worked_numbers();
    CHECK(got.one("kl.pi.q") < 0.0997934720914666);
    CHECK(got.one("kl.pi.q") > 0.0997934720914664);
    CHECK(got.one("chi2.q.pi") == doctest::Approx(0.22).epsilon(1e-14));  // what the 0.22 is
    for (const auto& row : file.at("printed")) {
      CHECK(
          file.at("documents")
              .contains(row.at("source").get<std::string>().substr(0, row.at("source").get<std::string>().find(' '))));
      const std::string name = row.at("name");
      const std::vector<double> printed = row.at("printed").is_array() ? row.at("printed").get<std::vector<double>>()
                                                                       : std::vector{row.at("printed").get<double>()};
      CHECK_FALSE(near(got[name], printed) <= 1e-3);  // each is wrong
    }
    const Report report = printed_report();
    for (const auto& row : file.at("printed"))
      if (row.at("name") == "report.f1")
        for (size_t i = 0; i < report.rows.size(); ++i) CHECK(report.rows[i].f1 == row.at("printed").at(i));
      else if (row.at("name") == "report.support")
        CHECK(report.micro.support == row.at("printed"));
      else if (row.at("name") == "report.macro")
        CHECK(std::vector{report.macro.precision, report.macro.recall, report.macro.f1} ==
              row.at("printed").get<std::vector<double>>());
  }
}

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
      std::vector<double> away = f_gradient(FDivergence::kReverseKl, pi, best.table);
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
    CHECK_THROWS_AS(posterior(q, r, 0), ShapeError);
    // Far from the posterior the gap is measured in logarithms, not lost as 0 or infinity.
    const Table pi = Table::of({0.1, 0.9, 0, 0, 0});
    CHECK(near(kl(pi, posterior(q, r, 1e-3).table), (posterior(q, r, 1e-3).j_star - objective(pi, q, r, 1e-3)) * 1e3) <=
          1e-12);
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
    double beta = 0.2;
    for (int n = 0; n < 20000; ++n) beta = next_kl_coef(beta, kl(posterior(w.q, w.r, beta).table, w.q), 0.1, 64, 10000);
    CHECK(near(beta, kl_coef_for(w.q, w.r, 0.1)) <= 1e-10);
    for (double target : {0.0, -1.0, 0.52, std::nan("")}) CHECK_THROWS_AS(kl_coef_for(w.q, w.r, target), DataError);
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
      // I-projection: KL(t‖q) = KL(t‖p) + KL(p‖q) for every t with these moments.
      CHECK(near(kl(other, q), kl(other, fit.table) + kl(fit.table, q)) <= 1e-11);
    }
    const FourSentences w;
    for (double mu : {1.2, 1.0, 0.0, -0.1}) CHECK_THROWS_AS(fit_moments(w.q, {w.r}, std::vector{mu}), DataError);
    CHECK_THROWS_AS(fit_moments(w.q, {{0, 0, 0, 0}}, std::vector{0.5}), DataError);  // a feature never seen
    CHECK_THROWS_AS(fit_moments(w.q, {w.r, w.r}, std::vector{0.5, 0.6}), DataError);
  }
}

TEST_SUITE("estimators") {
  TEST_CASE("estimators: mean and variance of s·f by definition, and the best constants are the lowest points") {
    for (int64_t trial = 0; trial < 20; ++trial) {
      const size_t n = size_t(2 + trial % 7);
      const Table pi = random_table(1100 + trial, n), sampler = random_table(1130 + trial, n);
      const std::vector<double> f = normals(1160 + trial, n);
      for (const Table& from : {pi, sampler}) {
        const Moments got = score_moments(pi, from, f), wanted = by_definition(pi, from, f);
        CHECK(near(got.mean, wanted.mean, 1) <= 1e-13);
        CHECK(near(got.variance, wanted.variance, 1) <= 1e-13);
      }
      CHECK(near(score_moments(pi, pi, f).mean, score_gradient(pi, f), 1) <= 1e-14);
      const auto shifted = [&](double c) {
        std::vector<double> g = f;
        for (double& x : g) x += c;
        return score_moments(pi, pi, g);
      };
      const double c = best_constant(pi, f), v = shifted(c).total_variance();
      CHECK(v < shifted(c + 0.01).total_variance());
      CHECK(v < shifted(c - 0.01).total_variance());
      CHECK(near(shifted(c).mean, shifted(0).mean, 1) <= 1e-13);  // the mean does not depend on it
      for (size_t j = 0; j < n; ++j) {
        const double cj = best_constants(pi, f)[j];
        CHECK(shifted(cj).variance[j] <= shifted(cj + 0.01).variance[j]);
        CHECK(shifted(cj).variance[j] <= shifted(cj - 0.01).variance[j]);
      }
    }
    CHECK(best_constants(Table::of({1, 0}), std::vector{2.0, 3.0}) == std::vector<double>{0, 0});
  }

  TEST_CASE("estimators: k1, k2 and k3 as losses descend nothing, KL(π‖q) and KL(q‖π)") {
    for (int64_t trial = 0; trial < 20; ++trial) {
      const Table pi = random_table(1200 + trial, 8), q = random_table(1230 + trial, 8);
      const std::vector<double> u = log_ratios(pi, q);
      std::vector<double> value[3], slope[3];
      for (int k = 0; k < 3; ++k)
        for (double x : u) {
          value[k].push_back(kl_estimate(KlEstimate(k), x));
          slope[k].push_back(kl_estimate_slope(KlEstimate(k), x));
          constexpr double h = 1e-5;
          CHECK(std::fabs((kl_estimate(KlEstimate(k), x + h) - kl_estimate(KlEstimate(k), x - h)) / (2 * h) -
                          slope[k].back()) <= 1e-7 * std::exp(std::fabs(x)));
        }
      const std::vector<double> forward = f_gradient(FDivergence::kForwardKl, pi, q),
                                reverse = f_gradient(FDivergence::kReverseKl, pi, q);
      CHECK(near(score_gradient(pi, slope[0]), std::vector<double>(8, 0.0), 1) <= 1e-15);
      CHECK(near(score_gradient(pi, slope[1]), reverse, 1) <= 1e-14);
      CHECK(near(score_gradient(pi, slope[2]), forward, 1) <= 1e-14);
      std::vector<double> difference = reverse;
      for (size_t j = 0; j < 8; ++j) difference[j] -= forward[j];
      CHECK(near(score_gradient(pi, value[2]), difference, 1) <= 1e-13);
      CHECK(near(pi.mean(value[0]), kl(pi, q)) <= 1e-13);
      CHECK(near(pi.mean(value[2]), kl(pi, q)) <= 1e-13);
      for (double x : value[2]) CHECK(x >= 0);
    }
  }

  TEST_CASE("estimators: importance weights") {
    CHECK(effective_sample_size(std::vector{2.0, 2.0, 2.0}) == 3);
    CHECK(effective_sample_size(std::vector{5.0, 0.0, 0.0}) == 1);
    CHECK(effective_sample_size(std::vector{0.0, 0.0}) == 0);
    CHECK(near(effective_sample_size(std::vector{1.0, 3.0}), 1.6) <= 1e-15);
    CHECK(self_normalised_mean(std::vector{1.0, 3.0}, std::vector{4.0, 8.0}) == 7);
    // The bias falls as 1/N: N times it settles.
    const WorkedNumbers n = worked_numbers();
    const auto bias = [&](int draws) { return n.one(text("importance.self_normalised.", draws)) - 0.6; };
    CHECK(std::fabs(bias(32)) < std::fabs(bias(16)) / 1.8);
    CHECK(std::fabs(bias(32)) > std::fabs(bias(16)) / 2.2);
  }

  TEST_CASE("estimators: advantages of groups and along a sequence") {
    CHECK(near(leave_one_out_advantages(std::vector{1.0, 2.0, 6.0}), std::vector{-3.0, -1.5, 4.5}) <= 1e-15);
    CHECK(near(normalised_advantages(std::vector{1.0, 2.0, 3.0}), std::vector{-1.0, 0.0, 1.0}) <= 1e-15);
    CHECK(normalised_advantages(std::vector{0.1, 0.1, 0.1}) == std::vector<double>{0, 0, 0});
    CHECK(leave_one_out_advantages(std::vector{0.5, 0.5}) == std::vector<double>{0, 0});
    CHECK_THROWS_AS(leave_one_out_advantages(std::vector{1.0}), ShapeError);
    CHECK_THROWS_AS(normalised_advantages(std::vector{1.0}), ShapeError);
    // λ = 1 is return minus value, λ = 0 the one-step error.
    const std::vector<double> r{1, 2, 3}, v{0.5, 0.25, 0.125};
    CHECK(near(generalised_advantages(r, v, 1, 1), std::vector{5.5, 4.75, 2.875}) <= 1e-15);
    CHECK(near(generalised_advantages(r, v, 0.5, 0), std::vector{1 + 0.125 - 0.5, 2 + 0.0625 - 0.25, 2.875}) <= 1e-15);
    CHECK_THROWS_AS(generalised_advantages(r, std::vector{1.0}, 1, 1), ShapeError);
  }
}
