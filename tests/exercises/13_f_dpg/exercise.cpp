// Exercise 13: the weight of f-DPG.
//
// REINFORCE raises a reward; here a policy π descends a divergence D_f(π‖p) = Σ_x p(x) f(π(x)/p(x)) to a target p. Each
// sequence x that π draws moves ∇ log π(x) by a weight w. Find the w whose mean does the descent: write D_f as a sum,
// differentiate it by the parameters of π, and make a mean over π of what stands there.
// Two things are left to see to. The target is known up to a constant, p = P/Z, in logarithms; and a policy that has
// arrived, π = p, should not be moved by its own noise.
#include <cmath>

#include "tests/exercises/13_f_dpg/exercise.h"

namespace gradus::lesson {

double f_dpg_weight(const Slope& slope, double log_pi, double log_P, double log_z) {
  // Write here.
  return 0;
}

}  // namespace gradus::lesson
