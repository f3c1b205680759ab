// Exercise 8: find the NaN.
#include <cmath>

#include "engine/inspect.h"
#include "tests/exercises/08_nan/exercise.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 8");

namespace gradus::lesson {

// One row x = 1, so that the logits are the row w. What went wrong on the tape is part of the failure.
struct Run {
  Tape tape;
  double loss = 0;
  Numbers dw;
  std::string question = "what does exercise.h define, and what was added to it?";

  explicit Run(const std::vector<real>& logits) {
    const Tape::Use use(tape);
    const Tensor x = constant({1, 1}, 1), w = variable("w", {1, int64_t(logits.size())}, logits);
    const Tensor y = policy_loss(x, w, std::vector<int32_t>{0});
    tape.backward(y);
    loss = y.item();
    dw = gradient_of(w);
    if (const auto bad = why_nan(tape))
      question = text("why_nan (engine/inspect.h) says this; what went into that op, and how did it come about?\n    ",
                      bad->sentence, "\n  The same in gdb: make exercise N=8 GDB=1, then step-grad 0, tape, why-nan");
  }
};

TEST_CASE("a policy that is sure, and right: z = 800, 0") {
  const Run run({800, 0});
  expect("the loss", run.loss, 0, run.question.c_str());
  expect("dL/dz", run.dw, Numbers{0, 0}, run.question.c_str());
}

TEST_CASE("a policy that is sure, and wrong: z = 0, 800") {
  const Run run({0, 800});
  expect("the loss", run.loss, 800, run.question.c_str());
  expect("dL/dz", run.dw, Numbers{-1, 1}, run.question.c_str());
}

// p = 1/4, 1/2, 1/4: H = 3/2 log 2. dH/dz_v = −p_v (log p_v + H).
TEST_CASE("an undecided policy: p = 1/4, 1/2, 1/4") {
  const double log2 = std::log(2.0);
  const Run run({0, real(log2), 0});
  expect("the loss", run.loss, 2 * log2 - 0.1 * 1.5 * log2, run.question.c_str());
  expect("dL/dz", run.dw, Numbers{-0.75 - 0.0125 * log2, 0.5 + 0.025 * log2, 0.25 - 0.0125 * log2},
         run.question.c_str());
}

// p of the second is 1 / (1 + e^10), and log p = −log(1 + e^10).
TEST_CASE("nearly sure: z = 10, 0") {
  const double small = 1 / (1 + std::exp(10.0)), surprise = std::log1p(std::exp(-10.0));
  const double entropy = (1 - small) * surprise + small * (surprise + 10);
  expect("the loss", Run({10, 0}).loss, surprise - 0.1 * entropy,
         "the definition adds nothing to p: was something added to keep the logarithm finite?");
}

}  // namespace gradus::lesson
