// The gradient through a draw.
#pragma once

#include <vector>

namespace gradus::lesson {

// A guide over a weight: N(mean, deviation²), with deviation > 0.
struct Guide {
  double mean, deviation;
};
struct GuideGradient {
  double mean, deviation;
};

// The weight that this noise, a draw from N(0,1), makes of the guide.
double draw(const Guide& guide, double noise);

// The loss of the guide from one draw: f(draw) + KL(guide ‖ prior), prior N(0, scale²); `slope` is f' at the draw. Its
// gradient, for this noise, by the mean and by the deviation.
GuideGradient guide_gradient(const Guide& guide, double noise, double slope, double scale);

}  // namespace gradus::lesson
