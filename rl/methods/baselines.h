// Baselines: values that are subtracted from a return to reduce the variance of the gradient. Each is a row of one
// table.
#pragma once

#include <string>
#include <vector>

#include "rl/experience.h"

namespace gradus {

// A mean of the means of earlier batches, of which the last counts 1 − kMemory of all. It is read before the batch at
// hand is added, or it would contain the sample itself.
struct MovingMean {
  static constexpr double kMemory = 0.9;
  double sum = 0, weight = 0;
  double value() const { return weight > 0 ? sum / weight : 0; }
  void add(double mean) {
    sum = kMemory * sum + (1 - kMemory) * mean;
    weight = kMemory * weight + (1 - kMemory);
  }
};

// What a baseline is made from.
struct BaselineInput {
  const Experience& e;
  std::span<const double> whole;       // [B], the return of each whole sequence
  std::span<const double> importance;  // [B], π/μ of each sequence
  double moving;
};

struct Baseline {
  const char* name;
  const char* help;
  bool needs_value = false;  // of the value network
  bool remembers = false;    // earlier batches
  int64_t least_batch = 1;   // sequences that it can compare
  // b of each draw, [B,T]; padding is ignored.
  std::vector<double> (*make)(const BaselineInput& input);
};

// DataError, which lists the known names, for an unknown one.
const Baseline& baseline_named(const std::string& name);
std::vector<std::string> baseline_names();
std::vector<std::string> baselines_with_value();    // those that need the value network
std::vector<std::string> baselines_of_one_batch();  // those that need neither a value network nor earlier batches

}  // namespace gradus
