// TuneConfig: the value of every option that changes a fine-tuning run. The learner, the sources and the methods read
// their options here; rl/tune_config.h has their meanings and ranges.
#pragma once

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

struct TuneConfig : RunOptions {
  std::vector<std::string> reward = {};
  std::string target = "rl";              // a row of kTargets
  std::string divergence = "reverse-kl";  // rl/tables/divergence.h
  std::vector<std::string> feature = {};  // of gdc, NAME[:ARG]=MOMENT
  std::vector<std::string> pointwise = {};
  std::string algorithm = "reinforce";
  std::string proposal = "policy";  // rl/methods/proposal.h
  std::string baseline = "leave-one-out";
  bool reward_to_go = false;
  double kl_coef = 0.1;
  double kl_target = 0;  // 0: none, the coefficient stays
  double kl_horizon = 1000;
  double entropy_coef = 0;
  int64_t replay = 0;
  int64_t batch = 64;
  int64_t epochs = 1;
  int64_t minibatches = 1;
  int64_t max_tokens = 32;
  double value_lr = 1e-2;
  double temperature = 1;
  std::string exact = "auto";  // a row of kExactWords
  int64_t seed = 1;

  // β of the reward that the source pays: that of gdc's features (rl/gdc.h) is 1.
  double beta() const { return is_gdc() ? 1 : kl_coef; }
  bool is_gdc() const { return row_named(kTargets, target, "target").value == TargetKind::kMoments; }

  TuneConfig() {
    steps = 200;
    min_lr = 0;
    warmup = 0;
    save_every = 50;
  }
};

}  // namespace gradus
