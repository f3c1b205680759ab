#include <algorithm>
#include <cmath>

#include "tests/exercises/14_lambda/exercise.h"

namespace gradus::lesson {

// log Σ q e^{Λ(φ−μ)}, and mean and variance of φ − μ under p.
struct At {
  double log_z, mean, variance;
};
static At at(const std::vector<double>& q, const std::vector<double>& phi, double moment, double lambda) {
  double top = -INFINITY, z = 0, mean = 0, variance = 0;
  for (const double x : phi) top = std::max(top, lambda * (x - moment));
  std::vector<double> p;
  for (size_t i = 0; i < q.size(); ++i) z += p.emplace_back(q[i] * std::exp(lambda * (phi[i] - moment) - top));
  for (size_t i = 0; i < q.size(); ++i) mean += p[i] / z * (phi[i] - moment);
  for (size_t i = 0; i < q.size(); ++i) variance += p[i] / z * (phi[i] - moment - mean) * (phi[i] - moment - mean);
  return {top + std::log(z), mean, variance};
}

/// Λ ← Λ − (E φ − μ) / Var φ;  half of the step while log Z − Λμ would rise
double lambda_of(const std::vector<double>& q, const std::vector<double>& phi, double moment) {
  const auto [least, most] = std::minmax_element(phi.begin(), phi.end());
  if (!(*least < moment && moment < *most)) return std::nan("");
  double lambda = 0;
  for (int iteration = 0; iteration < 200; ++iteration) {
    const At now = at(q, phi, moment, lambda);
    double step = -now.mean / now.variance;
    if (std::fabs(now.mean) > 1e-6 * (*most - *least))
      while (!(at(q, phi, moment, lambda + step).log_z <= now.log_z)) step /= 2;
    lambda += step;
    if (std::fabs(step) <= 1e-15 * std::fabs(lambda)) break;
  }
  return lambda;
}

}  // namespace gradus::lesson
