// n-gram language model: the distribution of a token given the order - 1 tokens before it, from counts. It has no
// parameters, so it serves as prior and yardstick and cannot be tuned.
#pragma once

#include "models/counted/count_trie.h"
#include "models/language_model.h"

namespace gradus {

// With h the last tokens, at most order - 1 of them and none from before the last mark, c(·) counts, N = Σ_w c(hw):
//   none        c(hw) / N. What was never seen has probability 0, its logit is -inf. Where h itself was never seen, the
//               longest end of it that was takes its place.
//   add         (c(hw) + alpha) / (N + alpha V)                                                    (Lidstone)
//   kneser-ney  (max(c(hw) - D, 0) + D t p(w | h without its first token)) / N, t the number of different w after h;
//   the
//               shortest h leans on 1/V. Below the full length c counts the different tokens before hw instead, except
//               where h begins with the mark, before which stands nothing. D = n1 / (n1 + 2 n2) for each length, from
//               the numbers of counts that are 1 and 2; ½ where no count is 1.
//               (Kneser and Ney 1995, in the interpolated form of Chen and Goodman 1999; D after Ney, Essen, Kneser
//               1994)
class NgramLm : public LanguageModel {
 public:
  NgramLm(const ModelOptions& options, int64_t vocabulary, std::vector<double> counts);
  // The features are the logits: the log-probabilities of the next token.
  int64_t width() const override { return vocabulary(); }
  Tensor head(const Tensor& features) const override { return features; }
  State start(int64_t B) const override;
  std::span<const double> counts() const override { return counts_; }

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor advance(State& state, std::span<const int32_t> tokens) const override;
  void weigh_by_continuation();
  std::span<const int32_t> history(std::span<const int32_t> tokens) const;
  void probabilities(std::span<const int32_t> history, std::span<double> p) const;
  void log_probabilities(std::span<const int32_t> history, real* out) const;

  const Smoothing smoothing_;
  std::vector<double> counts_;
  CountTrie trie_;
  std::vector<double> weight_;         // c of each node
  std::vector<double> total_, types_;  // of each node: Σ c of its children, and how many are not 0
  std::vector<double> discount_;       // D of each length
};

}  // namespace gradus
