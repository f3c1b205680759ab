// Exercise 5: an LSTM cell, backward.
#include "tests/exercises/05_lstm_cell/exercise.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 5");

namespace gradus::lesson {

// All pre-activations 0 and c = 1: i = f = o = 1/2, g = 0, c' = 1/2.
TEST_CASE("the cell state alone: L = c'") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", {1, 4}, std::vector<real>{0, 0, 0, 0}),
               c = variable("c", {1, 1}, std::vector<real>{1});
  const LstmState next = cell(a, c);
  expect("c'", next.c.item(), 0.5, "forward is given and right: has exercise.h changed?");
  tape.backward(next.c.reshape({}));
  expect("dL/dc", gradient_of(c), Numbers{0.5},
         "in c' = f c + i g, how fast does the new state grow when the old one does?");
  expect("dL/da of i f g o", gradient_of(a), Numbers{0, 0.25, 0.5, 0},
         "which factor does each gate have in c' = f c + i g, and what is the slope of σ and of tanh, told by their "
         "results?");
}

TEST_CASE("the output: L = h'") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", {1, 4}, std::vector<real>{0, 0, 0, 0}),
               c = variable("c", {1, 1}, std::vector<real>{1});
  tape.backward(cell(a, c).h.reshape({}));
  const double t = std::tanh(0.5), dc = 0.5 * (1 - t * t);  // what reaches c' through the tanh
  expect("dL/dc", gradient_of(c), Numbers{dc / 2},
         "nothing arrives at c' itself: by which way does the loss h' = o tanh c' depend on the old c?");
  expect("dL/da of i f g o", gradient_of(a), Numbers{0, dc / 4, dc / 2, t / 4},
         "all four gates act on h': three of them through which number, and the fourth how?");
}

TEST_CASE("both at once: L = h' + 10 c'") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", {1, 4}, std::vector<real>{0, 0, 0, 0}),
               c = variable("c", {1, 1}, std::vector<real>{1});
  const LstmState next = cell(a, c);
  tape.backward((next.h + 10 * next.c).reshape({}));
  const double t = std::tanh(0.5);
  expect("dL/dc", gradient_of(c), Numbers{(10 + 0.5 * (1 - t * t)) / 2},
         "c' is used twice, by h' and by what comes later: do both shares reach the old c?");
}

TEST_CASE("against finite differences: 2 rows of 3 cells") {
  expect(check_gradient("cell", {{"a", {2, 12}, some_numbers(24, 1)}, {"c", {2, 3}, some_numbers(6, 2)}},
                        [](std::span<const Tensor> x) {
                          const LstmState next = cell(x[0], x[1]);
                          return std::vector<Tensor>{next.h, next.c};
                        }),
         "where do the four gates of cell k of row b stand, and is every share added?");
}

TEST_CASE("a constant wants no gradient") {
  expect(check_gradient("cell", {{"a", {1, 4}, some_numbers(4, 1), false}, {"c", {1, 1}, some_numbers(1, 2)}},
                        [](std::span<const Tensor> x) { return cell(x[0], x[1]).h; }),
         "a wants no gradient: does the old c still get its own?");
}

TEST_CASE("against the engine: two steps of lstm_cell") {
  Tape tape;
  const Tape::Use use(tape);
  const auto a0 = some_numbers(24, 3), c0 = some_numbers(6, 4);
  const Tensor a = variable("a", {2, 12}, a0), c = variable("c", {2, 3}, c0);
  const Tensor engines_a = variable("a", {2, 12}, a0), engines_c = variable("c", {2, 3}, c0);
  const Tensor h = constant({2, 3}, 0), w = constant({12, 3}, 0);
  const LstmState mine = cell(a, cell(a, c).c);
  const LstmState engines = lstm_cell(engines_a, {h, lstm_cell(engines_a, {h, engines_c}, w).c}, w);
  tape.backward(sum(mine.h) + sum(mine.c) + sum(engines.h) + sum(engines.c));
  expect("dL/da", gradient_of(a), gradient_of(engines_a),
         "what does lstm_cell_backward in engine/ops_lstm.cpp do otherwise?");
  expect("dL/dc", gradient_of(c), gradient_of(engines_c),
         "what does lstm_cell_backward in engine/ops_lstm.cpp do otherwise?");
}

}  // namespace gradus::lesson
