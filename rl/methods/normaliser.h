// Normaliser: an estimate of log Z, Z = Σ_x P(x) = E_μ[P/μ], of a target p = P/Z that is known up to Z. It is a moving
// mean over the batches of earlier steps, in which the last counts 1 − kMemory of all: read before the batch at hand
// is added, it does not contain the sample that it weighs. In logarithms, for P = q e^{r/β} may exceed any double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

struct Normaliser {
  static constexpr double kMemory = 0.9;
  // Z is e^{log_sum} / weight; while no P was above 0, log_sum is kNothing. `relative` is the variance of the sum over
  // its square.
  static constexpr double kNothing = -1e300;
  double log_sum = kNothing, weight = 0, relative = 0;

  bool known() const { return log_sum > kNothing; }
  double log_z() const;
  double log_z_error() const;  // standard error of log Z, that is, of Z relative to Z
  // log P − log μ of each sequence of a batch.
  void add(std::span<const double> log_ratios);
};

// The log of the mean of e^x over the others of its group, of each x; over all of the group where the others have none.
// It stands in for an estimate before the first. group[i] is 0 and up.
std::vector<double> log_means_of_others(std::span<const double> x, std::span<const int32_t> group);

}  // namespace gradus
