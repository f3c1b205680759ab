#include "models/text/word_list.h"

#include "engine/error.h"
#include "models/text/read_text.h"

namespace gradus {

WordList::WordList(const std::string& file, WordRule rule)
    : rule_(rule), content_(std::make_shared<const std::string>(read_text(file, kMostListed))) {
  size_t number = 0;
  for (const std::string_view line : split_lines(*content_)) {
    ++number;
    if (line.find_first_not_of(" \t") == line.npos) continue;
    Phrase phrase = words(line, rule);
    if (phrase.empty()) throw DataError(text(file, ": line ", number, " is ", shown(line), ", which holds no word"));
    const std::string_view first = phrase[0];
    phrases_[first][std::ssize(phrase)].insert(std::move(phrase));
  }
  if (phrases_.empty()) throw DataError(text(file, ": lists no word"));
}

bool WordList::occurs_in(std::string_view text) const {
  const std::vector<std::string_view> mine = words(text, rule_);
  for (auto at = mine.begin(); at != mine.end(); ++at) {
    const auto found = phrases_.find(*at);
    if (found == phrases_.end()) continue;
    for (const auto& [length, phrases] : found->second)
      if (length <= mine.end() - at && phrases.contains(Phrase(at, at + length))) return true;
  }
  return false;
}

}  // namespace gradus
