// Exercise 10: k1, k2 and k3 as losses: predict the gradient.
//
// All three have a mean near KL(π‖q) (k1 and k3 exactly). One would think that as a loss each of them pulls π towards q
// in the same way. Each x is drawn from π; then backward runs through log π(x) = log softmax(z)[x], with x held fixed,
// as a program does that writes `loss = mean(k)`. What is the mean of the gradient with respect to z?
// Predict it, and the suite measures it. Return as many numbers as π has, for k = 1, 2 and 3.
#include <cmath>

#include "tests/exercises/10_kl_estimators/exercise.h"

namespace gradus::lesson {

std::vector<double> predicted_gradient(int k, const std::vector<double>& pi, const std::vector<double>& q) {
  // Write here.
  return {};
}

}  // namespace gradus::lesson
