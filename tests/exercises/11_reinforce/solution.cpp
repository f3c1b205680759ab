#include "tests/exercises/11_reinforce/exercise.h"

namespace gradus::lesson {

/// 1/G Σ_i (r_i − Σ_{k≠i} r_k / (G−1)) s(x_i)
std::vector<double> reinforce(const std::vector<double>& pi, const std::vector<int>& sample,
                              const std::vector<double>& reward) {
  const double G = double(sample.size());
  double total = 0;
  for (const double r : reward) total += r;
  std::vector<double> gradient(pi.size());
  for (size_t i = 0; i < sample.size(); ++i) {
    const double advantage = reward[i] - (total - reward[i]) / (G - 1);
    for (size_t j = 0; j < pi.size(); ++j) gradient[j] += advantage * ((int(j) == sample[i] ? 1 : 0) - pi[j]) / G;
  }
  return gradient;
}

}  // namespace gradus::lesson
