// LineCorpus: a text of which each line is a sequence of its own (--lines), in two splits. One id, the end mark, both
// begins a sequence (first input) and ends it (last target); there is no id for padding.
#pragma once

#include <string_view>

#include "models/text/stream_corpus.h"

namespace gradus {

// The lines of a text, without their ends, which are \n or \r\n; the last one may lack its end. An empty line is a
// line.
std::vector<std::string_view> split_lines(std::string_view text);

// The last round(val_fraction L) of L lines validate (half away from zero), but one at least trains.
//
// An empty line is a sequence of no tokens: its only target is the end mark. A line of `context` tokens or more does
// not fit, since its mark is a token too: it is cut after `context` tokens and has no end mark then.
class LineCorpus {
 public:
  // `lines` are the ids of each, without marks; messages call the text `name`. DataError without a line;
  // ShapeError for a context below 1 or a val_fraction outside [0, 1).
  LineCorpus(std::span<const std::vector<int32_t>> lines, int32_t end_id, double val_fraction, int64_t context,
             const std::string& name, Loc where = Loc::here());

  // Whole lines with a mark before, between and behind them.
  std::span<const int32_t> tokens(Split split) const;
  int64_t lines(Split split) const { return last(split) - first(split); }
  bool has_validation() const { return train_ < int64_t(begin_.size()) - 1; }
  // A sentence for the user where lines are cut or the splits are not the fraction asked for; else empty.
  const std::string& note() const { return note_; }

  // REQUIRES: 0 <= i < lines(split), else ShapeError.
  Window line(Split split, int64_t i, Loc where = Loc::here()) const;
  // A random line, each equally likely: that of a sequence depends on (rng, sequence) alone.
  Window draw(Split split, const Rng& rng, int64_t sequence, Loc where = Loc::here()) const;

 private:
  int64_t first(Split split) const { return split == Split::kValidation ? train_ : 0; }
  int64_t last(Split split) const { return split == Split::kTrain ? train_ : int64_t(begin_.size()) - 1; }

  std::vector<int32_t> tokens_;  // mark line mark line mark ... line mark
  std::vector<int64_t> begin_;   // places of the marks
  int64_t train_ = 0;            // lines of the training split
  int64_t context_;
  std::string note_;
};

}  // namespace gradus
