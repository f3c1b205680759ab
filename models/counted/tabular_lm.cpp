// Tabular language model: one row of logits for each beginning of a line that was seen in training. Exact worlds
// use it, since it can represent any distribution over the lines that it knows.
#include <algorithm>
#include <cmath>

#include "engine/checks.h"
#include "models/counted/count_trie.h"
#include "models/family.h"
#include "models/language_model.h"

namespace gradus {

// `table.weight` [P+1,V] is an ordinary parameter; it begins at the maximum of the likelihood, log(count / total). What
// was never seen after a beginning is left out by a mask, -inf added to its logit, whatever the parameter becomes. All
// beginnings that were never seen share the last row, which has no mask and begins uniform.
class TabularLm : public LanguageModel {
 public:
  TabularLm(const ModelOptions& options, int64_t V, std::vector<double> counts)
      : LanguageModel(options, V), counts_(std::move(counts)), trie_(counts_, V) {
    for (int64_t node = 0; node < trie_.size(); ++node)
      if (!trie_.is_leaf(node)) node_.push_back(node);
    const int64_t P = int64_t(node_.size());
    row_.assign(size_t(trie_.size()), int32_t(P));
    for (int64_t r = 0; r < P; ++r) row_[size_t(node_[size_t(r)])] = int32_t(r);
    table_ = params_.add("table.weight", {P + 1, V}, Init::constant(0));
  }

  void initialise() override {
    LanguageModel::initialise();
    const std::span<real> table = params_.edit(table_);
    for (size_t r = 0; r < node_.size(); ++r) {
      const int64_t first = trie_.first_child(node_[r]), end = trie_.first_child(node_[r] + 1);
      double total = 0;
      for (int64_t c = first; c < end; ++c) total += trie_.count(c);
      for (int64_t c = first; c < end; ++c)
        table[r * size_t(vocabulary()) + size_t(trie_.token(c))] = real(std::log(trie_.count(c) / total));
    }
  }

  // Features are one-hot, the row of each beginning: [B·T,P+1]. logits() looks the rows up without making them.
  int64_t width() const override { return int64_t(node_.size()) + 1; }
  // A product with one-hot rows picks rows of the table.
  Tensor head(const Tensor& features) const override {
    require_rank("head", "features", features, 2, Loc::here());
    const int64_t N = features.dim(0), P1 = features.dim(1);
    int32_t* hot = Tape::current(Loc::here()).arena().array<int32_t>(N);
    for (int64_t i = 0; i < N && !measures(); ++i) {
      const real* row = features.data() + i * P1;
      hot[i] = int32_t(std::max_element(row, row + P1) - row);
    }
    return look_up({hot, size_t(N)});
  }

  Tensor logits(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    check_tokens("logits", tokens, B * T, Loc::here());
    return look_up(rows(tokens, B, T));
  }

  // A row of the state holds the node of what was read.
  State start(int64_t B) const override { return State(B, 0, 1); }
  std::span<const double> counts() const override { return counts_; }

 private:
  static bool measures() { return Tape::current(Loc::here()).measures(); }

  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    const std::span<const int32_t> hot = rows(tokens, B, T);
    const Tensor y = named("beginning", constant({B * T, int64_t(node_.size()) + 1}, 0));
    for (size_t i = 0; i < hot.size() && !measures(); ++i) y.rows(int64_t(i), 1).edit()[size_t(hot[i])] = 1;
    return y;
  }

  Tensor advance(State& state, std::span<const int32_t> tokens) const override {
    int32_t* row = Tape::current(Loc::here()).arena().array<int32_t>(state.rows);
    for (int64_t r = 0; r < state.rows; ++r) {
      int32_t& node = state.tokens[size_t(r)];
      node = after(node, tokens[size_t(r)]);
      row[r] = node < 0 ? int32_t(node_.size()) : row_[size_t(node)];
      ++state.position[size_t(r)];
    }
    return look_up({row, size_t(state.rows)});
  }

  // The node of a beginning and one token more; -1 if it was never seen. The mark begins a line; behind a prompt, which
  // has a token at least, it is a token of the line.
  int32_t after(int32_t node, int32_t token) const {
    if (token == options().end_id && (!options().pairs || node == CountTrie::kRoot)) return CountTrie::kRoot;
    return node < 0 ? -1 : int32_t(trie_.child(node, token));
  }

  // The row of the table after each token, on the tape's arena.
  std::span<const int32_t> rows(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
    int32_t* row = Tape::current(Loc::here()).arena().array<int32_t>(B * T);
    int32_t node = CountTrie::kRoot;
    for (int64_t i = 0; i < B * T; ++i) {
      if (i % T == 0) node = CountTrie::kRoot;
      node = after(node, tokens[size_t(i)]);
      row[i] = node < 0 ? int32_t(node_.size()) : row_[size_t(node)];
    }
    return {row, size_t(B * T)};
  }

  // The rows of the table, without what was never seen.
  Tensor look_up(std::span<const int32_t> rows) const {
    const int64_t V = vocabulary();
    const Tensor mask = named("mask", constant({int64_t(rows.size()), V}, 0));
    for (size_t i = 0; i < rows.size() && !measures(); ++i) {
      if (size_t(rows[i]) == node_.size()) continue;
      const int64_t node = node_[size_t(rows[i])];
      real* m = mask.edit().data() + int64_t(i) * V;
      std::fill_n(m, V, real(-INFINITY));
      for (int64_t c = trie_.first_child(node); c < trie_.first_child(node + 1); ++c) m[trie_.token(c)] = 0;
    }
    return named("logits", add(embedding(table_, rows), mask));
  }

  std::vector<double> counts_;
  CountTrie trie_;
  std::vector<int32_t> row_;   // of each node; P for a leaf, which nothing follows
  std::vector<int64_t> node_;  // of each row but the last
  Tensor table_;
};

Family tabular_family() {
  return {.name = "tabular",
          .title = "a table",
          .count = count_beginnings,
          .check =
              [](const ModelOptions& options) {
                if (!options.lines)
                  throw DataError("a tabular model needs lines (--lines): its rows are beginnings of lines");
              },
          .declare = declare_counted<TabularLm>,
          .advice = "a table has one row for each beginning of a line: use fewer or shorter lines"};
}

}  // namespace gradus
