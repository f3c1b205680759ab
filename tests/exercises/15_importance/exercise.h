// Importance weights.
#pragma once

#include <cstddef>
#include <vector>

namespace gradus::lesson {

struct Estimate {
  double log_z;  // of log Z, Z = Σ_x P(x)
  double mean;   // of E_p[f], p = P/Z
  double ess;    // the number of draws from p that would be as good: from 1 to N
};

// From N ≥ 1 draws of μ: log P, log μ and f of each. P is 0 where log P is −∞, but not for all of them.
Estimate importance_estimate(const std::vector<double>& log_P, const std::vector<double>& log_mu,
                             const std::vector<double>& f);

}  // namespace gradus::lesson
