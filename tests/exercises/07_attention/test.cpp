// Exercise 7: causal attention, backward.
#include "tests/exercises/07_attention/exercise.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 7");

namespace gradus::lesson {

struct Head {
  Tensor q, k, v;
  Head(int64_t T, int64_t D, double seed)
      : q(variable("q", {T, D}, some_numbers(T * D, seed))),
        k(variable("k", {T, D}, some_numbers(T * D, seed + 1))),
        v(variable("v", {T, D}, some_numbers(T * D, seed + 2))) {}
};

TEST_CASE("a single row sees itself only: y = v") {
  Tape tape;
  const Tape::Use use(tape);
  const Head h(1, 2, 1);
  tape.seed(attention(h.q, h.k, h.v), std::vector<real>{3, 5});
  tape.backward();
  expect("dL/dv", gradient_of(h.v), Numbers{3, 5}, "P is 1 and y = v here: how fast does y grow when v grows?");
  expect("dL/dq", gradient_of(h.q), Numbers{0, 0}, "the row sees itself only: can its score change P at all?");
}

// Scores 0 and log 3, so P = 1/4, 3/4; v = 0 and 8, so y = 6 and dS = ∓ 1/4·3/4·8.
TEST_CASE("two rows of one channel: P of the second is 1/4, 3/4") {
  Tape tape;
  const Tape::Use use(tape);
  const double log3 = std::log(3.0);
  const Tensor q = variable("q", {2, 1}, std::vector<real>{1, 1});
  const Tensor k = variable("k", {2, 1}, std::vector<real>{0, real(log3)});
  const Tensor v = variable("v", {2, 1}, std::vector<real>{0, 8});
  const Tensor y = attention(q, k, v);
  expect("y", values_of(y), Numbers{0, 6}, "forward is given and right: has exercise.h changed?");
  tape.seed(y, std::vector<real>{0, 1});
  tape.backward();
  expect("dL/dv", gradient_of(v), Numbers{0.25, 0.75},
         "y_1 is a quarter of v_0 and three quarters of v_1: how fast does it grow with each?");
  expect(
      "dL/dk", gradient_of(k), Numbers{-1.5, 1.5},
      "if the score of row 1 grows, its P grows and that of row 0 must fall: what does y gain, and what does it lose?");
  expect("dL/dq", gradient_of(q), Numbers{0.0, 1.5 * log3},
         "q_1 acts on both scores of its row: with which factor on each?");
}

TEST_CASE("causal: what arrives at row 1 reaches keys and values of rows 0 and 1, and no later one") {
  Tape tape;
  const Tape::Use use(tape);
  const Head h(4, 1, 2);
  tape.seed(attention(h.q, h.k, h.v), std::vector<real>{0, 1, 0, 0});
  tape.backward();
  const auto dk = gradient_of(h.k), dv = gradient_of(h.v), dq = gradient_of(h.q);
  expect("dL/dk of rows 2 and 3", Numbers{dk[2], dk[3]}, Numbers{0, 0}, "may row 1 look at rows 2 and 3?");
  expect("dL/dv of rows 2 and 3", Numbers{dv[2], dv[3]}, Numbers{0, 0}, "may row 1 look at rows 2 and 3?");
  expect("dL/dq of rows 0, 2 and 3", Numbers{dq[0], dq[2], dq[3]}, Numbers{0, 0, 0}, "which row of q acts on y_1?");
}

TEST_CASE("against finite differences, and against the engine") {
  expect(check_gradient(
             "attention",
             {{"q", {3, 2}, some_numbers(6, 1)}, {"k", {3, 2}, some_numbers(6, 2)}, {"v", {3, 2}, some_numbers(6, 3)}},
             [](std::span<const Tensor> x) { return attention(x[0], x[1], x[2]); }),
         "D is 2 here: does every score have its 1/√D on the way back too, and is every share added?");
  Tape tape;
  const Tape::Use use(tape);
  const Head mine(5, 3, 4), engines(5, 3, 4);
  const Tensor w = constant({5, 3}, some_numbers(15, 9)), parts[] = {engines.q, engines.k, engines.v};
  tape.backward(sum(w * attention(mine.q, mine.k, mine.v)) + sum(w * causal_attention(concat(parts), 1, 5, 1)));
  const char* const question = "what does causal_attention_backward in engine/ops_attention.cpp do otherwise?";
  expect("dL/dq", gradient_of(mine.q), gradient_of(engines.q), question);
  expect("dL/dk", gradient_of(mine.k), gradient_of(engines.k), question);
  expect("dL/dv", gradient_of(mine.v), gradient_of(engines.v), question);
}

}  // namespace gradus::lesson
