// The policy gradient. Every on-policy method is ∇ = E[ Σ_t A_t ∇ log π(y_t | y_<t) ] and differs only in how the
// advantage A is made (rl/advantage.h); an exact gradient is the same sum over all sequences, weighted by π.
//
//   PolicyGradient step(policy, shards);
//   step.forward(batch, temperature, info);                    // log π of every draw
//   ... the host makes A from log π, log q and the rewards ...
//   optimizer.step(params, step.backward(A), lr);              // of -A: an optimiser descends
#pragma once

#include "engine/parallel.h"
#include "models/language_model.h"
#include "rl/sequences.h"

namespace gradus {

// Log-probability of every draw of a batch, [B,T] with 0 in padding, from one teacher-forced pass over the shards. The
// only scorer: policy and prior go through it with equal shapes and shards, so that equal models give equal bits.
// Makes no gradient, and leaves what is on the shards' tapes as it is. REQUIRES: shards.begin(·, batch.B) has run.
std::vector<double> token_log_probs(const LanguageModel& model, Shards& shards, const PaddedBatch& batch,
                                    double temperature);

// Σ over the draws of each sequence of x [B,T] → [B]. Padding is not read.
std::vector<double> sum_over_draws(const PaddedBatch& batch, std::span<const double> x);

class PolicyGradient {
 public:
  PolicyGradient(const LanguageModel& policy, Shards& shards)
      : policy_(policy), shards_(shards), rows_(size_t(shards.size())) {}

  // Scores the batch, which has to stay as it is until backward(). Returns log π of every draw, [B,T], 0 in padding.
  std::span<const double> forward(const PaddedBatch& batch, double temperature, const StepInfo& info = {});
  // Σ_b Σ_t advantage[b,t] ∇ log π(draw b,t), flat, in the order of the parameters: the direction that raises Σ A log
  // π. What stands in the padding of `advantage` is not read. Valid until the next step of the shards.
  std::span<const real> backward(std::span<const double> advantage);
  // The same for each shard alone: with as many shards as sequences, one sequence's contribution.
  void backward_each(std::span<const double> advantage);
  std::span<const real> gradient_of_shard(int s) { return shards_.tape(s).gradient(policy_.params().array()); }

 private:
  const LanguageModel& policy_;
  Shards& shards_;
  const PaddedBatch* batch_ = nullptr;
  std::vector<Tensor> rows_;  // −log π of each slot, of each shard
  std::vector<double> log_prob_;
  std::vector<real> weight_;
};

}  // namespace gradus
