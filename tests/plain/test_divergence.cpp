// rl/tables/divergence.h: definitions by the plain sum, zeros, gradients against central differences, invariances.
// test_worked_numbers.cpp has the worked numbers to twelve digits.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "rl/tables/divergence.h"
#include "tests/near.h"
#include "tests/random_table.h"

namespace {

using namespace gradus;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> random_logits(int64_t which, size_t n) { return testing::normals(which, n, 2); }
Table random_table(int64_t which, size_t n) { return testing::random_table(which, n, 2); }

// ∂F(softmax(z))/∂z by four-point central differences: an error of about 1e-12 for what is used here.
template <class F>
std::vector<double> differences(std::vector<double> z, F&& f) {
  constexpr double h = 1e-3;
  std::vector<double> g(z.size());
  for (size_t j = 0; j < z.size(); ++j) {
    const double at = z[j];
    const auto moved = [&](double by) {
      z[j] = at + by;
      return f(Table::of_logits(z));
    };
    g[j] = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
    z[j] = at;
  }
  return g;
}

}  // namespace

TEST_SUITE("divergence") {
  TEST_CASE("divergence: a compensated sum keeps what a plain one loses") {
    Sum sum;
    for (double x : {1.0, 1e100, 1.0, -1e100}) sum += x;
    CHECK(double(sum) == 2);
    Sum infinite;
    for (double x : {1.0, kInfinity, 2.0}) infinite += x;
    CHECK(double(infinite) == kInfinity);
  }

  TEST_CASE("divergence: each is its definition") {
    for (int64_t trial = 0; trial < 20; ++trial) {
      const size_t n = size_t(2 + trial);
      const Table a = random_table(2 * trial, n), b = random_table(2 * trial + 1, n);
      double h = 0, ce = 0, ab = 0, ba = 0, js = 0, tv = 0, cab = 0, cba = 0, he = 0;
      for (size_t i = 0; i < n; ++i) {
        const double p = a.p[i], q = b.p[i], m = (p + q) / 2;
        h -= p * std::log(p), ce -= p * std::log(q), ab += p * std::log(p / q), ba += q * std::log(q / p);
        js += (p * std::log(p / m) + q * std::log(q / m)) / 2, tv += std::fabs(p - q) / 2;
        cab += (p - q) * (p - q) / q, cba += (p - q) * (p - q) / p, he += 1.0 / n - std::sqrt(p * q);
      }
      const Comparison c = compare(a, b);
      const double got[] = {c.entropy_a, c.cross_entropy_ab, c.kl_ab,   c.kl_ba,     c.js,
                            c.tv,        c.chi2_ab,          c.chi2_ba, c.hellinger2};
      CHECK(near(got, std::vector{h, ce, ab, ba, js, tv, cab, cba, he}) <= 1e-13);
      CHECK(near(c.entropy_b, entropy(b)) <= 0);
      CHECK(near(ce, entropy(a) + kl(a, b)) <= 1e-13);
      CHECK(near(jensen_shannon(a, b), jensen_shannon(b, a)) <= 1e-13);
    }
  }

  TEST_CASE("divergence: every row of the table is the plain sum of t f(pi/t) of the f that its help shows") {
    const std::map<std::string, double (*)(double)> f{
        {"reverse-kl", [](double r) { return r * std::log(r); }},
        {"forward-kl", [](double r) { return -std::log(r); }},
        {"js", [](double r) { return (r * std::log(2 * r / (r + 1)) + std::log(2 / (r + 1))) / 2; }},
        {"tv", [](double r) { return std::fabs(r - 1) / 2; }},
        {"chi2", [](double r) { return (1 - r) * (1 - r) / r; }},
        {"chi2-reverse", [](double r) { return (r - 1) * (r - 1); }},
        {"hellinger", [](double r) { return (1 - std::sqrt(r)) * (1 - std::sqrt(r)) / 2; }},
    };
    CHECK(f.size() == divergences().size());
    const Table pi = random_table(40, 9), t = random_table(41, 9);
    for (const Divergence& row : divergences()) {
      INFO(std::string(row.name));
      CHECK(divergence_named(row.name).name == row.name);
      const auto plain = f.at(row.name);
      double sum = 0;
      for (size_t i = 0; i < t.size(); ++i) {
        const double ratio = pi.p[i] / t.p[i], h = 1e-5 * ratio;
        sum += t.p[i] * plain(ratio);
        const double slope = (plain(ratio + h) - plain(ratio - h)) / (2 * h);
        CHECK(std::fabs(row.slope(std::log(ratio)) - slope) <= 1e-7 * (1 + std::fabs(slope)));
      }
      CHECK(near(f_divergence(row, pi, t), sum) <= 1e-13);
    }
    for (const double a : {-2.0, -0.5, 1e-9, 0.3, 0.5, 1 - 1e-9, 1.5, 3.0}) {  // alpha:A likewise
      INFO("alpha:", a);
      const Divergence f_alpha = divergence_named(text("alpha:", a));
      double sum = 0;
      for (size_t i = 0; i < t.size(); ++i) {
        const double r = pi.p[i] / t.p[i];
        sum += t.p[i] * (std::pow(r, a) - a * r + a - 1) / (a * (a - 1));
        CHECK(near(f_alpha.slope(std::log(r)), (std::pow(r, a - 1) - 1) / (a - 1)) <=
              (std::fabs(a - 1) < 1e-6 ? 1e-6 : 1e-12));
      }
      const bool at_limit = std::fabs(a) < 1e-6 || std::fabs(a - 1) < 1e-6;
      CHECK(near(f_divergence(f_alpha, pi, t), sum) <= (at_limit ? 1e-5 : 1e-12));
    }
    CHECK_THROWS_WITH_AS(divergence_named("kl"), doctest::Contains("reverse-kl, forward-kl, js"), DataError);
  }

  TEST_CASE("divergence: alpha:A has the others as its members, and limits where they are infinite") {
    const Table pi = random_table(42, 9), t = random_table(43, 9);
    const auto same = [&](const char* alpha, const char* other, double factor) {
      const Divergence a = divergence_named(alpha), b = divergence_named(other);
      CHECK(near(factor * f_divergence(a, pi, t), f_divergence(b, pi, t)) <= 1e-13);
      std::vector<double> g = f_gradient(a, pi, t);
      for (double& x : g) x *= factor;
      CHECK(near(g, f_gradient(b, pi, t)) <= 1e-12);
    };
    same("alpha:0", "forward-kl", 1);
    same("alpha:1", "reverse-kl", 1);
    same("alpha:0.5", "hellinger", 0.25);
    same("alpha:2", "chi2-reverse", 2);
    same("alpha:-1", "chi2", 2);
    CHECK(near(f_divergence(divergence_named("alpha:1e-12"), pi, t),
               f_divergence(divergence_named("forward-kl"), pi, t)) <= 1e-10);
    CHECK(divergence_named("alpha:0.5").slope(kInfinity) == 2);  // f'(∞) = 1/(1−A)
    CHECK(divergence_named("alpha:1").slope(kInfinity) == kInfinity);
    CHECK(divergence_named("alpha:1.5").slope(kInfinity) == kInfinity);
    const Table half = Table::of({0.5, 0.5, 0}), first = Table::of({1, 0, 0});
    for (const char* name : {"alpha:-1", "alpha:0", "alpha:0.3", "alpha:0.7", "alpha:1", "alpha:2.5"}) {
      INFO(std::string(name));
      const Divergence f = divergence_named(name);
      CHECK(f_divergence(f, pi, pi) == 0);
      CHECK(f.slope(0) == 0);
      for (const Table& a : {half, first, Table::of({0, 0.5, 0.5}), Table::of({5e-324, 1, 0})})
        for (const Table& b : {half, first, Table::of({0, 0, 1})}) {
          CHECK(f_divergence(f, a, b) >= 0);
          for (double g : f_gradient(f, a, b)) CHECK_FALSE(std::isnan(g));
        }
      const std::vector<double> z = random_logits(44, 9);
      const auto wanted = differences(z, [&](const Table& x) { return f_divergence(f, x, t); });
      CHECK(near(f_gradient(f, Table::of_logits(z), t), wanted, 1) <= 1e-9);
    }
    CHECK(f_divergence(divergence_named("alpha:0.3"), first, half) ==
          doctest::Approx(0.5 * (std::pow(2, 0.3) - 1.3) / -0.21 + 0.5 / 0.3).epsilon(1e-14));
    for (const char* name : {"alpha:", "alpha:x", "alpha:1x", "alpha:inf", "alpha:nan", "alpha", "alpha: 1"}) {
      CHECK_FALSE(is_divergence(name));
      CHECK_THROWS_WITH_AS(divergence_named(name), doctest::Contains("hellinger, alpha:A"), DataError);
    }
  }

  TEST_CASE("divergence: none is negative, and all are 0 between equal tables") {
    for (const Divergence& f : divergences()) {
      const Table a = random_table(50, 30);
      const std::vector<double> directions = testing::normals(52, 30);
      CHECK(f_divergence(f, a, a) == 0);
      for (int64_t trial = 0; trial < 50; ++trial) {
        std::vector<double> z = random_logits(50, 30);  // another table, ever nearer
        for (size_t i = 0; i < z.size(); ++i) z[i] += std::ldexp(directions[i], -int(trial));
        CHECK(f_divergence(f, a, Table::of_logits(z)) >= 0);
      }
      CHECK(f_divergence(f, a, random_table(51, 30)) > 0.01);
    }
    CHECK(jensen_shannon(Table::of({1, 0}), Table::of({0, 1})) == doctest::Approx(kLog2).epsilon(1e-15));
  }

  TEST_CASE("divergence: between nearly equal tables every divergence is its small true value, not rounding") {
    const Table a = Table::of({0.3, 0.7});
    for (const double d : {1e-3, 1e-6, 1e-9, 1e-12}) {
      INFO("moved by ", d);
      const double p = 0.3 + d, moved = p - 0.3;  // as far as a double can
      const Table b = Table::of({p, 0.7 - moved});
      // To the fourth order in d: KL is d²/2 (1/p + 1/q) − d³/6 (1/p² − 1/q²) + ..., the others multiples of d².
      const double x = moved / 0.3, y = -moved / 0.7;
      const auto kl_of = [](double weight, double z) {
        return weight * (z * z / 2 - z * z * z / 3 + z * z * z * z / 4);
      };
      const double wanted = kl_of(0.3, x) + kl_of(0.7, y), square = moved * moved / 0.21;
      CHECK(kl(a, b) == doctest::Approx(wanted).epsilon(1e-6));
      CHECK(kl(b, a) == doctest::Approx(square / 2).epsilon(1e-6 + 2 * d));
      CHECK(jensen_shannon(a, b) == doctest::Approx(square / 8).epsilon(1e-6 + 2 * d));
      CHECK(hellinger2(a, b) == doctest::Approx(square / 8).epsilon(1e-6 + 2 * d));
      CHECK(chi2(b, a) == doctest::Approx(square).epsilon(1e-6));
      CHECK(total_variation(a, b) == doctest::Approx(moved).epsilon(1e-6));
    }
    const Table q = Table::of({0.300000001, 0.699999999});
    CHECK(kl(a, q) == doctest::Approx(2.38e-18).epsilon(1e-2));
  }

  TEST_CASE("divergence: no rounding of a table brings any divergence below 0") {
    for (int64_t trial = 0; trial < 300; ++trial) {
      const size_t n = size_t(2 + trial % 50);
      std::vector<double> p = random_table(3000 + trial, n).p, q = p;
      const std::vector<double> noise = testing::normals(3300 + trial, n);
      for (size_t i = 0; i < n; ++i) q[i] *= 1 + 4e-16 * noise[i];  // the last bits
      for (const auto& [a, b] : {std::pair{p, q}, std::pair{q, p}}) {
        const Table x = Table::of(a), y = Table::of(b);
        for (const Divergence& f : divergences()) CHECK(f_divergence(f, x, y) >= 0);
        CHECK(kl(x, y) <= 1e-29);
        for (size_t i = 0; i < n; ++i) CHECK(kl_term(a[i], std::log(a[i]), b[i], std::log(b[i])) >= 0);
      }
    }
    // From one to the other end of what a double holds.
    for (const double p : {0.0, 5e-324, 1e-310, 1e-200, 1e-9, 0.3, 1.0})
      for (const double q : {0.0, 5e-324, 1e-310, 1e-200, 1e-9, 0.3, 1.0}) {
        const double term = kl_term(p, std::log(p), q, std::log(q));
        CHECK(term >= 0);
        CHECK((term == kInfinity) == (p > 0 && q == 0));
      }
  }

  TEST_CASE("divergence: permuting the outcomes and adding impossible ones changes nothing") {
    const Table a = random_table(60, 12), b = random_table(61, 12);
    std::vector<double> pa = a.p, pb = b.p;
    std::reverse(pa.begin(), pa.end()), std::reverse(pb.begin(), pb.end());
    pa.insert(pa.begin() + 3, 0.0), pb.insert(pb.begin() + 3, 0.0);
    for (const Divergence& f : divergences())
      CHECK(near(f_divergence(f, Table::of(pa), Table::of(pb)), f_divergence(f, a, b)) <= 1e-14);
    CHECK(near(entropy(Table::of(pa)), entropy(a)) <= 1e-14);
    for (const Divergence& f : divergences()) {  // a shift of all logits is no change of the table: Σ ∇ = 0
      const std::vector<double> g = f_gradient(f, a, b);
      CHECK(std::fabs(std::accumulate(g.begin(), g.end(), 0.0)) <= 1e-14);
    }
  }

  TEST_CASE("divergence: zeros give 0 or infinity, never NaN") {
    const Table half = Table::of({0.5, 0.5, 0}), first = Table::of({1, 0, 0});
    CHECK(kl(first, half) == doctest::Approx(kLog2).epsilon(1e-15));
    CHECK(kl(half, first) == kInfinity);
    CHECK(chi2(first, half) == 1);
    CHECK(chi2(half, first) == kInfinity);
    CHECK(cross_entropy(half, first) == kInfinity);
    CHECK(entropy(first) == 0);
    CHECK(total_variation(first, half) == 0.5);
    CHECK(hellinger2(half, first) == doctest::Approx(1 - std::sqrt(0.5)).epsilon(1e-15));
    CHECK(log_ratios(half, first) == std::vector<double>{std::log(0.5), kInfinity, 0});
    for (const Divergence& f : divergences())
      for (const Table& a : {half, first, Table::of({0, 0.5, 0.5}), Table::of({5e-324, 1, 0})})
        for (const Table& b : {half, first, Table::of({0, 0, 1})}) {
          CHECK(f_divergence(f, a, b) >= 0);
          for (double g : f_gradient(f, a, b)) CHECK_FALSE(std::isnan(g));
        }
    // What is lost below 1e-308 as a probability stands in the logarithm.
    const double far[] = {0, -800};
    CHECK(near(kl(Table::of({0.5, 0.5}), Table::of_logits(far)), 400 - kLog2) <= 1e-14);
    CHECK(kl(Table::of_logits(far), Table::of_logits(far)) == 0);
  }

  TEST_CASE("divergence: f'(∞) is the price of an outcome that the target does not have") {
    const double wanted[] = {kInfinity, 0, kLog2 / 2, 0.5, 1, kInfinity, 0.5};
    std::vector<double> got;
    for (const Divergence& f : divergences()) got.push_back(f.slope(kInfinity));
    CHECK(near(got, wanted) <= 1e-15);
    const Table pi = Table::of({0.25, 0.75}), t = Table::of({0, 1});  // D_f = f(0.75) + 0.25 f'(∞)
    CHECK(near(f_divergence(divergence_named("forward-kl"), pi, t), -std::log(0.75)) <= 1e-15);
    CHECK(near(f_divergence(divergence_named("chi2"), pi, t), 0.0625 / 0.75 + 0.25) <= 1e-15);
    CHECK(near(2 * f_divergence(divergence_named("js"), pi, t),
               0.75 * std::log(1.5 / 1.75) + std::log(2 / 1.75) + 0.25 * kLog2) <= 1e-15);
  }

  TEST_CASE("divergence: gradients equal central differences, also where a probability is 0") {
    for (int64_t trial = 0; trial < 10; ++trial) {
      const std::vector<double> z = random_logits(70 + trial, 7);
      const Table pi = Table::of_logits(z);
      std::vector<double> sparse = random_table(80 + trial, 7).p;
      sparse[2] += sparse[4], sparse[4] = 0;
      for (const Table& t : {random_table(80 + trial, 7), Table::of(sparse)})
        for (const Divergence& f : divergences()) {
          if (!std::isfinite(f_divergence(f, pi, t))) continue;
          INFO(std::string(f.name), ", trial ", trial);
          const auto wanted = differences(z, [&](const Table& x) { return f_divergence(f, x, t); });
          CHECK(near(f_gradient(f, pi, t), wanted, 1) <= 1e-9);
        }
      CHECK(near(entropy_gradient(pi), differences(z, [](const Table& x) { return entropy(x); }), 1) <= 1e-9);
    }
    // A policy that cannot say what the target says: ∇KL(t‖π) = π − t all the same.
    CHECK(near(f_gradient(divergence_named("forward-kl"), Table::of({1, 0}), Table::of({0.5, 0.5})),
               std::vector{0.5, -0.5}) <= 1e-15);
    const std::vector<double> push =
        f_gradient(divergence_named("reverse-kl"), Table::of({0.5, 0.5}), Table::of({1, 0}));
    CHECK(push == std::vector<double>{-kInfinity, kInfinity});
    CHECK(f_gradient(divergence_named("chi2"), Table::of({1, 0}), Table::of({0.5, 0.5})) ==
          std::vector<double>{kInfinity, -kInfinity});
    CHECK(score_gradient(Table::of({0.5, 0.5, 0}), std::vector{1.0, 2.0, kInfinity}) ==
          std::vector<double>{-0.25, 0.25, 0});
  }

  TEST_CASE("divergence: alpha of tables that nearly agree is the half of chi2, and never below 0") {
    for (const double d : {1e-3, 1e-6, 1e-9, 1e-12}) {
      const Table pi = Table::of({0.3 + d, 0.3, 0.4 - d}), t = Table::of({0.3, 0.3, 0.4});
      for (const char* a : {"-3", "-1", "0", "1e-9", "0.25", "0.5", "0.75", "0.999999999", "1", "2", "10", "1e5"}) {
        CAPTURE(a);
        CAPTURE(d);
        const double found = f_divergence(divergence_named(std::string("alpha:") + a), pi, t);
        CHECK(found >= 0);
        const double half = f_divergence(divergence_named("chi2-reverse"), pi, t) / 2;
        if (std::fabs(std::atof(a)) < 100) CHECK(near(found, half) <= 20 * d + 1e-15 / d);
      }
    }
    // Where the series begins, the closed form ends: (τ^A − Aτ + A − 1)/(A(A−1)) in long double.
    for (const double a : {-2.0, 0.3, 0.5, 3.0})
      for (const double u : {0.0999, 0.1001, -0.0999, -0.1001}) {
        const double step = u / (1 + std::fabs(a));
        const long double tau = std::exp((long double)step), A = a;
        const long double wanted = (std::pow(tau, A) - A * tau + A - 1) / (A * (A - 1));
        const Divergence f = divergence_named("alpha:" + std::to_string(a));
        CHECK(near(f.term({.p = 0.2 * double(tau), .log_p = std::log(0.2) + step, .t = 0.2, .log_t = std::log(0.2)}),
                   double(0.2L * wanted)) <= 1e-11);
      }
  }

  TEST_CASE("divergence: what cannot be a table is refused") {
    CHECK_THROWS_AS(Table::of({0.5, -0.5}), ShapeError);
    CHECK_THROWS_AS(Table::of({std::nan("")}), ShapeError);
    CHECK_THROWS_AS(Table::of_logs({std::nan("")}), ShapeError);
    CHECK_THROWS_WITH_AS(kl(Table::of({1}), Table::of({0.5, 0.5})), doctest::Contains("1 and 2 outcomes"), ShapeError);
  }
}
