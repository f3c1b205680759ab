#include "rl/worlds/values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "rl/tables/divergence.h"

namespace gradus {

constexpr double kNone = -std::numeric_limits<double>::infinity();

PrefixTree::PrefixTree(const Sequences& sequences) {
  std::vector<int64_t> order(size_t(sequences.size()));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int64_t a, int64_t b) {
    const auto x = sequences.draws(a), y = sequences.draws(b);
    return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
  });
  struct Range {
    size_t first, end;
  };  // of a node in `order`
  std::vector<Range> ranges;
  const auto add = [&](size_t first, size_t end, int64_t depth) {
    nodes.push_back({.sequence = order[first], .depth = depth});
    ranges.push_back({first, end});
  };
  if (!order.empty()) add(0, order.size(), 0);
  for (size_t n = 0; n < nodes.size(); ++n) {  // breadth first: children come later
    const auto [first, end] = ranges[n];
    const int64_t depth = nodes[n].depth;
    nodes[n].first_edge = int64_t(edges.size());
    for (size_t at = first; at < end;) {
      const auto draws = sequences.draws(order[at]);
      require(std::ssize(draws) > depth, "PrefixTree", Loc::here(), "sequence ", order[at],
              " is the beginning of another");
      const int32_t token = draws[size_t(depth)];
      size_t next = at;
      while (next < end && sequences.draws(order[next])[size_t(depth)] == token) ++next;
      const bool ends = std::ssize(draws) == depth + 1;
      require(!ends || next == at + 1, "PrefixTree", Loc::here(), "sequence ", order[at],
              " occurs twice, or is the beginning of another");
      edges.push_back({.token = token, .child = ends ? -1 : std::ssize(nodes), .sequence = order[at]});
      if (!ends) add(at, next, depth + 1);
      at = next;
    }
    nodes[n].end_edge = int64_t(edges.size());
  }
}

std::vector<double> PrefixTree::log_conditionals(std::span<const double> log_prob) const {
  std::vector<double> mass(nodes.size(), kNone), log_p(edges.size());
  for (size_t n = nodes.size(); n-- > 0;) {
    const size_t first = size_t(nodes[n].first_edge), end = size_t(nodes[n].end_edge);
    for (size_t k = first; k < end; ++k)
      log_p[k] = edges[k].child < 0 ? log_prob[size_t(edges[k].sequence)] : mass[size_t(edges[k].child)];
    mass[n] = log_sum_exp(std::span(log_p).subspan(first, end - first));
    for (size_t k = first; k < end && mass[n] > kNone; ++k) log_p[k] -= mass[n];
  }
  return log_p;
}

std::vector<double> PrefixTree::of_edges(const Sequences& sequences, std::span<const double> reward) const {
  const bool at_end = std::ssize(reward) == sequences.size();
  std::vector<double> r(edges.size(), 0.0);
  for (const Node& node : nodes)
    for (int64_t k = node.first_edge; k < node.end_edge; ++k) {
      const Edge& edge = edges[size_t(k)];
      if (!at_end)
        r[size_t(k)] = reward[size_t(sequences.first(edge.sequence) + node.depth)];
      else if (edge.child < 0)
        r[size_t(k)] = reward[size_t(edge.sequence)];
    }
  return r;
}

std::vector<double> PrefixTree::before_draws(const Sequences& sequences, std::span<const double> x) const {
  std::vector<double> y;
  for (int64_t i = 0; i < sequences.size(); ++i) {
    int64_t node = 0;
    for (const int32_t token : sequences.draws(i)) {
      if (node < 0) throw DataError("a sequence goes on behind the end of one of the world");
      y.push_back(x[size_t(node)]);
      const auto of_node =
          std::span(edges).subspan(size_t(nodes[size_t(node)].first_edge),
                                   size_t(nodes[size_t(node)].end_edge - nodes[size_t(node)].first_edge));
      const auto edge = std::ranges::lower_bound(of_node, token, {}, &Edge::token);
      if (edge == of_node.end() || edge->token != token) throw DataError("a sequence is not one of the world");
      node = edge->child;
    }
  }
  return y;
}

// V of a node is backup(first, end, q): of its edges, whose q is known.
template <class Backup>
static Values values_of(const PrefixTree& tree, std::span<const double> reward, double gamma, Backup backup) {
  Values v{.value = std::vector<double>(tree.nodes.size()), .q = {reward.begin(), reward.end()}};
  for (size_t n = tree.nodes.size(); n-- > 0;) {
    const size_t first = size_t(tree.nodes[n].first_edge), end = size_t(tree.nodes[n].end_edge);
    for (size_t k = first; k < end; ++k)
      if (const int64_t child = tree.edges[k].child; child >= 0) v.q[k] += gamma * v.value[size_t(child)];
    v.value[n] = backup(first, end, v.q);
  }
  return v;
}

Values best_values(const PrefixTree& tree, std::span<const double> reward, std::span<const double> log_q,
                   double gamma) {
  return values_of(tree, reward, gamma, [&](size_t first, size_t end, const std::vector<double>& q) {
    double best = kNone;
    for (size_t k = first; k < end; ++k)
      if (log_q[k] > kNone) best = std::max(best, q[k]);
    return best;
  });
}

Values soft_values(const PrefixTree& tree, std::span<const double> reward, std::span<const double> log_q,
                   double kl_coef, double gamma) {
  require(kl_coef > 0, "soft_values", Loc::here(), "the coefficient of the KL is ", kl_coef, ", it must be positive");
  std::vector<double> x;
  return values_of(tree, reward, gamma, [&](size_t first, size_t end, const std::vector<double>& q) {
    double best = kNone;  // taken out before the division, which could leave the range of numbers
    for (size_t k = first; k < end; ++k)
      if (log_q[k] > kNone) best = std::max(best, q[k]);
    x.clear();
    for (size_t k = first; k < end; ++k) x.push_back(log_q[k] > kNone ? log_q[k] + (q[k] - best) / kl_coef : kNone);
    return best == kNone ? kNone : best + kl_coef * log_sum_exp(x);
  });
}

Values policy_values(const PrefixTree& tree, std::span<const double> reward, std::span<const double> log_pi,
                     std::span<const double> log_q, double kl_coef, double gamma) {
  return values_of(tree, reward, gamma, [&](size_t first, size_t end, const std::vector<double>& q) {
    double sum = 0;
    for (size_t k = first; k < end; ++k) {
      if (log_pi[k] == kNone) continue;
      sum += std::exp(log_pi[k]) * (q[k] - (kl_coef > 0 ? kl_coef * (log_pi[k] - log_q[k]) : 0));
    }
    return sum;
  });
}

std::vector<double> mean_of_edges(const PrefixTree& tree, std::span<const double> log_p, std::span<const double> x) {
  std::vector<double> mean;
  for (const PrefixTree::Node& node : tree.nodes) {
    double sum = 0;
    for (int64_t k = node.first_edge; k < node.end_edge; ++k)
      if (log_p[size_t(k)] > kNone) sum += std::exp(log_p[size_t(k)]) * x[size_t(k)];
    mean.push_back(sum);
  }
  return mean;
}

std::vector<int64_t> greedy_path(const PrefixTree& tree, const Values& values, std::span<const double> log_q) {
  std::vector<int64_t> path;
  for (int64_t node = 0; node >= 0; node = tree.edges[size_t(path.back())].child) {
    int64_t best = -1;
    for (int64_t k = tree.nodes[size_t(node)].first_edge; k < tree.nodes[size_t(node)].end_edge; ++k)
      if (log_q[size_t(k)] > kNone && (best < 0 || values.q[size_t(k)] > values.q[size_t(best)])) best = k;
    path.push_back(best);
  }
  return path;
}

}  // namespace gradus
