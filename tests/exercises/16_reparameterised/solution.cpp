#include "tests/exercises/16_reparameterised/exercise.h"

namespace gradus::lesson {

/// w = μ + σ ε;  ∂/∂μ = f' + μ/s²;  ∂/∂σ = f' ε + σ/s² − 1/σ
double draw(const Guide& guide, double noise) { return guide.mean + guide.deviation * noise; }

GuideGradient guide_gradient(const Guide& guide, double noise, double slope, double scale) {
  const double precision = 1 / (scale * scale);
  return {slope + guide.mean * precision, slope * noise + guide.deviation * precision - 1 / guide.deviation};
}

}  // namespace gradus::lesson
