#include "apps/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "models/text/utf8.h"

namespace gradus {

bool can_rewrite(std::FILE* out) {
  const char* const terminal = std::getenv("TERM");
  return isatty(fileno(out)) == 1 && terminal && *terminal && std::string_view(terminal) != "dumb";
}

Console::Console(const Common& common)
    : out_(common.json ? stderr : stdout), quiet_(common.quiet), live_(!quiet_ && can_rewrite(out_)) {}

void Console::note(const std::string& line) {
  if (quiet_) return;
  end_live();
  std::fprintf(out_, "%s\n", harmless_line(line).c_str());
  std::fflush(out_);
}

void Console::announce(const std::string& sentence) {
  if (quiet_) return;
  end_live();
  std::fflush(out_);
  std::fprintf(stderr, "note: %s\n", harmless_line(sentence).c_str());
}

void Console::warn(const std::string& sentence) {
  if (!sentence.empty()) note("warning: " + sentence);
}

void Console::live(const std::string& line) {
  if (!live_) return;
  winsize size{};
  const size_t columns = ioctl(fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  std::fprintf(out_, "\r%s\x1b[K", one_line(line, columns - 1).c_str());
  std::fflush(out_);
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
