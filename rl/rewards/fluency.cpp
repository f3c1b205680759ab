// The reward `fluency:RUN`: the log-probability of the text under another model, so that with r = log p alone the
// posterior of a prior q is q·p^(1/β) / Z.
#include <memory>
#include <numeric>

#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/pairs.h"
#include "models/text/words.h"
#include "rl/rewards/terms.h"

namespace gradus {

namespace reward {
// ln p(text) of the model of a run, summed over its tokens, in nats. The text is cut into the tokens of that run and
// read from its own beginning (the end mark with --lines, else the token that its samples start from); the end mark is
// scored where the sequence ended and the run has one. A text with a character that the run does not know is a
// DataError, and so is, as every reward that is not finite, one that the run holds impossible. A run of --pairs says
// ln p of the text as a reply to the prompt.
Scorer fluency(const std::string& run, const Tokenizer&) {
  const auto critic = std::make_shared<const Checkpoint>(load_checkpoint(run));
  return [critic, run](std::span<const Generated> sequences, std::span<double> scores) {
    const int32_t end_id = critic->tokenizer.end_id();
    std::vector<std::vector<int32_t>> ids;
    std::vector<int64_t> given;  // tokens of each that are seen and not scored
    for (const Generated& g : sequences) {
      try {
        Example example = critic->config.pairs
                              ? example_of(critic->tokenizer, {std::string(g.prompt), std::string(g.text)})
                              : Example{.tokens = critic->tokenizer.encode(g.text)};
        given.push_back(example.given);
        ids.push_back(std::move(example.tokens));
      } catch (const DataError& error) {
        throw DataError(
            text("reward 'fluency:", run, "': its model cannot read the text ", shown(g.text), ": ", error.what()));
      }
      if (g.ended && end_id >= 0) ids.back().push_back(end_id);
    }
    try {
      const auto log_probs = score_sequences(*critic->model, end_id >= 0 ? end_id : critic->start_id, ids);
      for (size_t i = 0; i < scores.size(); ++i)
        scores[i] = std::accumulate(log_probs[i].begin() + given[i], log_probs[i].end(), 0.0);
    } catch (const DivergedError& error) {
      throw DataError(text("reward 'fluency:", run, "': ", error.what()));
    }
  };
}
}  // namespace reward

}  // namespace gradus
