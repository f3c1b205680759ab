#include "rl/tables/running_moments.h"

#include <cmath>

namespace gradus {

template <class T>
void RunningMoments::add_scaled(std::span<const T> x, double factor) {
  ++count_;
  for (size_t i = 0; i < mean_.size(); ++i) {
    const double value = factor * double(x[i]), before = value - mean_[i];
    mean_[i] += before / double(count_);
    square_[i] += before * (value - mean_[i]);
  }
}
template void RunningMoments::add_scaled(std::span<const float>, double);
template void RunningMoments::add_scaled(std::span<const double>, double);

std::vector<double> RunningMoments::variance() const {
  std::vector<double> v(square_);
  for (double& x : v) x = count_ > 1 ? x / double(count_ - 1) : std::nan("");
  return v;
}

}  // namespace gradus
