// Tabular language model: one row of logits for each beginning of a line that was seen in training. Exact worlds
// use it, since it can represent any distribution over the lines that it knows.
#pragma once

#include "models/counted/count_trie.h"
#include "models/language_model.h"

namespace gradus {

// `table.weight` [P+1,V] is an ordinary parameter; it begins at the maximum of the likelihood, log(count / total). What
// was never seen after a beginning is left out by a mask, -inf added to its logit, whatever the parameter becomes. All
// beginnings that were never seen share the last row, which has no mask and begins uniform.
class TabularLm : public LanguageModel {
 public:
  TabularLm(const ModelOptions& options, int64_t vocabulary, std::vector<double> counts);
  static void check(const ModelOptions& options);  // DataError for a text that is not of lines
  void initialise() override;
  // Features are one-hot, the row of each beginning: [B·T,P+1]. logits() looks the rows up without making them.
  int64_t width() const override { return int64_t(node_.size()) + 1; }
  Tensor head(const Tensor& features) const override;
  Tensor logits(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  State start(int64_t B) const override;
  std::unique_ptr<LanguageModel> clone() const override;
  std::span<const double> counts() const override { return counts_; }

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor advance(State& state, std::span<const int32_t> tokens) const override;
  int32_t after(int32_t node, int32_t token) const;
  std::span<const int32_t> rows(std::span<const int32_t> tokens, int64_t B, int64_t T) const;
  Tensor look_up(std::span<const int32_t> rows) const;

  std::vector<double> counts_;
  CountTrie trie_;
  std::vector<int32_t> row_;   // of each node; P for a leaf, which nothing follows
  std::vector<int64_t> node_;  // of each row but the last
  Tensor table_;
};

}  // namespace gradus
