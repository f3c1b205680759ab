// Exercise 15: importance weights.
//
// Nobody can draw from the target p = P/Z yet, but from another model μ everybody can. Every draw then stands for more
// or fewer of its kind than it is: how many? With that, make from N draws of μ the estimates of Z, of the mean of f
// under p, and of how much these N draws are worth.
#include <cmath>

#include "tests/exercises/15_importance/exercise.h"

namespace gradus::lesson {

Estimate importance_estimate(const std::vector<double>& log_P, const std::vector<double>& log_mu,
                             const std::vector<double>& f) {
  // Write here.
  return {0, 0, 0};
}

}  // namespace gradus::lesson
