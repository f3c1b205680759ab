#include "apps/console.h"

#include <poll.h>
#include <stdio_ext.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

void Console::note(const std::string& line) {
  if (quiet_) return;
  end_live();
  put(harmless_line(line) + "\n");
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
  winsize size{};
  const size_t columns = ioctl(fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  put("\r" + one_line(line, columns - 1) + "\x1b[K");
  open_ = true;
}

void Console::end_live() {
  if (open_) std::fputs("\n", out_);
  open_ = false;
}

void Console::clear_live() {
  if (open_) std::fputs("\r\x1b[K", out_);
  open_ = false;
}

}  // namespace gradus
