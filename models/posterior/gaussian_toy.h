// The smallest posterior with an evidence lower bound that is known in closed form: a latent h ~ N(0, 1) and one datum
// x | h ~ N(h, 1). The posterior is N(x/2, 1/2), the evidence N(x; 0, 2). For lessons and tests.
#pragma once

namespace gradus::gaussian_toy {

double log_evidence(double x);
// Of a guide N(mean, deviation²): E_q[log p(x | h) + log p(h)] + H(q) = log_evidence(x) - KL(q ‖ posterior).
double elbo(double x, double mean, double deviation);
double kl_from_posterior(double x, double mean, double deviation);

}  // namespace gradus::gaussian_toy
