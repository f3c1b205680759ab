#include "engine/io/keys.h"

#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <initializer_list>

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

}  // namespace

RawMode::RawMode() : is_terminal_(tcgetattr(STDIN_FILENO, &before) == 0) {
  if (!is_terminal_) return;
  raw = before;
  raw.c_lflag &= ~tcflag_t(ICANON | ECHO);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) std::signal(signal, restore_and_raise);
  std::signal(SIGCONT, raw_again);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

RawMode::~RawMode() {
  if (!is_terminal_) return;
  restore();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT}) std::signal(signal, SIG_DFL);
}

char key() {
  char c = 0;
  if (read(STDIN_FILENO, &c, 1) != 1) return 0;
  if (c != '\033') return c;
  char rest[2] = {0, 0};
  if (read(STDIN_FILENO, rest, 1) != 1 || read(STDIN_FILENO, rest + 1, 1) != 1) return 0;
  return rest[0] != '[' ? '?' : rest[1] == 'C' || rest[1] == 'B' ? 'n' : rest[1] == 'D' || rest[1] == 'A' ? 'p' : '?';
}

}  // namespace gradus
