#include "apps/input_lines.h"

#include <cerrno>
#include <cstdio>
#include <iostream>

#include "engine/error.h"
#include "models/text/read_text.h"

namespace gradus {

bool InputLines::next(std::string& line) {
  std::streambuf& bytes = *std::cin.rdbuf();
  ++number_;
  line.clear();
  errno = 0;
  int c = bytes.sbumpc();
  for (; c != EOF && c != '\n'; c = bytes.sbumpc()) {
    if (line.size() == kMostListed) throw DataError(text(place(), " has more than ", kMostListed >> 20, " MB"));
    line += char(c);
  }
  if (c == EOF && (std::ferror(stdin) || errno == EISDIR))
    throw DataError("standard input cannot be read: is it a folder?");
  if (c == EOF && line.empty()) return false;
  if (line.ends_with('\r')) line.pop_back();
  if (number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
  return true;
}

std::string InputLines::place() const { return text("line ", number_, " of standard input"); }

}  // namespace gradus
