#include "rl/tune_config.h"

#include <limits>

#include "rl/methods/baselines.h"
#include "rl/methods/method.h"
#include "rl/methods/proposal.h"
#include "rl/tables/divergence.h"

namespace gradus {

// The methods that read the options of the table which they own.
static const Owners kReinforce{"algorithm", {"reinforce"}}, kFDpg{"algorithm", {"f-dpg"}}, kGdc{"target", {"gdc"}},
    kRl{"target", {"rl"}};

void imply_algorithm(TuneConfig& c, bool given) {
  const TuneConfig usual;
  const bool target = c.target != usual.target;
  if (!target && c.divergence == usual.divergence) return;
  const std::string& needed = kFDpg.words[0];
  if (given && c.algorithm != needed)
    throw UsageError(text(target ? "--target " + c.target : "--divergence " + c.divergence, " needs --algorithm ",
                          needed, ", not ", c.algorithm));
  c.algorithm = needed;
}

static bool takes_target(TuneConfig c) {
  const std::vector<Option> rows = options(c);
  return has_meaning(row_of(rows, "proposal"), rows);
}

// What f-DPG needs beside a batch.
static void check_target(const TuneConfig& c) {
  if (c.kl_target > 0) throw DataError("--kl-target moves beta, and with it the target of --algorithm f-dpg");
  if (c.batch < 2) throw DataError("--algorithm f-dpg estimates Z from the batch: --batch must be at least 2");
  if (!c.is_gdc()) {
    if (c.kl_coef == 0) throw DataError("--kl-coef is 0: the target q exp(reward / beta) / Z needs one above 0");
    return;
  }
  if (c.feature.empty() && c.pointwise.empty())
    throw DataError("--target gdc needs a --feature NAME[:ARGUMENT]=MOMENT or a --pointwise NAME[:ARGUMENT]");
  const double off_support = divergence_named(c.divergence).slope(std::numeric_limits<double>::infinity());
  if (!c.pointwise.empty() && !std::isfinite(off_support))
    throw DataError(text("--pointwise with --divergence ", c.divergence,
                         ": it is infinite while the policy can say what the constraint forbids; use forward-kl, js, "
                         "tv, chi2, hellinger or alpha:A with A below 1"));
}

void resolve(TuneConfig& c, int cores) {
  c.resolve(cores, c.batch);
  if (!c.is_gdc()) c.feature = c.pointwise = {};
  if (c.is_gdc()) c.reward = {};
  if (takes_target(c)) c.entropy_coef = 0;  // it belongs to others
  check(c);
}

void check(const TuneConfig& c) {
  c.check(c.batch);
  if (takes_target(c)) check_target(c);
  TuneConfig on_policy = c;  // a proposal would need models
  on_policy.proposal = TuneConfig().proposal;
  if (const int64_t least = make_method(on_policy)->needs().least_batch; c.batch < least)
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
  Option divergence = option("divergence", c.divergence, divergence_names(),
                             "f-divergence that is descended; another than the first implies --algorithm f-dpg");
  std::get<Word>(divergence.value).accepts = is_divergence;
  return {
      option("reward", c.reward, "what a text is worth", kRl),
      newer(option("target", c.target, names_of(kTargets),
                   "what the policy is to become: prior exp(reward / beta) / Z | the nearest to the prior that has the "
                   "moments of --feature and keeps --pointwise")),
      newer(divergence),
      newer(option("feature", c.feature, "mean that a reward is to have", kGdc)),
      newer(option("pointwise", c.pointwise, "reward that is to be at its largest in every text", kGdc)),
      option("algorithm", c.algorithm, method_names(), "method that makes the weights of the gradient"),
      newer(option("proposal", c.proposal, Proposal::names(),
                   "what f-dpg draws from: the policy | the prior | a policy of before, replaced by a better one",
                   kFDpg)),
      option("baseline", c.baseline, baseline_names(), "baseline that is subtracted from the return", kReinforce),
      option("reward_to_go", c.reward_to_go, usual.reward_to_go,
             "credit each token only with rewards that come after it", kReinforce),
      option("kl_coef", c.kl_coef, 0, 1e9, "beta of J = E[reward] - beta KL(policy, prior)", kRl),
      option("kl_target", c.kl_target, 0, 1e9,
             "adjust beta until the KL is this many nats a sequence (default: beta is fixed)", {"kl_target"}),
      option("kl_horizon", c.kl_horizon, 1e-3, 1e12, "beta changes by at most 20% per this many sequences",
             {"kl_target"}),
      option("entropy_coef", c.entropy_coef, 0, 1e9, "alpha: J gains alpha times the entropy of whole sequences",
             kReinforce),
      option("replay", c.replay, 0, 1000, "earlier batches that each step reuses with importance weights"),
      row_of(shared, "steps"),
      option("batch", c.batch, 1, 1 << 20, "sequences in a step"),
      newer(option("epochs", c.epochs, 1, 1000, "passes over the batch in each step")),
      newer(
          option("minibatches", c.minibatches, 1, 1 << 20, "parts of the batch in each epoch; each makes one update")),
      option("max_tokens", c.max_tokens, 1, 1 << 20, "maximum tokens per sequence, end mark included"),
      row_of(shared, "lr"),
      row_of(shared, "min_lr"),
      row_of(shared, "warmup"),
      row_of(shared, "decay_steps"),
      option("value_lr", c.value_lr, 0, 1e3, "learning rate of the value network",
             {"baseline", baselines_with_value()}),
      row_of(shared, "clip"),
      option("temperature", c.temperature, 1e-3, 1e3, "divides the logits of policy and prior"),
      option(
          "exact", c.exact, names_of(kExactWords),
          "exact values by enumeration: up to 10^4 sequences at every step and 10^6 at the end | up to 10^6 at every "
          "step | never"),
      row_of(shared, "save_every"),
      row_of(shared, "shards"),
      row_of(shared, "seed"),
  };
}

std::string aim_of(const TuneConfig& c) {
  if (!c.is_gdc()) return "the reward " + joined(c.reward, " + ");
  std::vector<std::string> parts;
  if (!c.feature.empty()) parts.push_back("the moments " + joined(c.feature));
  if (!c.pointwise.empty()) parts.push_back("the hard constraints " + joined(c.pointwise));
  return joined(parts, " and ");
}

std::string to_json(const TuneConfig& config) {
  TuneConfig stored = config, usual;
  return options_to_json(options(stored), options(usual));
}

TuneConfig tune_config_from_json(const std::string& json, const std::string& source) {
  TuneConfig config;
  options_from_json(options(config), json, source);
  try {
    check(config);
  } catch (const DataError& error) {
    throw DataError(text(source, ": its configuration is not valid: ", error.what()));
  }
  return config;
}

}  // namespace gradus
