#include "rl/reward_model_config.h"

namespace gradus {

std::vector<Option> options(RewardModelConfig& c) {
  const std::vector<Option> shared = run_options(c, c.seed);
  return {
      row_of(shared, "steps"),
      option("batch", c.batch, 1, 1 << 20, "choices in a step"),
      row_of(shared, "lr"),
      row_of(shared, "min_lr"),
      row_of(shared, "warmup"),
      option("weight_decay", c.weight_decay, 0, 1e3, "AdamW: weight decay, for tensors of rank >= 2"),
      row_of(shared, "clip"),
      option("val_fraction", c.val_fraction, 0, 0.9, "share of the choices, drawn at random, that is only measured"),
      row_of(shared, "shards"),
      row_of(shared, "seed"),
  };
}

}  // namespace gradus
