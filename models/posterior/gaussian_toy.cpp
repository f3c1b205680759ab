#include "models/posterior/gaussian_toy.h"

#include <cmath>

namespace gradus::gaussian_toy {

static const double kLog2Pi = std::log(2 * M_PI);

double log_evidence(double x) { return -0.5 * (kLog2Pi + std::log(2.0)) - x * x / 4; }

double elbo(double x, double mean, double deviation) {
  const double v = deviation * deviation;
  const double of_datum = -0.5 * kLog2Pi - 0.5 * ((x - mean) * (x - mean) + v);
  const double of_prior = -0.5 * kLog2Pi - 0.5 * (mean * mean + v);
  const double entropy = 0.5 * (kLog2Pi + 1) + std::log(deviation);
  return of_datum + of_prior + entropy;
}

double kl_from_posterior(double x, double mean, double deviation) {
  const double v = deviation * deviation, of = 0.5, m = x / 2;
  return 0.5 * (std::log(of / v) + (v + (mean - m) * (mean - m)) / of - 1);
}

}  // namespace gradus::gaussian_toy
