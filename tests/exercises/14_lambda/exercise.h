// Λ of a moment.
#pragma once

#include <cstddef>
#include <vector>

namespace gradus::lesson {

// The Λ for which p ∝ q e^{Λφ} has E_p[φ] = moment; q are probabilities above 0. NaN where the moment is not strictly
// between the least and the largest φ: there is no such Λ.
double lambda_of(const std::vector<double>& q, const std::vector<double>& phi, double moment);

}  // namespace gradus::lesson
