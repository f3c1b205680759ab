// The reward `fluency:RUN`: the log-probability of the text under another model, so that with r = log p alone the
// posterior of a prior q is q·p^(1/β) / Z.
#include <algorithm>
#include <memory>
#include <numeric>

#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/words.h"
#include "rl/rewards/terms.h"

namespace gradus {
namespace {

constexpr size_t kRows = 256;  // sequences that a model reads at once

}  // namespace

void log_probabilities(const LanguageModel& model, int32_t start, std::span<const std::vector<int32_t>> sequences,
                       std::span<double> sums) {
  std::fill(sums.begin(), sums.end(), 0.0);
  std::vector<size_t> order(sequences.size());  // longest first: the rows that go on are always the first ones
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sequences[a].size() > sequences[b].size(); });
  const size_t V = size_t(model.vocabulary());
  std::vector<double> log_p(V);
  Tape tape;
  const Tape::Use use(tape);
  for (size_t first = 0; first < order.size(); first += kRows) {
    size_t rows = std::min(kRows, order.size() - first);
    State state = model.start(int64_t(rows));
    std::vector<int32_t> last(rows, start);
    for (size_t t = 0;; ++t) {
      size_t alive = 0;
      while (alive < rows && sequences[order[first + alive]].size() > t) ++alive;
      if (alive == 0) break;
      if (alive < rows) {
        std::vector<int64_t> kept(alive);
        std::iota(kept.begin(), kept.end(), 0);
        state.select(kept);
        last.resize(rows = alive);
      }
      const Tape::Mark mark(tape);
      const Tensor logits = model.next(state, last);
      for (size_t b = 0; b < rows; ++b) {
        const size_t i = order[first + b];
        last[b] = sequences[i][t];
        log_distribution(logits.span().subspan(b * V, V), 1, log_p);
        sums[i] += log_p[size_t(last[b])];
      }
    }
  }
}

namespace reward {
// ln p(text) of the model of a run, summed over its tokens, in nats. The text is cut into the tokens of that run and
// read from its own beginning (the end mark with --lines, else the token that its samples start from); the end mark is
// scored where the sequence ended and the run has one. A text with a character that the run does not know is a
// DataError, and so is, as every reward that is not finite, one that the run holds impossible.
Scorer fluency(const std::string& run, const Tokenizer&) {
  const auto critic = std::make_shared<const Checkpoint>(load_checkpoint(run));
  return [critic, run](std::span<const Generated> sequences, std::span<double> scores) {
    const int32_t end_id = critic->tokenizer.end_id();
    std::vector<std::vector<int32_t>> ids;
    for (const Generated& g : sequences) {
      try {
        ids.push_back(critic->tokenizer.encode(g.text));
      } catch (const DataError& error) {
        throw DataError(
            text("reward 'fluency:", run, "': its model cannot read the text ", shown(g.text), ": ", error.what()));
      }
      if (g.ended && end_id >= 0) ids.back().push_back(end_id);
    }
    log_probabilities(*critic->model, end_id >= 0 ? end_id : critic->start_id, ids, scores);
  };
}
}  // namespace reward

}  // namespace gradus
