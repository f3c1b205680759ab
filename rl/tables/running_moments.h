// RunningMoments: mean and variance of each coordinate of vectors that arrive one after the other (Welford's
// recursion).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

class RunningMoments {
 public:
  explicit RunningMoments(size_t size = 1) : mean_(size), square_(size) {}
  void add(std::span<const float> x, double factor = 1) { add_scaled(x, factor); }  // factor · x
  void add(std::span<const double> x, double factor = 1) { add_scaled(x, factor); }
  void add(double x) { add_scaled(std::span<const double>(&x, 1), 1); }
  int64_t count() const { return count_; }
  std::span<const double> mean() const { return mean_; }
  std::vector<double> variance() const;  // unbiased, of one vector; NaN for fewer than two

 private:
  template <class T>
  void add_scaled(std::span<const T> x, double factor);
  int64_t count_ = 0;
  std::vector<double> mean_, square_;
};

}  // namespace gradus
