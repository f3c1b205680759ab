// The engine compiled for a debugger, in a small program: `stepper step EXAMPLE` runs the backward pass of an example
// of `gradus step` and prints the loss and every gradient, to the last bit. tests/test_gdb.sh walks through it.
#include <cstdio>

#include "apps/step/examples.h"

int main(int argc, char** argv) {
  gradus::Tape tape;
  const gradus::Tape::Use use(tape);
  const gradus::Tensor loss = gradus::step_example(argc > 2 ? argv[2] : "scalar").build();
  tape.backward(loss);
  std::printf("loss %a\n", loss.item());
  for (const gradus::Op& op : tape.ops())
    for (int i = 0; i < op.n_in; ++i) {
      std::printf("%s %d:", op.kind->name, i);
      for (int64_t e = 0; op.in[i]->needs_grad && e < op.in[i]->shape.numel(); ++e)
        std::printf(" %a", double(op.dx(i)[e]));
      std::printf("\n");
    }
}
