// What a text must be like to be let out: `gradus sample` draws again where it is not. What is let out follows the
// model's distribution given that it is allowed, q(x) / q(allowed) of every allowed text x.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/text/word_list.h"

namespace gradus {

class OutputFilter {
 public:
  // `block` is a file of words and phrases, of which none may occur (empty: all may); each of `require` must occur.
  // DataError as WordList.
  OutputFilter(const std::string& block, std::vector<std::string> require, const Tokenizer& tokenizer);
  bool lets_all_out() const { return !blocked_ && required_.empty(); }
  // Counts the text. DataError where kMostRefused in a row were refused: nothing else may be possible.
  bool lets_out(const std::string& text);
  int64_t seen() const { return seen_; }
  int64_t refused() const { return refused_; }
  std::string summary() const;  // "refused 37 of 137 samples (27.0 %)"

  static constexpr int64_t kMostRefused = 100'000;

 private:
  std::optional<WordList> blocked_;
  std::vector<std::string> required_;
  int64_t seen_ = 0, refused_ = 0, in_a_row_ = 0;
};

}  // namespace gradus
