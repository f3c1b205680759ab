// The step, and what it measures. Over 350 lines: a metric of a step reads what the step has in its hands.
#include "rl/learner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "engine/long_loop.h"
#include "models/memory.h"
#include "rl/controller.h"
#include "rl/methods/returns.h"
#include "rl/tables/estimators.h"
#include "rl/tables/running_moments.h"

namespace gradus {

const Scores& score_batch(TeacherForcing& pass, Shards& shards, const LanguageModel& prior,
                          const LanguageModel* behaviour, Experience& e, double temperature, const StepInfo& info) {
  const Scores& now = pass.forward(e.batch, temperature, info);
  e.log_pi = now.log_pi;
  e.value = now.value;
  e.row_kl = now.kl;
  if (e.log_q.empty()) {  // fresh
    e.log_q = token_log_probs(prior, shards, e.batch, temperature);
    e.log_mu = behaviour == &prior ? e.log_q
               : behaviour         ? token_log_probs(*behaviour, shards, e.batch, temperature)
                                   : now.log_pi;
  }
  return now;
}

Learner::Learner(LanguageModel& policy, const LanguageModel& prior, Source& source, Method& method,
                 const TuneConfig& options, Shards& shards)
    : policy_(policy),
      prior_(prior),
      source_(source),
      method_(method),
      options_(options),
      shards_(shards),
      needs_(method.needs()),
      value_(needs_.value ? std::make_unique<ValueNetwork>(policy, needs_.own_critic) : nullptr),
      value_optimizer_(value_ ? std::make_unique<AdamW>(value_->params(), AdamWOptions{.weight_decay = 0}) : nullptr),
      pass_(policy, shards, needs_, &prior, value_.get()),
      kl_coef_(options.beta()) {
  const TuneConfig& o = options;
  require(&policy != &prior && &policy.params().array() != &prior.params().array(), "Learner", Loc::here(),
          "policy and prior are one model; the prior must be a copy that does not change");
  require(o.kl_coef >= 0 && o.entropy_coef >= 0, "Learner", Loc::here(), "coefficients ", o.kl_coef, " and ",
          o.entropy_coef, " of KL and entropy; neither may be negative");
  require(o.batch >= needs_.least_batch, "Learner", Loc::here(), "a batch of ", o.batch, "; ", o.algorithm,
          " as it is set needs at least ", needs_.least_batch);
  require(o.epochs >= 1 && o.minibatches >= 1, "Learner", Loc::here(), o.epochs, " epochs of ", o.minibatches,
          " minibatches; there must be at least one of each");
  require(o.kl_target >= 0 && o.kl_horizon > 0, "Learner", Loc::here(), "a KL target of ", o.kl_target,
          " and a horizon of ", o.kl_horizon, "; the target may not be negative, and the horizon must be above 0");
  if (o.kl_target == 0) return;
  require(o.kl_coef > 0, "Learner", Loc::here(), "a KL target with a coefficient of 0, which no factor can move");
  require(o.kl_horizon > 0.2 * double(o.batch), "Learner", Loc::here(), "a horizon of ", o.kl_horizon,
          " for batches of ", o.batch, ": one step could bring the coefficient to 0");
}

double Learner::step(int64_t step, AdamW& optimizer, double lr, double clip) {
  begin(step);
  const bool may_be_half_done = updates() > 1;
  if (may_be_half_done) {
    start_.keep(policy_.params(), optimizer);
    if (value_) value_start_.keep(value_->params(), *value_optimizer_);
  }
  double largest = 0;
  try {
    largest = update_all(optimizer, lr, clip);
  } catch (...) {
    if (may_be_half_done) {
      start_.restore(policy_.params(), optimizer);
      if (value_) value_start_.restore(value_->params(), *value_optimizer_);
    }
    throw;
  }
  if (!std::isfinite(largest)) return largest;
  source_.remember();
  learn();
  if (record_) {
    record_->batch = fresh();
    record_->after = pass_.forward(fresh().batch, source_.world().temperature, info_);
  }
  return largest;
}

// Returns the largest norm, or the first that is not finite, whose update is left out.
double Learner::update_all(AdamW& optimizer, double lr, double clip) {
  const LongLoop loop("updating the policy", updates());
  double largest = 0;
  int64_t u = 0;
  for (; u < updates(); ++u) {
    loop.at(u);
    if (u > 0) train_value();
    const std::span<const real> descent = update(u);
    if (is_over_) break;
    const double norm = gradient_norm(descent);
    if (!std::isfinite(norm)) return norm;
    largest = std::max(largest, norm);
    const double factor = clip_factor(norm, clip);
    if (record_) record_inputs(optimizer, lr, factor);
    optimizer.step(policy_.params(), descent, lr, factor);
  }
  if (options_.stop_kl > 0) metrics_.updates = u;
  return largest;
}

std::span<const real> Learner::gradient(int64_t step) {
  begin(step);
  update(0);
  source_.remember();
  return sum_;
}

double Learner::step_bytes(int64_t prompt, const Comm& ranks) const {
  constexpr double kReplayed = 8 * sizeof(double);  // of a draw that is replayed
  const World& world = source_.world();
  const LanguageModel& drawn_from = method_.behaviour() ? *method_.behaviour() : policy_;
  const int64_t B = options_.batch, T = prompt + world.max_tokens - 1;
  const OwnShards own(shards_.size(), ranks);
  const double slots = double(B) * double(T),
               numbers = double(policy_.params().size()) + (needs_.own_critic ? double(value_->params().size()) : 0.0),
               kept = updates() > 1 ? StepStart::kCopies * sizeof(real) * numbers : 0,
               sums = sizeof(real) * numbers + std::max(sizeof(real) * numbers, own.sum_bytes(numbers));
  const double drawing = sampling_bytes(drawn_from, own.sequences(B), world.end_id >= 0);
  return sums + kept + slots * (kBytesOfSlot + double(options_.replay) * kReplayed) +
         std::max(drawing, pass_.bytes(B, T, world.temperature, ranks));
}

void Learner::begin(int64_t step) {
  const LanguageModel* mu = method_.behaviour();
  batches_ = source_.draw(step, mu ? *mu : policy_);
  info_ = {.seed = uint64_t(options_.seed), .step = step};
  is_over_ = false;
  if (record_) *record_ = {.step = step, .kl_coef = kl_coef_, .temperature = source_.world().temperature};
}

static OptimiserInput input_of(const Params& params, std::span<const real> gradient, const AdamW& state, double lr,
                               double factor) {
  return {.parameters = {params.data().begin(), params.data().end()},
          .gradient = {gradient.begin(), gradient.end()},
          .state = state,
          .lr = lr,
          .factor = factor};
}

// What the last update is about to give the optimisers.
void Learner::record_inputs(const AdamW& optimizer, double lr, double factor) {
  UpdateRecord& update = record_->updates.back();
  update.policy.emplace(input_of(policy_.params(), sum_, optimizer, lr, factor));
  if (value_) update.value.emplace(input_of(value_->params(), value_sum_, *value_optimizer_, value_rate(), 1));
}

static int64_t draws_of(const PaddedBatch& batch) {
  return std::accumulate(batch.length.begin(), batch.length.end(), int64_t{0});
}

// The gradient of update u of the step: minibatch u of every batch. The first also begins the batches, and where there
// is one minibatch its scores are those of the beginning.
std::span<const real> Learner::update(int64_t u) {
  const int64_t M = options_.minibatches, m = u % M;
  const double temperature = source_.world().temperature;
  if (m == 0) importance_.clear();
  if (u == 0) clipped_ = weighed_ = 0;
  sum_.assign(size_t(policy_.params().size()), 0);
  value_sum_.assign(value_ ? size_t(value_->params().size()) : 0, 0);
  for (Experience* e : batches_) {
    if (u == 0) {
      score_batch(pass_, shards_, prior_, method_.behaviour(), *e, temperature, info_);
      method_.prepare(*e, kl_coef_);
      if (e == &fresh()) measure(*e);
    }
    std::vector<int64_t> rows = M > 1 ? minibatch(*e, m, M, needs_.whole_groups) : std::vector<int64_t>();
    const Experience part = M > 1 ? rows_of(*e, rows) : Experience();
    const Experience& mini = M > 1 ? part : *e;
    if (u > 0 || M > 1) pass_.forward(mini.batch, temperature, info_);
    if (u > 0 && e == &fresh() && went_too_far(mini)) {
      is_over_ = true;
      value_sum_.clear();
      return {};
    }
    Weights weights = method_.weigh(mini, pass_.scores());
    if (weights.clipped) {
      clipped_ += *weights.clipped;
      weighed_ += draws_of(mini.batch);
    }
    const bool recorded = record_ && e == &fresh();
    if (recorded) record_->updates.push_back({.rows = std::move(rows), .now = pass_.scores(), .weights = weights});
    const Weights descent = descent_of(mini.batch, std::move(weights));
    add_gradient(descent);
    if (recorded) record_->updates.back().descent = descent;
  }
  if (weighed_ > 0) metrics_.clip_share = double(clipped_) / double(weighed_);
  const bool reweighed = options_.replay > 0 || options_.epochs * M > 1 || method_.behaviour();
  if (m + 1 == M && reweighed && !importance_.empty()) metrics_.ess = effective_sample_size(importance_);
  return sum_;
}

// KL(π_start‖π) of whole sequences reaches its limit. Of draws from π_start it is the mean of Σ_t (ρ − 1 − log ρ), ρ =
// π/π_start of a draw, in which nothing is negative (Schulman 2020).
bool Learner::went_too_far(const Experience& mini) const {
  if (options_.stop_kl == 0) return false;
  const std::vector<double>& now = pass_.scores().log_pi;
  double sum = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    const double log_ratio = now[i] - mini.log_pi[i];  // 0 in padding
    sum += std::expm1(log_ratio) - log_ratio;
  }
  return sum >= options_.stop_kl * double(mini.size());
}

static void add(std::span<const real> x, std::vector<real>& sum) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
}

// The one minus sign: weights raise the objective, and an optimiser descends.
// NOLINTNEXTLINE(performance-unnecessary-value-param): it is changed, through pointers to members
Weights Learner::descent_of(const PaddedBatch& batch, Weights weights) {
  const double share = 1 / double(batches_.size()), of_draw = -(share / double(draws_of(batch))),
               of_sequence = -1 / double(batches_.size() * size_t(batch.B));
  const std::vector<double>& importance = weights.importance;
  importance_.insert(importance_.end(), importance.begin(), importance.end());
  for (size_t k = 0; k < kScores; ++k) {
    std::vector<double>& w = weights.*kWeightOf[k];
    const bool is_value = kWeightOf[k] == &Weights::value;
    for (size_t i = 0; i < w.size(); ++i) {
      const double ratio = importance.empty() ? 1 : importance[i / size_t(batch.T)];
      w[i] = is_value ? of_draw * ratio * w[i] : w[i] * ratio * of_sequence;
    }
  }
  return weights;
}

void Learner::add_gradient(const Weights& descent) {
  add(pass_.backward(descent), sum_);
  if (value_) add(pass_.value_gradient(), value_sum_);
}

// The rate of the value network falls with the policy's: what an error of temporal differences teaches settles only
// then (Robbins and Monro 1951). It is not warmed up; a critic should be right before the policy moves.
double Learner::value_rate() const {
  const TuneConfig& o = options_;
  const double rate = needs_.own_critic ? o.critic_lr : o.value_lr;
  if (o.decay_steps == 0 || o.lr == 0) return rate;
  return rate / o.lr * Schedule{.lr = o.lr, .min_lr = o.min_lr, .warmup = 0, .decay = o.decay_steps}.at(info_.step);
}

void Learner::train_value() {
  if (value_ && !value_sum_.empty()) value_optimizer_->step(value_->params(), value_sum_, value_rate());
}

// The fresh batch has been used; only now may a baseline learn from it.
void Learner::learn() {
  train_value();
  method_.learn(fresh());
  if (options_.kl_target > 0)
    kl_coef_ = next_kl_coef(kl_coef_, metrics_.kl, options_.kl_target, double(options_.batch), options_.kl_horizon);
}

// The standard error of the mean of x, one number for each sequence of a batch. Sequences that share a drawn prompt are
// one observation between them; where all prompts are taken each counts alone, which errs on the large side.
static double standard_error(std::span<const double> x, int64_t independent) {
  const int64_t B = int64_t(x.size());
  const size_t n = size_t(independent > 0 ? independent : B);
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / double(B);
  std::vector<double> off(n, 0.0);
  for (size_t b = 0; b < x.size(); ++b) off[b % n] += x[b] - mean;
  const double squares = std::inner_product(off.begin(), off.end(), off.begin(), 0.0);
  return n > 1 ? std::sqrt(squares * double(n) / double(n - 1)) / double(B) : std::nan("");
}

static RunningMoments moments(std::span<const double> x) {
  RunningMoments m;
  for (const double value : x) m.add(value);
  return m;
}

// x, one number for each sequence of a model's batch, as if the policy had drawn it: its mean is Σ w x / Σ w with the
// weights w = π/μ, and the error of that mean is the one of Σ w x / Σ w to first order.
static std::vector<double> reweighed(std::vector<double> x, std::span<const double> w) {
  const double sum = std::accumulate(w.begin(), w.end(), 0.0);
  double mean = 0;
  for (size_t b = 0; b < w.size(); ++b)
    if (w[b] > 0) mean += w[b] / sum * x[b];
  for (size_t b = 0; b < w.size(); ++b) x[b] = mean + (w[b] > 0 ? double(w.size()) * w[b] / sum * (x[b] - mean) : 0);
  return x;
}

// Of action values a batch is measured as it was drawn, and one that was given as it is.
std::vector<double> Learner::importance(const Experience& e) const {
  return method_.behaviour() && !method_.acting() && !source_.is_given() ? importance_of(e, e.log_pi)
                                                                         : std::vector<double>();
}

double Learner::mean_of_policy(const std::vector<double>& x) const {
  const std::vector<double> weights = importance(fresh());
  return moments(weights.empty() ? x : reweighed(x, weights)).mean()[0];
}

void Learner::measure(const Experience& e) {
  const std::vector<double> log_pi = sum_over_draws(e.batch, e.log_pi), q = sum_over_draws(e.batch, e.log_q);
  std::vector<double> kl(log_pi);
  double cut = 0;
  for (size_t b = 0; b < log_pi.size(); ++b) {
    kl[b] -= q[b];
    cut += source_.world().end_id >= 0 && !e.sequences.ended(int64_t(b));
  }
  const bool acts = method_.acting() || source_.is_given();
  const std::vector<double> weights = importance(e);
  const auto of_policy = [&](const std::vector<double>& x) { return weights.empty() ? x : reweighed(x, weights); };
  kl = of_policy(kl);
  const double n = double(kl.size());
  metrics_ = {};
  metrics_.reward = moments(of_policy(sum_over_draws(e.batch, e.reward))).mean()[0];
  metrics_.kl = acts ? std::nan("") : std::accumulate(kl.begin(), kl.end(), 0.0) / n;
  metrics_.kl_stderr = acts ? std::nan("") : standard_error(kl, e.independent);
  metrics_.entropy = acts ? std::nan("") : -moments(of_policy(log_pi)).mean()[0];
  for (size_t f = 0, F = e.features.size() / kl.size(); f < F; ++f) {
    std::vector<double> column;
    for (size_t b = 0; b < kl.size(); ++b) column.push_back(e.features[b * F + f]);
    metrics_.moments.push_back(moments(of_policy(column)).mean()[0]);
  }
  metrics_.of_method = method_.figures();
  metrics_.kl_coef = kl_coef_;
  metrics_.objective = metrics_.reward - (kl_coef_ > 0 ? kl_coef_ * metrics_.kl : 0) +
                       (options_.entropy_coef > 0 ? options_.entropy_coef * metrics_.entropy : 0);
  if (options_.gamma < 1) {
    const ReturnOptions discounted{
        .kl_coef = acts ? 0 : kl_coef_, .entropy_coef = options_.entropy_coef, .gamma = options_.gamma};
    const std::vector<double> whole = at_first_draw(e.batch, returns_of_draws(e, e.log_pi, discounted));
    metrics_.objective = moments(of_policy(whole)).mean()[0];
  }
  metrics_.distinct_1 = distinct_share(e.sequences, 1);
  metrics_.distinct_2 = distinct_share(e.sequences, 2);
  metrics_.cut = cut / n;
  metrics_.length = moments(std::vector<double>(e.batch.length.begin(), e.batch.length.end())).mean()[0];
  if (e.advantage.empty()) return;
  const RunningMoments advantage = moments(at_first_draw(e.batch, e.advantage));
  metrics_.baseline = moments(at_first_draw(e.batch, e.returns)).mean()[0] - advantage.mean()[0];
  metrics_.advantage_spread = std::sqrt(advantage.variance()[0]);
  if (!value_) return;
  RunningMoments missed, returns;
  double squares = 0;
  for (size_t i = 0; i < e.returns.size(); ++i)
    if (e.batch.targets[i] != kNoTarget) {
      const double miss = e.value[i] - e.returns[i];
      squares += miss * miss;
      missed.add(miss);
      returns.add(e.returns[i]);
    }
  metrics_.value_loss = squares / double(returns.count());
  metrics_.explained_variance = 1 - missed.variance()[0] / returns.variance()[0];
}

double distinct_share(const Sequences& sequences, int64_t n) {
  std::set<std::vector<int32_t>> seen;
  double all = 0;
  for (int64_t i = 0; i < sequences.size(); ++i) {
    const std::span<const int32_t> text = sequences.text(i);
    for (int64_t first = 0; first + n <= int64_t(text.size()); ++first, ++all)
      seen.emplace(text.begin() + first, text.begin() + first + n);
  }
  return all > 0 ? double(seen.size()) / all : 0;
}

}  // namespace gradus
