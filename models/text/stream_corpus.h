// StreamCorpus: one long text, in two splits and many windows. Its sibling is LineCorpus (models/text/line_corpus.h);
// Corpus (models/text/corpus.h) is either.
//
//   StreamCorpus corpus(tokenizer.encode(words), 0.1, T, "data/fables.txt");
//   Window w = corpus.draw(Split::kTrain, Rng(seed, Stream::kBatch, step), sequence, T);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/rng.h"

namespace gradus {

enum class Split { kTrain, kValidation, kAll };

// Tokens of a corpus to learn from: targets[t] follows inputs[t]. Only those from first_scored on count; the others are
// there to be seen.
struct Window {
  std::span<const int32_t> inputs, targets;  // of equal length
  int64_t first_scored = 0;
};

// The tokens of one text. The first of them train, the last val_fraction validate; no token belongs to both.
//
// The validation split has round(val_fraction N) of N tokens (half away from zero), but
//   - training keeps at least one whole window, context + 1 tokens: validation gives way;
//   - a validation split of one token, which predicts nothing, goes to training.
// So a text of context + 1 tokens trains, on its one window, and has no validation: has_validation() is false and its
// val_loss null. A validation split may be shorter than a window; then so are its windows: length().
class StreamCorpus {
 public:
  // Messages call the text `name`. DataError if it has fewer than context + 1 tokens; ShapeError for a context
  // below 1 or a val_fraction outside [0, 1).
  StreamCorpus(std::vector<int32_t> tokens, double val_fraction, int64_t context, const std::string& name,
               Loc where = Loc::here());

  std::span<const int32_t> tokens(Split split) const;
  int64_t size(Split split) const { return int64_t(tokens(split).size()); }
  bool has_validation() const { return train_ < int64_t(tokens_.size()); }
  // Longest window that the split has room for, up to the context; 0 without validation.
  int64_t length(Split split) const;
  // A sentence for the user where the splits are not the fraction asked for; else empty.
  const std::string& note() const { return note_; }

  // A random window of T tokens: that of a sequence depends on (rng, sequence) alone, and each of its size(split) - T
  // starts is equally likely. REQUIRES: 1 <= T < size(split), else ShapeError.
  Window draw(Split split, const Rng& rng, int64_t sequence, int64_t T, Loc where = Loc::here()) const;

  // The split cut into windows of T (the last may be shorter) that begin `stride` tokens apart, by default T. Every
  // token of the split is scored exactly once, by the window that shows most before it, except the first, which nothing
  // precedes. REQUIRES: 1 <= stride <= T, 0 <= i < windows(split, T, stride).
  int64_t windows(Split split, int64_t T, int64_t stride = 0, Loc where = Loc::here()) const;
  Window window(Split split, int64_t T, int64_t i, int64_t stride = 0, Loc where = Loc::here()) const;

 private:
  std::vector<int32_t> tokens_;
  int64_t train_ = 0;  // tokens of the training split
  int64_t context_;
  std::string note_;
};

}  // namespace gradus
