#include <cmath>

#include "tests/exercises/10_kl_estimators/exercise.h"

namespace gradus::lesson {

/// k1: 0.   k2: ∇KL(π‖q) = π (log π/q − KL(π‖q)).   k3: ∇KL(q‖π) = π − q
std::vector<double> predicted_gradient(int k, const std::vector<double>& pi, const std::vector<double>& q) {
  std::vector<double> g(pi.size());
  double kl = 0;
  for (size_t j = 0; j < pi.size(); ++j) kl += pi[j] * std::log(pi[j] / q[j]);
  for (size_t j = 0; j < pi.size(); ++j) {
    if (k == 2) g[j] = pi[j] * (std::log(pi[j] / q[j]) - kl);
    if (k == 3) g[j] = pi[j] - q[j];
  }
  return g;
}

}  // namespace gradus::lesson
