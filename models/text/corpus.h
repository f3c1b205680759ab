// Corpus: the tokens of a text that a model learns from, in two splits. It is one long text in windows (StreamCorpus)
// or a text of lines (LineCorpus); training and evaluation need not know which. Batches are made of it in
// models/text/batch.h.
//
//   const std::string words = read_text("data/fables.txt");
//   const Tokenizer tokenizer = Tokenizer::from_text("char", words);
//   const Corpus corpus({.context = 64, .val_fraction = 0.1}, tokenizer, words, "data/fables.txt");
#pragma once

#include <variant>

#include "models/text/line_corpus.h"
#include "models/text/stream_corpus.h"
#include "models/text/tokenizer.h"

namespace gradus {

// How a text is cut.
struct CorpusOptions {
  bool lines = false;        // each line is a sequence; else one long text, in windows
  int64_t context = 64;      // tokens of a window, and of a line at most
  double val_fraction = 0;   // of the text, at its end, that validates
  bool whole_lines = false;  // no line is cut, however long
};

// Losses of three models that know little, in nats a token.
struct Yardsticks {
  double uniform;  // ln V: every token equally likely
  double unigram;  // entropy of the token frequencies
  double bigram;   // conditional entropy of a token given the one before it
};

// The plug-in estimates of `train`, the training split: H = -sum n_a/N ln(n_a/N) over its N tokens, and
// H' = -sum n_ab/(N-1) ln(n_ab/n_a) over its N - 1 pairs, n_a counting a as the first of a pair. Both are what a model
// fitted to this text would score on this text itself, so they are optimistic: the unigram little, the bigram much
// where the text is short beside V^2 pairs. On a text in which no pair begins twice alike it is 0.
// In lines mode the mark that begins the first line is no prediction: first = 1 leaves it out of the frequencies, and a
// mark between two lines ends one pair and begins the next, as in training.
// REQUIRES: train has more than `first` tokens and its ids are in [0, V), else ShapeError.
Yardsticks yardsticks(std::span<const int32_t> train, int64_t V, int64_t first = 0, Loc where = Loc::here());

// One long text in windows, or with options.lines a text of lines.
class Corpus {
 public:
  // Throws DataError for a token that the tokenizer does not know and for a text that is too short.
  Corpus(const CorpusOptions& options, const Tokenizer& tokenizer, std::string_view text, const std::string& name);

  bool has_validation() const;
  const std::string& note() const;  // a note on its splits for a person; may be empty
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

}  // namespace gradus
