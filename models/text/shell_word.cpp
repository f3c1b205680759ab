#include "models/text/shell_word.h"

#include <algorithm>

namespace gradus {

std::string shell_word(const std::string& s) {
  const auto plain = [](char c) {  // + , - . / digits : and @ letters _ =
    return (c >= '+' && c <= ':') || (c >= '@' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '=';
  };
  if (!s.empty() && std::all_of(s.begin(), s.end(), plain)) return s;
  std::string out = "'";
  for (const char c : s) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

}  // namespace gradus
