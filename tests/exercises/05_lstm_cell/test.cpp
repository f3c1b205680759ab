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
  expect("c'", next.c.item(), 0.5, "forward is given and right; has exercise.h changed?");
  tape.backward(next.c.reshape({}));
  expect("dL/dc", gradient_of(c), Numbers{0.5}, "c' = f c + i g, so dc += dc' f");
  expect("dL/da of i f g o", gradient_of(a), Numbers{0, 0.25, 0.5, 0},
         "da_i += dc' g i (1 − i), da_f += dc' c f (1 − f), da_g += dc' i (1 − g²)");
}

TEST_CASE("the output: L = h'") {
  Tape tape;
  const Tape::Use use(tape);
  const Tensor a = variable("a", {1, 4}, std::vector<real>{0, 0, 0, 0}),
               c = variable("c", {1, 1}, std::vector<real>{1});
  tape.backward(cell(a, c).h.reshape({}));
  const double t = std::tanh(0.5), dc = 0.5 * (1 - t * t);  // what reaches c' through the tanh
  expect("dL/dc", gradient_of(c), Numbers{dc / 2},
         "h' = o tanh c': first dc' += dh' o (1 − tanh² c'), then dc += dc' f");
  expect("dL/da of i f g o", gradient_of(a), Numbers{0, dc / 4, dc / 2, t / 4}, "da_o += dh' tanh(c') o (1 − o)");
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
         "c' gets a share from h' and one from later: dc' + dh' o (1 − tanh² c')");
}

TEST_CASE("against finite differences: 2 rows of 3 cells") {
  expect(check_gradient("cell", {{"a", {2, 12}, some_numbers(24, 1)}, {"c", {2, 3}, some_numbers(6, 2)}},
                        [](std::span<const Tensor> x) {
                          const LstmState next = cell(x[0], x[1]);
                          return std::vector<Tensor>{next.h, next.c};
                        }),
         "the place: gates of cell k stand at b·4H + k, and H, 2H, 3H further; add with +=");
}

TEST_CASE("a constant wants no gradient") {
  expect(check_gradient("cell", {{"a", {1, 4}, some_numbers(4, 1), false}, {"c", {1, 1}, some_numbers(1, 2)}},
                        [](std::span<const Tensor> x) { return cell(x[0], x[1]).h; }),
         "op.dx(0) is null here: a is a constant");
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
  expect("dL/da", gradient_of(a), gradient_of(engines_a), "lstm_cell_backward in engine/ops_lstm.cpp");
  expect("dL/dc", gradient_of(c), gradient_of(engines_c), "lstm_cell_backward in engine/ops_lstm.cpp");
}

}  // namespace gradus::lesson
