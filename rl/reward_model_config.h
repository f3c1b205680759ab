// The options of `gradus reward-model`.
#pragma once

#include "models/run/options.h"

namespace gradus {

struct RewardModelConfig : RunOptions {
  int64_t batch = 32;         // choices in a step
  double val_fraction = 0.1;  // of the choices, which are measured and not learnt from
  double weight_decay = 0.01;
  int64_t seed = 1;
  RewardModelConfig() {
    steps = 300;
    min_lr = 0;
    warmup = 20;
  }
};
// The table of its options. The rows point into `config`.
std::vector<Option> options(RewardModelConfig& config);

}  // namespace gradus
