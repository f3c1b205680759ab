#include "models/training.h"

#include <algorithm>
#include <numeric>

namespace gradus {

void Batch::resize(int64_t B, int64_t length) {
  T = length;
  inputs.resize(size_t(B * T));
  targets.resize(size_t(B * T));
}
std::span<int32_t> Batch::inputs_of(int64_t first, int64_t count) {
  return std::span(inputs).subspan(size_t(first * T), size_t(count * T));
}
std::span<int32_t> Batch::targets_of(int64_t first, int64_t count) {
  return std::span(targets).subspan(size_t(first * T), size_t(count * T));
}

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

// Sum of the losses of the whole batch, without gradients; the shards' sums in their order.
static double evaluate(const LanguageModel& model, Batch& batch, int64_t B, Shards& shards) {
  std::vector<double> sum(size_t(shards.size()));
  shards.begin({}, B);
  shards.each([&](int s) {
    const NoGrad no_grad;
    sum[size_t(s)] = batch_loss(model, batch, shards.first(s), shards.count(s));
  });
  return std::accumulate(sum.begin(), sum.end(), 0.0);
}

double mean_loss_of_batches(const LanguageModel& model, const StreamCorpus& corpus, Split split, Shards& shards,
                            int64_t step, int64_t batches) {
  const Config& config = model.config();
  const int64_t B = config.batch, T = corpus.length(split);
  Batch batch;
  batch.resize(B, T);
  double sum = 0;
  for (int64_t i = 0; i < batches; ++i) {
    const Rng rng(uint64_t(config.seed), Stream::kEvaluate, step);
    corpus.batch(split, rng, i * B, batch.inputs, batch.targets, T);
    sum += evaluate(model, batch, B, shards);
  }
  return sum / double(batches * B * T);
}

double mean_loss_of_split(const LanguageModel& model, const StreamCorpus& corpus, Split split, Shards& shards) {
  const int64_t T = model.config().context, n = corpus.windows(split, T), B = model.config().batch;
  Batch batch;
  double sum = 0;
  int64_t positions = 0;
  for (int64_t first = 0; first < n;) {
    // As many windows of equal length as a batch holds; the last window may be shorter.
    const int64_t length = int64_t(corpus.window(split, T, first).inputs.size());
    int64_t count = 0;
    batch.resize(B, length);
    for (; count < B && first + count < n; ++count) {
      const StreamCorpus::Window w = corpus.window(split, T, first + count);
      if (int64_t(w.inputs.size()) != length) break;
      std::copy(w.inputs.begin(), w.inputs.end(), batch.inputs_of(count, 1).begin());
      std::copy(w.targets.begin(), w.targets.end(), batch.targets_of(count, 1).begin());
    }
    sum += evaluate(model, batch, count, shards);
    positions += count * length;
    first += count;
  }
  return sum / double(positions);
}

}  // namespace gradus
