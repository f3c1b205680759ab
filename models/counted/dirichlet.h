// The posterior of next-token probabilities in closed form. What follows one history is one unknown distribution over K
// tokens; under a prior Dirichlet(A, ..., A) and counts c, N of them in all, it is Dirichlet(A + c_1, ..., A + c_K):
//
//   mean      m_k = (A + c_k) / (K A + N), which is also the predictive, p(next = k | data)
//   variance  m_k (1 - m_k) / (K A + N + 1)
//   evidence  log Γ(KA) - log Γ(KA + N) + Σ_k log Γ(A + c_k) - log Γ(A), of the draws in their order
//                                                          (Gelman et al., Bayesian Data Analysis, 3rd ed., 3.4)
// --smoothing add --alpha A is this predictive of one more token; with A = 1 it is Laplace's rule.
//
//   const DirichletRows rows(corpus, Split::kTrain, V, 2, 1);        // trigrams
//   rows.log_evidence(); rows.log_predictive(line);
#pragma once

#include <map>
#include <span>
#include <vector>

#include "models/text/corpus.h"

namespace gradus {

struct DirichletPosterior {
  double log_evidence = 0;
  std::vector<double> mean = {}, variance = {};
};
// ShapeError without counts, for a negative one, or where A is not above 0.
DirichletPosterior dirichlet_posterior(std::span<const double> counts, double A, Loc where = Loc::here());

// log Γ(a + n) - log Γ(a), to rounding also where a is so large that the difference of the two has no digits left.
// REQUIRES: a > 0, n >= 0.
double log_rising(double a, double n);

// The rows of a counted family, over all V tokens, each independent of the others. The history of a token is what the
// family looks at: of a table all of the line before it (`longest` is INT64_MAX), of an n-gram model at most order - 1
// tokens, none from before the line. The mark that begins a line is part of no history: a line begins with the empty
// one, and a history that is shorter than the longest stands at a beginning.
//
// Histories are the nodes of a tree: a node is that of its parent and one token more. So a line of n tokens, each with
// all of the line before it, takes time and memory in proportion to n.
class DirichletRows {
 public:
  // Counts a split of a corpus; of one long text the first token is not predicted.
  DirichletRows(const Corpus& corpus, Split split, int64_t vocabulary, int64_t longest, double A);

  int64_t size() const { return rows_; }
  double tokens_of_histories() const;  // of all rows
  // Calls f(row) for the rows in the order of their histories, until it returns false.
  template <class F>
  void each(F f) const {
    std::vector<int64_t> open{0};
    while (!open.empty()) {
      const int64_t node = open.back();
      open.pop_back();
      const Node& n = tree_.nodes[size_t(node)];
      if (n.total > 0 && !f(node)) return;
      for (auto next = n.next.rbegin(); next != n.next.rend(); ++next)
        if (next->second.child > 0) open.push_back(next->second.child);
    }
  }
  std::vector<int32_t> history(int64_t row) const;
  std::vector<double> counts(int64_t row) const;                              // [V]
  double total(int64_t row) const { return tree_.nodes[size_t(row)].total; }  // their sum
  double log_evidence() const;                                                // of all that was counted

  // log p(tokens | data) of a sequence after the beginning of a line, its end mark among the tokens: the probabilities
  // are integrated out, so that a row that is met twice has learnt from the first time.
  double log_predictive(std::span<const int32_t> tokens) const;
  // The same at the maximum of the likelihood, c / N; -inf for what was never seen.
  double log_likelihood(std::span<const int32_t> tokens) const;

 private:
  struct Next {
    double count = 0;   // of the token behind the history
    int64_t child = 0;  // the node of the history and the token; 0 where there is none
  };
  struct Node {
    int64_t parent, length;
    int32_t token;  // the last of the history
    double total = 0;
    std::map<int32_t, Next> next = {};
  };
  struct Tree {
    std::vector<Node> nodes{{.parent = 0, .length = 0, .token = 0}};
    int64_t grow(int64_t node, int32_t token);        // the child, made where there is none
    int64_t find(int64_t node, int32_t token) const;  // -1 where there is none, or no node
    double count(int64_t node, int32_t token) const;  // 0 of no node
    double total(int64_t node) const { return node < 0 ? 0 : nodes[size_t(node)].total; }
    void add(int64_t node, int32_t token);
  };
  // Calls f(node, token) for each token; step(node, token) is the node of one token more.
  template <class Step, class F>
  void walk(std::span<const int32_t> tokens, const Step& step, const F& f) const;
  void count(std::span<const int32_t> tokens);

  const int64_t V_, longest_;
  const double A_;
  const bool lines_;
  int64_t rows_ = 0;
  Tree tree_;
};

}  // namespace gradus
