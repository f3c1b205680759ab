// Hamiltonian Monte Carlo: one trajectory.
#include <cmath>
#include <numeric>

#include "models/posterior/chains.h"

namespace gradus {
namespace {

double squares(std::span<const double> x) { return std::inner_product(x.begin(), x.end(), x.begin(), 0.0); }

// The step size begins at the learning rate and is adapted during the burn-in, towards an acceptance at which a
// trajectory costs least (Neal 2011, 5.4.4); then it stays, or the chain would not have the posterior.
Transition advance(const ChainStep& s) {
  constexpr double kWanted = 0.8;
  if (s.step == 1) s.log_step = std::log(s.lr);
  const double jitter = 0.9 + 0.2 * s.rng.at(2, s.chain).uniform(0);  // so that trajectories do not close on themselves
  const Potential U = [&](std::span<const double> at, std::span<double> gradient) {
    return s.text.whole(at, gradient);
  };
  const Transition t = hmc_transition(U, s.q, jitter * std::exp(s.log_step), s.leapfrog, s.rng, s.chain);
  if (s.burns_in) s.log_step += std::min(1.0, 10 / double(s.step + 10)) * (t.acceptance - kWanted);
  return t;
}

}  // namespace

PosteriorKind hmc_posterior() {
  return {.name = "hmc", .title = "Hamiltonian Monte Carlo", .advance = advance, .own_step = true};
}

Transition hmc_transition(const Potential& U, std::span<double> q, double step, int64_t leapfrog, const Rng& rng,
                          int64_t chain) {
  const size_t n = q.size();
  std::vector<double> at(q.begin(), q.end()), p(n), gradient(n);
  for (size_t i = 0; i < n; ++i) p[i] = rng.at(0, chain).normal(int64_t(i));
  const double before = U(at, gradient), kinetic = 0.5 * squares(p);
  Transition t{.potential = before, .gradient_norm = std::sqrt(squares(gradient))};
  double after = before;
  for (int64_t l = 0; l < leapfrog; ++l) {
    for (size_t i = 0; i < n; ++i) {
      p[i] -= 0.5 * step * gradient[i];
      at[i] += step * p[i];
    }
    after = U(at, gradient);
    for (size_t i = 0; i < n; ++i) p[i] -= 0.5 * step * gradient[i];
  }
  const double rise = after + 0.5 * squares(p) - before - kinetic;  // of the energy, which leapfrog nearly keeps
  t.acceptance = std::isnan(rise) ? 0 : std::min(1.0, std::exp(-rise));
  if (rng.at(1, chain).uniform(0) < t.acceptance) {
    std::copy(at.begin(), at.end(), q.begin());
    t.potential = after;
  }
  return t;
}

}  // namespace gradus
