#include <algorithm>
#include <cmath>

#include "tests/exercises/15_importance/exercise.h"

namespace gradus::lesson {

/// w = P/μ;  Z ≈ Σ w / N;  E_p[f] ≈ Σ w f / Σ w;  ess = (Σ w)² / Σ w²
Estimate importance_estimate(const std::vector<double>& log_P, const std::vector<double>& log_mu,
                             const std::vector<double>& f) {
  double top = -INFINITY;
  for (size_t i = 0; i < f.size(); ++i) top = std::max(top, log_P[i] - log_mu[i]);
  double sum = 0, weighted = 0, squares = 0;
  for (size_t i = 0; i < f.size(); ++i) {
    const double w = std::exp(log_P[i] - log_mu[i] - top);  // in units of the largest
    sum += w;
    weighted += w * f[i];
    squares += w * w;
  }
  return {top + std::log(sum / double(f.size())), weighted / sum, sum * sum / squares};
}

}  // namespace gradus::lesson
