// TuneConfig: the value of every option that changes a fine-tuning run. The learner, the sources and the methods read
// their options here; rl/tune_config.h has their meanings and ranges.
#pragma once

#include "models/adapter_spec.h"
#include "models/run/options.h"
#include "models/table.h"

namespace gradus {

// When the world is enumerated: where it is small enough, whatever it costs, or not at all.
enum class Exact { kAuto, kAlways, kNever };
inline constexpr Named<Exact> kExactWords[] = {
    {"auto", Exact::kAuto}, {"always", Exact::kAlways}, {"never", Exact::kNever}};

// What the policy is to become: the posterior of the reward, or the nearest to the prior that has given moments.
enum class TargetKind { kReward, kMoments };
inline constexpr Named<TargetKind> kTargets[] = {{"rl", TargetKind::kReward}, {"gdc", TargetKind::kMoments}};

// How the KL enters the gradient: by the log ratio of each draw, or by the KL of each row over the whole vocabulary
// (rl/methods/returns.h).
enum class KlTerm { kDraws, kFull };
inline constexpr Named<KlTerm> kKlEstimators[] = {{"k1", KlTerm::kDraws}, {"full", KlTerm::kFull}};

// When the reward of a text is paid: with its last draw, or with each draw what it adds (rl/pay.h).
enum class Pay { kEnd, kStep };
inline constexpr Named<Pay> kPays[] = {{"end", Pay::kEnd}, {"step", Pay::kStep}};

struct TuneConfig : RunOptions {
  std::vector<std::string> reward = {};
  std::string target = "rl";              // a row of kTargets
  std::string divergence = "reverse-kl";  // rl/tables/divergence.h
  std::vector<std::string> feature = {};  // of gdc, NAME[:ARG]=MOMENT
  std::vector<std::string> pointwise = {};
  std::vector<std::string> preferences = {};  // files of dpo (rl/preferences.h)
  std::string algorithm = "reinforce";
  std::string proposal = "policy";  // rl/methods/proposal.h
  std::string baseline = "leave-one-out";
  bool reward_to_go = false;
  double kl_coef = 0.3;  // tests/measure/defaults.sh: the least at which none of six tasks collapses
  double kl_target = 0;  // 0: none, the coefficient stays
  double kl_horizon = 1000;
  std::string kl_estimator = "k1";  // a row of kKlEstimators
  double entropy_coef = 0;
  std::string pay = "end";                       // a row of kPays
  double gamma = 1;                              // γ
  double gae = 0.95;                             // λ of ppo's advantages
  double clip_ratio = 0.2;                       // ε of ppo and grpo
  double stop_kl = 0;                            // KL from the policy that drew, at which a step ends; 0: none
  int64_t group = 0;                             // sequences that grpo compares, 2 of dpo; 0 for others
  bool divide_std = true, divide_length = true;  // by which grpo does
  double epsilon = 0.1;                          // of the ε-greedy draws of q and dqn
  int64_t target_every = 10;                     // steps between two copies of dqn's target network
  int64_t replay = 0;
  int64_t batch = 64;
  int64_t epochs = 1;
  int64_t minibatches = 1;
  int64_t max_tokens = 32;
  double value_lr = 1e-2;
  double critic_lr = 1e-2;  // of a value network with an encoder of its own
  double temperature = 1;
  std::string exact = "auto";    // a row of kExactWords
  double until_reward = kNever;  // the run ends at a batch with this mean reward
  double until_kl = 0;           // or this KL; 0: never
  std::string adapter = kNoAdapter;
  std::vector<std::string> watch = {};
  static constexpr double kNever = 1e9;
  int64_t seed = 1;

  // β of the reward that the source pays: that of gdc's features (rl/gdc.h) is 1.
  double beta() const { return is_gdc() ? 1 : kl_coef; }
  bool full_kl() const { return row_named(kKlEstimators, kl_estimator, "estimator of the KL").value == KlTerm::kFull; }
  bool is_gdc() const { return row_named(kTargets, target, "target").value == TargetKind::kMoments; }

  TuneConfig() {
    steps = 200;
    min_lr = 0;
    warmup = 0;
    save_every = 50;
  }
};

}  // namespace gradus
