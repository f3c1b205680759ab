#include "models/loss.h"

#include <algorithm>
#include <numeric>

namespace gradus {

Tensor token_losses(const LanguageModel& model, Batch& batch, int64_t first, int64_t count) {
  return model.losses(batch.inputs_of(first, count), batch.targets_of(first, count), count, batch.T);
}

void backward_from(const Tensor& losses, double weight) {
  Tape& tape = Tape::current(Loc::here());
  real* weights = tape.arena().reals(losses.numel());
  std::fill_n(weights, losses.numel(), real(weight));
  tape.seed(losses, {weights, size_t(losses.numel())});
  tape.backward();
}

static double total(const Tensor& losses) {
  double sum = 0;
  for (real x : losses.span()) sum += double(x);
  return sum;
}

double BatchLoss::forward(const LanguageModel& model, Batch& batch, const StepInfo& info) {
  shards_.begin(info, batch.B);
  std::fill(sum_.begin(), sum_.end(), 0);
  shards_.each([&](int s) {
    losses_[size_t(s)] = token_losses(model, batch, shards_.first(s), shards_.count(s));
    sum_[size_t(s)] = total(losses_[size_t(s)]);
  });
  return std::accumulate(sum_.begin(), sum_.end(), 0.0);
}

void BatchLoss::backward(double weight) {
  shards_.each([&](int s) { backward_from(losses_[size_t(s)], weight); });
}

// Adds the losses of the batch, without gradients; the shards' sums in their order.
static void evaluate(const LanguageModel& model, Batch& batch, Shards& shards, SplitLoss& loss) {
  std::vector<double> sum(size_t(shards.size()));
  shards.begin({}, batch.B);
  shards.each([&](int s) {
    const NoGrad no_grad;
    sum[size_t(s)] = total(token_losses(model, batch, shards.first(s), shards.count(s)));
  });
  loss.nats += std::accumulate(sum.begin(), sum.end(), 0.0);
  loss.tokens += batch.scored;
}

SplitLoss loss_of_batches(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t B,
                          int64_t step, int64_t batches, Stop stop) {
  const Rng rng(uint64_t(model.options().seed), Stream::kEvaluate, step);
  Batch batch;
  SplitLoss loss;
  for (int64_t i = 0; i < batches && !(stop && stop()); ++i) {
    batch.draw(corpus, split, rng, i * B, B);
    evaluate(model, batch, shards, loss);
  }
  return loss;
}

SplitLoss loss_of_split(const LanguageModel& model, const Corpus& corpus, Split split, Shards& shards, int64_t B,
                        int64_t stride, Stop stop) {
  Batch batch;
  SplitLoss loss;
  for (int64_t first = 0; first < corpus.windows(split, stride) && !(stop && stop()); first += B) {
    batch.take(corpus, split, first, B, stride);
    evaluate(model, batch, shards, loss);
  }
  return loss;
}

}  // namespace gradus
