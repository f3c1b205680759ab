#include "models/text/word_list.h"

#include "engine/error.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"

namespace gradus {

// The letters that Chinese is written with: the ideographs of Unicode, with their extensions, radicals and 々.
static bool is_han(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2E80 && c <= 0x2FDF) || (c >= 0x20000 && c <= 0x3FFFD) || c == 0x3005;
}

static bool is_of_han(std::string_view word) {
  while (!word.empty()) {
    const Character c = first_character(word);
    if (!is_han(c.code)) return false;
    word.remove_prefix(c.bytes);
  }
  return true;
}

WordList::WordList(const std::string& file, WordRule rule)
    : rule_(rule), content_(std::make_shared<const std::string>(read_text(file, kMostListed))) {
  require_newlines(*content_, file);
  size_t number = 0;
  for (const std::string_view line : split_lines(*content_)) {
    ++number;
    if (line.find_first_not_of(" \t") == line.npos) continue;
    Phrase phrase = words(line, rule);
    if (phrase.empty()) throw DataError(text(file, ": line ", number, " is ", shown(line), ", which holds no word"));
    const std::string_view first = phrase[0];
    if (rule == WordRule::kLetters && phrase.size() == 1 && is_of_han(first))
      inside_[first.substr(0, first_character(first).bytes)][first.size()].insert(first);
    else
      phrases_[first][std::ssize(phrase)].insert(std::move(phrase));
  }
  if (phrases_.empty() && inside_.empty()) throw DataError(text(file, ": lists no word"));
}

bool WordList::occurs_inside(std::string_view word) const {
  while (!word.empty()) {
    const size_t bytes = first_character(word).bytes;
    if (const auto found = inside_.find(word.substr(0, bytes)); found != inside_.end())
      for (const auto& [length, entries] : found->second)
        if (entries.contains(word.substr(0, length))) return true;
    word.remove_prefix(bytes);
  }
  return false;
}

bool WordList::occurs_in(std::string_view text) const {
  const std::vector<std::string_view> mine = words(text, rule_);
  for (auto at = mine.begin(); at != mine.end(); ++at) {
    if (!inside_.empty() && occurs_inside(*at)) return true;
    const auto found = phrases_.find(*at);
    if (found == phrases_.end()) continue;
    for (const auto& [length, phrases] : found->second)
      if (length <= mine.end() - at && phrases.contains(Phrase(at, at + length))) return true;
  }
  return false;
}

}  // namespace gradus
