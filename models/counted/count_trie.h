// Counts of token sequences as a tree: a node is a sequence, its children are that sequence and one token more. The
// families that are fitted by counting (ngram, tabular) use one; in a checkpoint it is the tensor `counts`.
//
//   CountTrie trie(count_runs(options, corpus), V);
//   trie.count(trie.child(trie.child(trie.kRoot, the), cat));      // how often "the cat" occurs
#pragma once

#include <span>
#include <vector>

#include "models/model_options.h"
#include "models/text/corpus.h"

namespace gradus {

// The tree of the training split of a corpus as one flat table [nodes, 3]: parent, token, count of each node but the
// root, parents first, children of one parent in a row in the order of their tokens.
//   count_runs: every run of at most options.order tokens, none across the end of a line. The mark that begins a line
//               is counted as the beginning of longer runs, not by itself: nothing predicts it.
//   count_beginnings: every beginning of a line, its end mark included.
std::vector<double> count_runs(const ModelOptions& options, const Corpus& corpus);
std::vector<double> count_beginnings(const ModelOptions& options, const Corpus& corpus);

class CountTrie {
 public:
  static constexpr int64_t kRoot = 0;
  // Throws DataError if the table is not one that count_tokens makes for V tokens.
  CountTrie(std::span<const double> table, int64_t V);

  int64_t size() const { return int64_t(token_.size()); }  // nodes, the root too; a parent's number is lower
  // −1 if there is none.
  int64_t child(int64_t node, int32_t token) const;
  int64_t find(std::span<const int32_t> sequence) const;
  // Children of a node are nodes first_child(node) .. first_child(node + 1) - 1.
  int64_t first_child(int64_t node) const { return first_child_[size_t(node)]; }
  bool is_leaf(int64_t node) const { return first_child(node) == first_child(node + 1); }
  int64_t parent(int64_t node) const { return parent_[size_t(node)]; }
  int32_t token(int64_t node) const { return token_[size_t(node)]; }
  double count(int64_t node) const { return count_[size_t(node)]; }

 private:
  std::vector<int64_t> parent_, first_child_;
  std::vector<int32_t> token_;
  std::vector<double> count_;
};

}  // namespace gradus
