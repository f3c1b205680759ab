#include "engine/step/walk.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "engine/error.h"
#include "engine/io/keys.h"
#include "engine/step/text.h"

namespace gradus {

namespace {

// A line that is typed after `prompt`, seen.
std::string ask(const char* prompt) {
  std::printf("\n%s", prompt);
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

// Columns and lines of the terminal, 80 and 24 where it does not say.
winsize size_of_terminal() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40 || size.ws_row < 10) {
    size.ws_col = 80;
    size.ws_row = 24;
  }
  return size;
}

}  // namespace

void walk(const Trace& trace) {
  const RawMode raw_mode;
  const int last = trace.positions() - 1;
  int position = trace.first_seen();
  std::string remark;
  char asked = 0;
  for (;;) {
    const winsize size = size_of_terminal();
    std::printf("\033[H\033[2J%s",
                screen_text(trace, position, asked, remark, size_t(size.ws_col), size_t(size.ws_row)).c_str());
    std::fflush(stdout);
    remark.clear();
    asked = 0;
    const auto go = [&](const std::optional<int>& to, const std::string& otherwise) {
      if (to)
        position = *to;
      else
        remark = otherwise;
    };
    switch (const char pressed = key()) {
      case 'n':
      case ' ':
      case '\n':
      case '\r':
        if (position == last) remark = "That was the last step.";
        if (position == last && !trace.scene(position)) asked = 'e';
        position = std::min(position + 1, last);
        break;
      case 'p':
        position = std::max(position - 1, 0);
        break;
      case 'f':
        position = trace.first_op();
        break;
      case 'b':
        position = trace.begin();
        break;
      case 's':
        position = trace.first_seen();
        break;
      case 'u':
        position = std::min(trace.first_update(), last);
        break;
      case 'g': {
        const std::string word = ask("go to op number: ");
        const std::string digits = word.substr(word.starts_with('%') ? 1 : 0);
        const bool is_number =
            !digits.empty() && digits.size() < 9 && digits.find_first_not_of("0123456789") == std::string::npos;
        go(is_number ? position_of_op(trace, std::stoi(digits)) : std::nullopt,
           text("There is no op ", word, "; they are 0 to ", trace.ops.size() - 1, "."));
        break;
      }
      case 'j': {
        const std::string name = ask("jump to the gradient of: ");
        go(position_of_name(trace, name), "There is no tensor named " + name + ".");
        break;
      }
      case 'w':
      case 'v':
      case 'e':
        asked = pressed;
        if (pressed == 'e') position = trace.first_closing() - 1;
        break;
      case 'q':
      case 0:
        std::printf("\n");
        return;
      default:
        break;
    }
  }
}

}  // namespace gradus
