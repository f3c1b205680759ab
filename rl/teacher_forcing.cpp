#include "rl/teacher_forcing.h"

#include <algorithm>

#include "models/memory.h"

namespace gradus {
namespace {

// The slots of the sequences of one shard.
template <class T>
std::span<const T> slots(const std::vector<T>& x, const Shards& shards, int s, const PaddedBatch& batch) {
  return std::span(x).subspan(size_t(shards.first(s) * batch.T), size_t(shards.count(s) * batch.T));
}

// out = x where a draw is scored.
void copy_scored(std::span<const real> x, const PaddedBatch& batch, int64_t first, std::vector<double>& out) {
  for (size_t i = 0, slot = size_t(first * batch.T); i < x.size(); ++i, ++slot)
    if (batch.targets[slot] != kNoTarget) out[slot] = double(x[i]);
}

// log π of each slot, 0 in padding.
Tensor log_probs(const LanguageModel& model, const Tensor& logits, std::span<const int32_t> targets) {
  return scale(named("−log π", model.rung().softmax_cross_entropy(logits, targets, Loc::here())), -1);
}

Tensor tempered(const Tensor& logits, double temperature) {
  return temperature == 1 ? logits : scale(logits, 1 / temperature);
}

// Of a family that excludes tokens, whose logits are -inf, the same with numbers in their place that are no less
// impossible: where p is 0, p log p is 0 and not NaN.
Tensor finite(const LanguageModel& model, const Tensor& logits) {
  if (model.counts().empty()) return logits;
  const Tensor most = constant(logits.shape(), 1000.0);  // e^-1000 is 0
  return sub(relu(add(logits, most)), most);
}

// Σ over each row of [N,V] → [N].
Tensor row_sums(const Tensor& x) { return scale(row_means(x), double(x.dim(1))); }

}  // namespace

std::vector<double> token_log_probs(const LanguageModel& model, Shards& shards, const PaddedBatch& batch,
                                    double temperature) {
  std::vector<double> log_prob(size_t(batch.B * batch.T), 0.0);
  shards.each([&](int s) {
    const Tape::Mark mark(shards.tape(s));
    const Tensor logits = model.logits(slots(batch.inputs, shards, s, batch), shards.count(s), batch.T);
    const Tensor rows = log_probs(model, tempered(logits, temperature), slots(batch.targets, shards, s, batch));
    copy_scored(rows.span(), batch, shards.first(s), log_prob);
  });
  shards.gather_by_sequence(log_prob);
  return log_prob;
}

TeacherForcing::TeacherForcing(const LanguageModel& policy, Shards& shards, const Needs& needs,
                               const LanguageModel* prior, const ValueNetwork* value)
    : policy_(policy),
      shards_(shards),
      needs_(needs),
      prior_(prior),
      network_(needs.value ? value : nullptr),
      rows_(size_t(shards.size())) {
  require(!needs.value || value, "TeacherForcing", Loc::here(), "values are needed, and there is no value network");
  require(!needs.kl || prior, "TeacherForcing", Loc::here(), "the KL of each row is needed, and there is no prior");
}

// Every score that is needed of `count` sequences of T slots, on the current tape.
TeacherForcing::ScoreRows TeacherForcing::record(std::span<const int32_t> inputs, std::span<const int32_t> targets,
                                                 int64_t count, int64_t T, double temperature) const {
  ScoreRows rows;
  auto& [log_pi, value, entropy, kl, logit] = rows;
  Tensor logits;
  if (network_ && network_->encoder()) {
    const Tape::Scope scope("value");
    value = (*network_)(network_->encoder()->features(inputs, count, T));
  } else if (network_) {
    const Tensor features = policy_.features(inputs, count, T);
    value = (*network_)(features);
    logits = policy_.head(features);
  }
  if (!logits) logits = policy_.logits(inputs, count, T);
  if (needs_.logit) {
    std::vector<int32_t> columns(targets.begin(), targets.end());
    std::ranges::replace(columns, kNoTarget, 0);  // padding picks something that nobody reads
    logit = named("z", pick(logits, columns));
  }
  const Tensor soft = tempered(logits, temperature);
  log_pi = named("log π", log_probs(policy_, soft, targets));
  if (value) named("V", value);
  if (!needs_.entropy && !needs_.kl) return rows;
  const Tensor log_p = log_softmax(finite(policy_, soft)), p = exp(log_p);
  if (needs_.entropy) entropy = named("H", scale(row_sums(mul(p, log_p)), -1));
  if (needs_.kl) {
    Tensor log_q;
    {
      const NoGrad constant;
      log_q = log_softmax(finite(*prior_, tempered(prior_->logits(inputs, count, T), temperature)));
    }
    kl = named("KL(π‖q)", row_sums(mul(p, sub(log_p, log_q))));
  }
  return rows;
}

void TeacherForcing::forward_shard(int s, const PaddedBatch& batch, double temperature) {
  const auto inputs = slots(batch.inputs, shards_, s, batch), targets = slots(batch.targets, shards_, s, batch);
  const int64_t count = shards_.count(s), first = shards_.first(s);
  rows_[size_t(s)] = record(inputs, targets, count, batch.T, temperature);
  for (size_t k = 0; k < kScores; ++k)
    if (auto& all = scores_.*kScoreOf[k]; !all.empty()) copy_scored(rows_[size_t(s)][k].span(), batch, first, all);
  if (!needs_.other) return;
  const Tape::Mark mark(shards_.tape(s));
  const std::span<const real> other = needs_.other->logits(inputs, count, batch.T).span();
  const size_t V = other.size() / inputs.size();
  std::vector<real> largest;
  for (size_t i = 0; i < inputs.size(); ++i) largest.push_back(std::ranges::max(other.subspan(i * V, V)));
  copy_scored(largest, batch, first, scores_.largest);
}

void TeacherForcing::measure(int64_t rows, int64_t T, double temperature) const {
  Tape& tape = Tape::current(Loc::here());
  const std::vector<int32_t> ids(size_t(rows * T), 0);
  const std::vector<real> seed(ids.size(), 1);
  const ScoreRows scores = record(ids, ids, rows, T, temperature);
  for (const LanguageModel* other : {prior_, needs_.other}) {
    if (!other) continue;
    const Tape::Mark mark(tape);
    log_probs(*other, tempered(other->logits(ids, rows, T), temperature), ids);
  }
  for (const Tensor& score : scores)
    if (score) tape.seed(score, seed);
  tape.backward(Keep::kParameters);
}

double TeacherForcing::bytes(int64_t B, int64_t T, double temperature, const Comm& ranks) const {
  return bytes_of_shards(B, T, OwnShards(shards_.size(), ranks), [&](int64_t rows) { measure(rows, T, temperature); });
}

const Scores& TeacherForcing::forward(const PaddedBatch& batch, double temperature, const StepInfo& info) {
  batch_ = &batch;
  shards_.begin(info, batch.B);
  const size_t n = size_t(batch.B * batch.T);
  scores_.log_pi.assign(n, 0);
  scores_.value.assign(network_ ? n : 0, 0);
  scores_.entropy.assign(needs_.entropy ? n : 0, 0);
  scores_.kl.assign(needs_.kl ? n : 0, 0);
  scores_.logit.assign(needs_.logit ? n : 0, 0);
  scores_.largest.assign(needs_.other ? n : 0, 0);
  shards_.each([&](int s) { forward_shard(s, batch, temperature); });
  for (const auto score : kScoreOf) shards_.gather_by_sequence(scores_.*score);
  shards_.gather_by_sequence(scores_.largest);
  return scores_;
}

void TeacherForcing::backward_each(const Weights& weights) {
  const PaddedBatch& batch = *batch_;
  for (size_t k = 0; k < kScores; ++k) {
    const std::vector<double>& weight = weights.*kWeightOf[k];
    const std::vector<double>& score = scores_.*kScoreOf[k];
    require(weight.empty() || weight.size() == score.size(), "TeacherForcing", Loc::here(), weight.size(),
            " weights for ", score.size(), " scores of ", batch.B, " sequences of ", batch.T, " slots");
    seeds_[k].assign(weight.size(), 0);
    for (size_t i = 0; i < weight.size(); ++i)
      if (batch.targets[i] != kNoTarget) seeds_[k][i] = real(weight[i]);
  }
  shards_.each([&](int s) {
    Tape& tape = shards_.tape(s);
    for (size_t k = 0; k < kScores; ++k)
      if (!seeds_[k].empty()) tape.seed(rows_[size_t(s)][k], slots(seeds_[k], shards_, s, batch));
    tape.backward(Keep::kParameters);
  });
}

std::span<const real> TeacherForcing::backward(const Weights& weights) {
  backward_each(weights);
  return shards_.gradient(policy_.params());
}

}  // namespace gradus
