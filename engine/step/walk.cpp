#include "engine/step/walk.h"

#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "engine/error.h"
#include "engine/step/text.h"

namespace gradus {

namespace {

termios before, raw;  // of the terminal; handlers of signals read them

void restore() { tcsetattr(STDIN_FILENO, TCSANOW, &before); }

void restore_and_raise(int signal) {
  restore();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}
void raw_again(int) {
  std::signal(SIGTSTP, restore_and_raise);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

// Keys come singly and unseen while it lives.
class RawMode {
 public:
  RawMode() {
    tcgetattr(STDIN_FILENO, &before);
    raw = before;
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) std::signal(signal, restore_and_raise);
    std::signal(SIGCONT, raw_again);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawMode() {
    restore();
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT}) std::signal(signal, SIG_DFL);
  }
  RawMode(const RawMode&) = delete;
};

// The next key, 0 at the end of the input; the arrows as n and p.
char key() {
  char c = 0;
  if (read(STDIN_FILENO, &c, 1) != 1) return 0;
  if (c != '\033') return c;
  char rest[2] = {0, 0};
  if (read(STDIN_FILENO, rest, 1) != 1 || read(STDIN_FILENO, rest + 1, 1) != 1) return 0;
  return rest[0] != '[' ? '?' : rest[1] == 'C' || rest[1] == 'B' ? 'n' : rest[1] == 'D' || rest[1] == 'A' ? 'p' : '?';
}

// A line that is typed after `prompt`, seen.
std::string ask(const char* prompt) {
  std::printf("%s", prompt);
  std::fflush(stdout);
  std::string line;
  for (char c; read(STDIN_FILENO, &c, 1) == 1 && c != '\n' && c != '\r';) {
    if (c == 127 || c == '\b') {
      while (!line.empty() && (line.back() & 0xC0) == 0x80) line.pop_back();  // the whole UTF-8 letter
      if (!line.empty()) line.pop_back();
      std::printf("\r\033[K%s%s", prompt, line.c_str());
    } else {
      line += c;
      std::putchar(c);
    }
    std::fflush(stdout);
  }
  return line;
}

constexpr char kHelp[] =
    "n next   p back   f forward part   b backward part   q quit\n"
    "g go to an op by its number   j jump to a gradient by its name\n"
    "d the derivative with the numbers put in   v verify by finite differences\n";

}  // namespace

void walk(const Trace& trace) {
  const RawMode raw_mode;
  const int begin = trace.forward_positions(), last = trace.positions() - 1;
  int position = begin;
  std::string below;
  for (;;) {
    std::printf("\033[H\033[2J%s: %s\n\n%s\n%s\n%s", trace.name.c_str(), trace.title.c_str(),
                position_text(trace, position).c_str(), below.c_str(), kHelp);
    std::fflush(stdout);
    below.clear();
    const auto go = [&](const std::optional<int>& to, const std::string& otherwise) {
      if (to)
        position = *to;
      else
        below = otherwise;
    };
    switch (key()) {
      case 'n':
      case ' ':
      case '\n':
      case '\r':
        if (position == last) below = gradients_text(trace) + "That was the last step.\n";
        position = std::min(position + 1, last);
        break;
      case 'p':
        position = std::max(position - 1, 0);
        break;
      case 'f':
        position = 0;
        break;
      case 'b':
        position = begin;
        break;
      case 'g': {
        const std::string word = ask("go to op number: ");
        const std::string digits = word.substr(word.starts_with('%') ? 1 : 0);
        const bool is_number =
            !digits.empty() && digits.size() < 9 && digits.find_first_not_of("0123456789") == std::string::npos;
        go(is_number ? position_of_op(trace, std::stoi(digits)) : std::nullopt,
           text("There is no op ", word, "; they are 0 to ", trace.ops.size() - 1, ".\n"));
        break;
      }
      case 'j': {
        const std::string name = ask("jump to the gradient of: ");
        go(position_of_name(trace, name), "There is no tensor named " + name + ".\n");
        break;
      }
      case 'd':
        below = derivative_text(trace, position);
        break;
      case 'v':
        below = check_text(trace, position);
        break;
      case 'q':
      case 0:
        return;
      default:
        break;
    }
  }
}

}  // namespace gradus
