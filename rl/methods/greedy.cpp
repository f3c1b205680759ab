#include "rl/methods/greedy.h"

#include <algorithm>
#include <cmath>

#include "engine/ops.h"

namespace gradus {

EpsilonGreedy::EpsilonGreedy(const LanguageModel& values, double epsilon, double temperature)
    : LanguageModel(values.options(), values.vocabulary()),
      values_(values),
      epsilon_(epsilon),
      temperature_(temperature) {}

Tensor EpsilonGreedy::choose(const Tensor& q) const {
  const int64_t N = q.dim(0), V = q.dim(1);
  const Tensor log_p = constant({N, V}, 0);
  if (Tape::current(Loc::here()).measures()) return log_p;
  for (int64_t i = 0; i < N; ++i) {
    const std::span<const real> row = q.rows(i, 1).span();
    const int64_t best = std::ranges::max_element(row) - row.begin(),
                  possible = std::ranges::count_if(row, [](real x) { return x > -INFINITY; });
    real* out = log_p.edit().data() + i * V;
    for (int64_t v = 0; v < V; ++v) {
      const double p = (v == best ? 1 - epsilon_ : 0) + (row[size_t(v)] > -INFINITY ? epsilon_ / double(possible) : 0);
      out[v] = real(temperature_ * std::log(p));
    }
  }
  return log_p;
}

}  // namespace gradus
