// The loss of a language model on batches of text, over shards; training and evaluation share it. All losses are in
// nats.
#pragma once

#include "engine/parallel.h"
#include "models/language_model.h"
#include "models/text/corpus.h"

namespace gradus {

// The two phases of a training step. Between them the caller sees the loss and sets its weight:
//
//   BatchLoss loss(shards);
//   const double nats = loss.forward(model, batch, {.seed = 1, .step = step, .training = true});
//   loss.backward(1 / double(batch.scored));           // the gradient of the mean
//   optimizer.step(params, shards.gradient(params), lr);
class BatchLoss {
 public:
  explicit BatchLoss(Shards& shards) : shards_(shards), losses_(size_t(shards.size())), sum_(size_t(shards.size())) {}
  // The sum of the losses of all targets, each shard on its own tape and their sums in the shards' order.
  double forward(const LanguageModel& model, Batch& batch, const StepInfo& info, bool with_gradients = true);
  // Gradients of `weight` times that sum. REQUIRES: forward() with gradients, and no other step of the shards since.
  void backward(double weight);

 private:
  Shards& shards_;
  std::vector<Tensor> losses_;  // [rows·T] of each shard
  std::vector<double> sum_;
};

// The same on one tape, the current one, for rows [first, first+count) of the batch: the loss of each token,
// [count·T], and backward with one weight on all of them.
Tensor token_losses(const LanguageModel& model, Batch& batch, int64_t first, int64_t count);
void backward_from(const Tensor& losses, double weight, Keep keep = Keep::kAll);

struct SplitLoss {
  double nats = 0;  // sum of the losses
  int64_t tokens = 0;
  double mean() const { return nats / double(tokens); }
};
// Over `batches` random batches of B sequences of a split: a function of (seed of the model, step). No gradients.
SplitLoss loss_of_batches(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t B,
                          int64_t step, int64_t batches);
// Over a whole split in batches of B, every token of it once: in windows of the context, `stride` apart (0: the
// context), or lines.
SplitLoss loss_of_split(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t B,
                        int64_t stride = 0);

}  // namespace gradus
