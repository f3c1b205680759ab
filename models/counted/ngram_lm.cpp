// n-gram language model: the distribution of a token given the order - 1 tokens before it, from counts. It has no
// parameters, so it serves as prior and yardstick and cannot be tuned.
#include <algorithm>
#include <cmath>

#include "engine/checks.h"
#include "engine/target.h"
#include "models/counted/count_trie.h"
#include "models/family.h"
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
  NgramLm(const ModelOptions& options, int64_t V, std::vector<double> counts)
      : LanguageModel(options, V),
        smoothing_(row_named(kSmoothings, options.smoothing, "smoothing").value),
        counts_(std::move(counts)),
        trie_(counts_, V) {
    for (int64_t node = 0; node < trie_.size(); ++node) weight_.push_back(trie_.count(node));
    if (smoothing_ == Smoothing::kKneserNey) weigh_by_continuation();
    total_.assign(weight_.size(), 0);
    types_.assign(weight_.size(), 0);
    for (int64_t node = 1; node < trie_.size(); ++node) {
      total_[size_t(trie_.parent(node))] += weight_[size_t(node)];
      types_[size_t(trie_.parent(node))] += weight_[size_t(node)] > 0;
    }
  }

  // The features are the logits: the log-probabilities of the next token.
  int64_t width() const override { return vocabulary(); }
  Tensor head(const Tensor& features) const override { return features; }
  // A row of the state holds the last order - 1 tokens, the newest at the end; -1 before the first.
  State start(int64_t B) const override { return State(B, 0, options().order - 1, -1); }
  std::span<const double> counts() const override { return counts_; }

  // Without the distributions, each of which is as long as the vocabulary.
  Tensor losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B,
                int64_t T) const override {
    check_tokens("losses", tokens, B * T, Loc::here());
    require_ids("losses", "targets", targets, vocabulary(), Loc::here(), kNoTarget);
    const Tensor y = constant({B * T}, 0);
    for (int64_t i = 0; i < B * T && !Tape::current(Loc::here()).measures(); ++i)
      if (targets[size_t(i)] != kNoTarget)
        y.edit()[size_t(i)] = real(
            -std::log(probability(history(tokens.subspan(size_t(i - i % T), size_t(i % T + 1))), targets[size_t(i)])));
    return y;
  }
  bool scores_directly() const override { return true; }

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    const Tensor y = constant({B * T, vocabulary()}, 0);
    for (int64_t b = 0; b < B && !Tape::current(Loc::here()).measures(); ++b)
      for (int64_t t = 0; t < T; ++t)
        log_probabilities(history(tokens.subspan(size_t(b * T), size_t(t + 1))),
                          y.edit().data() + (b * T + t) * vocabulary());
    return y;
  }

  Tensor advance(State& state, std::span<const int32_t> tokens) const override {
    const Tensor y = constant({state.rows, vocabulary()}, 0);
    for (int64_t r = 0; r < state.rows; ++r)
      log_probabilities(history(state.push(r, tokens[size_t(r)])), y.edit().data() + r * vocabulary());
    return y;
  }

  // Replaces the counts of runs that are shorter than the order by the number of tokens seen before them, and finds D.
  void weigh_by_continuation() {
    const size_t n = size_t(trie_.size());
    std::vector<int64_t> depth(n, 0), ending(n, CountTrie::kRoot);  // the same run without its first token
    std::vector<char> after_mark(n, 0);
    std::vector<double> before(n, 0);
    std::vector<double> ones(size_t(options().order) + 1, 0), twos = ones;
    for (size_t node = 1; node < n; ++node) {
      const size_t parent = size_t(trie_.parent(int64_t(node)));
      const int32_t token = trie_.token(int64_t(node));
      depth[node] = depth[parent] + 1;
      after_mark[node] = depth[node] > 1 &&
                         (after_mark[parent] || (depth[node] == 2 && trie_.token(int64_t(parent)) == options().end_id));
      if (depth[node] > options().order)
        throw DataError(text("counts: a run is longer than the order ", options().order));
      if (depth[node] == 1) continue;
      ending[node] = trie_.child(ending[parent], token);
      if (ending[node] < 0) throw DataError("counts: the end of a run is missing");
      ++before[size_t(ending[node])];
    }
    for (size_t node = 1; node < n; ++node) {
      const bool shorter = depth[node] < options().order && !after_mark[node];
      if (shorter) weight_[node] = before[node];
      ones[size_t(depth[node])] += weight_[node] == 1;
      twos[size_t(depth[node])] += weight_[node] == 2;
    }
    for (size_t k = 0; k < ones.size(); ++k) discount_.push_back(ones[k] > 0 ? ones[k] / (ones[k] + 2 * twos[k]) : 0.5);
  }

  // Of the tokens read so far (-1: none) those that count: back to the last mark, at most order - 1.
  std::span<const int32_t> history(std::span<const int32_t> tokens) const {
    size_t n = 0;
    const size_t most = std::min(tokens.size(), size_t(options().order - 1));
    while (n < most && tokens[tokens.size() - 1 - n] >= 0)
      if (tokens[tokens.size() - 1 - n++] == options().end_id) break;
    return tokens.last(n);
  }

  void probabilities(std::span<const int32_t> h, std::span<double> p) const {
    const auto each_child = [&](int64_t node, auto&& f) {
      for (int64_t c = trie_.first_child(node); c < trie_.first_child(node + 1); ++c)
        f(p[size_t(trie_.token(c))], weight_[size_t(c)]);
    };
    const double V = double(p.size());
    if (smoothing_ == Smoothing::kAdd) {
      const int64_t node = seen(h);
      const double N = (node < 0 ? 0 : total_[size_t(node)]) + options().alpha * V;
      std::fill(p.begin(), p.end(), options().alpha / N);
      if (node >= 0) each_child(node, [&](double& x, double c) { x = (c + options().alpha) / N; });
    } else if (smoothing_ == Smoothing::kKneserNey) {
      std::fill(p.begin(), p.end(), 1 / V);
      for (size_t length = 0; length <= h.size(); ++length) {
        const int64_t node = seen(h.last(length));
        if (node < 0) continue;
        const double N = total_[size_t(node)], D = discount_[length + 1], left = D * types_[size_t(node)] / N;
        for (double& x : p) x *= left;
        each_child(node, [&](double& x, double c) { x += std::max(c - D, 0.0) / N; });
      }
    } else {
      std::fill(p.begin(), p.end(), 0.0);
      while (seen(h) < 0) h = h.subspan(1);
      const int64_t node = seen(h);
      each_child(node, [&](double& x, double c) { x = c / total_[size_t(node)]; });
    }
  }

  // probabilities(h)[token], by the same sums in the same order.
  double probability(std::span<const int32_t> h, int32_t token) const {
    const auto count = [&](int64_t node) {  // c of the token after the run of this node
      const int64_t child = trie_.child(node, token);
      return child < 0 ? 0 : weight_[size_t(child)];
    };
    const double V = double(vocabulary());
    if (smoothing_ == Smoothing::kAdd) {
      const int64_t node = seen(h);
      const double N = (node < 0 ? 0 : total_[size_t(node)]) + options().alpha * V;
      return node < 0 ? options().alpha / N : (count(node) + options().alpha) / N;
    }
    if (smoothing_ == Smoothing::kKneserNey) {
      double p = 1 / V;
      for (size_t length = 0; length <= h.size(); ++length) {
        const int64_t node = seen(h.last(length));
        if (node < 0) continue;
        const double N = total_[size_t(node)], D = discount_[length + 1];
        p *= D * types_[size_t(node)] / N;
        p += std::max(count(node) - D, 0.0) / N;
      }
      return p;
    }
    while (seen(h) < 0) h = h.subspan(1);
    return count(seen(h)) / total_[size_t(seen(h))];
  }

  // The node of a run, −1 if nothing was seen after it.
  int64_t seen(std::span<const int32_t> run) const {
    const int64_t node = trie_.find(run);
    return node >= 0 && total_[size_t(node)] > 0 ? node : -1;
  }

  void log_probabilities(std::span<const int32_t> h, real* out) const {
    Arena& arena = Tape::current(Loc::here()).arena();
    const ArenaScope scope(arena);  // or a batch would keep as many doubles as it has results
    double* p = arena.array<double>(vocabulary());
    probabilities(h, {p, size_t(vocabulary())});
    for (int64_t v = 0; v < vocabulary(); ++v) out[v] = real(std::log(p[v]));
  }

  const Smoothing smoothing_;
  std::vector<double> counts_;
  CountTrie trie_;
  std::vector<double> weight_;         // c of each node
  std::vector<double> total_, types_;  // of each node: Σ c of its children, and how many are not 0
  std::vector<double> discount_;       // D of each length
};

Family ngram_family() {
  return {.name = "ngram",
          .title = "an n-gram model",
          .options = {"order", "smoothing", "alpha"},
          .count = count_runs,
          .declare = declare_counted<NgramLm>};
}

}  // namespace gradus
