// A step of one's own as a page, and as a walk in the terminal:   ./own_graph [walk]
#include <cstdio>
#include <fstream>

#include "gradus/engine/ops.h"
#include "gradus/engine/step/page.h"
#include "gradus/engine/step/walk.h"
using namespace gradus;

int main(int argc, char**) {
  Tape tape;
  const Tape::Use use(tape);
  const real inputs[] = {1, 2}, weights[] = {real(0.5), -1, 2, real(0.25)};
  const Tensor x = constant({1, 2}, inputs), w = variable("w", {2, 2}, weights), b = variable("b", 0.1);
  const Tensor loss = sum(tanh(matmul(x, w))) * b;
  tape.backward(loss);
  const Trace trace = record_trace(tape, {.name = "own graph", .title = "two neurons and a factor"});
  std::ofstream("own_graph.html") << step_page(trace);
  std::printf("own_graph.html: a loss of %.4f, open it in a browser\n", loss.item());
  if (argc > 1) walk(trace);
}
