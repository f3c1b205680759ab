// Adapters: a model that learns a small change of a large one. With LoRA (Hu et al. 2022, arXiv 2106.09685) every
// matrix w [M,N] of the base is w + a b, a [M,R] and b [R,N] of a small rank R (at most M and N). Only a and b are
// parameters, are trained and saved; the base stays as it is, to the bit. b begins as zeros, so that the adapted model
// begins as the base.
//
//   AdaptedModel policy(clone(*base), Adapter::parse("lora:4"));   // a LanguageModel like any other
//   std::unique_ptr<LanguageModel> merged = clone(policy.plain()); // one without an adapter that says the same
#pragma once

#include <mutex>

#include "models/adapter_spec.h"
#include "models/language_model.h"

namespace gradus {

// The numbers of model.plain() in a model of its own, whose options may differ where they change no shape: dropout,
// ops.
std::unique_ptr<LanguageModel> clone_with(const LanguageModel& model, const ModelOptions& options);

class AdaptedModel : public LanguageModel {
 public:
  // Parameters NAME.lora.a and NAME.lora.b for every matrix NAME of the base, in its order. a is drawn from N(0, 1/R)
  // by `seed`, b is 0. DataError for a base without a matrix.
  AdaptedModel(std::unique_ptr<LanguageModel> base, Adapter adapter, uint64_t seed);

  Tensor head(const Tensor& features) const override;
  Tensor logits(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B, int64_t T) const override;
  bool predicts_next() const override { return net_->predicts_next(); }
  bool draws_texts() const override { return net_->draws_texts(); }
  int32_t mask_id() const override { return net_->mask_id(); }
  int64_t width() const override { return net_->width(); }
  Tensor token_vectors() const override;
  State start(int64_t B) const override;
  State begin(int64_t B, const Rng& rng, int64_t first) const override;
  void measure_prepared() const override;
  std::unique_ptr<DirectScorer> direct_scorer(double temperature) const override;
  std::span<const double> counts() const override { return net_->counts(); }

  void use_rung(const Rung& rung) override;

  const LanguageModel& plain() const override;
  std::unique_ptr<LanguageModel> copy() const override;
  const Params& base() const { return base_; }

 private:
  struct Matrix {
    int64_t of;  // the number of the parameter in base_ and the net
    Tensor a, b;
  };
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor encode_padded(std::span<const int32_t> tokens, std::span<const int32_t> lengths, int64_t B,
                       int64_t T) const override;
  Tensor advance(State& state, std::span<const int32_t> tokens) const override;
  Tensor changed(const Matrix& m) const;  // w + a b, on the current tape
  void refresh() const;
  bool are_in_place() const;
  void put_in_place() const;

  const Adapter adapter_;
  const uint64_t seed_;
  Params base_;                               // frozen
  const std::unique_ptr<LanguageModel> net_;  // what computes; its numbers are those of the base with the change
  std::vector<Matrix> matrices_;
  mutable std::mutex mutex_;
  mutable uint64_t merged_;  // the version of the parameters that is in the net's numbers
};

}  // namespace gradus
