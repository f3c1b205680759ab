// The weight of f-DPG.
#pragma once

#include <functional>

namespace gradus::lesson {

// What makes a divergence D_f(π‖p) = Σ_x p(x) f(π(x)/p(x)): the derivative f'(τ), given log τ. It is a finite number
// for every finite log τ.
using Slope = std::function<double(double log_tau)>;

// The weight w of one sequence x ~ π, such that the mean of w ∇ log π(x) is −∇D_f(π‖p) and w is 0 wherever π = p. The
// target is p = P/Z: known of it are log P(x) and log Z.
double f_dpg_weight(const Slope& slope, double log_pi, double log_P, double log_z);

}  // namespace gradus::lesson
