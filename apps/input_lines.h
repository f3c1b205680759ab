// The lines of standard input, one by one, for commands that answer each before they read the next.
#pragma once

#include <cstdint>
#include <string>

namespace gradus {

class InputLines {
 public:
  // The next line, without its end, \n or \r\n, and the first one without a byte order mark; false at the end.
  // DataError for a line that does not end within kMostListed bytes (models/text/read_text.h), and where there is no
  // reading.
  bool next(std::string& line);
  std::string place() const;  // of that line, "line 3 of standard input"

 private:
  int64_t number_ = 0;
};

}  // namespace gradus
