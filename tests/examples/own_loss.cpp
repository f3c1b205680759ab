// A two-layer network learns XOR with a custom hinge loss: each score must be at least 1 on the correct side of zero.
#include <cstdio>

#include "gradus/engine/ops.h"
#include "gradus/engine/optim.h"
using namespace gradus;

int main() {
  Params params;
  const Tensor w1 = params.add("w1", {2, 4}, Init::normal(1)), b1 = params.add("b1", {4}, Init::constant(0));
  const Tensor w2 = params.add("w2", {4, 1}, Init::normal(1)), b2 = params.add("b2", {1}, Init::constant(0));
  params.init(1);
  AdamW optimizer(params);
  Tape tape;
  const Tape::Use use(tape);
  const real inputs[] = {0, 0, 0, 1, 1, 0, 1, 1}, sides[] = {-1, 1, 1, -1};
  for (int step = 0; step <= 150; ++step) {
    tape.new_step();
    const Tensor x = constant({4, 2}, inputs), side = constant({4, 1}, sides), margin = constant({4, 1}, 1.0);
    const Tensor score = linear(tanh(linear(x, w1, b1)), w2, b2);
    const Tensor loss = mean(relu(margin - side * score));
    tape.backward(loss);
    const real* s = score.data();
    if (step % 50 == 0)
      std::printf("step %3d  loss %.2f  scores %5.2f %5.2f %5.2f %5.2f\n", step, loss.item(), s[0], s[1], s[2], s[3]);
    optimizer.step(params, tape.gradient(params.array()), 0.05);
  }
}
