// gradus exact values: what each beginning of a text is worth, and each token behind it: V and Q of the token-level
// decision process (rl/worlds/values.h). Without --kl-coef those of the best text that can follow, and the greedy
// policy reaches it; with it those of E[r] − β KL(π‖q), and the optimal probability of each token.
#include <cmath>
#include <cstdio>

#include "apps/exact.h"
#include "apps/format.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "models/memory.h"
#include "models/text/utf8.h"
#include "rl/pay.h"
#include "rl/rewards/reward.h"
#include "rl/worlds/values.h"

namespace gradus {
namespace {

constexpr size_t kShownPrefixes = 40;

struct Solved {
  const ExactCommand& command;
  const Checkpoint& run;
  const Sequences& sequences;
  const PrefixTree& tree;
  const Values& values;
  std::vector<double> log_q;  // of edges

  std::string text_of_prefix(size_t node) const {
    const PrefixTree::Node& n = tree.nodes[node];
    return valid_utf8(run.tokenizer.decode(sequences.draws(n.sequence).first(size_t(n.depth))));
  }
  std::string token(size_t edge) const { return valid_utf8(run.tokenizer.token(tree.edges[edge].token)); }
  // The probability of the token under the optimum.
  double optimal(size_t node, size_t edge) const {
    return std::exp(log_q[edge] + (values.q[edge] - values.value[node]) / command.tuning.kl_coef);
  }

  Json record(size_t node) const {
    Json tokens = Json::array();
    for (auto k = size_t(tree.nodes[node].first_edge); k < size_t(tree.nodes[node].end_edge); ++k) {
      Json one{{"text", token(k)}, {"q", json_number(values.q[k])}};
      if (command.is_soft) one["p"] = json_number(optimal(node, k));
      tokens.push_back(std::move(one));
    }
    return {{"text", text_of_prefix(node)}, {"value", json_number(values.value[node])}, {"tokens", std::move(tokens)}};
  }
  std::string line(size_t node) const {
    std::string line =
        right(fixed(values.value[node], 9), 15) + "  " + Json(one_line(text_of_prefix(node), 40)).dump() + " then";
    for (auto k = size_t(tree.nodes[node].first_edge); k < size_t(tree.nodes[node].end_edge); ++k)
      line += text("  ", one_line(token(k), 20), " ", fixed(values.q[k], 6),
                   command.is_soft ? text(" (", fixed(optimal(node, k), 4), ")") : std::string());
    return line;
  }
};

// The sequence that the greedy policy makes.
int64_t greedy_sequence(const Solved& s) {
  return s.tree.edges[size_t(greedy_path(s.tree, s.values, s.log_q).back())].sequence;
}

}  // namespace

int answer_values(const ExactCommand& command) {
  const Checkpoint run = load_checkpoint(command.run);
  note_burn_in(run, command.common);
  const TuneConfig& options = command.tuning;
  const Reward terms(options.reward, run.tokenizer);
  const Enumeration all = enumerate_one(run, world_of(command, run));
  constexpr double kOfDraw = 200;  // bytes of its node, its edge and their values
  require_memory(kOfDraw * double(all.sequences.first(all.sequences.size())), "the values of all prefixes",
                 "use a smaller --max-tokens");
  const RewardFunction whole = text_reward(terms, run.tokenizer, {run.prompt(command.prompt)});
  const bool by_step = row_named(kPays, options.pay, "way of paying").value == Pay::kStep;
  const std::vector<double> r = rewards_of(all.sequences, whole),
                            paid = by_step ? rewards_of(all.sequences, paid_by_step(whole)) : r;
  const PrefixTree tree(all.sequences);
  const std::vector<double> log_q = tree.log_conditionals(all.log_prob[0]), reward = tree.of_edges(all.sequences, paid);
  const Values values = command.is_soft ? soft_values(tree, reward, log_q, options.kl_coef, options.gamma)
                                        : best_values(tree, reward, log_q, options.gamma);
  const Solved s{command, run, all.sequences, tree, values, log_q};
  const int64_t best = greedy_sequence(s);
  if (command.common.json) {
    const Json head{{"value", json_number(values.value[0])},
                    {"greedy",
                     {{"text", text_of(run, all.sequences, best)},
                      {"reward", json_number(r[size_t(best)])},
                      {"ended", all.sequences.ended(best)}}}};
    const std::string before = head.dump();
    std::fputs((before.substr(0, before.size() - 1) + ",\"prefixes\":[").c_str(), stdout);
    for (size_t n = 0; n < tree.nodes.size(); ++n) std::fputs(((n ? "," : "") + s.record(n).dump()).c_str(), stdout);
    std::fputs("]}\n", stdout);
    return kDone;
  }
  std::printf("%15s  prefix, then each token with its Q%s\n", "V",
              command.is_soft ? " (and its optimal probability)" : "");
  for (size_t n = 0; n < std::min(tree.nodes.size(), kShownPrefixes); ++n) std::printf("%s\n", s.line(n).c_str());
  if (tree.nodes.size() > kShownPrefixes)
    std::printf("%15s  %s more; --json lists all\n", "", grouped(int64_t(tree.nodes.size() - kShownPrefixes)).c_str());
  std::printf(
      command.is_soft ? "\nThe token of the largest soft Q at each place writes %s, with the reward %s; the optimum "
                        "draws each token by its probability.\n"
                      : "\nThe greedy policy writes %s, with the reward %s.\n",
      Json(one_line(text_of(run, all.sequences, best), 80)).dump().c_str(), significant(r[size_t(best)], 12).c_str());
  return kDone;
}

}  // namespace gradus
