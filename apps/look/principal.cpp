#include "apps/look/principal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rl/tables/eigen.h"

namespace gradus {

Plane principal_plane(std::span<const double> x, int64_t rows, int64_t columns) {
  Plane plane{.points = std::vector<std::array<double, 2>>(size_t(rows), {0, 0})};
  std::vector<double> centred(x.begin(), x.end());
  for (int64_t j = 0; j < columns; ++j) {
    double mean = 0;
    for (int64_t i = 0; i < rows; ++i) mean += x[size_t(i * columns + j)] / double(rows);
    for (int64_t i = 0; i < rows; ++i) centred[size_t(i * columns + j)] -= mean;
  }
  // X Xᵀ and Xᵀ X have the same eigenvalues but for zeros; the smaller one is quicker.
  const bool by_row = rows < columns;
  const int64_t n = by_row ? rows : columns, m = by_row ? columns : rows, to = by_row ? columns : 1,
                along = by_row ? 1 : columns;
  std::vector<double> product(size_t(n * n), 0);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t k = 0; k < m; ++k)
        product[size_t(i * n + j)] += centred[size_t(i * to + k * along)] * centred[size_t(j * to + k * along)];
  const Eigen eigen = symmetric_eigen(product, n);
  double all = 0;
  for (const double value : eigen.values) all += std::max(value, 0.0);
  for (int64_t axis = 0; axis < std::min<int64_t>(2, n) && all > 0; ++axis) {
    const double* u = eigen.vectors.data() + axis * n;
    const double value = std::max(eigen.values[size_t(axis)], 0.0);
    plane.share[size_t(axis)] = value / all;
    double largest = 0;
    for (int64_t i = 0; i < rows; ++i) {
      double& at = plane.points[size_t(i)][size_t(axis)];
      if (by_row) at = std::sqrt(value) * u[i];
      for (int64_t j = 0; j < columns && !by_row; ++j) at += centred[size_t(i * columns + j)] * u[j];
      if (std::fabs(at) > std::fabs(largest)) largest = at;
    }
    for (auto& point : plane.points)
      if (largest < 0) point[size_t(axis)] = -point[size_t(axis)];
  }
  return plane;
}

}  // namespace gradus
