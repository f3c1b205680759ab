// Eigenvalues of small symmetric matrices.
#pragma once

#include <cstdint>
#include <vector>

namespace gradus {

// Eigenvalues of a symmetric matrix a [n,n], the largest first, and their eigenvectors as rows, of length 1, by cyclic
// rotations (Jacobi 1846).
struct Eigen {
  std::vector<double> values, vectors;  // [n], [n,n]
};
Eigen symmetric_eigen(std::vector<double> a, int64_t n);

}  // namespace gradus
