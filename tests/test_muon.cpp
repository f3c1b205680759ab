// engine/muon.h: the singular values of what is made orthogonal, steps by hand, and who makes Muon's step in AdamW.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/muon.h"
#include "engine/optim.h"
#include "engine/rng.h"
#include "tests/near.h"

namespace {

using namespace gradus;

constexpr double kClose = kDouble ? 1e-12 : 2e-6;
constexpr double kLeast = 0.1397, kMost = 1.86, kSlope = 140.4;  // of muon.h, with a digit more

using Matrix = std::vector<double>;

std::vector<real> random_matrix(int64_t R, int64_t C, uint64_t seed) {
  std::vector<real> x(size_t(R * C));
  const Rng rng(seed, Stream::kInit, 0);
  for (int64_t i = 0; i < R * C; ++i) x[size_t(i)] = real(rng.normal(i));
  return x;
}

std::vector<real> orthogonal(int64_t R, int64_t C, std::vector<real> x) {
  const int64_t m = std::min(R, C);
  std::vector<real> y(x.size()), work(size_t(4 * m * m));
  orthogonalise(R, C, x.data(), y.data(), work.data());
  return y;
}

// a [M,K] · b [K,N], or of b [N,K] its transpose
Matrix product(int64_t M, int64_t N, int64_t K, const Matrix& a, const Matrix& b, bool transposed) {
  Matrix c(size_t(M * N));
  for (int64_t i = 0; i < M; ++i)
    for (int64_t j = 0; j < N; ++j)
      for (int64_t k = 0; k < K; ++k)
        c[size_t(i * N + j)] += a[size_t(i * K + k)] * b[size_t(transposed ? j * K + k : k * N + j)];
  return c;
}

// The polar factor of x [R,C], R ≤ C, by the cubic iteration X ← (3 X − X Xᵀ X) / 2 to its end.
Matrix polar_factor(int64_t R, int64_t C, Matrix x) {
  double norm = 0;
  for (const double a : x) norm += a * a;
  for (double& a : x) a /= std::sqrt(norm);
  for (int n = 0; n < 60; ++n) {
    const Matrix cubic = product(R, C, R, product(R, R, C, x, x, true), x, false);
    for (size_t i = 0; i < x.size(); ++i) x[i] = 1.5 * x[i] - 0.5 * cubic[i];
  }
  return x;
}

// The largest |eigenvalue| of a symmetric matrix, by its powers.
double largest_eigenvalue(int64_t n, const Matrix& s) {
  Matrix v(size_t(n), 1);
  double size = 0;
  for (int k = 0; k < 3000; ++k) {
    v = product(n, 1, n, s, v, false);
    size = 0;
    for (const double x : v) size += x * x;
    size = std::sqrt(size);
    for (double& x : v) x /= size;
  }
  return size;
}

Params one_matrix(const Shape& shape, HiddenMaps maps, const std::vector<real>& values) {
  Params params;
  params.add("w", shape, Init::constant(0), maps);
  params.init(1);
  std::ranges::copy(values, params.edit().begin());
  return params;
}

}  // namespace

TEST_SUITE("muon") {
  TEST_CASE("muon: singular values come into the band, and small ones grow by the slope") {
    constexpr int64_t n = 9;
    std::vector<real> x(n * n);
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double s = std::pow(10, -double(i) / 2);
      x[size_t(i * n + i)] = real(s);
      squares += s * s;
    }
    const std::vector<real> y = orthogonal(n, n, x);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const double got = double(y[size_t(i * n + j)]), s = std::pow(10, -double(i) / 2) / std::sqrt(squares);
        INFO(i, " ", j, " ", s);
        if (i != j) {
          CHECK(got == 0);
        } else if (s >= 0.001) {
          CHECK(got >= kLeast);
          CHECK(got <= kMost);
        } else {
          CHECK(got <= kSlope * s);
          CHECK(got >= 125 * s);
        }
      }
  }

  TEST_CASE("muon: singular vectors stay, as the exact polar factor has them, and so for the transpose") {
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {1, 5}, {4, 4}, {7, 12}, {16, 64}}) {
      const int64_t R = rows, C = columns;
      INFO(R, " ", C);
      const std::vector<real> x = random_matrix(R, C, 7), y = orthogonal(R, C, x);
      const Matrix exact = polar_factor(R, C, {x.begin(), x.end()});
      Matrix s = product(R, R, C, {y.begin(), y.end()}, exact, true);  // y = s · exact
      for (int64_t i = 0; i < R; ++i)
        for (int64_t j = 0; j < i; ++j)
          CHECK(std::fabs(s[size_t(i * R + j)] - s[size_t(j * R + i)]) <= (kDouble ? 1e-11 : 1e-4));
      CHECK(near(y, product(R, C, R, s, exact, false)).absolute <= (kDouble ? 1e-11 : 1e-4));
      for (int64_t i = 0; i < R; ++i) s[size_t(i * R + i)] -= 1;
      CHECK(largest_eigenvalue(R, s) <= std::max(1 - kLeast, kMost - 1));
      std::vector<real> turned(x.size()), back(x.size());
      for (int64_t i = 0; i < R * C; ++i) turned[size_t(i % C * R + i / C)] = x[size_t(i)];
      turned = orthogonal(C, R, turned);
      for (int64_t i = 0; i < R * C; ++i) back[size_t(i)] = turned[size_t(i % C * R + i / C)];
      CHECK(near(back, y).absolute <= (kDouble ? 1e-13 : 1e-5));
    }
  }

  TEST_CASE("muon: the size of the gradient is nothing to it, and of zeros it makes zeros") {
    const std::vector<real> x = random_matrix(6, 4, 3), y = orthogonal(6, 4, x);
    for (const real factor : {real(1e-25), real(1e25)}) {
      std::vector<real> scaled(x);
      for (real& a : scaled) a *= factor;
      CHECK(near(orthogonal(6, 4, scaled), y) <= (kDouble ? 1e-13 : 1e-5));
    }
    for (const real zero : orthogonal(6, 4, std::vector<real>(24))) CHECK(zero == 0);
  }

  // The polynomials of 0.6, 0.8, 1/√5 and 2/√5, by hand: the gradients have these singular values.
  TEST_CASE("muon: two steps of a 2 × 2 matrix, by hand") {
    Params params = one_matrix({2, 2}, kOneMap, {1, 2, 3, 4});
    AdamW muon(params, {.weight_decay = 0.5, .muon = true});
    muon.step(params, std::vector<real>{3, 0, 0, 4}, 0.1);
    CHECK(near(params.data(), Matrix{0.93502414841632, 1.9, 2.85, 3.78822655032361}) <= kClose);
    CHECK(near(muon.m, Matrix{0.15, 0, 0, 0.2}) <= kClose);
    muon.step(params, std::vector<real>{8, 0, 0, -6}, 0.1, 0.5);
    CHECK(near(params.data(), Matrix{0.85964401607913, 1.805, 2.7075, 3.61077134040846}) <= kClose);
    CHECK(near(muon.m, Matrix{0.3425, 0, 0, 0.04}) <= kClose);
    CHECK(muon.steps == 2);
    for (const real v : muon.v) CHECK(v == 0);
  }

  TEST_CASE("muon: a step of a 3 × 2 matrix, by hand") {
    Params params = one_matrix({3, 2}, kOneMap, {1, 1, 1, 1, 1, 1});
    AdamW muon(params, {.weight_decay = 0.5, .muon = true});
    muon.step(params, std::vector<real>{1, 4, 2, 2, 2, -4}, 0.1);  // columns 3 (1,2,2)/3 and 6 (2,1,−2)/3
    const Matrix wanted{0.92880390829068, 0.91824179881804, 0.90760781658136,
                        0.93412089940902, 0.90760781658136, 0.98175820118196};
    CHECK(near(params.data(), wanted) <= kClose);
  }

  TEST_CASE("muon: each map of a matrix is a matrix of its own") {
    constexpr int64_t R = 6, C = 8;
    const std::vector<real> w = random_matrix(R, C, 1), g = random_matrix(R, C, 2);
    for (const HiddenMaps maps :
         {HiddenMaps{.down = 3, .across = 1}, HiddenMaps{.down = 1, .across = 2}, HiddenMaps{.down = 2, .across = 4}}) {
      Params whole = one_matrix({R, C}, maps, w);
      AdamW muon(whole, {.muon = true});
      for (int n = 0; n < 2; ++n) muon.step(whole, g, 0.1);
      const int64_t r = R / maps.down, c = C / maps.across;
      for (int64_t b = 0; b < maps.down * maps.across; ++b) {
        std::vector<real> part_w, part_g, got;
        for (int64_t i = 0; i < r * c; ++i) {
          const size_t at = size_t((b / maps.across * r + i / c) * C + b % maps.across * c + i % c);
          part_w.push_back(w[at]);
          part_g.push_back(g[at]);
          got.push_back(whole.data()[at]);
        }
        Params part = one_matrix({r, c}, kOneMap, part_w);
        AdamW alone(part, {.muon = true});
        for (int n = 0; n < 2; ++n) alone.step(part, part_g, 0.1);
        CHECK(first_difference(got, part.data()) == -1);
      }
    }
  }

  TEST_CASE("muon: it is for maps that are trained, and all else has AdamW's step to the bit") {
    Params a;
    a.add("embedding", {3, 4}, Init::normal(1));
    a.add("hidden", {4, 4}, Init::normal(1), kOneMap);
    a.add("bias", {4}, Init::normal(1));
    a.add("frozen", {4, 4}, Init::normal(1), kOneMap);
    a.init(5);
    a.freeze("frozen");
    Params b = a.clone();
    const Params start = a.clone();
    AdamW adam(a), muon(b, {.muon = true});
    const std::vector<real> g = random_matrix(1, a.size(), 9);
    for (int n = 0; n < 3; ++n) {
      adam.step(a, g, 0.01, 0.5);
      muon.step(b, g, 0.01, 0.5);
    }
    CHECK(first_difference(a.values(0), b.values(0)) == -1);
    CHECK(first_difference(a.values(2), b.values(2)) == -1);
    CHECK(near(a.values(1), b.values(1)) > 1e-3);
    CHECK(first_difference(start.values(3), b.values(3)) == -1);
    for (int64_t i = a.offset(1); i < a.offset(1) + 16; ++i) CHECK(muon.v[size_t(i)] == 0);
    CHECK(muon_work(a) == 2 * 16 + 4 * 16);
  }

  TEST_CASE("muon: maps that a shape cannot be cut into are refused") {
    Params params;
    CHECK_THROWS_WITH_AS(params.add("w", {6, 4}, Init::constant(0), {.down = 4, .across = 1}),
                         doctest::Contains("w [6,4] cannot be cut into 4 × 1 maps"), ShapeError);
    CHECK_THROWS_AS(params.add("w", {6, 4}, Init::constant(0), {.down = 1, .across = 3}), ShapeError);
    CHECK_THROWS_AS(params.add("w", {6, 4}, Init::constant(0), {.down = 1, .across = 0}), ShapeError);
    CHECK_THROWS_AS(params.add("w", {6}, Init::constant(0), kOneMap), ShapeError);
    params.add("w", {6, 4}, Init::constant(0), {.down = 3, .across = 2});
    CHECK(params.clone().maps(0).across == 2);
  }
}
