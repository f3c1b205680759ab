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

// The rows of a counted family, over all V tokens, each independent of the others. The history of a token is what the
// family looks at: of a table all of the line before it (`longest` is INT64_MAX), of an n-gram model at most order - 1
// tokens, none from before the line. The mark that begins a line is part of no history: a line begins with the empty
// one, and a history that is shorter than the longest stands at a beginning.
class DirichletRows {
 public:
  using History = std::vector<int32_t>;
  using Counts = std::map<int32_t, double>;  // of the tokens that were seen
  // Counts a split of a corpus; of one long text the first token is not predicted.
  DirichletRows(const Corpus& corpus, Split split, int64_t vocabulary, int64_t longest, double A);

  const std::map<History, Counts>& rows() const { return rows_; }
  std::vector<double> dense(const Counts& counts) const;  // [V]
  double log_evidence() const;                            // of all that was counted

  // log p(tokens | data) of a sequence after the beginning of a line, its end mark among the tokens: the probabilities
  // are integrated out, so that a row that is met twice has learnt from the first time.
  double log_predictive(std::span<const int32_t> tokens) const;
  // The same at the maximum of the likelihood, c / N; -inf for what was never seen.
  double log_likelihood(std::span<const int32_t> tokens) const;

 private:
  // Calls f(history, token) for each token.
  template <class F>
  void walk(std::span<const int32_t> tokens, const F& f) const;
  void count(std::span<const int32_t> tokens);

  const int64_t V_, longest_;
  const double A_;
  const bool lines_;
  std::map<History, Counts> rows_;
};

}  // namespace gradus
