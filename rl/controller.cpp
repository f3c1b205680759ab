#include "rl/controller.h"

#include <algorithm>

#include "engine/error.h"

namespace gradus {

double next_kl_coef(double beta, double kl, double target, double n, double horizon) {
  require(target > 0 && horizon > 0, "next_kl_coef", Loc::here(), "target ", target, " and horizon ", horizon,
          " must be above 0");
  return beta * (1 + std::clamp(kl / target - 1, -0.2, 0.2) * n / horizon);
}

}  // namespace gradus
