#include "rl/worlds/known_worlds.h"

#include <algorithm>

#include "engine/long_loop.h"
#include "rl/tables/posterior.h"
#include "rl/worlds/values.h"

namespace gradus {

static std::vector<double> rewards(const RewardFunction& reward, const Sequences& sequences, size_t prompt) {
  return reward(sequences, std::vector<int32_t>(size_t(sequences.size()), int32_t(prompt)));
}

KnownWorlds::KnownWorlds(const LanguageModel& prior, const std::vector<std::vector<int32_t>>& prompts,
                         const World& world, const RewardFunction& reward, int64_t most, Discount discount)
    : prior_(prior), reward_(reward), discount_(std::move(discount)), most_(most) {
  const LongLoop loop("listing the sequences behind each prompt", int64_t(prompts.size()));
  int64_t left = most;
  for (const std::vector<int32_t>& prompt : prompts) {
    loop.at(int64_t(worlds_.size()));
    World w = world;
    w.prompt = prompt;
    Enumeration all = enumerate(prior, w, left);
    left -= all.sequences.size();
    worlds_.push_back({std::move(w), std::move(all.sequences), std::move(all.log_prob[0]), {}, {}, {}});
    ask_rewards(worlds_.back());
  }
}

void KnownWorlds::ask_rewards(Known& known) const {
  const size_t prompt = size_t(&known - worlds_.data());
  known.reward = rewards(reward_, known.sequences, prompt);
  if (discount_.gamma < 1)
    known.paid = discount_.paid ? rewards(discount_.paid, known.sequences, prompt) : known.reward;
}

int64_t KnownWorlds::sequences() const {
  int64_t n = 0;
  for (const Known& known : worlds_) n += known.sequences.size();
  return n;
}

// Alone, the policy is walked exactly as the prior was, so that equal models have equal bits. Only where it can say
// other sequences than the prior they are walked side by side.
void KnownWorlds::enumerate_policy(Known& known, const LanguageModel& policy) const {
  Enumeration all = enumerate(policy, known.world, most_);
  if (all.sequences == known.sequences) {
    known.log_pi = std::move(all.log_prob[0]);
    return;
  }
  const LanguageModel* const both[] = {&policy, &prior_};
  all = enumerate(both, known.world, most_);
  known.log_pi = std::move(all.log_prob[0]);
  known.log_q = std::move(all.log_prob[1]);
  if (all.sequences == known.sequences) return;
  known.sequences = std::move(all.sequences);
  ask_rewards(known);
}

// The discounted objective, its most, and the policy that reaches it: in each prefix q e^{(Q − V)/(β+α)}. The entropy
// bonus is in the coefficient, and a reward r − α log q of each draw (rl/methods/returns.h).
void KnownWorlds::discount(Known& known, double kl_coef, double entropy_coef, Truth& truth) const {
  const double tempering = kl_coef + entropy_coef, share = 1 / double(worlds_.size());
  const PrefixTree tree(known.sequences);
  const std::vector<double> log_q = tree.log_conditionals(known.log_q), log_pi = tree.log_conditionals(known.log_pi);
  std::vector<double> r = tree.of_edges(known.sequences, known.paid);
  for (size_t k = 0; entropy_coef > 0 && k < r.size(); ++k)
    if (log_q[k] != kImpossible) r[k] -= entropy_coef * log_q[k];
  truth.at.objective += share * policy_values(tree, r, log_pi, log_q, tempering, discount_.gamma).value[0];
  if (tempering == 0) {
    truth.j_star += share * best_values(tree, r, log_q, discount_.gamma).value[0];
    known.log_posterior.clear();
    return;
  }
  const Values best = soft_values(tree, r, log_q, tempering, discount_.gamma);
  truth.j_star += share * best.value[0];
  known.log_posterior.assign(known.reward.size(), kImpossible);
  std::vector<double> log_prefix(tree.nodes.size(), kImpossible);
  log_prefix[0] = 0;
  for (size_t n = 0; n < tree.nodes.size(); ++n)
    for (auto k = size_t(tree.nodes[n].first_edge); k < size_t(tree.nodes[n].end_edge); ++k) {
      const PrefixTree::Edge& edge = tree.edges[k];
      const bool is_possible = log_prefix[n] != kImpossible && log_q[k] != kImpossible;
      const double log_p =
          is_possible ? log_prefix[n] + log_q[k] + (best.q[k] - best.value[n]) / tempering : kImpossible;
      (edge.child < 0 ? known.log_posterior[size_t(edge.sequence)] : log_prefix[size_t(edge.child)]) = log_p;
    }
}

// The policy beside its optimum, where there is one.
void KnownWorlds::compare(const Known& known, Truth& truth) const {
  if (known.log_posterior.empty()) return;
  const double share = 1 / double(worlds_.size());
  const Table pi = Table::of_logs(known.log_pi), best = Table::of_logs(known.log_posterior);
  *truth.kl_to_posterior += share * kl(pi, best);
  *truth.kl_from_posterior += share * kl(best, pi);
}

Truth KnownWorlds::of(const LanguageModel& policy, double kl_coef, double entropy_coef) {
  const double tempering = kl_coef + entropy_coef, share = 1 / double(worlds_.size());
  Truth truth{{0, 0, 0, 0}, 0, {}, {}};
  if (tempering > 0) truth.kl_to_posterior = truth.kl_from_posterior = 0.0;
  for (Known& known : worlds_) {
    enumerate_policy(known, policy);
    const Objective at = exact_objective(known.log_pi, known.log_q, known.reward, kl_coef);
    truth.at.reward += share * at.reward;
    truth.at.kl += share * at.kl;
    truth.at.entropy += share * at.entropy;
    if (discount_.gamma < 1) {
      discount(known, kl_coef, entropy_coef, truth);
      compare(known, truth);
      continue;
    }
    truth.at.objective += share * (at.objective + entropy_coef * at.entropy);
    if (tempering == 0) {
      double best = kImpossible;
      for (size_t i = 0; i < known.reward.size(); ++i)
        if (known.log_q[i] != kImpossible) best = std::max(best, known.reward[i]);
      truth.j_star += share * best;
      known.log_posterior.clear();
      continue;
    }
    // An entropy bonus is a KL coefficient of β + α and the reward r − α log q (rl/methods/returns.h).
    std::vector<double> r = known.reward;
    for (size_t i = 0; entropy_coef > 0 && i < r.size(); ++i)
      if (known.log_q[i] != kImpossible) r[i] -= entropy_coef * known.log_q[i];
    const Posterior best = posterior(Table::of_logs(known.log_q), r, tempering);
    truth.j_star += share * best.j_star;
    known.log_posterior = best.table.log_p;
    compare(known, truth);
  }
  return truth;
}

}  // namespace gradus
