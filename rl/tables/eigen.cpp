#include "rl/tables/eigen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gradus {

Eigen symmetric_eigen(std::vector<double> a, int64_t n) {
  const auto at = [n](std::vector<double>& m, int64_t i, int64_t j) -> double& { return m[size_t(i * n + j)]; };
  std::vector<double> v(size_t(n * n), 0);
  for (int64_t i = 0; i < n; ++i) at(v, i, i) = 1;
  const double size = std::sqrt(std::inner_product(a.begin(), a.end(), a.begin(), 0.0));
  const auto rotate = [](double& x, double& y, double c, double s) {
    const double before = x;
    x = c * before - s * y;
    y = s * before + c * y;
  };
  constexpr int kMostSweeps = 60;  // each squares what is left off the diagonal; ten are many
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0;
    for (int64_t p = 0; p < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) off += at(a, p, q) * at(a, p, q);
    if (std::sqrt(off) <= 1e-15 * size) break;
    for (int64_t p = 0; p < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) {
        const double apq = at(a, p, q);
        if (apq == 0) continue;
        // The angle that makes a[p][q] zero: t = tan of the smaller one.
        const double theta = (at(a, q, q) - at(a, p, p)) / (2 * apq);
        const double t = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0), s = t * c;
        for (int64_t k = 0; k < n; ++k) rotate(at(a, k, p), at(a, k, q), c, s);
        for (int64_t k = 0; k < n; ++k) {
          rotate(at(a, p, k), at(a, q, k), c, s);
          rotate(at(v, p, k), at(v, q, k), c, s);
        }
      }
  }
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return at(a, i, i) > at(a, j, j); });
  Eigen eigen;
  for (const int64_t i : order) {
    eigen.values.push_back(at(a, i, i));
    eigen.vectors.insert(eigen.vectors.end(), v.begin() + i * n, v.begin() + (i + 1) * n);
  }
  return eigen;
}

}  // namespace gradus
