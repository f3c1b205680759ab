// PosteriorModel: a language model whose parameters are not known but have a posterior. What it says of a text is the
// predictive, the mean of what K draws of the parameters say of it (Gelman et al., Bayesian Data Analysis, 3rd
// ed., 1.3):
//
//   p(x_1..x_T | data) = 1/K Σ_k p(x_1..x_T | θ_k)
//   p(x_t | x_<t, data) = Σ_k w_k p(x_t | x_<t, θ_k),   w_k ∝ p(x_<t | θ_k)
//
// so a draw that has predicted the text so far counts for more, and sequences, not single tokens, are averaged. Of
// pairs only the reply moves the weights, and of a text longer than one window each window begins with equal ones.
// Sampling, scores, losses and enumeration need not know: it is a LanguageModel, in which this is the one place.
//
// Its parameters are those of the posterior, which derived classes declare. The net's own are frozen and never learn.
#pragma once

#include <mutex>

#include "models/language_model.h"

namespace gradus {

class PosteriorModel : public LanguageModel {
 public:
  // DataError for a net that does not say what follows.
  PosteriorModel(std::unique_ptr<LanguageModel> net, int64_t draws);

  // The features are the logits, which are log p(x_t | x_<t, data); no gradient goes through them.
  int64_t width() const override { return vocabulary(); }
  Tensor head(const Tensor& features) const override { return features; }
  State start(int64_t B) const override;
  void measure_prepared() const override;
  Tensor token_vectors() const override { return plain().token_vectors(); }
  void use_rung(const Rung& rung) override;
  // The net at the mean of the posterior.
  const LanguageModel& plain() const override;

  int64_t draws() const { return int64_t(draws_.size()); }
  const LanguageModel& draw(int64_t k) const;  // the net at draw k; valid until the parameters change
  // Mean and standard deviation of every parameter of the net, in their order.
  virtual void moments(std::span<double> mean, std::span<double> deviation) const = 0;
  double numbers_of_draws() const { return double(net_->params().declared_size()) * double(draws() + 1); }  // in memory
  const Params& net_params() const { return net_->params(); }  // their names and shapes

 protected:
  LanguageModel& net() const { return *net_; }
  // Of the same family and sizes, with numbers; and as initialise() of a run with that seed leaves it.
  std::unique_ptr<LanguageModel> new_net() const { return new_net(options().seed); }
  std::unique_ptr<LanguageModel> new_net(int64_t seed) const;
  virtual void write_draw(int64_t k, std::span<real> numbers) const = 0;

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor advance(State& state, std::span<const int32_t> tokens) const override;
  void refresh() const;
  // Whether a token counts as evidence behind so many marks.
  bool is_evidence(int64_t marks) const { return !options().pairs || marks >= 2; }

  const std::unique_ptr<LanguageModel> net_;  // the mean, or what a derived class makes of it on a tape
  mutable std::vector<std::unique_ptr<LanguageModel>> draws_;
  mutable std::unique_ptr<LanguageModel> mean_;
  mutable std::mutex mutex_;
  mutable uint64_t version_ = 0;  // of the parameters whose draws are there
  mutable bool is_fresh_ = false;
};

}  // namespace gradus
