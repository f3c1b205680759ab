#include "models/text/shell_word.h"

#include <algorithm>
#include <cstdio>

#include "models/text/utf8.h"

namespace gradus {

namespace {

bool has_plain_letters(const std::string& s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {  // + , - . / digits : and @ letters _ =
    return (c >= '+' && c <= ':') || (c >= '@' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '=';
  });
}

// For what a terminal would not show as it is: every byte that is not plain by its number.
std::string by_numbers(const std::string& s) {
  const bool by_printf = s.back() != '\n';  // the shell takes newlines off the end of what a command prints
  std::string quoted;
  for (const char c : s) {
    char octal[8];
    std::snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned char>(c));
    if (c == '%')
      quoted += by_printf ? "%%" : "%";
    else
      quoted += c >= ' ' && c < 0x7F && c != '\'' && c != '\\' && c != '-' ? std::string(1, c) : octal;
  }
  return by_printf ? "\"$(printf '" + quoted + "')\"" : "$'" + quoted + "'";
}

}  // namespace

std::string shell_word(const std::string& s) {
  if (has_plain_letters(s)) return s;
  if (harmless_line(s) != s) return by_numbers(s);
  std::string out = "'";
  for (const char c : s) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string as_argument(const std::string& path) { return (path.starts_with('-') ? "./" : "") + path; }
std::string shell_path(const std::string& path) { return shell_word(as_argument(path)); }

}  // namespace gradus
