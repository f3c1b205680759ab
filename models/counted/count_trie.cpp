#include "models/counted/count_trie.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "engine/long_loop.h"

namespace gradus {
namespace {

// A tree that grows: nodes in the order in which they were met.
struct GrowingTrie {
  std::vector<double> count{0};
  std::unordered_map<uint64_t, uint32_t> child;  // by parent and token

  static uint64_t key(uint32_t node, int32_t token) { return uint64_t(node) << 32 | uint32_t(token); }

  // Counts each beginning of `sequence` that is longer than `silent` tokens.
  void add(std::span<const int32_t> sequence, size_t silent = 0) {
    uint32_t node = CountTrie::kRoot;
    for (size_t i = 0; i < sequence.size(); ++i) {
      const auto [found, fresh] = child.emplace(key(node, sequence[i]), uint32_t(count.size()));
      if (fresh) count.push_back(0);
      node = found->second;
      if (i >= silent) ++count[node];
    }
  }

  // Nodes renumbered level by level, siblings by token.
  std::vector<double> table() const {
    std::vector<std::pair<uint64_t, uint32_t>> edges(child.begin(), child.end());  // by parent, then by token
    std::sort(edges.begin(), edges.end());
    std::vector<double> rows;
    std::vector<uint32_t> order{CountTrie::kRoot};
    for (size_t i = 0; i < order.size(); ++i) {
      const uint32_t parent = order[i];
      auto edge = std::lower_bound(edges.begin(), edges.end(), std::pair(key(parent, 0), uint32_t(0)));
      for (; edge != edges.end() && edge->first >> 32 == parent; ++edge) {
        // A mark that begins lines and ends none, since all are cut, counts once: every row has a count.
        const double n = std::max(count[edge->second], 1.0);
        rows.insert(rows.end(), {double(i), double(uint32_t(edge->first)), n});
        order.push_back(edge->second);
      }
    }
    return rows;
  }
};

}  // namespace

std::vector<double> count_runs(const ModelOptions& options, const Corpus& corpus) {
  GrowingTrie trie;
  const auto add_runs = [&](std::span<const int32_t> sequence, bool begins_with_mark) {
    const LongLoop loop("counting tokens", int64_t(sequence.size()));
    for (size_t i = 0; i < sequence.size(); ++i) {
      loop.at(int64_t(i));
      trie.add(sequence.subspan(i, std::min(size_t(options.order), sequence.size() - i)), i == 0 && begins_with_mark);
    }
  };
  if (!options.lines) add_runs(corpus.tokens(Split::kTrain), false);
  const LongLoop loop("counting lines", corpus.lines(Split::kTrain));
  for (int64_t i = 0; i < corpus.lines(Split::kTrain); ++i) {
    loop.at(i);
    const Window line = corpus.window(Split::kTrain, i);
    add_runs({line.inputs.data(), line.inputs.size() + 1}, true);  // the last target lies behind the last input
  }
  return trie.table();
}

std::vector<double> count_beginnings(const ModelOptions&, const Corpus& corpus) {
  GrowingTrie trie;
  for (int64_t i = 0; i < corpus.lines(Split::kTrain); ++i) trie.add(corpus.window(Split::kTrain, i).targets);
  return trie.table();
}

CountTrie::CountTrie(std::span<const double> table, int64_t V) : parent_{-1}, token_{-1}, count_{0} {
  const auto whole = [](double x, double least, double most) { return x >= least && x <= most && x == std::floor(x); };
  for (size_t i = 0; i + 2 < table.size(); i += 3) {
    const double *row = &table[i], n = double(size());
    if (!whole(row[0], std::max(0.0, double(parent_.back())), n - 1) || !whole(row[1], 0, double(V - 1)) ||
        !whole(row[2], 1, 0x1p53) || (row[0] == double(parent_.back()) && row[1] <= double(token_.back())))
      throw DataError(text("counts: row ", i / 3, " is (", row[0], ", ", row[1], ", ", row[2],
                           "); it must hold an earlier row, a token and a count, in order"));
    parent_.push_back(int64_t(row[0]));
    token_.push_back(int32_t(row[1]));
    count_.push_back(row[2]);
  }
  if (table.size() % 3 != 0 || table.empty())
    throw DataError("counts: the table must have rows of three numbers, at least one");
  for (int64_t node = 0, next = 1; node <= size(); ++node) {
    while (next < size() && parent_[size_t(next)] < node) ++next;
    first_child_.push_back(next);
  }
}

int64_t CountTrie::child(int64_t node, int32_t token) const {
  const auto begin = token_.begin() + first_child(node), end = token_.begin() + first_child(node + 1);
  const auto found = std::lower_bound(begin, end, token);
  return found != end && *found == token ? found - token_.begin() : -1;
}

int64_t CountTrie::find(std::span<const int32_t> sequence) const {
  int64_t node = kRoot;
  for (size_t i = 0; i < sequence.size() && node >= 0; ++i) node = child(node, sequence[i]);
  return node;
}

}  // namespace gradus
