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

struct TuneConfig : RunOptions {
  std::vector<std::string> reward = {};
  std::string algorithm = "reinforce";
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

  TuneConfig() {
    steps = 200;
    min_lr = 0;
    warmup = 0;
    save_every = 50;
  }
};

}  // namespace gradus
