// One step of fine-tuning: draw sequences from the policy, score them by policy and prior, turn rewards and
// log-probabilities into advantages, and take Σ A ∇ log π. apps/tune.cpp holds the loop around it:
//
//   Tuner tuner(policy, prior, prompts, world, reward, options, shards);
//   for (int64_t step = 1; step <= steps; ++step) {
//     optimizer.step(policy.params(), tuner.gradient(step), lr);
//     tuner.learn();                      // what else learns: the value network, the moving mean, the KL coefficient
//   }
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "rl/advantage.h"
#include "rl/policy_gradient.h"
#include "rl/rollout.h"
#include "rl/value.h"

namespace gradus {

struct TuneOptions {
  AdvantageOptions advantage;  // kl_coef is where the KL coefficient begins
  int64_t batch = 64;
  // Earlier batches that a step uses again, each sequence weighted by π/μ, μ the policy that drew it.
  int64_t replay = 0;
  double kl_target = 0;      // of the controller of rl/tables/posterior.h; 0: the coefficient stays
  double kl_horizon = 1000;  // sequences
  double value_lr = 1e-2;
  uint64_t seed = 1;
};

// r of each sequence; of[i] is the prompt of sequence i.
using PromptedReward = std::function<std::vector<double>(const Sequences&, std::span<const int32_t> of)>;

// A batch of sequences and what was known of them when they were drawn.
struct Experience {
  Sequences sequences;
  std::vector<int32_t> prompt;  // [B], of each sequence
  std::vector<double> reward;   // [B]
  std::vector<double> log_mu;   // [B], of the policy that drew them, by the scorer
  std::vector<double> log_q;    // [B,T], of the prior
  PaddedBatch batch;
};

// Of one step's fresh batch, before the update. A spread of one sequence is NaN.
struct TuneMetrics {
  double reward, kl, entropy;         // means over the batch; kl is that of k1 = log π − log q, of whole sequences
  double kl_stderr;                   // of that mean
  double objective;                   // reward − β kl + α entropy
  double kl_coef;                     // β of this step
  double baseline, advantage_spread;  // mean baseline, standard deviation of A, at the first draw of each sequence
  double distinct_1, distinct_2;      // different n-grams of the batch over n-grams of the batch
  double cut;                         // share of sequences that reached the limit without the end mark
  double length;                      // mean number of draws
  std::optional<double> ess;          // effective sample size of all the weights of the step, where some are not 1
  std::optional<double> value_loss;   // mean squared error of the value network
};

class Tuner {
 public:
  // `world` says all but the prompt, which is one of `prompts`. The prior is only read. ShapeError for options that
  // mean nothing: a negative coefficient, leave-one-out with a batch of 1, a target or horizon not above 0, or a
  // target that the coefficient cannot follow.
  Tuner(LanguageModel& policy, const LanguageModel& prior, std::vector<std::vector<int32_t>> prompts, World world,
        PromptedReward reward, TuneOptions options, Shards& shards);

  // The gradient of −J by the policy's parameters, for an optimiser, which descends; valid until the next call. A
  // function of (seed, step), the parameters and what is remembered. If it throws nothing has changed.
  std::span<const real> gradient(int64_t step);
  // What the last gradient() has taught everything that is not the policy.
  void learn();
  const TuneMetrics& metrics() const { return metrics_; }  // of the last gradient()
  const Experience& fresh() const { return memory_.back(); }
  std::span<const double> values() const { return policy_gradient_.values(); }  // of the fresh batch, [B,T]
  std::span<const real> value_gradient() const { return value_sum_; }

  // What a checkpoint has to keep beside the policy.
  double kl_coef() const { return kl_coef_; }
  ValueNetwork* value() const { return value_.get(); }  // null without --baseline value
  AdamW* value_optimizer() const { return value_optimizer_.get(); }
  struct State {
    double kl_coef;
    MovingMean moving;
    std::vector<Experience> memory;  // for replay, the oldest first
  };
  State state() const;
  void restore(State state);

 private:
  Experience draw(int64_t step);
  std::vector<int32_t> choose_prompts(int64_t step) const;
  double standard_error(std::span<const double> x) const;
  void measure(const Experience& fresh, std::span<const double> log_pi, std::span<const double> g,
               std::span<const double> a);

  LanguageModel& policy_;
  const LanguageModel& prior_;
  const std::vector<std::vector<int32_t>> prompts_;
  const World world_;
  const PromptedReward reward_;
  const TuneOptions options_;
  Shards& shards_;
  std::unique_ptr<ValueNetwork> value_;
  std::unique_ptr<AdamW> value_optimizer_;
  PolicyGradient policy_gradient_;
  std::deque<Experience> memory_;  // the last is the fresh one
  double kl_coef_;
  MovingMean moving_;
  TuneMetrics metrics_{};
  double mean_return_ = 0;             // of the fresh batch
  std::vector<real> sum_, value_sum_;  // gradients over all batches of the step
};

// Different n-grams over n-grams of all the texts together; 0 where there are none.
double distinct_share(const Sequences& sequences, int64_t n);

}  // namespace gradus
