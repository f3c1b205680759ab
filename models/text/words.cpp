#include "models/text/words.h"

#include "engine/io/json.h"
#include "models/text/utf8.h"

namespace gradus {

WordRule word_rule(const Cutter& cutter) { return cutter.keeps_white ? WordRule::kLetters : WordRule::kBetweenSpaces; }

std::vector<std::string_view> words(std::string_view text, WordRule rule) {
  std::vector<std::string_view> found;
  size_t begin = 0;  // of the word that is open, if i is beyond it
  for (size_t i = 0; i <= text.size();) {
    const Character c = i < text.size() ? first_character(text.substr(i)) : Character{' ', 1};
    const bool inside = rule == WordRule::kBetweenSpaces ? !is_white(c.code) : is_letter(c.code);
    if (!inside && begin < i) found.push_back(text.substr(begin, i - begin));
    i += c.bytes;
    if (!inside) begin = i;
  }
  return found;
}

std::string shown(std::string_view text) {
  const std::string valid = valid_utf8(text);
  const std::string_view first = first_columns(valid, 60);
  return Json(std::string(first) + (first.size() < valid.size() ? "..." : "")).dump();
}

}  // namespace gradus
