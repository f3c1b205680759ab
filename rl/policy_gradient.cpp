#include "rl/policy_gradient.h"

#include <algorithm>

namespace gradus {

// −log π of the slots of the shard's sequences on the current tape, [count·T], 0 in padding; with a value network also
// what it says of each slot.
static Tensor shard_losses(const LanguageModel& model, const Shards& shards, int s, const PaddedBatch& batch,
                           double temperature, const ValueNetwork* network = nullptr, Tensor* values = nullptr) {
  const size_t first = size_t(shards.first(s) * batch.T), n = size_t(shards.count(s) * batch.T);
  const auto inputs = std::span(batch.inputs).subspan(first, n);
  Tensor logits;
  if (network) {
    const Tensor features = model.features(inputs, shards.count(s), batch.T);
    *values = (*network)(features);
    logits = model.head(features);
  } else {
    logits = model.logits(inputs, shards.count(s), batch.T);
  }
  if (temperature != 1) logits = scale(logits, 1 / temperature);
  return model.rung().softmax_cross_entropy(logits, std::span(batch.targets).subspan(first, n), Loc::here());
}

// out = sign · x where a draw is scored.
static void copy_scored(const Tensor& x, double sign, const PaddedBatch& batch, int64_t first, std::span<double> out) {
  for (int64_t i = 0; i < x.numel(); ++i)
    if (const size_t slot = size_t(first * batch.T + i); batch.targets[slot] != kNoTarget)
      out[slot] = sign * double(x.data()[i]);
}

std::vector<double> token_log_probs(const LanguageModel& model, Shards& shards, const PaddedBatch& batch,
                                    double temperature) {
  std::vector<double> log_prob(size_t(batch.B * batch.T), 0.0);
  shards.each([&](int s) {
    const Tape::Mark mark(shards.tape(s));
    copy_scored(shard_losses(model, shards, s, batch, temperature), -1, batch, shards.first(s), log_prob);
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
  value_.assign(network_ ? log_prob_.size() : 0, 0.0);
  shards_.each([&](int s) {
    Tensor& values = values_[size_t(s)];
    rows_[size_t(s)] = shard_losses(policy_, shards_, s, batch, temperature, network_, &values);
    copy_scored(rows_[size_t(s)], -1, batch, shards_.first(s), log_prob_);
    if (network_) copy_scored(values, 1, batch, shards_.first(s), value_);
  });
  return log_prob_;
}

// The rows hold −log π, so the weight of a row is −A.
void PolicyGradient::backward_each(std::span<const double> advantage, std::span<const double> value_slope) {
  const PaddedBatch& batch = *batch_;
  require(advantage.size() == log_prob_.size(), "PolicyGradient", Loc::here(), advantage.size(), " advantages for ",
          batch.B, " sequences of ", batch.T, " slots");
  require(value_slope.empty() || value_slope.size() == value_.size(), "PolicyGradient", Loc::here(), value_slope.size(),
          " slopes for ", value_.size(), " values");
  const auto scored = [&](std::vector<real>& out, double sign, std::span<const double> x) {
    out.assign(x.size(), 0);
    for (size_t i = 0; i < x.size(); ++i)
      if (batch.targets[i] != kNoTarget) out[i] = real(sign * x[i]);
  };
  scored(weight_, -1, advantage);
  scored(slope_, 1, value_slope);
  shards_.each([&](int s) {
    const size_t first = size_t(shards_.first(s) * batch.T), n = size_t(shards_.count(s) * batch.T);
    Tape& tape = shards_.tape(s);
    tape.seed(rows_[size_t(s)], std::span(weight_).subspan(first, n));
    if (!slope_.empty()) tape.seed(values_[size_t(s)], std::span(slope_).subspan(first, n));
    tape.backward();
  });
}
std::span<const real> PolicyGradient::backward(std::span<const double> advantage, std::span<const double> value_slope) {
  backward_each(advantage, value_slope);
  return shards_.gradient(policy_.params());
}

}  // namespace gradus
