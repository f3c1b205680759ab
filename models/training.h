// The loss of a language model on windows of text, over shards: what training and evaluation share.
#pragma once

#include "engine/parallel.h"
#include "models/corpus.h"
#include "models/language_model.h"

namespace gradus {

// Mean loss, nats a token, of `batches` random batches of a split: a function of (seed, step). No gradients.
double mean_loss_of_batches(const LanguageModel& model, const StreamCorpus& corpus, Split split, Shards& shards,
                            int64_t step, int64_t batches);
// Mean loss, nats a token, over a whole split in non-overlapping windows of the context, every position counted.
double mean_loss_of_split(const LanguageModel& model, const StreamCorpus& corpus, Split split, Shards& shards);

// Room for the token ids of a batch, [B,T] each.
struct Batch {
  std::vector<int32_t> inputs, targets;
  int64_t T = 0;
  void resize(int64_t B, int64_t length);
  std::span<int32_t> inputs_of(int64_t first, int64_t count);
  std::span<int32_t> targets_of(int64_t first, int64_t count);
};

// The sum of the losses of rows [first, first+count) of the batch, on the current tape; with weight > 0 also runs
// backward with that weight on every token.
double batch_loss(const LanguageModel& model, Batch& batch, int64_t first, int64_t count, double weight = 0);

}  // namespace gradus
