#include <cmath>

#include "tests/exercises/09_kl/exercise.h"

namespace gradus::lesson {

/// KL(prefix) = Σ_w p(w|prefix) (log p(w|prefix)/q(w|prefix) + KL(prefix w))
double sequence_kl(const Model& p, const Model& q, const Tokens& prefix, int more) {
  if (more == 0) return 0;
  const std::vector<double> next_p = p(prefix), next_q = q(prefix);
  double kl = 0;
  for (size_t w = 0; w < next_p.size(); ++w) {
    if (next_p[w] == 0) continue;
    Tokens longer = prefix;
    longer.push_back(int(w));
    kl += next_p[w] * (std::log(next_p[w] / next_q[w]) + sequence_kl(p, q, longer, more - 1));
  }
  return kl;
}

}  // namespace gradus::lesson
