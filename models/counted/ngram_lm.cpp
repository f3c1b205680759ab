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

// With h the last tokens, at most order - 1 of them and none from before the line, c(·) counts, N = Σ_w c(hw):
//   none        c(hw) / N. What was never seen has probability 0, its logit is -inf. Where h itself was never seen, the
//               longest end of it that was takes its place.
//   add         (c(hw) + alpha) / (N + alpha V)                                                    (Lidstone)
//               the predictive under a Dirichlet prior: models/counted/dirichlet.h
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
  std::unique_ptr<DirectScorer> direct_scorer(double temperature) const override;

 private:
  friend class NgramScorer;
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

  // Of the tokens read so far (-1: none) those that count: back to the mark that begins the line, at most order - 1. In
  // pairs it is the second one before a token of a reply, and before one of a prompt the only one.
  std::span<const int32_t> history(std::span<const int32_t> tokens) const {
    size_t n = 0, marks = 0;
    const size_t most = std::min(tokens.size(), size_t(options().order - 1));
    while (n < most && tokens[tokens.size() - 1 - n] >= 0)
      if (tokens[tokens.size() - 1 - n++] == options().end_id && ++marks == (options().pairs ? 2 : 1)) break;
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

// log p^(1/T)(w | h) / Σ_v p^(1/T)(v | h). The sum is found from the tokens that were seen after h and, for all others
// together, from the sum of the history that p leans on; it is kept for each node, so that all of them take no longer
// than the table is. What is kept is (m, s) with m = max_v log p(v | h), Σ = e^(m/T) e^s.
class NgramScorer final : public DirectScorer {
 public:
  NgramScorer(const NgramLm& model, double temperature) : model_(model), temperature_(temperature) {}

  std::vector<double> log_probs(std::span<const int32_t> tokens, std::span<const int32_t> targets) override {
    std::vector<double> out;
    for (size_t i = 0; i < targets.size(); ++i) {
      const std::span<const int32_t> h = model_.history(tokens.first(i + 1));
      const double log_p = std::log(model_.probability(h, targets[i]));
      out.push_back(temperature_ == 1 ? log_p : log_p_of(log_p, sum_of(h)));
    }
    return out;
  }

 private:
  struct LogSum {
    double most = NAN, log_sum = 0;
  };
  double log_p_of(double log_p, const LogSum& sum) const { return (log_p - sum.most) / temperature_ - sum.log_sum; }
  LogSum uniform() const {
    const double log_V = std::log(double(model_.vocabulary()));
    return {.most = -log_V, .log_sum = log_V};
  }

  LogSum sum_of(std::span<const int32_t> h) {
    const int64_t node = model_.seen(h);
    if (node < 0) {
      const bool leans = model_.smoothing_ != Smoothing::kAdd && !h.empty();
      return leans ? sum_of(h.subspan(1)) : uniform();
    }
    if (kept_.empty()) kept_.resize(size_t(model_.trie_.size()));
    if (std::isnan(kept_[size_t(node)].most)) kept_[size_t(node)] = found_sum(h, node);
    return kept_[size_t(node)];
  }

  LogSum found_sum(std::span<const int32_t> h, int64_t node) {
    const CountTrie& trie = model_.trie_;
    const int64_t first = trie.first_child(node), end = trie.first_child(node + 1);
    LogSum sum{.most = -INFINITY};
    double others = 0;  // Σ over tokens that are no children, of which none is above `most` so far, over its power
    const double N = model_.total_[size_t(node)], V = double(model_.vocabulary());
    if (model_.smoothing_ == Smoothing::kAdd) {
      const double alpha = model_.options().alpha;
      sum.most = std::log(alpha / (N + alpha * V));
      others = V - double(end - first);
    } else if (model_.smoothing_ == Smoothing::kKneserNey) {
      const LogSum below = h.empty() ? uniform() : sum_of(h.subspan(1));
      others = std::exp(below.log_sum);
      for (int64_t c = first; c < end; ++c) {
        const double p = h.empty() ? 1 / V : model_.probability(h.subspan(1), trie.token(c));
        others -= std::exp((std::log(p) - below.most) / temperature_);
      }
      others = std::max(others, 0.0);
      sum.most = std::log(model_.discount_[h.size() + 1] * model_.types_[size_t(node)] / N) + below.most;
    }
    std::vector<double> log_p;
    for (int64_t c = first; c < end; ++c) log_p.push_back(std::log(model_.probability(h, trie.token(c))));
    const double most = std::max(sum.most, *std::ranges::max_element(log_p));
    double total = others > 0 ? others * std::exp((sum.most - most) / temperature_) : 0;
    for (const double x : log_p) total += std::exp((x - most) / temperature_);
    return {.most = most, .log_sum = std::log(total)};
  }

  const NgramLm& model_;
  const double temperature_;
  std::vector<LogSum> kept_;  // by node
};

std::unique_ptr<DirectScorer> NgramLm::direct_scorer(double temperature) const {
  return temperature > 0 ? std::make_unique<NgramScorer>(*this, temperature) : nullptr;
}

Family ngram_family() {
  return {.name = "ngram",
          .title = "an n-gram model",
          .options = {"order", "smoothing", "alpha"},
          .count = count_runs,
          .declare = declare_counted<NgramLm>};
}

}  // namespace gradus
