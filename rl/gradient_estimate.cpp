#include "rl/gradient_estimate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "rl/rollout.h"

namespace gradus {

template <class T>
void RunningMoments::add_scaled(std::span<const T> x, double factor) {
  ++count_;
  for (size_t i = 0; i < mean_.size(); ++i) {
    const double value = factor * double(x[i]), before = value - mean_[i];
    mean_[i] += before / double(count_);
    square_[i] += before * (value - mean_[i]);
  }
}
void RunningMoments::add(std::span<const real> x, double factor) { add_scaled(x, factor); }
void RunningMoments::add(double x) { add_scaled(std::span<const double>(&x, 1), 1); }

std::vector<double> RunningMoments::variance() const {
  std::vector<double> v(square_);
  for (double& x : v) x = count_ > 1 ? x / double(count_ - 1) : std::nan("");
  return v;
}

// Without a group baseline each sequence has a shard, hence a tape and a gradient, of its own; a group shares a few.
static constexpr int64_t kTapes = 64, kShardsOfGroup = 4;

EstimatedGradient estimate_gradient(const LanguageModel& policy, const LanguageModel& prior, const World& world,
                                    const RewardFunction& reward, const EstimatorOptions& options) {
  const bool single = options.advantage.baseline == Baseline::kNone;
  const int64_t group = single ? std::min(options.batch, kTapes) : options.batch;
  require(group >= (single ? 1 : 2) && options.samples >= 1, "estimate_gradient", Loc::here(), "batches of ",
          options.batch, " and ", options.samples, " samples: leave-one-out wants batches of at least 2");
  Shards shards(int(single ? group : std::min(group, kShardsOfGroup)), options.threads);
  PolicyGradient step(policy, shards);
  RunningMoments gradient(size_t(policy.params().size())), r, kl, log_prob;
  PaddedBatch batch;
  bool impossible = false;  // the prior excludes a sequence that was drawn
  for (int64_t index = 0, done = 0; done < options.samples; ++index) {
    const int64_t count = single ? std::min(group, options.samples - done) : group;
    const Rng rng(uint64_t(options.seed), Stream::kSample, index);
    const Rollouts drawn = roll_out(policy, world, rng, 0, count);
    batch.fill(world.prompt, drawn.sequences);
    const std::span<const double> log_pi = step.forward(batch, world.temperature);
    const std::vector<double> log_q = token_log_probs(prior, shards, batch, world.temperature);
    const std::vector<double> rewards = reward(drawn.sequences);
    const std::vector<double> pi = sum_over_draws(batch, log_pi), q = sum_over_draws(batch, log_q);
    for (size_t i = 0; i < pi.size(); ++i) {
      if (!std::isfinite(q[i]) && options.advantage.kl_coef > 0)
        throw DataError("the policy drew a sequence that the prior excludes: KL(policy, prior) is infinite");
      r.add(rewards[i]);
      impossible |= !std::isfinite(q[i]);
      kl.add(pi[i] - q[i]);
      log_prob.add(pi[i]);
    }
    const std::vector<double> a = advantages(batch, rewards, log_pi, log_q, options.advantage);
    if (single) {
      step.backward_each(a);
      for (int s = 0; s < shards.size(); ++s)
        if (shards.count(s) > 0) gradient.add(step.gradient_of_shard(s));
    } else {
      gradient.add(step.backward(a), 1 / double(group));
    }
    done += count;
  }
  EstimatedGradient e{{gradient.mean().begin(), gradient.mean().end()}, gradient.variance(), {}, 0, r.count()};
  if (!single)
    for (double& v : e.variance) v *= double(group);
  const double beta = options.advantage.kl_coef;
  e.objective = {r.mean()[0] - (beta > 0 ? beta * kl.mean()[0] : 0), r.mean()[0], kl.mean()[0], -log_prob.mean()[0]};
  if (impossible) e.objective.kl = std::numeric_limits<double>::infinity();  // with beta 0: nothing else depends on it
  e.kl_stderr = std::sqrt(kl.variance()[0] / double(kl.count()));
  return e;
}

}  // namespace gradus
