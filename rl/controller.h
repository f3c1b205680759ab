// The controller of the KL coefficient: it adjusts β until the KL of a step reaches its target.
#pragma once

namespace gradus {

// The rule of Ziegler et al. 2019: β (1 + clip(kl/target − 1, ±0.2) n/horizon) after n sequences of measured KL, in
// nats a sequence. target and horizon must be above 0, or ShapeError.
double next_kl_coef(double beta, double kl, double target, double n, double horizon);

}  // namespace gradus
