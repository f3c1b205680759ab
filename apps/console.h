// What a person sees: notes, and one live line while something runs. With --json everything goes to stderr, since
// stdout carries nothing but JSON; with --quiet nothing is shown. On a pipe: plain lines, no rewriting.
#pragma once

#include <cstdio>
#include <string>

#include "apps/commands.h"

namespace gradus {

// Is it a terminal that takes orders, such as "back to the beginning of the line"?
bool can_rewrite(std::FILE* out);
// Whether a line can be written without waiting for a reader.
bool takes_bytes(std::FILE* file);

class Console {
 public:
  explicit Console(const Common& common);
  ~Console() { end_live(); }
  // One line, of which a terminal obeys nothing; on a terminal it is broken between words.
  void note(const std::string& line);
  void announce(const std::string& sentence);  // behind "note: ", always on stderr
  void warn(
      const std::string& sentence);  // the same behind "warning: ", if --quiet on stderr; nothing for an empty one
  // Rewrites the live line; on a pipe does nothing.
  void live(const std::string& line);
  bool is_live() const { return live_; }
  void end_live();  // as if it had not been

 private:
  void put(const std::string& line);
  size_t columns() const;  // of the terminal
  std::FILE* out_;
  bool quiet_, live_, open_ = false;
};

}  // namespace gradus
