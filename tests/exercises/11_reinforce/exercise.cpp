// Exercise 11: REINFORCE with a baseline.
//
// The estimate is the mean over the G samples of  (r_i − b_i) s(x_i),  where s_j(x) = [x = j] − π_j is the gradient of
// log π(x) with respect to z_j, and the baseline b_i is the mean reward of the *other* samples.
// The suite computes the mean and the variance of what comes out, exactly, over all possible samples.
#include "tests/exercises/11_reinforce/exercise.h"

namespace gradus::lesson {

std::vector<double> reinforce(const std::vector<double>& pi, const std::vector<int>& sample,
                              const std::vector<double>& reward) {
  std::vector<double> gradient(pi.size());
  // Write here.
  return gradient;
}

}  // namespace gradus::lesson
