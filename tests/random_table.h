// Random tables for the tests of rl/: number `which` of its kind, the same on every run.
#pragma once

#include <vector>

#include "engine/rng.h"
#include "rl/tables/divergence.h"

namespace gradus::testing {

inline std::vector<double> normals(int64_t which, size_t n, double scale = 1) {
  const Rng rng = Rng(3, Stream::kTest).at(which);
  std::vector<double> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = scale * rng.normal(int64_t(i));
  return x;
}
inline Table random_table(int64_t which, size_t n, double scale = 1) {
  return Table::of_logits(normals(which, n, scale));
}

}  // namespace gradus::testing
