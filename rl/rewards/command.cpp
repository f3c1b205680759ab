#include "rl/rewards/command.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "engine/long_loop.h"
#include "models/text/words.h"

namespace gradus {
namespace {

using Clock = std::chrono::steady_clock;

void append_escaped(std::string& out, std::string_view text, bool tabs) {
  for (char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\0')
      out += "\\0";
    else if (c == '\t' && tabs)
      out += "\\t";
    else
      out += c;
  }
}

// The texts as the program reads them, and where the line of each ends.
struct Lines {
  std::string bytes;
  std::vector<size_t> end;
  explicit Lines(std::span<const Generated> sequences) {
    for (const Generated& g : sequences) {
      if (g.is_reply) {
        append_escaped(bytes, g.prompt, true);
        bytes += '\t';
      }
      append_escaped(bytes, g.text, g.is_reply);
      bytes += '\n';
      end.push_back(bytes.size());
    }
  }
};

std::string_view trimmed(std::string_view s) {
  constexpr std::string_view kWhite = " \t\r";
  const size_t first = s.find_first_not_of(kWhite);
  return first == std::string_view::npos ? "" : s.substr(first, s.find_last_not_of(kWhite) - first + 1);
}

// The shell would say it too, and in its own words; so a program that is not there, or that may not be executed, is not
// even started. What begins with anything but a plain word is left to the shell.
void require_program(const std::string& command) {
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '.' ||
           c == '/' || c == '-' || c == '+';
  };
  const std::string word(command.begin(), std::find_if_not(command.begin(), command.end(), plain));
  if (word.empty() || word[0] == '-' || (word.size() < command.size() && command[word.size()] != ' ')) return;
  Child asked("p=$(command -v " + word +
              " 2>/dev/null) || exit 127; case $p in */*) [ -f \"$p\" ] && [ -x \"$p\" ] || exit 126; esac");
  const std::string answer = asked.end(std::chrono::seconds(5));
  if (answer == "exit status 126" && std::filesystem::exists(word))
    throw DataError(
        text("reward 'command:", command, "': ", word, " is there but may not be executed; try chmod +x ", word));
  if (answer != "exit status 0")
    throw DataError(
        text("reward 'command:", command, "': there is no program ", word, "; name one that is on PATH, or its path"));
}

}  // namespace

RewardCommand::RewardCommand(std::string program, std::chrono::milliseconds silence)
    : program_(std::move(program)), silence_(silence) {
  require_program(program_);
  child_ = std::make_unique<Child>(program_);
}

void RewardCommand::score(std::span<const Generated> sequences, std::span<double> scores) {
  const std::lock_guard lock(mutex_);
  try {
    if (child_) exchange(sequences, scores);
  } catch (const DataError& error) {
    give_up(error.what());
  } catch (const Interrupted&) {
    give_up("the reward program was interrupted");
    throw;
  }
  if (!child_) throw DataError(failure_);
}

void RewardCommand::give_up(const std::string& why) {
  failure_ = why;
  child_->end(std::chrono::milliseconds(0));
  child_.reset();
}

// Takes what the program has written; false at its end.
bool RewardCommand::receive() {
  char bytes[65536];
  const ssize_t n = read(child_->out(), bytes, sizeof bytes);
  if (n > 0) received_.append(bytes, size_t(n));
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

// Both directions at once: a program that answers while we still write must not find its own pipe full.
void RewardCommand::exchange(std::span<const Generated> sequences, std::span<double> scores) {
  constexpr size_t kLongestLine = 4096;
  constexpr int kPatience = 50;                    // ms
  constexpr std::chrono::milliseconds kSlice(50);  // from one look at whether we are to go on to the next
  const size_t n = sequences.size();
  const Lines lines(sequences);
  size_t sent = 0, answered = 0;
  bool reads = true;
  const auto fail = [&](const auto&... what) {
    throw DataError(text("reward 'command:", program_, "': the program ", what...));
  };
  // Lines that have come, as numbers of texts that have gone.
  const auto take_lines = [&] {
    size_t begin = 0;
    for (size_t newline; (newline = received_.find('\n', begin)) != std::string::npos; begin = newline + 1) {
      const std::string_view line = std::string_view(received_).substr(begin, newline - begin);
      if (answered == n || lines.end[answered] > sent)
        fail("wrote ", shown(line), " without having been given a text for it");
      if (!parse_number(trimmed(line), scores[answered]))
        fail("wrote ", shown(line), " for the text ", shown(sequences[answered].text),
             "; it must write a finite number");
      ++answered;
    }
    received_.erase(0, begin);
    // A text of which something has gone may already be answered in part.
    const size_t asked = answered == 0 ? 0 : lines.end[answered - 1];
    if (!received_.empty() && (answered == n || asked >= sent || received_.size() > kLongestLine))
      fail("wrote ", shown(received_), " where ", answered == n ? "nothing more" : "one number a line",
           " was expected");
  };

  const LongLoop loop("waiting for the reward program, texts", int64_t(n));
  Clock::time_point last = Clock::now();  // something moved
  while (answered < n) {
    loop.at(int64_t(answered));
    pollfd ready[2] = {{child_->out(), POLLIN, 0},
                       {reads && sent < lines.bytes.size() ? child_->in() : -1, POLLOUT, 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(last + silence_ - Clock::now());
    if (left.count() <= 0)
      fail("wrote nothing for ", double(silence_.count()) / 1000, " s, after ", answered, " of ", n, " numbers",
           "; does it flush each line?");
    if (poll(ready, 2, int(std::min(left, kSlice).count())) < 0) {
      if (errno != EINTR) fail("cannot be waited for: ", std::strerror(errno));
      continue;
    }
    if (ready[0].revents) {  // before we write: what has come without a question is found out
      last = Clock::now();
      if (!receive())
        fail("ended (", child_->end(std::chrono::seconds(1)), ") after ", answered, " of ", n, " numbers");
      take_lines();
    }
    if (ready[1].revents) {
      const ssize_t written = child_->write(std::string_view(lines.bytes).substr(sent));
      if (written > 0) {
        sent += size_t(written);
        last = Clock::now();
      } else if (errno != EAGAIN && errno != EINTR) {
        reads = false;  // its answers, or its end, are still to come
      }
    }
  }
  // Did it write too much? What comes later is found by the next call; the first time we wait a little for it, so that
  // a program that always writes too much is found out even if there is no next call.
  pollfd more{child_->out(), POLLIN, 0};
  if (n > 0 && poll(&more, 1, std::exchange(first_, false) ? kPatience : 0) > 0 && receive()) take_lines();
}

namespace reward {
Scorer command(const std::string& program, const Tokenizer&) {
  return [asked = std::make_shared<RewardCommand>(program)](
             std::span<const Generated> sequences, std::span<double> scores) { asked->score(sequences, scores); };
}
}  // namespace reward

}  // namespace gradus
