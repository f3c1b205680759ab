// A list of words and phrases, and whether one of them occurs in a text: what a reward punishes, a sample must not hold
// and a corpus is rid of.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/text/words.h"

namespace gradus {

class WordList {
 public:
  // Of a file: a line is an entry, and empty lines are skipped. An entry of several words must occur as these words in
  // a row. Between Chinese words there is no space: where a word is a run of letters, an entry of Han letters alone
  // occurs wherever these letters stand in a row. Upper and lower case differ. DataError as read_text, for a line
  // without a word, and for a file without an entry.
  WordList(const std::string& file, WordRule rule);
  bool occurs_in(std::string_view text) const;

 private:
  bool occurs_inside(std::string_view word) const;

  using Phrase = std::vector<std::string_view>;
  WordRule rule_;
  std::shared_ptr<const std::string> content_;  // what the words look into
  // By their first word, and by their length: of many that begin alike few are compared.
  std::unordered_map<std::string_view, std::map<std::ptrdiff_t, std::set<Phrase>>> phrases_;
  // Those of Han letters, by their first letter, and by their length in bytes.
  std::unordered_map<std::string_view, std::map<size_t, std::set<std::string_view>>> inside_;
};

}  // namespace gradus
