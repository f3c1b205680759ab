// The plane in which points of many dimensions are spread the most, to draw them on paper.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

struct Plane {
  std::vector<std::array<double, 2>>
      points;                     // of each row: its coordinates on the two axes, about the mean of all rows
  std::array<double, 2> share{};  // of the whole variance, on each axis
};
// The first two principal components of x [rows, columns] (Pearson 1901; Hotelling 1933). Of two opposite axes that one
// is taken on which the coordinate that is largest in size is positive. Points that are all the same lie at 0.
Plane principal_plane(std::span<const double> x, int64_t rows, int64_t columns);

}  // namespace gradus
