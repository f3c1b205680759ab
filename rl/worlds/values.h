// Values of the prefixes of a world that is listed: the token-level decision process, solved by dynamic programming. A
// state h is a prefix, an action a the next token, which pays r(h,a); γ discounts what comes later:
//
//   Q(h,a) = r(h,a) + γ V(ha),   V = 0 after the last draw
//   best    V(h) = max_a Q(h,a), over the tokens that the prior allows: the Bellman equation
//   soft    V(h) = β log Σ_a q(a|h) e^{Q(h,a)/β}: that of E[r] − β KL(π‖q), with the optimum q e^{(Q−V)/β}
//   policy  V(h) = Σ_a π(a|h) (Q(h,a) − β log π(a|h)/q(a|h)): what a policy will earn
//
// The three are of Sutton and Barto 2018, chapters 3.6 and 4, and Levine 2018 (arXiv 1805.00909) with a prior. With γ =
// 1 the soft V of the start is J*, and the optimum over sequences is the posterior.
#pragma once

#include "rl/sequences.h"

namespace gradus {

// The prefixes of listed sequences, the whole of the tree. Node 0 is the start; children have larger numbers.
struct PrefixTree {
  struct Edge {
    int32_t token;
    int64_t child;     // the node behind it; -1: it ends a sequence
    int64_t sequence;  // one that takes it
  };
  struct Node {
    int64_t sequence, depth;               // the prefix is the first `depth` draws of that sequence
    int64_t first_edge = 0, end_edge = 0;  // its edges, by token
  };
  std::vector<Node> nodes;
  std::vector<Edge> edges;

  // ShapeError where a sequence is the beginning of another, or occurs twice.
  explicit PrefixTree(const Sequences& sequences);

  // log p(a|h) of every edge, from the log-probability of every sequence.
  std::vector<double> log_conditionals(std::span<const double> log_prob) const;
  // Of what each draw has (sequence after sequence, or of each sequence at its last draw), that of every edge.
  std::vector<double> of_edges(const Sequences& sequences, std::span<const double> reward) const;
  // Of every node on the draws of sequences of the world: x of the prefix before each. DataError for another sequence.
  std::vector<double> before_draws(const Sequences& sequences, std::span<const double> x) const;
};

struct Values {
  std::vector<double> value;  // of each node
  std::vector<double> q;      // of each edge
};
// reward: of each edge. log_q: log q(a|h) of each edge; edges that it excludes are no choice.
Values best_values(const PrefixTree& tree, std::span<const double> reward, std::span<const double> log_q, double gamma);
Values soft_values(const PrefixTree& tree, std::span<const double> reward, std::span<const double> log_q,
                   double kl_coef, double gamma);
Values policy_values(const PrefixTree& tree, std::span<const double> reward, std::span<const double> log_pi,
                     std::span<const double> log_q, double kl_coef, double gamma);
// Σ_a p(a|h) x(h,a) of every node, x of each edge.
std::vector<double> mean_of_edges(const PrefixTree& tree, std::span<const double> log_p, std::span<const double> x);

// The edges of the greedy policy from the start, each of the largest Q (of equal ones the first).
std::vector<int64_t> greedy_path(const PrefixTree& tree, const Values& values, std::span<const double> log_q);

}  // namespace gradus
