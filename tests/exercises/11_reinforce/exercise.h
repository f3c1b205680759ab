// REINFORCE with a leave-one-out baseline.
#pragma once

#include <cstddef>
#include <vector>

namespace gradus::lesson {

// From G ≥ 2 samples of π = softmax(z) and their rewards: an estimate of the gradient of E[r] with respect to z.
std::vector<double> reinforce(const std::vector<double>& pi, const std::vector<int>& sample,
                              const std::vector<double>& reward);

}  // namespace gradus::lesson
