// What a person sees: notes, and one live line while something runs. With --json everything goes to stderr, since
// stdout carries nothing but JSON; with --quiet nothing is shown. On a pipe: plain lines, no rewriting.
#pragma once

#include <cstdio>
#include <string>

#include "apps/commands.h"

namespace gradus {

class Console {
 public:
  explicit Console(const Common& common);
  ~Console() { end_live(); }
  // One line.
  void note(const std::string& line);
  // Rewrites the live line; on a pipe does nothing.
  void live(const std::string& line);
  bool is_live() const { return live_; }
  void end_live();

 private:
  std::FILE* out_;
  bool quiet_, live_, open_ = false;
};

std::string fixed(double value, int digits);
std::string grouped(int64_t n);        // 1234567 → 1,234,567
std::string duration(double seconds);  // 7 s, 2 min 05 s, 1 h 12 min
// At most `columns` columns of a terminal: control characters as spaces, bytes that are not UTF-8 as U+FFFD, cut at a
// character border.
std::string one_line(const std::string& text, size_t columns);

// SIGINT and SIGTERM: the first asks the loop to stop after its step, the second ends the process at once.
void catch_interrupts();
bool interrupted();

}  // namespace gradus
