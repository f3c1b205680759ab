// Corpus, a text of either kind, and Batch, what a model learns from at once: the training loop and the evaluations
// know nothing else of a text.
#pragma once

#include <variant>

#include "models/text/line_corpus.h"
#include "models/text/tokenizer.h"

namespace gradus {

// One long text in windows, or with options.lines a text of lines.
class Corpus {
 public:
  // Throws DataError for what the tokenizer does not know and for a text that is too short.
  Corpus(const CorpusOptions& options, const Tokenizer& tokenizer, std::string_view text, const std::string& name);

  bool has_validation() const;
  const std::string& note() const;  // what a person should know of its splits; may be empty
  // In lines mode with the marks, of which the first is no prediction.
  std::span<const int32_t> tokens(Split split) const;
  int64_t lines(Split split) const;  // 0 for one long text
  Yardsticks yardsticks(int64_t V) const;

  // A random window, of the context's length, or line: that of a sequence depends on (rng, sequence) alone.
  Window draw(Split split, const Rng& rng, int64_t sequence) const;
  // The whole split in order, each token scored once: windows `stride` tokens apart, by default the context; or lines,
  // which a stride does not concern.
  int64_t windows(Split split, int64_t stride = 0) const;
  Window window(Split split, int64_t i, int64_t stride = 0) const;

 private:
  int64_t context_;
  std::variant<StreamCorpus, LineCorpus> text_;
};

// B sequences, padded at their ends to the longest, T. Padding is a place, not an id: its target is kNoTarget, so it
// weighs nothing, and no model looks behind a place.
struct Batch {
  std::vector<int32_t> inputs, targets;  // [B,T]
  int64_t B = 0, T = 0;
  int64_t scored = 0;           // targets that count
  std::vector<Window> windows;  // that it was made of

  // B random sequences of a split, from number `first` on.
  void draw(const Corpus& corpus, Split split, const Rng& rng, int64_t first, int64_t sequences);
  // Windows first, first + 1, ... of a split, at most `most`.
  void take(const Corpus& corpus, Split split, int64_t first, int64_t most, int64_t stride = 0);
  void pack();  // windows → the rest. Allocates only to grow.
  std::span<int32_t> inputs_of(int64_t first, int64_t count);
  std::span<int32_t> targets_of(int64_t first, int64_t count);
};

}  // namespace gradus
