// Stochastic gradient Langevin dynamics: one step.
#include <cmath>

#include "models/posterior/chains.h"

namespace gradus {

// At learning rate lr: θ moves by -lr times the gradient of U/N, as gradient descent would, and the noise of a step
// of that size.
static Transition advance(const ChainStep& s) {
  const Potential U = [&](std::span<const double> at, std::span<double> gradient) {
    return s.text.of_batch(at, gradient, s.of_batch, s.chain);
  };
  return sgld_transition(U, s.q, 2 * s.lr / double(s.text.tokens()), s.rng, s.chain);
}

PosteriorKind sgld_posterior() {
  return {.name = "sgld", .title = "stochastic gradient Langevin dynamics", .advance = advance};
}

Transition sgld_transition(const Potential& U, std::span<double> q, double step, const Rng& rng, int64_t chain) {
  std::vector<double> gradient(q.size());
  Transition t{.potential = U(q, gradient), .is_before = true};
  const Rng noise = rng.at(0, chain);
  double squares = 0;
  for (size_t i = 0; i < q.size(); ++i) {
    squares += gradient[i] * gradient[i];
    q[i] += -0.5 * step * gradient[i] + std::sqrt(step) * noise.normal(int64_t(i));
  }
  t.gradient_norm = std::sqrt(squares);
  return t;
}

}  // namespace gradus
