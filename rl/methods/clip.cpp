#include "rl/methods/clip.h"

#include <algorithm>
#include <cmath>

namespace gradus {

double clipped_objective(double ratio, double advantage, double epsilon) {
  return std::min(ratio * advantage, std::clamp(ratio, 1 - epsilon, 1 + epsilon) * advantage);
}

bool is_clipped(double ratio, double advantage, double epsilon) {
  return advantage > 0 ? ratio > 1 + epsilon : advantage < 0 && ratio < 1 - epsilon;
}

Weights clipped_weights(const Experience& e, std::span<const double> log_pi, double epsilon) {
  Weights w{.log_pi = std::vector<double>(log_pi.size(), 0.0),
            .clipped = 0,
            .ratio = std::vector<double>(log_pi.size(), 0.0)};
  const PaddedBatch& batch = e.batch;
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) {
      const size_t i = size_t(b * batch.T + t);
      const double ratio = w.ratio[i] = std::exp(log_pi[i] - e.log_mu[i]), a = e.advantage[i];
      if (is_clipped(ratio, a, epsilon))
        ++*w.clipped;
      else
        w.log_pi[i] = ratio * a;
    }
  return w;
}

}  // namespace gradus
