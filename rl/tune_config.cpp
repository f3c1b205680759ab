#include "rl/tune_config.h"

#include <limits>

#include "engine/io/json.h"
#include "rl/methods/baselines.h"
#include "rl/methods/method.h"
#include "rl/methods/proposal.h"
#include "rl/rewards/reward.h"
#include "rl/tables/divergence.h"

namespace gradus {

// The methods that read the options of the table which they own.
static const Owners kReinforce{"algorithm", {"reinforce"}}, kFDpg{"algorithm", {"f-dpg"}}, kGrpo{"algorithm", {"grpo"}},
    kPpo{"algorithm", {"ppo"}}, kDqn{"algorithm", {"dqn"}}, kClipped{"algorithm", {"ppo", "grpo"}},
    kCritics{"algorithm", {"ppo", "actor-critic"}}, kValues{"algorithm", {"q", "dqn"}},
    kWithBeta{"algorithm", {"reinforce", "f-dpg", "grpo", "ppo", "actor-critic", "soft-q", "dpo"}},
    kReturns{"algorithm", {"reinforce", "grpo", "ppo", "actor-critic"}},
    kFull{"algorithm", {"reinforce", "ppo", "actor-critic"}}, kDpo{"algorithm", {"dpo"}},
    kDraws{"algorithm", {"reinforce", "f-dpg", "grpo", "ppo", "actor-critic", "q", "soft-q", "dqn"}},
    kSoftQ{"algorithm", {"soft-q"}},
    kSteps{"algorithm", {"reinforce", "grpo", "ppo", "actor-critic", "q", "soft-q", "dqn"}}, kGdc{"target", {"gdc"}},
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

static bool takes(TuneConfig c, std::string_view option) {
  const std::vector<Option> rows = options(c);
  return has_meaning(row_of(rows, option), rows);
}

bool learns_action_values(const TuneConfig& c) { return takes(c, "epsilon"); }
bool learns_from_pairs(const TuneConfig& c) { return takes(c, "preferences"); }

void imply_replay(TuneConfig& c, bool given) {
  if (!given && takes(c, "target_every")) c.replay = kReplayOfDqn;
}

// What f-DPG needs beside a batch.
static void check_target(const TuneConfig& c) {
  if (c.kl_target > 0) throw DataError("--kl-target moves β, and with it the target of --algorithm f-dpg");
  if (c.batch < 2) throw DataError("--algorithm f-dpg estimates Z from the batch: --batch must be at least 2");
  if (!c.is_gdc()) {
    if (c.kl_coef == 0) throw DataError("--kl-coef is 0: the target q exp(reward / β) / Z needs one above 0");
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

// What DPO needs.
static void check_pairs(const TuneConfig& c) {
  if (c.kl_target > 0)
    throw DataError("--kl-target moves beta by the KL of a batch, which --algorithm dpo does not draw; use --kl-coef");
  if (c.kl_coef == 0)
    throw DataError("--kl-coef is 0: --algorithm dpo learns beta log(policy / prior), which needs one above 0");
  if (c.batch % 2 != 0)
    throw DataError(text("--batch ", c.batch, ": --algorithm dpo takes pairs of sequences, so it must be even"));
}

// What options of single methods need.
static void check_by_algorithm(const TuneConfig& c) {
  if (learns_from_pairs(c)) check_pairs(c);
  if (takes(c, "group") && (c.group < 2 || c.batch % c.group != 0))
    throw DataError(text("--batch ", c.batch, " in groups of --group ", c.group,
                         ": a group must have at least 2 sequences, and the batch must be whole groups"));
  if (c.algorithm == kSoftQ.words[0] && c.kl_coef == 0)
    throw DataError(
        "--kl-coef is 0: --algorithm soft-q goes to the prior times exp(reward / β), which needs one above 0");
  if (takes(c, "pay")) require_payable(c);
  if (takes(c, "stop_kl") && c.stop_kl > 0 && c.epochs * c.minibatches == 1)
    throw DataError(text("--stop-kl ", c.stop_kl,
                         " leaves out later updates of a step, and each step makes one; use more --epochs or "
                         "--minibatches"));
}

void require_payable(const TuneConfig& c) {
  if (row_named(kPays, c.pay, "way of paying").value == Pay::kEnd) return;
  for (const std::string& term : c.reward)
    if (!Reward::is_paid_by_step(term))
      throw DataError(text("--pay step with the reward ", term, ": only ", joined(Reward::paid_by_step(), ", "),
                           " can be paid draw by draw; use --pay end"));
}

void resolve(TuneConfig& c, int cores) {
  c.resolve(cores, c.batch);
  if (!c.is_gdc()) c.feature = c.pointwise = {};
  if (c.is_gdc()) c.reward = {};
  if (!takes(c, "entropy_coef")) c.entropy_coef = 0;  // it belongs to others, and so do these
  if (!takes(c, "gamma")) c.gamma = 1;
  if (!takes(c, "stop_kl")) c.stop_kl = 0;
  if (learns_action_values(c)) c.kl_coef = c.kl_target = 0;
  if (!takes(c, "replay")) c.replay = 0;
  if (!learns_from_pairs(c)) c.preferences = {};
  if (!c.preferences.empty()) c.reward = {};
  if (!takes(c, "group"))
    c.group = learns_from_pairs(c) ? 2 : 0;
  else if (c.group == 0)
    c.group = 8;
  check(c);
}

void check(const TuneConfig& c) {
  if (c.adapter != kNoAdapter) Adapter::parse(c.adapter);
  c.check(c.batch);
  if (takes(c, "proposal"))
    check_target(c);
  else if (c.is_gdc())  // in a file; the command line has implied it
    throw DataError(text("--target ", c.target, " needs --algorithm ", kFDpg.words[0], ", not ", c.algorithm));
  check_by_algorithm(c);
  TuneConfig on_policy = c;  // a proposal would need models
  on_policy.proposal = TuneConfig().proposal;
  if (const int64_t least = make_method(on_policy)->needs().least_batch; c.batch < least)
    throw DataError(text("--algorithm ", c.algorithm, takes(c, "baseline") ? " with --baseline " + c.baseline : "",
                         " compares the sequences of a batch: --batch must be at least ", least));
  if (c.minibatches > c.batch)
    throw DataError(text("--minibatches ", c.minibatches, " of --batch ", c.batch, ": each must hold a sequence"));
  if (c.group > 1 && c.minibatches > c.batch / c.group)
    throw DataError(text("--minibatches ", c.minibatches, " of --batch ", c.batch, ": each must hold a whole group of ",
                         c.group, " sequences"));
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
      narrowed(option("reward", c.reward, "what a text is worth", kRl), kDraws),
      newer(option("target", c.target, names_of(kTargets),
                   "what the policy is to become: prior exp(reward / β) / Z | the nearest to the prior that has the "
                   "moments of --feature and keeps --pointwise")),
      newer(divergence),
      newer(option("feature", c.feature, "mean that a reward is to have", kGdc)),
      newer(option("pointwise", c.pointwise, "reward that is to be at its largest in every text", kGdc)),
      option(
          "algorithm", c.algorithm, method_names(),
          "method that makes the weights of the gradient; reinforce with leave-one-out is RLOO. After q and dqn the "
          "logits of the run are action values: use sample --temperature 0; their softmax, which sample and exact see "
          "otherwise, means nothing"),
      newer(option("preferences", c.preferences, "file of dpo: PROMPT, a tab, CHOSEN, a tab, REJECTED", kDpo)),
      newer(option("proposal", c.proposal, Proposal::names(),
                   "what f-dpg draws from: the policy | the prior | a policy of before, replaced by a better one",
                   kFDpg)),
      option("baseline", c.baseline, baseline_names(), "baseline that is subtracted from the return", kReinforce),
      option("reward_to_go", c.reward_to_go, usual.reward_to_go,
             "credit each token only with rewards that come after it", kReinforce),
      narrowed(option("kl_coef", c.kl_coef, 0, 1e9,
                      "β of J = E[reward] − β KL(policy, prior); 0.3 is the least at which none of six "
                      "tasks collapses (tests/measure/defaults.sh)",
                      kRl),
               kWithBeta),
      newer(option("kl_estimator", c.kl_estimator, names_of(kKlEstimators),
                   "the KL in the gradient: of each draw | of each row over the whole vocabulary, with less variance",
                   kFull)),
      narrowed(option("kl_target", c.kl_target, 0, 1e9,
                      "adjust β until the KL is this many nats a sequence (default: β is fixed)", {"kl_target"}),
               kWithBeta),
      option("kl_horizon", c.kl_horizon, 1e-3, 1e12, "β changes by at most 20% per this many sequences", {"kl_target"}),
      option("entropy_coef", c.entropy_coef, 0, 1e9, "α: J gains α times the entropy of whole sequences", kReturns),
      newer(option("pay", c.pay, names_of(kPays),
                   text("when the reward is paid: with the last draw | with each draw what it adds, of ",
                        joined(Reward::paid_by_step(), ", ")),
                   kSteps)),
      newer(option("gamma", c.gamma, 0, 1,
                   "discount of a reward for each draw that it comes later; J, J* and the optimum are then those of "
                   "discounted rewards",
                   kSteps)),
      newer(option("gae", c.gae, 0, 1, "λ of the advantages: 0 trusts the critic, 1 the rewards alone", kPpo)),
      newer(
          option("clip_ratio", c.clip_ratio, 0, 1e9,
                 "how far the ratio of a draw may move before its gradient is 0; with one update a step no ratio moves",
                 kClipped)),
      hidden_at("0.0", newer(option("stop_kl", c.stop_kl, 0, 1e9,
                                    "end the updates of a step once the KL between the policy that drew its batch and "
                                    "the policy is this many nats a sequence (default: none)",
                                    kClipped))),
      newer(option("group", c.group, 0, 1 << 20, "sequences of one prompt that are compared (default: 8)", kGrpo)),
      newer(option("divide_std", c.divide_std, usual.divide_std,
                   "do not divide the advantage by the standard deviation of its group", kGrpo)),
      newer(option("divide_length", c.divide_length, usual.divide_length,
                   "do not divide the advantage by the length of its sequence", kGrpo)),
      newer(option("epsilon", c.epsilon, 0, 1, "share of the draws that are uniform", kValues)),
      newer(option("target_every", c.target_every, 1, kMany, "steps between two copies of the target network", kDqn)),
      option("replay", c.replay, 0, 1000,
             "earlier batches that each step shows again (dqn: 8); reinforce, actor-critic and f-dpg weigh them by "
             "policy / drawer",
             kDraws),
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
      option("value_lr", c.value_lr, 0, 1e3, "learning rate of the value network; it falls as --lr does",
             {"baseline", baselines_with_value()}),
      newer(option("critic_lr", c.critic_lr, 0, 1e3,
                   "learning rate of a critic with an encoder of its own; it falls as --lr does", kCritics)),
      row_of(shared, "clip"),
      option("temperature", c.temperature, 1e-3, 1e3, "divides the logits of policy and prior"),
      option(
          "exact", c.exact, names_of(kExactWords),
          "exact values by enumeration: up to 10^4 sequences at every step and 10^6 at the end | up to 10^6 at every "
          "step | never"),
      hidden_at(Json(TuneConfig::kNever).dump(),
                newer(option("until_reward", c.until_reward, -TuneConfig::kNever, TuneConfig::kNever,
                             "end the run at a batch with this mean reward (default: never)", kRl))),
      hidden_at("0.0", narrowed(newer(option("until_kl", c.until_kl, 0, 1e9,
                                             "end the run at a batch with this KL (default: never)", kWithBeta)),
                                kDraws)),
      adapter_option(c.adapter),
      newer(option("watch", c.watch, "another reward, which is measured and not raised")),
      row_of(shared, "save_every"),
      row_of(shared, "shards"),
      row_of(shared, "seed"),
  };
}

std::string remedy_of_step(const TuneConfig& c, int64_t step) {
  if (step > 1 || !takes(c, "proposal")) return "try a smaller --lr";
  return text(remedy_of_target(c), ", or another --divergence");
}
std::string remedy_of_target(const TuneConfig& c) {
  return text("the target is too far from the prior: use ",
              c.is_gdc() ? "moments nearer to those of the prior" : "a larger --kl-coef");
}

std::string aim_of(const TuneConfig& c) {
  if (learns_from_pairs(c)) return "the preferences in " + joined(c.preferences, " and ");
  if (!c.is_gdc()) return "the reward " + joined(c.reward, " + ");
  std::vector<std::string> parts;
  if (!c.feature.empty()) parts.push_back("the moments " + joined(c.feature));
  if (!c.pointwise.empty()) parts.push_back("the hard constraints " + joined(c.pointwise));
  return joined(parts, " and ");
}

std::string optimum_of(const TuneConfig& c) { return c.is_gdc() ? "target" : c.gamma < 1 ? "optimum" : "posterior"; }

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
  } catch (const UsageError& error) {  // of a reward
    throw DataError(text(source, ": its configuration is not valid: ", error.what()));
  }
  return config;
}

}  // namespace gradus
