// Exercise 14: Λ by Newton's method.
//
// Of all distributions under which a feature φ has a given mean, p ∝ q e^{Λφ} is the nearest to q. Which Λ? The larger
// it is, the larger is the mean of φ; so one equation in one unknown is to be solved. How fast does the mean grow with
// Λ? What comes out tells how far to go, and from there once more.
// A step can be too long: where q knows little of the feature, the first goes to where nothing is left that varies.
#include <cmath>

#include "tests/exercises/14_lambda/exercise.h"

namespace gradus::lesson {

double lambda_of(const std::vector<double>& q, const std::vector<double>& phi, double moment) {
  // Write here.
  return 0;
}

}  // namespace gradus::lesson
