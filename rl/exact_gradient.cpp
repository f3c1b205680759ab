#include "rl/exact_gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/long_loop.h"
#include "models/memory.h"
#include "rl/methods/returns.h"
#include "rl/pay.h"
#include "rl/rollout.h"
#include "rl/tables/running_moments.h"

namespace gradus {
namespace {

Scores rows_of(const Scores& now, int64_t T, std::span<const int64_t> which) {
  Scores part;
  const auto take = [&](std::vector<double> Scores::*score) {
    const std::vector<double>& all = now.*score;
    for (size_t r = 0; r < which.size() && !all.empty(); ++r)
      (part.*score).insert((part.*score).end(), all.begin() + which[r] * T, all.begin() + (which[r] + 1) * T);
  };
  for (const auto score : kScoreOf) take(score);
  take(&Scores::largest);
  return part;
}

// Every weight of sequence b by factor[b] and by its importance.
void multiply(Weights& w, const PaddedBatch& batch, std::span<const double> factor) {
  for (const auto field : kWeightOf)
    for (size_t i = 0; i < (w.*field).size(); ++i) {
      const size_t b = i / size_t(batch.T);
      (w.*field)[i] *= factor[b] * (w.importance.empty() ? 1 : w.importance[b]);
    }
}

// What the pass has to make: all but the values, which are given.
Needs needs_of_pass(const Method& method) {
  Needs needs = method.needs();
  needs.value = false;
  return needs;
}

// The scores of a batch, begun as the learner begins it, with the values of a critic before each draw (none: 0).
Scores begin_batch(TeacherForcing& pass, Shards& shards, const LanguageModel& prior, const Method& method,
                   Experience& e, double temperature, std::span<const double> value) {
  Scores now = score_batch(pass, shards, prior, method.behaviour(), e, temperature);
  if (!method.needs().value) return now;
  e.value = value.empty() ? std::vector<double>(now.log_pi.size(), 0.0) : on_draws(e.batch, value);
  now.value = e.value;
  return now;
}

// The mean over all ordered groups of `size` rows of e, independent draws with these probabilities, of the weights that
// the method gives a group: of each row, [B,T].
Weights mean_weights(Method& method, const Experience& e, const Scores& now, std::span<const double> probability,
                     int64_t size, double kl_coef) {
  const int64_t T = e.batch.T;
  Weights sum;
  std::vector<int64_t> which(size_t(size), 0);
  for (bool done = false; !done;) {
    Experience group = rows_of(e, which);
    std::ranges::fill(group.group, 0);
    method.prepare(group, kl_coef);
    Weights w = method.weigh(group, rows_of(now, T, which));
    double share = 1 / double(size);
    for (const int64_t b : which) share *= probability[size_t(b)];
    multiply(w, group.batch, std::vector<double>(which.size(), share));
    for (const auto field : kWeightOf) {
      if ((w.*field).empty()) continue;
      (sum.*field).resize(size_t(e.size() * T));
      for (size_t i = 0; i < (w.*field).size(); ++i)
        (sum.*field)[size_t(which[i / size_t(T)] * T) + i % size_t(T)] += (w.*field)[i];
    }
    size_t digit = 0;  // the next group: count up in base B
    while (digit < which.size() && ++which[digit] == e.size()) which[digit++] = 0;
    done = digit == which.size();
  }
  return sum;
}

}  // namespace

// Sequences that are scored at once.
static int64_t chunk_of(const World& world) {
  return std::max<int64_t>(1, kChunkSlots / (int64_t(world.prompt.size()) + world.max_tokens));
}

double exact_gradient_bytes(Method& method, const LanguageModel& policy, const LanguageModel& prior, const World& world,
                            Shards& shards) {
  const TeacherForcing pass(policy, shards, needs_of_pass(method), &prior);
  const int64_t T = int64_t(world.prompt.size()) + world.max_tokens - 1;
  return double(policy.params().size()) * (sizeof(double) + sizeof(real)) + double(chunk_of(world) * T) * kBytesOfSlot +
         pass.bytes(chunk_of(world), T, world.temperature);
}

std::vector<double> exact_gradient(Method& method, const LanguageModel& policy, const LanguageModel& prior,
                                   const World& world, const Sequences& sequences, std::span<const double> log_mu,
                                   std::span<const double> reward, double kl_coef, Shards& shards, int64_t group,
                                   std::span<const double> value) {
  const int64_t draws = sequences.first(sequences.size());
  const bool by_step = std::ssize(reward) != sequences.size();
  require(int64_t(log_mu.size()) == sequences.size() && (!by_step || std::ssize(reward) == draws) &&
              (value.empty() || std::ssize(value) == draws) && group >= 1,
          "exact_gradient", Loc::here(), log_mu.size(), " log-probabilities, ", reward.size(), " rewards and ",
          value.size(), " values of ", sequences.size(), " sequences of ", draws, " draws in groups of ", group);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < sequences.size(); ++i)
    if (std::exp(log_mu[size_t(i)]) > 0) order.push_back(i);
  // Equal lengths together: little padding.
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return sequences.draws(a).size() < sequences.draws(b).size(); });
  const size_t chunk = group > 1 ? order.size() : size_t(chunk_of(world));
  std::vector<double> gradient(size_t(policy.params().size()), 0.0);
  TeacherForcing pass(policy, shards, needs_of_pass(method), &prior);
  const LongLoop loop("adding up sequences", int64_t(order.size()));
  for (size_t first = 0; first < order.size(); first += chunk) {
    loop.at(int64_t(first));
    const auto which = std::span(order).subspan(first, std::min(chunk, order.size() - first));
    Experience e{.sequences = Sequences(world.end_id)};
    std::vector<double> r, v, probability;
    const auto append = [&](std::span<const double> all, int64_t i, std::vector<double>& part) {
      part.insert(part.end(), all.begin() + sequences.first(i), all.begin() + sequences.first(i + 1));
    };
    for (const int64_t i : which) {
      e.sequences.add(sequences.draws(i));
      e.group.push_back(int32_t(e.group.size()));  // each in a group of its own
      if (by_step)
        append(reward, i, r);
      else
        r.push_back(reward[size_t(i)]);
      if (!value.empty()) append(value, i, v);
      probability.push_back(std::exp(log_mu[size_t(i)]));
    }
    e.batch.fill(world.prompt, e.sequences);
    e.reward = paid_on_draws(e.batch, r);
    const Scores now = begin_batch(pass, shards, prior, method, e, world.temperature, v);
    Weights w;
    if (group == 1) {
      method.prepare(e, kl_coef);
      w = method.weigh(e, now);
      multiply(w, e.batch, probability);
    } else {
      w = mean_weights(method, e, now, probability, group, kl_coef);
    }
    w.value.clear();  // no part of the policy
    const std::span<const real> part = pass.backward(w);
    for (size_t k = 0; k < gradient.size(); ++k) gradient[k] += double(part[k]);
  }
  return gradient;
}

// Where no sequence is compared with another each has a shard, hence a tape and a gradient, of its own; a batch shares
// a few.
static constexpr int64_t kTapes = 64, kShardsOfBatch = 4;

static int64_t batch_of(const Method& method, const TuneConfig& options) {
  return method.needs().least_batch == 1 ? std::min(options.batch, kTapes) : options.batch;
}
static int shards_of(const Method& method, int64_t batch) {
  return int(method.needs().least_batch == 1 ? batch : std::min(batch, kShardsOfBatch));
}

double estimate_gradient_bytes(Method& method, const LanguageModel& policy, const LanguageModel& prior,
                               const World& world, const TuneConfig& options) {
  const int64_t batch = batch_of(method, options), T = int64_t(world.prompt.size()) + world.max_tokens - 1;
  Shards shards(shards_of(method, batch), 1);
  const TeacherForcing pass(policy, shards, needs_of_pass(method), &prior);
  // The tapes keep what they have while the next batch is drawn.
  return double(policy.params().size()) * (4 * sizeof(double) + sizeof(real)) +
         pass.bytes(batch, T, world.temperature) + sampling_bytes(policy, batch, world.end_id >= 0);
}

EstimatedGradient estimate_gradient(Method& method, const LanguageModel& policy, const LanguageModel& prior,
                                    const World& world, const RewardFunction& reward, const TuneConfig& options,
                                    int64_t samples, int threads, const RewardFunction& value) {
  const LanguageModel* const mu = method.behaviour();
  const int64_t least = method.needs().least_batch;
  const bool single = least == 1;
  const int64_t batch = batch_of(method, options);
  require(batch >= least && samples >= 1, "estimate_gradient", Loc::here(), "batches of ", options.batch, " and ",
          samples, " samples: the method needs batches of at least ", least, ", and there must be a sample");
  Shards shards(shards_of(method, batch), threads);
  TeacherForcing pass(policy, shards, needs_of_pass(method), &prior);
  RunningMoments gradient(size_t(policy.params().size())), r, kl, log_prob, objective;
  bool is_j = true;
  bool impossible = false;  // the prior excludes a sequence that was drawn
  const LongLoop loop("sampling the gradient, sequences", samples);
  for (int64_t index = 0, done = 0; done < samples; ++index) {
    loop.at(done);
    const int64_t count = single ? std::min(batch, samples - done) : batch;
    const Rng rng(uint64_t(options.seed), Stream::kSample, index);
    Experience e{.sequences = roll_out(mu ? *mu : policy, world, rng, 0, count).sequences,
                 .group = std::vector<int32_t>(size_t(count), 0)};
    e.batch.fill(world.prompt, e.sequences);
    const std::vector<double> rewards = reward(e.sequences, e.group), paid = paid_in_all(e.sequences, rewards);
    e.reward = paid_on_draws(e.batch, rewards);
    const Scores now = begin_batch(pass, shards, prior, method, e, world.temperature,
                                   value ? value(e.sequences, e.group) : std::vector<double>());
    method.prepare(e, options.beta());
    const std::vector<double> pi = sum_over_draws(e.batch, e.log_pi), q = sum_over_draws(e.batch, e.log_q),
                              drawn = sum_over_draws(e.batch, e.log_mu);
    std::vector<double> raised = method.objective(e);
    is_j = raised.empty() && options.gamma == 1;
    if (raised.empty() && !is_j)
      raised =
          at_first_draw(e.batch, returns_of_draws(e, e.log_pi, {.kl_coef = options.beta(), .gamma = options.gamma}));
    for (size_t i = 0; i < pi.size(); ++i) {
      const double ratio = method.acting() ? 1 : std::exp(pi[i] - drawn[i]);
      const auto weighted = [&](double x) { return ratio > 0 ? ratio * x : 0; };  // 0 times an infinite log is 0
      r.add(weighted(paid[i]));
      impossible |= ratio > 0 && !std::isfinite(q[i]);
      kl.add(weighted(pi[i] - q[i]));
      log_prob.add(weighted(pi[i]));
      const double penalty = options.beta() > 0 ? options.beta() * (pi[i] - q[i]) : 0;
      objective.add(weighted(is_j ? paid[i] - penalty : raised[i]));
    }
    Weights w = method.weigh(e, now);
    multiply(w, e.batch, std::vector<double>(pi.size(), 1.0));
    w.value.clear();
    if (single) {
      pass.backward_each(w);
      for (int s = 0; s < shards.size(); ++s)
        if (shards.count(s) > 0) gradient.add(pass.gradient_of_shard(s));
    } else {
      gradient.add(pass.backward(w), 1 / double(batch));
    }
    done += count;
  }
  EstimatedGradient e{.mean = {gradient.mean().begin(), gradient.mean().end()},
                      .variance = gradient.variance(),
                      .objective = {},
                      .kl_stderr = std::sqrt(kl.variance()[0] / double(kl.count())),
                      .objective_stderr = std::sqrt(objective.variance()[0] / double(objective.count())),
                      .samples = r.count()};
  if (!single)
    for (double& v : e.variance) v *= double(batch);
  const double beta = options.beta();
  e.objective = {.objective = is_j ? r.mean()[0] - (beta > 0 ? beta * kl.mean()[0] : 0) : objective.mean()[0],
                 .reward = r.mean()[0],
                 .kl = impossible ? std::numeric_limits<double>::infinity() : kl.mean()[0],  // with β 0 a number apart
                 .entropy = -log_prob.mean()[0]};
  return e;
}

}  // namespace gradus
