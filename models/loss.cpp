#include "models/loss.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "engine/long_loop.h"

namespace gradus {

Tensor token_losses(const LanguageModel& model, Batch& batch, int64_t first, int64_t count) {
  return model.losses(batch.inputs_of(first, count), batch.targets_of(first, count), count, batch.T);
}

void backward_from(const Tensor& losses, double weight, Keep keep) {
  Tape& tape = Tape::current(Loc::here());
  real* weights = tape.arena().reals(losses.numel());
  if (!tape.measures()) std::fill_n(weights, losses.numel(), real(weight));
  tape.seed(losses, {weights, size_t(losses.numel())});
  tape.backward(keep);
}

double BatchLoss::forward(const LanguageModel& model, Batch& batch, const StepInfo& info, bool with_gradients) {
  shards_.begin(info, batch.B);
  std::fill(sum_.begin(), sum_.end(), 0);
  shards_.each([&](int s) {
    std::optional<NoGrad> no_grad;
    if (!with_gradients) no_grad.emplace();
    losses_[size_t(s)] = token_losses(model, batch, shards_.first(s), shards_.count(s));
    for (real x : losses_[size_t(s)].span()) sum_[size_t(s)] += double(x);
  });
  shards_.gather_by_shard(sum_);
  return std::accumulate(sum_.begin(), sum_.end(), 0.0);
}

void BatchLoss::backward(double weight) {
  shards_.each([&](int s) { backward_from(losses_[size_t(s)], weight, Keep::kParameters); });
}

// Over sequences 0 .. count - 1 of a split, B at a time; `fill` makes the batch that begins at a sequence.
template <class Fill>
static SplitLoss loss_over(const LanguageModel& model, Shards& shards, int64_t count, int64_t B, Fill fill) {
  BatchLoss batch_loss(shards);
  Batch batch;
  SplitLoss loss;
  const LongLoop loop("evaluating sequences", count);
  for (int64_t first = 0; first < count; first += B) {
    loop.at(first);
    fill(batch, first);
    // Noise is that of the sequence, and not of its place in a batch, or the same few draws would be all.
    loss.nats += batch_loss.forward(model, batch, {.first_sequence = first}, false);
    loss.tokens += batch.scored;
  }
  return loss;
}

SplitLoss loss_of_batches(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t B,
                          int64_t step, int64_t batches) {
  const Rng rng(uint64_t(model.options().seed), Stream::kEvaluate, step);
  return loss_over(model, shards, batches * B, B,
                   [&](Batch& batch, int64_t first) { batch.draw(corpus, split, rng, first, B); });
}

SplitLoss loss_of_split(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t B,
                        int64_t stride) {
  return loss_over(model, shards, corpus.windows(split, stride), B,
                   [&](Batch& batch, int64_t first) { batch.take(corpus, split, first, B, stride); });
}

}  // namespace gradus
