#include "apps/console.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8.h>

#include <algorithm>
#include <cmath>
#include <csignal>

namespace gradus {

Console::Console(const Common& common)
    : out_(common.json ? stderr : stdout), quiet_(common.quiet), live_(!quiet_ && isatty(fileno(out_)) == 1) {}

void Console::note(const std::string& line) {
  if (quiet_) return;
  end_live();
  std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
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

std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string grouped(int64_t n) {
  std::string s = std::to_string(n);
  for (int64_t i = int64_t(s.size()) - 3; i > (n < 0); i -= 3) s.insert(size_t(i), ",");
  return s;
}

std::string duration(double seconds) {
  const int64_t s = std::llround(seconds);
  const auto two = [](int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  if (s < 60) return std::to_string(s) + " s";
  if (s < 3600) return std::to_string(s / 60) + " min " + two(s % 60) + " s";
  return std::to_string(s / 3600) + " h " + two(s / 60 % 60) + " min";
}

std::string one_line(const std::string& text, size_t columns) {
  std::string out;
  auto i = text.begin();
  for (size_t n = 0; i != text.end() && n < columns; ++n) {
    const auto begin = i;
    utf8::unchecked::next(i);
    if (static_cast<unsigned char>(*begin) < 0x20)
      out += ' ';
    else
      out.append(begin, i);
  }
  return out;
}

static volatile std::sig_atomic_t interrupts = 0;

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) {
    interrupts = interrupts + 1;
    if (interrupts > 1) _exit(kInterrupted);
  };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}
bool interrupted() { return interrupts > 0; }

}  // namespace gradus
