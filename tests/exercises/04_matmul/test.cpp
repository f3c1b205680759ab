// Exercise 4: the matrix product, backward.
#include "tests/exercises/04_matmul/exercise.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 4");

namespace gradus::lesson {

TEST_CASE("a row times a column: y = 1·3 + 2·4") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", {1, 2}, std::vector<real>{1, 2}), b = variable("b", {2, 1}, std::vector<real>{3, 4});
  tape.backward(product(a, b).reshape({}));
  expect("dL/da", gradient_of(a), Numbers{3, 4},
         "y = 1·3 + 2·4: how fast does it grow when the 1 grows, and when the 2 does?");
  expect("dL/db", gradient_of(b), Numbers{1, 2},
         "y = 1·3 + 2·4: how fast does it grow when the 3 grows, and when the 4 does?");
}

TEST_CASE("a [1,2] times b [2,3] with dy = 1, 10, 100") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", {1, 2}, std::vector<real>{1, 2});
  const Tensor b = variable("b", {2, 3}, std::vector<real>{1, 2, 3, 4, 5, 6});
  const Tensor y = product(a, b);
  tape.seed(y, std::vector<real>{1, 10, 100});
  tape.backward();
  expect("dL/da", gradient_of(a), Numbers{321, 654},
         "a[0,0] is a factor of which three numbers of y, and what is it multiplied by in each?");
  expect("dL/db", gradient_of(b), Numbers{1, 10, 100, 2, 20, 200},
         "b[1,2] is a factor of which number of y, and what is it multiplied by there?");
}

TEST_CASE("against finite differences: three different sizes, and a product of a matrix with itself") {
  expect(check_gradient("product", {{"a", {2, 3}, some_numbers(6, 1)}, {"b", {3, 5}, some_numbers(15, 2)}},
                        [](std::span<const Tensor> x) { return product(x[0], x[1]); }),
         "M, K and N differ here: how far apart are the rows of a, of b and of y?");
  expect(check_gradient("product", {{"a", {3, 3}, some_numbers(9, 4)}},
                        [](std::span<const Tensor> x) { return product(x[0], x[0]); }),
         "a is both inputs here: does one share wipe out the other?");
}

TEST_CASE("a constant wants no gradient") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", {1, 1}, std::vector<real>{3}), c = constant({1, 1}, 5);
  tape.backward((product(a, c) + product(c, a)).reshape({}));
  expect("dL/da of 5 a + a 5", gradient_of(a), Numbers{10.0},
         "the constant wants no gradient: does the other factor still get its own?");
}

}  // namespace gradus::lesson
