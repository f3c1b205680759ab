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

// Columns that a terminal gives a character: two for Chinese, Japanese, Korean and for pictures (Unicode's East Asian
// wide and full-width ranges, without the rare ones), one for the rest.
static size_t columns_of(uint32_t c) {
  constexpr uint32_t wide[][2] = {{0x1100, 0x115F},   {0x2E80, 0xA4CF},  {0xAC00, 0xD7A3}, {0xF900, 0xFAFF},
                                  {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F},
                                  {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
  for (const auto& range : wide)
    if (c >= range[0] && c <= range[1]) return 2;
  return 1;
}

std::string one_line(const std::string& text, size_t columns) {
  const std::string valid = utf8::replace_invalid(text);
  std::string out;
  size_t used = 0;
  for (auto i = valid.begin(); i != valid.end();) {
    const auto begin = i;
    const uint32_t c = utf8::unchecked::next(i);
    if ((used += columns_of(c)) > columns) break;
    if (c < 0x20 || (c >= 0x7F && c < 0xA0))
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
