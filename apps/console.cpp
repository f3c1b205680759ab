#include "apps/console.h"

#include <poll.h>
#include <stdio_ext.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "apps/signals.h"
#include "models/text/utf8.h"

namespace gradus {

bool can_rewrite(std::FILE* out) {
  const char* const terminal = std::getenv("TERM");
  return isatty(fileno(out)) == 1 && terminal && *terminal && std::string_view(terminal) != "dumb";
}

bool takes_bytes(std::FILE* file) {
  pollfd ready{fileno(file), POLLOUT, 0};
  return poll(&ready, 1, 0) > 0;
}

Console::Console(const Common& common)
    : out_(common.json ? stderr : stdout), quiet_(common.quiet), live_(!quiet_ && can_rewrite(out_)) {}

// A reader that has stopped to read must not hold up a run that is to stop. Where the signal has ended a write that
// waited, what it left is thrown away, and the end of the run is told on stderr.
void Console::put(const std::string& line) {
  if (interrupted() && !takes_bytes(out_)) out_ = stderr;
  if (interrupted() && !takes_bytes(out_)) return;
  std::fputs(line.c_str(), out_);
  if (std::fflush(out_) == 0 || !interrupted()) return;
  __fpurge(out_);
  std::clearerr(out_);
}

// Lines of so many columns, broken between words. A command at the end, to be copied, stays in one piece.
static std::string wrapped(const std::string& line, size_t columns) {
  size_t command = line.size();
  for (const std::string_view before : {"Try: ", "continue with: "})
    if (const size_t at = line.find(before); at != line.npos) command = std::min(command, at + before.size());
  std::string out, rest = line.substr(0, command);
  const auto place = [&](size_t column) {  // of the byte where the character of this column begins
    size_t at = 0;
    for (size_t n = 0; at < rest.size() && (n += (rest[at] & 0xC0) != 0x80) <= column;) ++at;
    return at;
  };
  for (size_t end; (end = place(columns)) < rest.size();) {
    const size_t space = rest.rfind(' ', end);
    if (space == rest.npos || space == 0) break;
    out += rest.substr(0, space) + "\n";
    rest.erase(0, space + 1);
  }
  const std::string whole = rest + line.substr(command);
  if (command == line.size() || static_cast<size_t>(count_characters(whole)) <= columns) return out + whole;
  return out + rest.substr(0, rest.find_last_not_of(' ') + 1) + "\n" + line.substr(command);
}

size_t Console::columns() const {
  winsize size{};
  return ioctl(fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void Console::note(const std::string& line) {
  if (quiet_) return;
  end_live();
  const std::string shown = harmless_line(line);
  put((live_ ? wrapped(shown, columns()) : shown) + "\n");
}

void Console::announce(const std::string& sentence) {
  if (quiet_) return;
  end_live();
  std::fflush(out_);
  std::fprintf(stderr, "note: %s\n", harmless_line(sentence).c_str());
}

void Console::warn(const std::string& sentence) {
  if (sentence.empty()) return;
  if (quiet_)
    std::fprintf(stderr, "warning: %s\n", harmless_line(sentence).c_str());
  else
    note("warning: " + sentence);
}

void Console::live(const std::string& line) {
  if (!live_) return;
  put("\r" + one_line(line, columns() - 1) + "\x1b[K");
  open_ = true;
}

void Console::end_live() {
  if (open_) std::fputs("\r\x1b[K", out_);
  open_ = false;
}

}  // namespace gradus
