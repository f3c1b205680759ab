#include "rl/tuner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "rl/tables/estimators.h"
#include "rl/gradient_estimate.h"
#include "rl/tables/posterior.h"
#include "rl/tune_config.h"

namespace gradus {

TuneOptions TuneConfig::options() const {
  const Baseline b = baseline == "none"     ? Baseline::kNone
                     : baseline == "moving" ? Baseline::kMoving
                     : baseline == "value"  ? Baseline::kValue
                                            : Baseline::kLeaveOneOut;
  return {.advantage = {.kl_coef = kl_coef, .baseline = b, .reward_to_go = reward_to_go, .entropy_coef = entropy_coef},
          .batch = batch,
          .replay = replay,
          .kl_target = kl_target,
          .kl_horizon = kl_horizon,
          .value_lr = value_lr,
          .seed = uint64_t(seed)};
}

Tuner::Tuner(LanguageModel& policy, const LanguageModel& prior, std::vector<std::vector<int32_t>> prompts, World world,
             PromptedReward reward, TuneOptions options, Shards& shards)
    : policy_(policy),
      prior_(prior),
      prompts_(std::move(prompts)),
      world_(std::move(world)),
      reward_(std::move(reward)),
      options_(options),
      shards_(shards),
      value_(options.advantage.baseline == Baseline::kValue ? std::make_unique<ValueNetwork>(policy) : nullptr),
      value_optimizer_(value_ ? std::make_unique<AdamW>(value_->params(), AdamWOptions{.weight_decay = 0}) : nullptr),
      policy_gradient_(policy, shards, value_.get()),
      kl_coef_(options.advantage.kl_coef) {
  const AdvantageOptions& a = options.advantage;
  require(!prompts_.empty(), "Tuner", Loc::here(), "there is no prompt");
  require(&policy != &prior && &policy.params().array() != &prior.params().array(), "Tuner", Loc::here(),
          "policy and prior are one model; the prior must be a copy that stays as it is");
  require(a.kl_coef >= 0 && a.entropy_coef >= 0, "Tuner", Loc::here(), "coefficients ", a.kl_coef, " and ",
          a.entropy_coef, " of KL and entropy; neither may be negative");
  require(a.baseline != Baseline::kLeaveOneOut || options.batch >= 2, "Tuner", Loc::here(),
          "leave-one-out wants a batch of at least 2");
  require(options.kl_target >= 0 && options.kl_horizon > 0, "Tuner", Loc::here(), "a KL target of ", options.kl_target,
          " and a horizon of ", options.kl_horizon, "; both must be above 0");
  if (options.kl_target == 0) return;
  require(a.kl_coef > 0, "Tuner", Loc::here(), "a KL target with a coefficient of 0, which no factor can move");
  require(options.kl_horizon > 0.2 * double(options.batch), "Tuner", Loc::here(), "a horizon of ", options.kl_horizon,
          " for batches of ", options.batch, ": one step could bring the coefficient to 0");
}

// Different prompts that a batch of B has room for: each is continued at least twice, so that leave-one-out compares
// like with like.
static int64_t room_for_prompts(int64_t B) { return std::max<int64_t>(1, B / 2); }

// All prompts in turn where the batch has room for them, so that over the steps none is continued more often than
// another; else each step draws its own.
std::vector<int32_t> Tuner::choose_prompts(int64_t step) const {
  const int64_t P = int64_t(prompts_.size()), B = options_.batch, room = room_for_prompts(B);
  const Rng rng(options_.seed, Stream::kPrompt, step);
  std::vector<int32_t> of;
  for (int64_t b = 0; b < B; ++b) of.push_back(int32_t(P <= room ? ((step - 1) * B + b) % P : rng.below(b % room, P)));
  return of;
}

// The standard error of the mean of x, one number for each sequence of a batch. Sequences that share a drawn prompt are
// one observation between them; where all prompts are taken each counts alone, which errs on the large side.
double Tuner::standard_error(std::span<const double> x) const {
  const int64_t B = int64_t(x.size()), room = room_for_prompts(B);
  const size_t n = size_t(int64_t(prompts_.size()) <= room ? B : room);
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / double(B);
  std::vector<double> off(n, 0.0);
  for (size_t b = 0; b < x.size(); ++b) off[b % n] += x[b] - mean;
  const double squares = std::inner_product(off.begin(), off.end(), off.begin(), 0.0);
  return n > 1 ? std::sqrt(squares * double(n) / double(n - 1)) / double(B) : std::nan("");
}

Experience Tuner::draw(int64_t step) {
  Experience e{Sequences(world_.end_id), choose_prompts(step), {}, {}, {}, {}};
  shards_.begin({.seed = options_.seed, .step = step}, options_.batch);
  const Rng rng(options_.seed, Stream::kSample, step);
  e.sequences = roll_out(policy_, world_, prompts_, e.prompt, rng, shards_).sequences;
  e.reward = reward_(e.sequences, e.prompt);
  e.batch.fill(prompts_, e.prompt, e.sequences);
  return e;
}

static void add(std::span<const real> x, std::vector<real>& sum) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
}

// The slope of share/n Σ ½ weight (value − g)² over the n draws of the batch, by each value; empty without values.
static std::vector<double> value_slope(const PaddedBatch& batch, std::span<const double> value,
                                       std::span<const double> g, std::span<const double> weight, double share) {
  std::vector<double> slope(value.size(), 0.0);
  const double n = double(std::accumulate(batch.length.begin(), batch.length.end(), int64_t{0}));
  for (size_t i = 0; i < slope.size(); ++i)
    if (batch.targets[i] != kNoTarget) slope[i] = share / n * weight[i / size_t(batch.T)] * (value[i] - g[i]);
  return slope;
}

std::span<const real> Tuner::gradient(int64_t step) {
  AdvantageOptions how = options_.advantage;
  how.kl_coef = kl_coef_;
  Experience drawn = draw(step);
  std::vector<Experience*> batches;
  for (size_t i = memory_.size() - std::min(memory_.size(), size_t(options_.replay)); i < memory_.size(); ++i)
    batches.push_back(&memory_[i]);
  batches.push_back(&drawn);
  sum_.assign(size_t(policy_.params().size()), 0);
  value_sum_.assign(value_ ? size_t(value_->params().size()) : 0, 0);
  std::vector<double> all_weights;
  for (Experience* e : batches) {
    const PaddedBatch& batch = e->batch;
    const auto log_pi = policy_gradient_.forward(batch, world_.temperature, {.seed = options_.seed, .step = step});
    std::vector<double> weight = sum_over_draws(batch, log_pi);
    if (e == &drawn) {
      drawn.log_mu = weight;
      drawn.log_q = token_log_probs(prior_, shards_, batch, world_.temperature);
    }
    for (size_t b = 0; b < weight.size(); ++b) weight[b] = std::exp(weight[b] - e->log_mu[b]);  // 1 where fresh
    const std::vector<double> g = returns_of_draws(batch, e->reward, log_pi, e->log_q, how);
    const std::span<const double> values = policy_gradient_.values();
    std::vector<double> a =
        advantages(batch, e->reward, log_pi, e->log_q, how,
                   {.group = e->prompt, .moving = moving_.value(), .value = values, .weight = weight});
    if (e == &drawn) measure(drawn, log_pi, g, a);
    all_weights.insert(all_weights.end(), weight.begin(), weight.end());
    const std::vector<double> slope = value_slope(batch, values, g, weight, 1 / double(batches.size()));
    const double share = -1 / double(batches.size() * weight.size());  // minus: an optimiser descends
    for (double& x : a) x *= share;
    add(policy_gradient_.backward(a, slope), sum_);
    if (value_) add(policy_gradient_.value_gradient(), value_sum_);
  }
  if (options_.replay > 0) metrics_.ess = effective_sample_size(all_weights);
  memory_.push_back(std::move(drawn));
  while (int64_t(memory_.size()) > options_.replay + 1) memory_.pop_front();
  return sum_;
}

// The gradient's fresh batch has been used; only now may a baseline learn from it.
void Tuner::learn() {
  moving_.add(mean_return_);
  if (value_) value_optimizer_->step(value_->params(), value_sum_, options_.value_lr);
  if (options_.kl_target > 0)
    kl_coef_ = next_kl_coef(kl_coef_, metrics_.kl, options_.kl_target, double(options_.batch), options_.kl_horizon);
}

void Tuner::measure(const Experience& e, std::span<const double> log_pi, std::span<const double> g,
                    std::span<const double> a) {
  const AdvantageOptions& how = options_.advantage;
  const std::vector<double> pi = sum_over_draws(e.batch, log_pi), q = sum_over_draws(e.batch, e.log_q);
  RunningMoments reward, log_prob, value, advantage, length;
  std::vector<double> kl(pi);
  double cut = 0;
  for (size_t b = 0; b < pi.size(); ++b) {
    if (!std::isfinite(q[b]) && kl_coef_ > 0)
      throw DataError("the policy drew a sequence that the prior excludes: KL(policy, prior) is infinite");
    reward.add(e.reward[b]);
    kl[b] -= q[b];
    log_prob.add(pi[b]);
    const size_t first = size_t(int64_t(b) * e.batch.T + e.batch.first_slot(int64_t(b)));
    value.add(g[first]);
    advantage.add(a[first]);
    length.add(double(e.batch.length[b]));
    cut += world_.end_id >= 0 && !e.sequences.ended(int64_t(b));
  }
  const double n = double(pi.size());
  metrics_ = {};
  metrics_.reward = reward.mean()[0];
  metrics_.kl = std::accumulate(kl.begin(), kl.end(), 0.0) / n;
  metrics_.kl_stderr = standard_error(kl);
  metrics_.entropy = -log_prob.mean()[0];
  metrics_.kl_coef = kl_coef_;
  metrics_.objective =
      metrics_.reward - (kl_coef_ > 0 ? kl_coef_ * metrics_.kl : 0) + how.entropy_coef * metrics_.entropy;
  metrics_.baseline = value.mean()[0] - advantage.mean()[0];
  metrics_.advantage_spread = std::sqrt(advantage.variance()[0]);
  metrics_.distinct_1 = distinct_share(e.sequences, 1);
  metrics_.distinct_2 = distinct_share(e.sequences, 2);
  metrics_.cut = cut / n;
  metrics_.length = length.mean()[0];
  mean_return_ = value.mean()[0];
  if (!value_) return;
  double squares = 0, draws = 0;
  for (size_t i = 0; i < g.size(); ++i)
    if (e.batch.targets[i] != kNoTarget) {
      const double miss = policy_gradient_.values()[i] - g[i];
      squares += miss * miss;
      ++draws;
    }
  metrics_.value_loss = squares / draws;
}

Tuner::State Tuner::state() const {
  State s{kl_coef_, moving_, {}};
  for (size_t i = memory_.size() - std::min(memory_.size(), size_t(options_.replay)); i < memory_.size(); ++i)
    s.memory.push_back(memory_[i]);
  return s;
}

void Tuner::restore(State state) {
  kl_coef_ = state.kl_coef;
  moving_ = state.moving;
  memory_.clear();
  for (Experience& e : state.memory) {
    e.batch.fill(prompts_, e.prompt, e.sequences);
    memory_.push_back(std::move(e));
  }
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
