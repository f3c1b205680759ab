#include "rl/tune_config.h"

#include "rl/methods/baselines.h"
#include "rl/methods/method.h"

namespace gradus {

void resolve(TuneConfig& c, int cores) {
  c.resolve(cores, c.batch);
  c.check(c.batch);
  if (const int64_t least = make_method(c)->needs().least_batch; c.batch < least)
    throw DataError(text("--algorithm ", c.algorithm, " with --baseline ", c.baseline,
                         " compares the sequences of a batch: --batch must be at least ", least));
  if (c.minibatches > c.batch)
    throw DataError(text("--minibatches ", c.minibatches, " of --batch ", c.batch, ": each must hold a sequence"));
  if (c.kl_target > 0 && c.kl_coef == 0)
    throw DataError("--kl-target moves the coefficient by a factor: --kl-coef, its initial value, must be above 0");
  if (c.kl_target > 0 && c.kl_horizon <= 0.2 * double(c.batch))
    throw DataError(text("--kl-horizon ", c.kl_horizon, " with --batch ", c.batch,
                         ": one step could bring the coefficient to 0; it must be above ", 0.2 * double(c.batch)));
}

std::vector<Option> options(TuneConfig& c) {
  const std::vector<Option> shared = run_options(c, c.seed);
  const TuneConfig usual;
  const Owners reinforce{"algorithm", {"reinforce"}};
  return {
      option("reward", c.reward, "what a text is worth"),
      option("algorithm", c.algorithm, method_names(), "method that makes the weights of the gradient"),
      option("baseline", c.baseline, baseline_names(), "baseline that is subtracted from the return", reinforce),
      option("reward_to_go", c.reward_to_go, usual.reward_to_go,
             "credit each draw only with rewards earned from it onward", reinforce),
      option("kl_coef", c.kl_coef, 0, 1e9, "beta of J = E[reward] - beta KL(policy, prior)"),
      option("kl_target", c.kl_target, 0, 1e9,
             "adjust beta until the KL is this many nats a sequence (default: beta is fixed)", {"kl_target"}),
      option("kl_horizon", c.kl_horizon, 1e-3, 1e12, "sequences over which beta may change by a fifth", {"kl_target"}),
      option("entropy_coef", c.entropy_coef, 0, 1e9, "alpha: J gains alpha times the entropy of whole sequences",
             reinforce),
      option("replay", c.replay, 0, 1000, "earlier batches that each step reuses with importance weights"),
      row_of(shared, "steps"),
      option("batch", c.batch, 1, 1 << 20, "sequences in a step"),
      newer(option("epochs", c.epochs, 1, 1000, "passes over the batch in each step")),
      newer(
          option("minibatches", c.minibatches, 1, 1 << 20, "parts of the batch in each epoch; each makes one update")),
      option("max_tokens", c.max_tokens, 1, 1 << 20, "largest number of draws in a sequence, including the end mark"),
      row_of(shared, "lr"),
      row_of(shared, "min_lr"),
      row_of(shared, "warmup"),
      row_of(shared, "decay_steps"),
      option("value_lr", c.value_lr, 0, 1e3, "learning rate of the value network",
             {"baseline", baselines_with_value()}),
      row_of(shared, "clip"),
      option("temperature", c.temperature, 1e-3, 1e3, "divides the logits of policy and prior"),
      option("exact", c.exact, names_of(kExactWords),
             "the truth by enumeration: up to 10^4 sequences at every step and 10^6 at the end | up to 10^6 at every "
             "step | never"),
      row_of(shared, "save_every"),
      row_of(shared, "shards"),
      row_of(shared, "seed"),
  };
}

std::string to_json(const TuneConfig& config) {
  TuneConfig stored = config, usual;
  return options_to_json(options(stored), options(usual));
}

TuneConfig tune_config_from_json(const std::string& json, const std::string& source) {
  TuneConfig config;
  options_from_json(options(config), json, source);
  return config;
}

}  // namespace gradus
