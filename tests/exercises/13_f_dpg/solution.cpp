#include <cmath>

#include "tests/exercises/13_f_dpg/exercise.h"

namespace gradus::lesson {

/// w = f'(1) − f'(π/p),  log π/p = log π − log P + log Z
double f_dpg_weight(const Slope& slope, double log_pi, double log_P, double log_z) {
  return slope(0) - slope(log_pi - (log_P - log_z));
}

}  // namespace gradus::lesson
