#include "tests/exercises/03_cross_entropy/exercise.h"

namespace gradus::lesson {

/// dz[n,v] += dy[n] (p[n,v] − [v = target[n]])
void cross_entropy_backward(Op& op) {
  const auto& s = op.get<CrossEntropy>();
  const int64_t N = op.shape(0)[0], V = op.shape(0)[1];
  for (int64_t n = 0; n < N; ++n)
    for (int64_t v = 0; v < V; ++v) op.dx(0)[n * V + v] += op.dy()[n] * (s.p[n * V + v] - (v == s.target[n] ? 1 : 0));
}

}  // namespace gradus::lesson
