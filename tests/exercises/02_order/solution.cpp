#include "tests/exercises/02_order/exercise.h"

namespace gradus::lesson {

// From the last to the first: whoever uses a node was made after it, so by its turn all of its gradient has arrived.
void backward(Graph& graph, int loss) {
  graph.nodes[size_t(loss)].grad = 1;
  for (int i = loss; i >= 0; --i) graph.pass_back(i);
}

}  // namespace gradus::lesson
