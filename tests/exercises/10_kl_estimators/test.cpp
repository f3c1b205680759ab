// Exercise 10: k1, k2, k3 as losses.
#include "tests/exercises/10_kl_estimators/exercise.h"

#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 10");

namespace gradus::lesson {

static const Numbers kPi{0.5, 0.2, 0.1, 0.2}, kQ{0.4, 0.3, 0.2, 0.1};

// The mean of k over x ~ π and of its gradient, exactly: a loss for every x, weighted by π(x), which is a constant.
struct Measured {
  double mean = 0;
  Numbers gradient;
};
static Measured measure(int k, const Numbers& pi, const Numbers& q) {
  const int64_t V = int64_t(pi.size());
  Numbers z(pi.size()), log_q(pi.size());
  for (size_t j = 0; j < pi.size(); ++j) z[j] = std::log(pi[j]), log_q[j] = std::log(q[j]);
  Tape tape;
  const Tape::Use use(tape);
  const Tensor logits = variable("z", {1, V}, z);
  const Tensor u = log_softmax(logits) - constant({1, V}, log_q), one = constant({1, V}, 1);
  const Tensor estimate = k == 1 ? u : k == 2 ? 0.5 * (u * u) : exp(scale(u, -1)) - one + u;
  const Tensor loss = sum(constant({1, V}, pi) * estimate);
  tape.backward(loss);
  return {loss.item(), gradient_of(logits)};
}

TEST_CASE("k1 = u") {
  expect("mean of k1, which is KL(π‖q)", measure(1, kPi, kQ).mean, 0.0997934720914665,
         "the suite measures this itself: has test.cpp changed?");
  expect("measured gradient of k1 as a loss", measure(1, kPi, kQ).gradient, Numbers(4),
         "the suite measures this itself: has test.cpp changed?");
  expect("gradient of k1 as a loss", predicted_gradient(1, kPi, kQ), Numbers(4),
         "x is held fixed, so each x gives the gradient of log π(x); what is their mean, when x is drawn from π?");
}

TEST_CASE("k2 = u²/2") {
  expect("mean of k2, near KL(π‖q)", measure(2, kPi, kQ).mean, 0.100956408600326,
         "the suite measures this itself: has test.cpp changed?");
  expect("gradient of k2 as a loss", predicted_gradient(2, kPi, kQ), measure(2, kPi, kQ).gradient,
         "k2 is u²/2: what is its slope in u? Average that slope times the gradient of log π(x). Do you know a "
         "divergence with this gradient?");
  expect("gradient of k2, to the printed digits", predicted_gradient(2, kPi, kQ),
         {0.06167503961137, -0.1010517160399, -0.07929406526514, 0.1186707416937},
         "the suite's measurement agrees with the paper: has test.cpp changed?", 1e-12);
}

TEST_CASE("k3 = e^−u − 1 + u") {
  expect("mean of k3, which is KL(π‖q)", measure(3, kPi, kQ).mean, 0.0997934720914665,
         "the suite measures this itself: has test.cpp changed?");
  expect("gradient of k3 as a loss", predicted_gradient(3, kPi, kQ), measure(3, kPi, kQ).gradient,
         "what is the slope of k3 in u, and what is e^−u in terms of π and q? Is the gradient that of k2?");
  expect("gradient of k3, by hand", predicted_gradient(3, kPi, kQ), {0.1, -0.1, -0.1, 0.1},
         "compare the numbers wanted with π and q: what do you see?");
}

TEST_CASE("other tables, of three outcomes") {
  const Numbers pi{0.7, 0.2, 0.1}, q{0.1, 0.3, 0.6};
  for (const int k : {1, 2, 3})
    expect(text("gradient of k", k).c_str(), predicted_gradient(k, pi, q), measure(k, pi, q).gradient,
           "does your formula hold for any π and q, and any number of outcomes?");
}

}  // namespace gradus::lesson
