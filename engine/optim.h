// Optimisers over the flat parameter array, gradient clipping and the learning-rate schedule. Parameters that are
// frozen (Params::freeze) do not change, whatever the gradient.
#pragma once

#include "engine/params.h"

namespace gradus {

// √Σ g².   In double, whatever the flavour.
double gradient_norm(std::span<const real> gradient);
// Factor that brings a gradient of norm `norm` to at most `max_norm`; 1 when max_norm is 0 (no clipping).
double clip_factor(double norm, double max_norm);

// Stochastic gradient descent: w ← w − lr factor g, factor that of clipping; the gradient lies as the parameters do.
// Throws ShapeError for a gradient of another size.
void sgd_step(Params& params, std::span<const real> gradient, double lr, double factor = 1);

// AdamW (Loshchilov and Hutter 2019): m ← β1 m + (1−β1) g,  v ← β2 v + (1−β2) g²,
// w ← w − lr (decay w + m̂ / (√v̂ + ε)) with m̂ = m/(1−β1ⁿ), v̂ = v/(1−β2ⁿ). Decay acts only on tensors of rank ≥ 2; with
// weight_decay 0 this is Adam (Kingma and Ba 2015).
// With `muon`, matrices that map hidden vectors to hidden vectors (Params::maps) make Muon's step (engine/muon.h), with
// m for its momentum; v stays 0 there.
struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, weight_decay = 0.1;
  bool muon = false;
};
class AdamW {
 public:
  // ShapeError for options out of range: a beta of 1 would divide by 0, and so would an epsilon of 0.
  explicit AdamW(const Params& params, AdamWOptions options = {});
  // One step with gradient · factor (the clipping). Throws ShapeError for a gradient or parameters of another size.
  // REQUIRES: the parameters it was made for.
  void step(Params& params, std::span<const real> gradient, double lr, double factor = 1);

  const AdamWOptions& options() const { return options_; }

  // State, for checkpoints: both moments lie as the parameters do; steps counts the updates made.
  std::vector<real> m, v;
  int64_t steps = 0;

 private:
  AdamWOptions options_;
  std::vector<real> work_;  // of Muon's steps
};

// Learning rate of step 1, 2, ...: up linearly over `warmup` steps, then a cosine from lr down to min_lr at step
// `decay`, then min_lr.
struct Schedule {
  double lr = 1e-3, min_lr = 1e-4;
  int64_t warmup = 100, decay = 2000;
  double at(int64_t step) const;
};

}  // namespace gradus
