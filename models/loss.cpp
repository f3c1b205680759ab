#include "models/loss.h"

#include <algorithm>
#include <numeric>

namespace gradus {

double batch_loss(const LanguageModel& model, Batch& batch, int64_t first, int64_t count, double weight) {
  Tape& tape = Tape::current(Loc::here());
  const Tensor logits = model.logits(batch.inputs_of(first, count), count, batch.T);
  const Tensor loss = model.rung().softmax_cross_entropy(logits, batch.targets_of(first, count), Loc::here());
  double sum = 0;
  for (real x : loss.span()) sum += double(x);
  if (weight > 0) {
    real* weights = tape.arena().reals(loss.numel());
    std::fill_n(weights, loss.numel(), real(weight));
    tape.seed(loss, {weights, size_t(loss.numel())});
    tape.backward();
  }
  return sum;
}

// Adds the losses of the batch, without gradients; the shards' sums in their order.
static void evaluate(const LanguageModel& model, Batch& batch, Shards& shards, SplitLoss& loss) {
  std::vector<double> sum(size_t(shards.size()));
  shards.begin({}, batch.B);
  shards.each([&](int s) {
    const NoGrad no_grad;
    sum[size_t(s)] = batch_loss(model, batch, shards.first(s), shards.count(s));
  });
  loss.nats += std::accumulate(sum.begin(), sum.end(), 0.0);
  loss.tokens += batch.scored;
}

SplitLoss loss_of_batches(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t step,
                          int64_t batches, Stop stop) {
  const int64_t B = model.config().batch;
  const Rng rng(uint64_t(model.config().seed), Stream::kEvaluate, step);
  Batch batch;
  SplitLoss loss;
  for (int64_t i = 0; i < batches && !(stop && stop()); ++i) {
    batch.draw(corpus, split, rng, i * B, B);
    evaluate(model, batch, shards, loss);
  }
  return loss;
}

SplitLoss loss_of_split(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t stride,
                        Stop stop) {
  const int64_t B = model.config().batch, n = corpus.windows(split, stride);
  Batch batch;
  SplitLoss loss;
  for (int64_t first = 0; first < n && !(stop && stop()); first += B) {
    batch.take(corpus, split, first, B, stride);
    evaluate(model, batch, shards, loss);
  }
  return loss;
}

}  // namespace gradus
