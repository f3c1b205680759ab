// A variational guide: every number of the net has a normal distribution of its own, q(θ) = Π N(θ_i; μ_i, σ_i²), fitted
// by raising the evidence lower bound (Blundell et al. 2015, arXiv 1505.05424; Kingma and Welling 2014, 1312.6114):
//
//   ELBO = E_q[log p(data | θ)] - KL(q ‖ prior) <= log p(data),   the gap being KL(q ‖ posterior)
//   KL(N(μ,σ²) ‖ N(0,s²)) = log(s/σ) + (σ² + μ²) / (2 s²) - ½
//
// A step draws θ = μ + σ ε once, ε ~ N(0, 1) a function of (seed, step), for all its shards, and puts it in the place
// of the net's parameters by Tape::bind. So ∂/∂μ and ∂/∂σ go through the draw, no model changes, and no family has to
// know. A site that is missing, or one too many, cannot be written: nobody writes sites. They are made from the list of
// the net's parameters, two for each, NAME.mean and NAME.log_deviation, and the data are none of them.
#pragma once

#include "models/posterior/posterior_model.h"
#include "models/posterior/posteriors.h"
#include "models/posterior/text_size.h"

namespace gradus {

class VariationalModel final : public PosteriorModel {
 public:
  VariationalModel(std::unique_ptr<LanguageModel> net, const PosteriorOptions& options);
  // The means begin as the net's own parameters, the deviations at a twentieth of the prior's, at most 0.05.
  void initialise() override;

  // The size of the text that a batch stands for: N targets in S sequences (models/posterior/text_size.h).
  void learn_from(int64_t targets, double sequences);
  // In a training step: -log p(target | θ) for each target, [B·T], and for each sequence KL/S, spread evenly over its
  // targets: over the whole text, once, the sum is that of -ELBO. Times weight_of(batch) its mean over random batches
  // is -ELBO/N. ShapeError before learn_from(). Else the loss of the predictive.
  Tensor losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B, int64_t T) const override;
  double weight_of(const Batch& batch) const { return sequences_ / (double(batch.B) * double(targets_)); }  // S/(B N)
  // KL(q ‖ prior) in nats.
  double kl() const;

  void moments(std::span<double> mean, std::span<double> deviation) const override;
  std::unique_ptr<LanguageModel> copy() const override;

 private:
  struct Site {
    Tensor mean, log_deviation;
  };
  void write_draw(int64_t k, std::span<real> numbers) const override;
  Tensor kl_of(const Site& site) const;  // a scalar, on the current tape

  const PosteriorOptions options_;
  std::vector<Site> sites_;  // of each parameter of the net
  int64_t targets_ = 0;
  double sequences_ = 0;
};

}  // namespace gradus
