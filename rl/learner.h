// The learner: the one loop of reinforcement learning, whatever the method. A step is
//
//   source → scores by policy and prior → method.prepare           once a batch
//     epochs × minibatches: scores → method.weigh → backward → optimiser
//   value network, method.learn, KL coefficient                    the other updates of the step
//
// rl/tuner.h puts it together with its source and method, as apps/tune.cpp uses it:
//
//   Tuner tuner(policy, prior, prompts, world, reward, options, shards);
//   for (int64_t step = 1; step <= steps; ++step) tuner.step(step, optimizer, lr, clip);
#pragma once

#include <optional>

#include "engine/optim.h"
#include "rl/methods/method.h"
#include "rl/source.h"
#include "rl/step_record.h"
#include "rl/step_start.h"
#include "rl/teacher_forcing.h"
#include "rl/tune_values.h"

namespace gradus {

// Of one step's fresh batch, before the update. A spread of one sequence is NaN. Where another model drew the batch,
// the means and errors are those of the policy, with the weights π/μ divided by their sum. Of action values, whose
// softmax is no policy, and of texts that were given, KL and entropy are NaN, and the rest is that of the texts.
struct TuneMetrics {
  double reward, kl, entropy;         // means over the batch; kl is that of k1 = log π − log q, of whole sequences
  double kl_stderr;                   // of that mean
  double objective;                   // reward − β kl + α entropy; with γ < 1 the discounted sum of the same
  double kl_coef;                     // β of this step
  double baseline, advantage_spread;  // mean baseline, standard deviation of A, at the first draw of each sequence
  double distinct_1, distinct_2;      // different n-grams of the batch over n-grams of the batch
  double cut;                         // share of sequences that reached the limit without the end mark
  double length;                      // mean number of draws
  std::optional<double> ess;  // effective sample size of all importance weights of the last epoch, where some are not 1
  std::optional<double> value_loss;  // mean squared error of the value network
  // 1 − Var(R − V) / Var(R) over draws, R what the critic is to say: with TD that leans on V itself.
  std::optional<double> explained_variance;
  std::optional<double> clip_share;  // draws that were clipped, of all draws of all updates of the step
  std::optional<int64_t> updates;    // of the policy in this step, where a KL may end it early
  std::vector<double> moments;       // means of the features, where there are any
  std::vector<Figure> of_method;     // Method::figures()
};

// Scores a batch by the policy as it is and writes what that says into it; a fresh one also by the prior and by the
// model that drew it (null: the policy). Returns pass.scores(). With method.prepare this is how every batch begins.
const Scores& score_batch(TeacherForcing& pass, Shards& shards, const LanguageModel& prior,
                          const LanguageModel* behaviour, Experience& e, double temperature, const StepInfo& info = {});

class Learner {
 public:
  // Of the options those of the learner are read here; the method has read its own. The prior is only read. ShapeError
  // for options that mean nothing: a negative coefficient, fewer sequences than the method needs, a negative
  // target, a horizon not above 0, or a target that the coefficient cannot follow.
  Learner(LanguageModel& policy, const LanguageModel& prior, Source& source, Method& method, const TuneConfig& options,
          Shards& shards);

  // One step: epochs × minibatches updates of the policy, each by a gradient clipped to norm `clip` (0: not clipped),
  // or fewer where it has gone as far as options.stop_kl allows.
  // Returns the largest norm before clipping; where it is not finite, that update and all after it were left out, and
  // neither the method nor the KL coefficient has learnt. What it does is a function of (seed, step), the parameters
  // and what is remembered. If it throws nothing has changed; Interrupted where somebody wants the end, which is asked
  // before each update.
  double step(int64_t step, AdamW& optimizer, double lr, double clip = 0);

  // The same in two halves, for a caller that needs the gradient of a step with one update: that of −J by the policy's
  // parameters, valid until the next call; and what it has taught everything that is not the policy.
  std::span<const real> gradient(int64_t step);
  void learn();

  // From here on step() copies its numbers to `record`, which it empties first; null: no more. No number of a step
  // depends on it. Batches that are shown again are left out.
  void record(StepRecord* record) { record_ = record; }

  // Bytes that a step takes where the longest prompt has `prompt` tokens, beside the models and the optimiser; on one
  // rank of several, or where all is done in one process.
  double step_bytes(int64_t prompt, const Comm& ranks = one_rank()) const;

  const TuneMetrics& metrics() const { return metrics_; }
  // The mean under the policy of what each sequence of the fresh batch, [B], has of something.
  double mean_of_policy(const std::vector<double>& x) const;
  const Experience& fresh() const { return *batches_.back(); }
  std::span<const real> value_gradient() const { return value_sum_; }

  // What a checkpoint has to keep beside the policy, the method's state and the source's.
  double kl_coef() const { return kl_coef_; }
  void set_kl_coef(double beta) { kl_coef_ = beta; }
  ValueNetwork* value() const { return value_.get(); }  // null where the method needs none
  AdamW* value_optimizer() const { return value_optimizer_.get(); }

 private:
  int64_t updates() const { return options_.epochs * options_.minibatches; }  // of a step, at most
  void begin(int64_t step);
  double update_all(AdamW& optimizer, double lr, double clip);
  std::span<const real> update(int64_t u);
  bool went_too_far(const Experience& minibatch) const;
  Weights descent_of(const PaddedBatch& batch, Weights weights);
  void add_gradient(const Weights& descent);
  double value_rate() const;
  void train_value();
  void record_inputs(const AdamW& optimizer, double lr, double factor);
  void measure(const Experience& fresh);
  std::vector<double> importance(const Experience& fresh) const;  // [B]; empty where the policy drew

  LanguageModel& policy_;
  const LanguageModel& prior_;
  Source& source_;
  Method& method_;
  const TuneConfig options_;
  Shards& shards_;
  const Needs needs_;
  std::unique_ptr<ValueNetwork> value_;
  std::unique_ptr<AdamW> value_optimizer_;
  TeacherForcing pass_;
  double kl_coef_;
  TuneMetrics metrics_{};
  StepInfo info_;
  std::span<Experience* const> batches_;  // of the step, the fresh one last
  std::vector<double> importance_;        // of an epoch
  StepStart start_, value_start_;         // where a step has several updates
  bool is_over_ = false;                  // the step, before all its updates
  int64_t clipped_ = 0, weighed_ = 0;     // draws of a step, where the method clips
  std::vector<real> sum_, value_sum_;     // gradients over all batches of an update
  StepRecord* record_ = nullptr;          // of the step under way, for somebody else
};

// Different n-grams over n-grams of all the texts together; 0 where there are none.
double distinct_share(const Sequences& sequences, int64_t n);

}  // namespace gradus
