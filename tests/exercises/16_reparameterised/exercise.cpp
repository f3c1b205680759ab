// Exercise 16: the gradient through a draw.
//
// A weight is not known: it is drawn from a guide N(mean, deviation²), and the loss is f at the draw, and how far the
// guide is from its prior. A draw is random, so how can a gradient go through it? Make it from noise that knows nothing
// of the guide, and then say how the loss of this noise changes if the mean moves a little, or the deviation.
#include "tests/exercises/16_reparameterised/exercise.h"

namespace gradus::lesson {

double draw(const Guide& guide, double noise) {
  // Write here.
  return 0;
}

GuideGradient guide_gradient(const Guide& guide, double noise, double slope, double scale) {
  // Write here.
  return {0, 0};
}

}  // namespace gradus::lesson
