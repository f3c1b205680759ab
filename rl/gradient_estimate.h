// The gradient of J estimated from samples, with the spread of the estimator: what a training step sees, measured many
// times at one place.
#pragma once

#include <functional>

#include "rl/advantage.h"
#include "rl/worlds/exact.h"

namespace gradus {

// Mean and variance of each coordinate of vectors that arrive one after the other (Welford's recursion).
class RunningMoments {
 public:
  explicit RunningMoments(size_t size = 1) : mean_(size), square_(size) {}
  void add(std::span<const real> x, double factor = 1);  // factor · x
  void add(double x);
  int64_t count() const { return count_; }
  std::span<const double> mean() const { return mean_; }
  std::vector<double> variance() const;  // unbiased, of one vector; NaN for fewer than two

 private:
  template <class T>
  void add_scaled(std::span<const T> x, double factor);
  int64_t count_ = 0;
  std::vector<double> mean_, square_;
};

struct EstimatorOptions {
  AdvantageOptions advantage;
  int64_t batch = 64;    // sequences of a group: those that share a leave-one-out baseline
  int64_t samples = 64;  // sequences in all; with a group baseline rounded up to whole groups
  int64_t seed = 1;
  int threads = 1;  // changes no bit
};

struct EstimatedGradient {
  // Of ∇J, flat, in the order of the parameters. `variance` is that of one sequence's contribution; with a group
  // baseline that of a group's mean times the group's size. NaN where there is one contribution only.
  std::vector<double> mean, variance;
  Objective objective;  // means over the samples; kl is the mean of k1 = log π − log q
  double kl_stderr;     // of that mean
  int64_t samples;
};

// r of each sequence.
using RewardFunction = std::function<std::vector<double>(const Sequences&)>;

// DataError where the prior excludes a sequence that the policy drew and β > 0.
EstimatedGradient estimate_gradient(const LanguageModel& policy, const LanguageModel& prior, const World& world,
                                    const RewardFunction& reward, const EstimatorOptions& options);

}  // namespace gradus
