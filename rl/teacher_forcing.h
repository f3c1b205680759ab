// Teacher forcing: the one pass in which a policy scores given sequences, and the backward pass from the weights that a
// method puts on the scores.
//
//   TeacherForcing pass(policy, shards);
//   const Scores& now = pass.forward(batch, temperature, info);     // log π of every draw
//   ... the host makes Weights from them ...
//   std::span<const real> up = pass.backward(weights);              // Σ w ∇ log π
#pragma once

#include <array>

#include "engine/parallel.h"
#include "models/language_model.h"
#include "rl/experience.h"
#include "rl/scores.h"
#include "rl/value.h"

namespace gradus {

// Log-probability of every draw of a batch, [B,T] with 0 in padding, without a gradient; leaves what is on the shards'
// tapes as it is. Policy and prior go through the same pass with equal shapes and shards, so that equal models give
// equal bits. REQUIRES: shards.begin(·, batch.B) has run.
std::vector<double> token_log_probs(const LanguageModel& model, Shards& shards, const PaddedBatch& batch,
                                    double temperature);

class TeacherForcing {
 public:
  // What is needed beside log π: a value network where needs.value, a prior where needs.kl; else ShapeError.
  TeacherForcing(const LanguageModel& policy, Shards& shards, const Needs& needs = {},
                 const LanguageModel* prior = nullptr, const ValueNetwork* value = nullptr);

  // Scores the batch, which has to stay as it is until backward(). Temperature divides the logits.
  const Scores& forward(const PaddedBatch& batch, double temperature, const StepInfo& info = {});
  const Scores& scores() const { return scores_; }  // of the last forward()

  // Σ_b Σ_t weight[b,t] ∇ score(b,t) over all scores, by the policy's parameters, flat, in their order. `importance`
  // is not looked at. Valid until the next step of the shards or gradient. ShapeError for weights of another size, or
  // on a score that was not needed.
  std::span<const real> backward(const Weights& weights);
  // Of the same pass, by the parameters of the value network. Valid as long.
  std::span<const real> value_gradient() { return shards_.gradient(network_->params()); }
  // backward() for each shard alone: with as many shards as sequences, one sequence's contribution.
  void backward_each(const Weights& weights);
  std::span<const real> gradient_of_shard(int s) { return shards_.tape(s).gradient(policy_.params().array()); }

  // Bytes that the shards' tapes take for all of this on B sequences of T slots, and for the prior's scores meanwhile;
  // of the shards that a rank computes.
  double bytes(int64_t B, int64_t T, double temperature, const Comm& ranks = one_rank()) const;
  // Records the scores of `rows` sequences of T slots on the current tape, and runs its backward pass from all of them.
  // REQUIRES: the tape only measures.
  void measure(int64_t rows, int64_t T, double temperature) const;

 private:
  using ScoreRows = std::array<Tensor, kScores>;  // [count·T] each; empty what is not needed
  ScoreRows record(std::span<const int32_t> inputs, std::span<const int32_t> targets, int64_t count, int64_t T,
                   double temperature) const;
  void forward_shard(int s, const PaddedBatch& batch, double temperature);

  const LanguageModel& policy_;
  Shards& shards_;
  const Needs needs_;
  const LanguageModel* prior_;
  const ValueNetwork* network_;
  const PaddedBatch* batch_ = nullptr;
  std::vector<ScoreRows> rows_;  // the scores of each shard
  Scores scores_;
  std::array<std::vector<real>, kScores> seeds_;
};

}  // namespace gradus
