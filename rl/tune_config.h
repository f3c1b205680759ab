// TuneConfig: every option that changes a fine-tuning run, and the one table of their names, ranges and meanings, as
// models/config.h has them for training.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gradus {

struct TuneConfig {
  std::vector<std::string> reward = {};
  std::string algorithm = "reinforce";
  std::string baseline = "leave-one-out";
  bool reward_to_go = false;
  double kl_coef = 0.1;
  double kl_target = 0;  // 0: none, the coefficient stays
  double kl_horizon = 1000;
  double entropy_coef = 0;
  int64_t replay = 0;
  int64_t steps = 200;
  int64_t batch = 64;
  int64_t epochs = 1;
  int64_t minibatches = 1;
  int64_t max_tokens = 32;
  double lr = 1e-3;
  double min_lr = 0;
  int64_t warmup = 0;
  int64_t decay_steps = 0;  // 0: the first --steps
  double value_lr = 1e-2;
  double clip = 1;
  double temperature = 1;
  std::string exact = "auto";
  int64_t save_every = 50;
  int64_t shards = 0;  // 0: the cores of the machine, at most batch
  int64_t seed = 1;

  // Replaces the zeros above by what they stand for. Throws DataError where two options do not fit together.
  void resolve(int cores);
};

// Calls visit as for_each_option(Config&, ...) does; reward as visit(name, member, help).
template <class C, class Visit>
requires requires(C c) { c.reward_to_go; }
void for_each_option(C& c, Visit&& visit) {
  constexpr int64_t kMany = 1'000'000'000;
  visit("reward", c.reward, "what a text is worth");
  visit("algorithm", c.algorithm, "how the advantage is made", {"reinforce"});
  visit("baseline", c.baseline, "what a return is compared with", {"leave-one-out", "none", "moving", "value"});
  visit("reward_to_go", c.reward_to_go, "a draw answers only for what is earned from it on");
  visit("kl_coef", c.kl_coef, "beta of J = E[reward] - beta KL(policy, prior)", 0.0, 1e9);
  visit("kl_target", c.kl_target, "move beta until KL is this many nats a sequence (default: beta stays)", 0.0, 1e9);
  visit("kl_horizon", c.kl_horizon, "sequences over which beta may move by a fifth", 1e-3, 1e12);
  visit("entropy_coef", c.entropy_coef, "alpha of a bonus alpha times the entropy of whole sequences", 0.0, 1e9);
  visit("replay", c.replay, "earlier batches that a step uses again, importance-weighted", 0, 1000);
  visit("steps", c.steps, "steps in all", 0, kMany);
  visit("batch", c.batch, "sequences of a step", 1, 1 << 20);
  visit("epochs", c.epochs, "times that a step goes over its batch", 1, 1000);
  visit("minibatches", c.minibatches, "parts that an epoch cuts the batch into, with an update for each", 1, 1 << 20);
  visit("max_tokens", c.max_tokens, "draws of a sequence at most, the end mark counted", 1, 1 << 20);
  visit("lr", c.lr, "learning rate after the warm-up", 0.0, 1e3);
  visit("min_lr", c.min_lr, "learning rate at the end of the cosine", 0.0, 1e3);
  visit("warmup", c.warmup, "steps of linear warm-up", 0, kMany);
  visit("decay_steps", c.decay_steps, "step at which the cosine reaches --min-lr (default: the first --steps)", 0,
        kMany);
  visit("value_lr", c.value_lr, "learning rate of the value network", 0.0, 1e3);
  visit("clip", c.clip, "greatest norm of the gradient; 0: no clipping", 0.0, 1e9);
  visit("temperature", c.temperature, "divides the logits of policy and prior", 1e-3, 1e3);
  visit("exact", c.exact,
        "the truth by enumeration: up to 10^4 sequences at every step and 10^6 at the end | up to 10^6 at every step | "
        "never",
        {"auto", "always", "never"});
  visit("save_every", c.save_every, "steps between checkpoints; 0: only at the end", 0, kMany);
  visit("shards", c.shards, "slices of the batch, each summed on its own (default: cores, at most --batch)", 0, 256);
  visit("seed", c.seed, "everything random follows from it", 0, INT64_MAX);
}

std::string to_json(const TuneConfig& config);
// Throws DataError as config_from_json.
TuneConfig tune_config_from_json(const std::string& json, const std::string& source);

}  // namespace gradus
