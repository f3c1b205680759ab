// Exercise 1: the product rule.
#include "tests/exercises/01_product_rule/exercise.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 1");

namespace gradus::lesson {

TEST_CASE("y = a b at a = 3, b = 5") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", 3), b = variable("b", 5);
  tape.backward(product(a, b));
  expect("dL/da", gradient_of(a), Numbers{5.0}, "how fast does 3·5 grow when the 3 grows?");
  expect("dL/db", gradient_of(b), Numbers{3.0}, "how fast does 3·5 grow when the 5 grows?");
}

TEST_CASE("what arrives is passed on: L = 10 a b") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", 3), b = variable("b", 5);
  tape.backward(scale(product(a, b), 10));
  expect("dL/da", gradient_of(a), Numbers{50.0},
         "the loss grows by 10 for each unit of y: where does your function learn of that?");
  expect("dL/db", gradient_of(b), Numbers{30.0},
         "the loss grows by 10 for each unit of y: where does your function learn of that?");
}

TEST_CASE("gradients add up: y = a a, and b used twice") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", 3), b = variable("b", 5);
  tape.backward(product(a, a) + product(a, b) + product(b, b));
  expect("dL/da of a a + a b + b b", gradient_of(a), Numbers{2.0 * 3 + 5},
         "a is used three times: what happens to the share of an earlier use?");
  expect("dL/db of a a + a b + b b", gradient_of(b), Numbers{3 + 2.0 * 5},
         "b is used three times: what happens to the share of an earlier use?");
}

TEST_CASE("a constant wants no gradient") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", 3), c = constant({}, 5.0);
  tape.backward(product(c, a));
  expect("dL/da of 5 a", gradient_of(a), Numbers{5.0},
         "the constant 5 wants no gradient: does the other factor still get its own?");
}

TEST_CASE("arrays, against finite differences") {
  expect(check_gradient("product", {{"a", {2, 3}, some_numbers(6, 1)}, {"b", {2, 3}, some_numbers(6, 2)}},
                        [](std::span<const Tensor> x) { return product(x[0], x[1]); }),
         "how many numbers are there (op.shape(0)), and does each i keep to its own a, b and dy?");
}

}  // namespace gradus::lesson
