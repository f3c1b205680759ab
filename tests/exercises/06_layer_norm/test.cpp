// Exercise 6: layer normalisation, backward.
#include "tests/exercises/06_layer_norm/exercise.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 6");

namespace gradus::lesson {

// dL/dx of L = Σ dy y on one row.
static Numbers gradient(const std::vector<real>& row, const std::vector<real>& dy) {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor x = variable("x", {1, int64_t(row.size())}, row);
  tape.seed(norm(x), dy);
  tape.backward();
  return gradient_of(x);
}

// Mean 0, variance 3/2 + ε; with dy = (0,0,1,0) the means are 1/4 and y_2 / 4.
TEST_CASE("the row -2 0 1 1, and only y of its third number counts") {
  const double r = 1 / std::sqrt(1.5 + kLayerNormEps);
  const double y[] = {-2 * r, 0, r, r};
  Numbers wanted;
  for (int j = 0; j < 4; ++j) wanted.push_back(r * ((j == 2 ? 1 : 0) - 0.25 - y[j] * r / 4));
  expect("dL/dx", gradient({-2, 0, 1, 1}, {0, 0, 1, 0}), wanted,
         "when the third x grows, its y grows; what happens to the mean of the row, and to its spread?");
}

TEST_CASE("shifting the whole row changes nothing, so dy = 1 everywhere gives no gradient") {
  expect("dL/dx", gradient({-2, 0, 1, 1}, {1, 1, 1, 1}), Numbers(4),
         "what happens to y when all x of the row grow by the same amount?");
}

TEST_CASE("stretching the row changes nothing but for ε, so dy = y gives rstd y ε/(variance + ε)") {
  const double r = 1 / std::sqrt(1.5 + kLayerNormEps), left = r * (1 - 1.5 * r * r);
  expect("dL/dx", gradient({-2, 0, 1, 1}, {-2 * r, 0, r, r}), Numbers{-2 * r * left, 0.0, r * left, r * left},
         "what happens to y when all x of the row are multiplied by the same number?");
}

TEST_CASE("against finite differences, and against the engine") {
  const GradLeaf leaf{"x", {3, 5}, some_numbers(15, 1)};
  expect(check_gradient("norm", {leaf}, [](std::span<const Tensor> x) { return norm(x[0]); }),
         "are the means taken over one row only, and is every share added?");
  Tape tape;
  const Tape::Use use(tape);
  const Tensor mine = variable("x", leaf.shape, leaf.values), engines = variable("x", leaf.shape, leaf.values);
  const Tensor w = constant(leaf.shape, some_numbers(15, 2));
  tape.backward(sum(w * norm(mine)) + sum(w * layer_norm(engines, constant({5}, 1), {})));
  expect("dL/dx", gradient_of(mine), gradient_of(engines),
         "what does layer_norm_backward in engine/ops_norm.cpp do otherwise, with g = 1?");
}

}  // namespace gradus::lesson
