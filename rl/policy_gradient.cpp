#include "rl/policy_gradient.h"

#include <algorithm>

namespace gradus {

// −log π of the slots of the shard's sequences on the current tape, [count·T]; 0 in padding.
static Tensor shard_losses(const LanguageModel& model, const Shards& shards, int s, const PaddedBatch& batch,
                           double temperature) {
  const size_t first = size_t(shards.first(s) * batch.T), n = size_t(shards.count(s) * batch.T);
  Tensor logits = model.logits(std::span(batch.inputs).subspan(first, n), shards.count(s), batch.T);
  if (temperature != 1) logits = scale(logits, 1 / temperature);
  return model.rung().softmax_cross_entropy(logits, std::span(batch.targets).subspan(first, n), Loc::here());
}

static void copy_log_probs(const Tensor& losses, const PaddedBatch& batch, int64_t first, std::span<double> out) {
  for (int64_t i = 0; i < losses.numel(); ++i)
    if (const size_t slot = size_t(first * batch.T + i); batch.targets[slot] != kNoTarget)
      out[slot] = -double(losses.data()[i]);
}

std::vector<double> token_log_probs(const LanguageModel& model, Shards& shards, const PaddedBatch& batch,
                                    double temperature) {
  std::vector<double> log_prob(size_t(batch.B * batch.T), 0.0);
  shards.each([&](int s) {
    const Tape::Mark mark(shards.tape(s));
    copy_log_probs(shard_losses(model, shards, s, batch, temperature), batch, shards.first(s), log_prob);
  });
  return log_prob;
}

std::vector<double> sum_over_draws(const PaddedBatch& batch, std::span<const double> x) {
  std::vector<double> sum(size_t(batch.B), 0.0);
  for (int64_t b = 0; b < batch.B; ++b)
    for (int64_t t = batch.first_slot(b); t < batch.end_slot(b); ++t) sum[size_t(b)] += x[size_t(b * batch.T + t)];
  return sum;
}

std::span<const double> PolicyGradient::forward(const PaddedBatch& batch, double temperature, const StepInfo& info) {
  batch_ = &batch;
  shards_.begin(info, batch.B);
  log_prob_.assign(size_t(batch.B * batch.T), 0.0);
  shards_.each([&](int s) {
    rows_[size_t(s)] = shard_losses(policy_, shards_, s, batch, temperature);
    copy_log_probs(rows_[size_t(s)], batch, shards_.first(s), log_prob_);
  });
  return log_prob_;
}

// The rows hold −log π, so the weight of a row is −A.
void PolicyGradient::backward_each(std::span<const double> advantage) {
  const PaddedBatch& batch = *batch_;
  require(advantage.size() == log_prob_.size(), "PolicyGradient", Loc::here(), advantage.size(), " advantages for ",
          batch.B, " sequences of ", batch.T, " slots");
  weight_.assign(advantage.size(), 0);
  for (size_t i = 0; i < advantage.size(); ++i)
    if (batch.targets[i] != kNoTarget) weight_[i] = real(-advantage[i]);
  shards_.each([&](int s) {
    const size_t first = size_t(shards_.first(s) * batch.T), n = size_t(shards_.count(s) * batch.T);
    shards_.tape(s).seed(rows_[size_t(s)], std::span(weight_).subspan(first, n));
    shards_.tape(s).backward();
  });
}
std::span<const real> PolicyGradient::backward(std::span<const double> advantage) {
  backward_each(advantage);
  return shards_.gradient(policy_.params());
}

}  // namespace gradus
