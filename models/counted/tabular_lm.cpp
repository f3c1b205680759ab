#include "models/counted/tabular_lm.h"

#include <algorithm>
#include <cmath>

#include "engine/checks.h"

namespace gradus {

void TabularLm::check(const ModelOptions& options) {
  if (!options.lines) throw DataError("--model tabular needs --lines: its rows are beginnings of lines");
}

TabularLm::TabularLm(const ModelOptions& options, int64_t V, std::vector<double> counts)
    : LanguageModel(options, V), counts_(std::move(counts)), trie_(counts_, V) {
  for (int64_t node = 0; node < trie_.size(); ++node)
    if (!trie_.is_leaf(node)) node_.push_back(node);
  const int64_t P = int64_t(node_.size());
  row_.assign(size_t(trie_.size()), int32_t(P));
  for (int64_t r = 0; r < P; ++r) row_[size_t(node_[size_t(r)])] = int32_t(r);
  table_ = params_.add("table.weight", {P + 1, V}, Init::constant(0));
}

void TabularLm::initialise() {
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

// The node of a beginning and one token more; -1 if it was never seen. The mark begins a line.
int32_t TabularLm::after(int32_t node, int32_t token) const {
  if (token == options().end_id) return CountTrie::kRoot;
  return node < 0 ? -1 : int32_t(trie_.child(node, token));
}

// The row of the table after each token, on the tape's arena.
std::span<const int32_t> TabularLm::rows(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
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
Tensor TabularLm::look_up(std::span<const int32_t> rows) const {
  const int64_t V = vocabulary();
  const Tensor mask = constant({int64_t(rows.size()), V}, 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (size_t(rows[i]) == node_.size()) continue;
    const int64_t node = node_[size_t(rows[i])];
    real* m = mask.data() + int64_t(i) * V;
    std::fill_n(m, V, real(-INFINITY));
    for (int64_t c = trie_.first_child(node); c < trie_.first_child(node + 1); ++c) m[trie_.token(c)] = 0;
  }
  return add(embedding(table_, rows), mask);
}

Tensor TabularLm::logits(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  check_tokens("logits", tokens, B * T, Loc::here());
  return look_up(rows(tokens, B, T));
}

Tensor TabularLm::encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  const std::span<const int32_t> hot = rows(tokens, B, T);
  const Tensor y = constant({B * T, int64_t(node_.size()) + 1}, 0);
  for (size_t i = 0; i < hot.size(); ++i) y.rows(int64_t(i), 1).data()[hot[i]] = 1;
  return y;
}

// A product with one-hot rows picks rows of the table.
Tensor TabularLm::head(const Tensor& features) const {
  require_rank("head", "features", features, 2, Loc::here());
  const int64_t N = features.dim(0), P1 = features.dim(1);
  int32_t* hot = Tape::current(Loc::here()).arena().array<int32_t>(N);
  for (int64_t i = 0; i < N; ++i) {
    const real* row = features.data() + i * P1;
    hot[i] = int32_t(std::max_element(row, row + P1) - row);
  }
  return look_up({hot, size_t(N)});
}

// A row of the state holds the node of what was read.
State TabularLm::start(int64_t B) const { return State(B, 0, 1); }

Tensor TabularLm::advance(State& state, std::span<const int32_t> tokens) const {
  int32_t* row = Tape::current(Loc::here()).arena().array<int32_t>(state.rows);
  for (int64_t r = 0; r < state.rows; ++r) {
    int32_t& node = state.tokens[size_t(r)];
    node = after(node, tokens[size_t(r)]);
    row[r] = node < 0 ? int32_t(node_.size()) : row_[size_t(node)];
    ++state.position[size_t(r)];
  }
  return look_up({row, size_t(state.rows)});
}

}  // namespace gradus
