#include <cstdio>

#include "gradus/engine/ops.h"
using namespace gradus;

int main() {
  Tape tape;  // records what is computed
  const Tape::Use use(tape);
  const Tensor a = variable("a", 2.0), b = variable("b", -3.0);
  const Tensor s = a * b + a, c = tanh(s);
  tape.backward(c);  // one loop down the record
  std::printf("s = %.6f, c = %.6f\n", s.item(), c.item());
  std::printf("dc/ds = %.6f, dc/da = %.6f, dc/db = %.6f\n", s.grad()[0], a.grad()[0], b.grad()[0]);
}
