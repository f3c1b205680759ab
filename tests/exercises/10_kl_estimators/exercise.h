// Three estimators of KL(π‖q) from one sample x of π, with u = log π(x) − log q(x):
//   k1 = u        k2 = u²/2        k3 = e^−u − 1 + u
#pragma once

#include <cstddef>
#include <vector>

namespace gradus::lesson {

// Samples are drawn from π, then k is differentiated like any loss, by backward through log π(x) with x held fixed. The
// mean of that gradient over x ~ π, with respect to the logits z of π = softmax(z).
std::vector<double> predicted_gradient(int k, const std::vector<double>& pi, const std::vector<double>& q);

}  // namespace gradus::lesson
