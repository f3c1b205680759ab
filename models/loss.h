// The loss of a language model on batches of text, over shards: what training and evaluation share.
#pragma once

#include "engine/parallel.h"
#include "models/text/batch.h"
#include "models/language_model.h"

namespace gradus {

// The sum of the losses of rows [first, first+count) of the batch, on the current tape; with weight > 0 also runs
// backward with that weight on every token that counts.
double batch_loss(const LanguageModel& model, Batch& batch, int64_t first, int64_t count, double weight = 0);

struct SplitLoss {
  double nats = 0;  // sum of the losses
  int64_t tokens = 0;
  double mean() const { return nats / double(tokens); }
};
// Asked before every batch of an evaluation: true ends it, and what is returned is of no use.
using Stop = bool (*)();
// Over `batches` random batches of a split: a function of (seed, step). No gradients.
SplitLoss loss_of_batches(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t step,
                          int64_t batches, Stop stop = nullptr);
// Over a whole split, every token of it once: in windows of the context, `stride` apart (0: the context), or lines.
SplitLoss loss_of_split(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards,
                        int64_t stride = 0, Stop stop = nullptr);

}  // namespace gradus
