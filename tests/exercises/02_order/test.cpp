// Exercise 2: why order matters.
#include <cmath>

#include "tests/exercises/02_order/exercise.h"
#include "tests/exercises/lesson.h"

TEST_SUITE_BEGIN("exercise 2");

namespace gradus::lesson {

static double grad(const Graph& g, int i) { return g.nodes[size_t(i)].grad; }

// Runs backward; what pass_back complains about is a failure with an explanation.
static void run(Graph& g, int loss) {
  try {
    backward(g, loss);
  } catch (const std::logic_error& e) {
    expect(false, "calls of pass_back", text("at most one for each of ", g.nodes.size(), " nodes"), e.what(),
           "has all of its gradient arrived when a node passes it on, and how often does it do so?", Loc::here());
  }
}

TEST_CASE("y = a b") {
  Graph g;
  const int a = g.number(3), b = g.number(5), y = g.multiply(a, b);
  run(g, y);
  expect("dy/dy", grad(g, y), 1, "by how much does the loss grow when the loss grows by 1?");
  expect("dy/da", grad(g, a), 5, "who gives a and b their shares of what arrived at y?");
  expect("dy/db", grad(g, b), 3, "who gives a and b their shares of what arrived at y?");
}

TEST_CASE("b = a + a; c = b + b") {
  Graph g;
  const int a = g.number(1), b = g.add(a, a), c = g.add(b, b);
  run(g, c);
  expect("dc/db", grad(g, b), 2, "b is used twice by c: how often must pass_back(c) run to give both shares?");
  expect("dc/da", grad(g, a), 4,
         "how much of its gradient had b when it passed it on, and how often did it pass it on?");
}

TEST_CASE("a node that is used again much later: b = a a; c = b b; d = c + a; e = b d, and e = d b") {
  for (const bool swapped : {false, true}) {
    Graph g;
    const int a = g.number(2), b = g.multiply(a, a), c = g.multiply(b, b), d = g.add(c, a);
    const int e = swapped ? g.multiply(d, b) : g.multiply(b, d);
    run(g, e);  // e = a⁶ + a³
    expect("de/da of a⁶ + a³ at 2", grad(g, a), 6 * 32 + 3 * 4,
           "who uses b? Had all of them passed back when it was the turn of b?");
  }
}

TEST_CASE("sixty doublings: each node once") {
  Graph g;
  const int a = g.number(1);
  int y = a;
  for (int i = 0; i < 60; ++i) y = g.add(y, y);
  run(g, y);
  expect("dy/da", grad(g, a), std::ldexp(1, 60), "there are 2^60 paths from y to a, but how many nodes?");
}

TEST_CASE("nodes made after the loss get nothing") {
  Graph g;
  const int a = g.number(3), y = g.multiply(a, a), later = g.multiply(y, a);
  run(g, y);
  expect("dy/d(a node made after y)", grad(g, later), 0,
         "which node is the loss here, and is it the last of the list?");
  expect("dy/da", grad(g, a), 6, "which node is the loss here, and is it the last of the list?");
}

TEST_CASE("a chain of a million nodes: recursion would run out of stack") {
  Graph g;
  const int a = g.number(0), one = g.number(1);
  int y = a;
  for (int i = 0; i < 1'000'000; ++i) y = g.add(y, one);
  run(g, y);
  expect("dy/da", grad(g, a), 1, "y = a + 1 + ... + 1: how fast does it grow with a?");
  expect("dy/d1", grad(g, one), 1e6, "y = a + 1 + ... + 1, and each 1 is the same node: how many shares does it get?");
}

}  // namespace gradus::lesson
