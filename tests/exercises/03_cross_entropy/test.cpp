// Exercise 3: softmax and cross-entropy, backward.
#include "tests/exercises/03_cross_entropy/exercise.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 3");

namespace gradus::lesson {

static const double kLog2 = std::log(2.0);
static const char* const kForward = "forward is given and right: has exercise.h changed?";

TEST_CASE("one row: p = 1/4, 1/2, 1/4, and the answer is the second") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor z = variable("z", {1, 3}, std::vector<real>{0, real(kLog2), 0});
  const Tensor y = cross_entropy(z, std::vector<int32_t>{1});
  expect("the loss, −log 1/2", values_of(y), Numbers{kLog2}, kForward);
  tape.backward(sum(y));
  expect("dL/dz", gradient_of(z), Numbers{0.25, -0.5, 0.25},
         "if the logit of a wrong answer grows a little, does the loss grow, and how does p tell by how much?");
}

TEST_CASE("two rows with weights 2 and -4") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor z = variable("z", {2, 2}, std::vector<real>{0, 0, 0, real(std::log(3.0))});
  const Tensor y = cross_entropy(z, std::vector<int32_t>{0, 0});
  tape.seed(y, std::vector<real>{2, -4});
  tape.backward();
  expect("dL/dz", gradient_of(z), Numbers{-1, 1, 3, -3},
         "each row has its own loss: which dy and which p belong to it?");
}

TEST_CASE("a row that is sure, a thousand above the rest: no overflow, no NaN") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor z = variable("z", {1, 3}, std::vector<real>{1000, 0, 0});
  tape.backward(sum(cross_entropy(z, std::vector<int32_t>{1})));
  expect("dL/dz", gradient_of(z), Numbers{1, -1, 0},
         "e^1000 is infinite: which numbers has forward kept that need no exponential?");
}

TEST_CASE("against finite differences, and against the engine") {
  const std::vector<int32_t> target{4, 0, 2};
  const GradLeaf z{"z", {3, 5}, some_numbers(15, 3)};
  expect(check_gradient("cross_entropy", {z}, [&](std::span<const Tensor> x) { return cross_entropy(x[0], target); }),
         "where in the arrays do row n and column v stand, and is every share added?");
  Tape tape;
  const Tape::Use use(tape);
  const Tensor mine = variable("z", z.shape, z.values), engines = variable("z", z.shape, z.values);
  tape.backward(mean(cross_entropy(mine, target)) + mean(softmax_cross_entropy(engines, target)));
  expect("dL/dz", gradient_of(mine), gradient_of(engines),
         "what does softmax_cross_entropy_backward in engine/ops_loss.cpp do otherwise?");
}

}  // namespace gradus::lesson
