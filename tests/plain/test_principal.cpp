// Principal components, against planted ones and the definition of an eigenvector.
#include <doctest/doctest.h>

#include <cmath>

#include "apps/look/principal.h"
#include "engine/rng.h"
#include "rl/tables/eigen.h"

namespace {

using namespace gradus;

// rows of columns numbers: 3 N(0,1) along one direction, 2 along another, 0.1 along all.
std::vector<double> planted(int64_t rows, int64_t columns) {
  const Rng rng(1, Stream::kTest);
  std::vector<double> x;
  for (int64_t i = 0; i < rows; ++i) {
    const double a = 3 * rng.at(i).normal(0), b = 2 * rng.at(i).normal(1);
    for (int64_t j = 0; j < columns; ++j)
      x.push_back(5 + 0.1 * rng.at(i).normal(2 + j) + (j == 0 ? a : 0) + (j == 1 ? b : 0));
  }
  return x;
}

}  // namespace

TEST_SUITE("principal") {
  TEST_CASE("principal: eigenvectors of a symmetric matrix are that, of length 1 and at right angles") {
    for (const int64_t n : {1, 2, 5, 40}) {
      const Rng rng(2, Stream::kTest);
      std::vector<double> a(size_t(n * n));
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j <= i; ++j) a[size_t(i * n + j)] = a[size_t(j * n + i)] = rng.at(i).normal(j);
      const Eigen eigen = symmetric_eigen(a, n);
      double trace = 0, sum = 0;
      for (int64_t k = 0; k < n; ++k) {
        trace += a[size_t(k * n + k)];
        sum += eigen.values[size_t(k)];
        if (k > 0) CHECK(eigen.values[size_t(k)] <= eigen.values[size_t(k - 1)]);
        const double* u = eigen.vectors.data() + k * n;
        for (int64_t i = 0; i < n; ++i) {
          double au = 0;
          for (int64_t j = 0; j < n; ++j) au += a[size_t(i * n + j)] * u[j];
          CHECK(std::fabs(au - eigen.values[size_t(k)] * u[i]) <= 1e-12 * double(n));
        }
        for (int64_t l = 0; l <= k; ++l) {
          double dot = 0;
          for (int64_t i = 0; i < n; ++i) dot += u[i] * eigen.vectors[size_t(l * n + i)];
          CHECK(std::fabs(dot - double(k == l)) <= 1e-12);
        }
      }
      CHECK(std::fabs(trace - sum) <= 1e-12 * double(n));
    }
  }

  TEST_CASE("principal: the plane of planted directions, with more rows than columns and fewer") {
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{200, 6}, {30, 80}}) {
      const std::vector<double> x = planted(rows, columns);
      const Plane plane = principal_plane(x, rows, columns);
      double means[2] = {0, 0}, correlation[2] = {0, 0}, squares[2] = {0, 0}, wanted[2] = {0, 0}, largest[2] = {0, 0};
      double mean_of[2] = {0, 0};
      for (int64_t i = 0; i < rows; ++i)
        for (int k = 0; k < 2; ++k) mean_of[k] += x[size_t(i * columns + k)] / double(rows);
      for (int64_t i = 0; i < rows; ++i)
        for (int k = 0; k < 2; ++k) {
          const double at = plane.points[size_t(i)][size_t(k)], planted_at = x[size_t(i * columns + k)] - mean_of[k];
          means[k] += at / double(rows);
          correlation[k] += at * planted_at;
          squares[k] += at * at;
          wanted[k] += planted_at * planted_at;
          if (std::fabs(at) > std::fabs(largest[k])) largest[k] = at;
        }
      for (int k = 0; k < 2; ++k) {
        CHECK(std::fabs(means[k]) < 1e-12);
        CHECK(std::fabs(correlation[k]) / std::sqrt(squares[k] * wanted[k]) > 0.95);
        CHECK(largest[k] > 0);
      }
      CHECK(plane.share[0] > plane.share[1]);
      CHECK(plane.share[0] + plane.share[1] > 0.9);
      CHECK(plane.share[0] + plane.share[1] <= 1 + 1e-12);
    }
  }

  TEST_CASE("principal: equal points lie at 0, one point and one column too") {
    const std::vector<double> same(12, 3.0);
    const Plane plane = principal_plane(same, 4, 3);
    for (const auto& [x, y] : plane.points) CHECK((x == 0 && y == 0));
    CHECK(plane.share[0] == 0);
    CHECK(principal_plane(std::vector<double>{1, 2, 3}, 1, 3).points[0][0] == 0);
    const Plane line = principal_plane(std::vector<double>{1, 2, 6}, 3, 1);
    CHECK(line.points[2][0] == doctest::Approx(3));
    CHECK(line.points[0][1] == 0);
  }
}
