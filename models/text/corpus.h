// Corpus: the tokens of a text that a model learns from, in two splits. It is one long text in windows, a text of which
// each line is a sequence (--lines), a prompt and its reply (--pairs), or a label and its text (gradus classify);
// training and evaluation need not know which. A model learns from batches of it.
//
//   const std::string words = read_text("data/fables.txt");
//   const Tokenizer tokenizer = Tokenizer::from_text("char", words);
//   const Corpus corpus({.context = 64, .val_fraction = 0.1}, tokenizer, words, "data/fables.txt");
//   Batch batch;
//   batch.draw(corpus, Split::kTrain, Rng(seed, Stream::kBatch, step), 0, 16);
#pragma once

#include "engine/rng.h"
#include "models/text/pairs.h"
#include "models/text/tokenizer.h"

namespace gradus {

enum class Split { kTrain, kValidation, kAll };

// Tokens of a corpus to learn from: targets[t] follows inputs[t]. Only those from first_scored on count; the others are
// there to be seen.
struct Window {
  std::span<const int32_t> inputs, targets;  // of equal length
  int64_t first_scored = 0;
  int32_t label = kNoTarget;  // of a labelled text: the one target, at its end, in the place of all others
};

// How a text is cut.
struct CorpusOptions {
  bool lines = false;  // each line is a sequence; else one long text, in windows
  bool pairs = false;  // of lines: each is a prompt, a tab and its reply, which alone is to be predicted
  std::vector<std::string> labels = {};  // of lines: each is one of these labels, a tab and its text
  int64_t context = 64;                  // tokens of a window, and of a line at most
  double val_fraction = 0;               // of the text that validates: its end, or lines of it
  bool whole_lines = false;              // no line is cut, however long
  bool random_lines = false;  // of lines, those that validate are drawn at random; else they are the last ones
};

class Corpus {
 public:
  // Messages call the text `name`. With options.random_lines the lines that validate are drawn at random, the same ones
  // whatever the seed of a run, so that runs can be compared; both splits keep the order of the text. DataError for a
  // token that the tokenizer does not know, and as of_stream() and of_lines().
  Corpus(const CorpusOptions& options, const Tokenizer& tokenizer, std::string_view text, const std::string& name);

  // One long text. Its first tokens train, the last val_fraction validate; no token belongs to both. The validation
  // split has round(val_fraction N) of N tokens (half away from zero), but
  //   - training keeps at least one whole window, context + 1 tokens: validation gives way;
  //   - a validation split of one token, which predicts nothing, goes to training.
  // So a text of context + 1 tokens trains, on its one window, and has no validation: has_validation() is false and its
  // val_loss null. A validation split may be shorter than a window; then so are its windows: length().
  // DataError if there are fewer than context + 1 tokens; ShapeError for a context below 1 or a val_fraction outside
  // [0, 1).
  static Corpus of_stream(std::vector<int32_t> tokens, double val_fraction, int64_t context, const std::string& name,
                          Loc where = Loc::here());
  // Lines, the ids of each without marks. The last round(val_fraction L) of L lines validate (half away from zero), but
  // one at least trains. One id, the end mark, both begins a sequence (first input) and ends it (last target); there is
  // no id for padding. An empty line is a sequence of no tokens: its only target is the end mark. A line of `context`
  // tokens or more does not fit, since its mark is a token too: it is cut after `context` tokens and has no end mark
  // then. DataError without a line; ShapeError as of_stream().
  static Corpus of_lines(std::span<const std::vector<int32_t>> lines, int32_t end_id, double val_fraction,
                         int64_t context, const std::string& name, Loc where = Loc::here());
  // The same of examples, whose given tokens are seen and not scored. DataError for one that has no room for a token
  // that is scored: `context` given tokens or more.
  static Corpus of_examples(std::span<const Example> examples, int32_t end_id, double val_fraction, int64_t context,
                            const std::string& name, Loc where = Loc::here());

  bool has_validation() const { return train_ < pieces(); }
  // A note for a person if lines are cut or the splits are not the fraction asked for; else empty.
  const std::string& note() const { return note_; }
  // Of lines: whole ones, with a mark before, between and behind them.
  std::span<const int32_t> tokens(Split split) const;
  int64_t lines(Split split) const { return has_marks() ? last(split) - first(split) : 0; }  // 0 for one long text
  // The place in the text of line i of a split.
  int64_t source_line(Split split, int64_t i) const {
    return source_.empty() ? first(split) + i : source_[size_t(first(split) + i)];
  }
  // Longest window of one long text that the split has room for, up to the context; 0 without validation.
  int64_t length(Split split) const;

  // A random window of length(split), each start equally likely, or line, each equally likely: that of a sequence
  // depends on (rng, sequence) alone. ShapeError for a split of none.
  Window draw(Split split, const Rng& rng, int64_t sequence, Loc where = Loc::here()) const;
  // The whole split in order. Lines, which a stride does not concern; or windows of the context (the last may be
  // shorter) that begin `stride` tokens apart, by default the context. Every token of the split is then scored exactly
  // once, by the window that shows most before it, except the first, which nothing precedes.
  // REQUIRES: stride 0 or 1 <= stride <= context, 0 <= i < windows(split, stride), else ShapeError.
  int64_t windows(Split split, int64_t stride = 0, Loc where = Loc::here()) const;
  Window window(Split split, int64_t i, int64_t stride = 0, Loc where = Loc::here()) const;

 private:
  Corpus(double val_fraction, int64_t context, Loc where);  // checked, and without tokens
  bool has_marks() const { return !mark_.empty(); }
  int64_t pieces() const { return int64_t(has_marks() ? mark_.size() - 1 : tokens_.size()); }  // lines, or tokens
  int64_t first(Split split) const { return split == Split::kValidation ? train_ : 0; }
  int64_t last(Split split) const { return split == Split::kTrain ? train_ : pieces(); }

  std::vector<int32_t> tokens_;  // of lines: mark line mark line mark ... line mark
  std::vector<int64_t> mark_;    // places of the marks; none in one long text
  std::vector<int64_t> given_;   // of each line, tokens that are not scored
  std::vector<int32_t> label_;   // of each line
  int64_t train_ = 0;            // pieces of the training split
  int64_t context_;
  std::vector<int64_t> source_;  // of lines that were drawn: the place of each in the text
  std::string note_;
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
