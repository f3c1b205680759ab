#include "models/counted/dirichlet.h"

#include <algorithm>
#include <cmath>

#include "engine/long_loop.h"

namespace gradus {

// By Stirling's series, of which the terms that are left out are below 1e-18 here.
double log_rising(double a, double n) {
  constexpr double kLarge = 1e3;
  if (a < kLarge) return std::lgamma(a + n) - std::lgamma(a);
  const double b = a + n;
  return (a - 0.5) * std::log1p(n / a) + n * std::log(b) - n + (1 / b - 1 / a) / 12 -
         (1 / (b * b * b) - 1 / (a * a * a)) / 360;
}

DirichletPosterior dirichlet_posterior(std::span<const double> counts, double A, Loc where) {
  require(!counts.empty(), "dirichlet_posterior", where, "there are no counts");
  require(A > 0, "dirichlet_posterior", where, "the prior's A is ", A, ", it must be above 0");
  const double KA = A * double(counts.size());
  double N = 0;
  for (const double c : counts) {
    require(c >= 0, "dirichlet_posterior", where, "a count is ", c);
    N += c;
  }
  DirichletPosterior posterior{.log_evidence = -log_rising(KA, N)};
  for (const double c : counts) {
    const double mean = (A + c) / (KA + N);
    posterior.mean.push_back(mean);
    posterior.variance.push_back(mean * (1 - mean) / (KA + N + 1));
    if (c > 0) posterior.log_evidence += log_rising(A, c);
  }
  return posterior;
}

DirichletRows::DirichletRows(const Corpus& corpus, Split split, int64_t vocabulary, int64_t longest, double A)
    : V_(vocabulary), longest_(longest), A_(A), lines_(corpus.lines(Split::kAll) > 0) {
  require(A > 0, "DirichletRows", Loc::here(), "the prior's A is ", A, ", it must be above 0");
  const int64_t lines = corpus.lines(split);
  if (!lines_) count(corpus.tokens(split));
  const LongLoop loop("counting lines", lines);
  for (int64_t i = 0; i < lines; ++i) {
    loop.at(i);
    count(corpus.window(split, i).targets);
  }
  rows_ = std::ranges::count_if(tree_.nodes, [](const Node& node) { return node.total > 0; });
}

int64_t DirichletRows::Tree::grow(int64_t node, int32_t token) {
  Next& next = nodes[size_t(node)].next[token];
  if (next.child > 0) return next.child;
  const int64_t child = next.child = std::ssize(nodes), length = nodes[size_t(node)].length + 1;
  nodes.push_back({.parent = node, .length = length, .token = token});
  return child;
}

int64_t DirichletRows::Tree::find(int64_t node, int32_t token) const {
  if (node < 0) return -1;
  const auto& next = nodes[size_t(node)].next;
  const auto found = next.find(token);
  return found == next.end() || found->second.child == 0 ? -1 : found->second.child;
}

double DirichletRows::Tree::count(int64_t node, int32_t token) const {
  if (node < 0) return 0;
  const auto& next = nodes[size_t(node)].next;
  const auto found = next.find(token);
  return found == next.end() ? 0 : found->second.count;
}

void DirichletRows::Tree::add(int64_t node, int32_t token) {
  ++nodes[size_t(node)].total;
  ++nodes[size_t(node)].next[token].count;
}

template <class Step, class F>
void DirichletRows::walk(std::span<const int32_t> tokens, const Step& step, const F& f) const {
  const int64_t n = std::ssize(tokens);
  const LongLoop loop("reading a text", n);
  int64_t node = 0;
  for (int64_t i = 0; i < n; ++i) {
    loop.at(i);
    if (i > longest_) {  // the first token leaves the window, so it is another path from the root
      node = 0;
      for (int64_t j = i - longest_; j < i; ++j) node = step(node, tokens[size_t(j)]);
    } else if (i > 0) {
      node = step(node, tokens[size_t(i - 1)]);
    }
    if (lines_ || i > 0) f(node, tokens[size_t(i)]);
  }
}

void DirichletRows::count(std::span<const int32_t> tokens) {
  walk(
      tokens, [&](int64_t node, int32_t token) { return tree_.grow(node, token); },
      [&](int64_t node, int32_t token) { tree_.add(node, token); });
}

std::vector<int32_t> DirichletRows::history(int64_t row) const {
  std::vector<int32_t> tokens;
  for (; row > 0; row = tree_.nodes[size_t(row)].parent) tokens.push_back(tree_.nodes[size_t(row)].token);
  std::ranges::reverse(tokens);
  return tokens;
}

std::vector<double> DirichletRows::counts(int64_t row) const {
  std::vector<double> all(static_cast<size_t>(V_));
  for (const auto& [token, next] : tree_.nodes[size_t(row)].next) all[size_t(token)] = next.count;
  return all;
}

double DirichletRows::tokens_of_histories() const {
  double sum = 0;
  for (const Node& node : tree_.nodes) sum += node.total > 0 ? double(node.length) : 0;
  return sum;
}

double DirichletRows::log_evidence() const {
  double sum = 0;
  for (const Node& node : tree_.nodes) {
    if (node.total == 0) continue;
    sum -= log_rising(A_ * double(V_), node.total);
    for (const auto& [token, next] : node.next)
      if (next.count > 0) sum += log_rising(A_, next.count);
  }
  return sum;
}

double DirichletRows::log_predictive(std::span<const int32_t> tokens) const {
  Tree met;                    // within these tokens
  std::vector<int64_t> at{0};  // the node of the counts, -1 where there is none, of each node of `met`
  double sum = 0;
  walk(
      tokens,
      [&](int64_t node, int32_t token) {
        const int64_t child = met.grow(node, token);
        if (child == std::ssize(at)) at.push_back(tree_.find(at[size_t(node)], token));
        return child;
      },
      [&](int64_t node, int32_t token) {
        const int64_t row = at[size_t(node)];
        sum += std::log((A_ + met.count(node, token) + tree_.count(row, token)) /
                        (A_ * double(V_) + met.total(node) + tree_.total(row)));
        met.add(node, token);
      });
  return sum;
}

double DirichletRows::log_likelihood(std::span<const int32_t> tokens) const {
  double sum = 0;
  walk(
      tokens, [&](int64_t node, int32_t token) { return tree_.find(node, token); },
      [&](int64_t node, int32_t token) {
        const double N = tree_.total(node);
        sum += N > 0 ? std::log(tree_.count(node, token) / N) : -INFINITY;
      });
  return sum;
}

}  // namespace gradus
