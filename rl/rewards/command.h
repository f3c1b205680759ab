// The reward `command:PROGRAM`: a program of the user computes the scores. It is started once and serves every batch.
//
// It reads one text a line and writes one number a line, in the same order. In a text a backslash is written \\, a
// newline \n, a carriage return \r, a NUL \0, so that a text is always one line; the end mark is not shown. In a run of
// --pairs, and in no other, a line is the prompt, a tab and the text, and a tab in either is written \t: a program that
// was written for texts alone reads what it always read in the runs that it was written for.
//
// The program may read ahead, but must not wait for more than the lines of a batch, and must flush its output: we wait
// for all numbers of a batch before we continue. (mawk reads whole blocks: mawk -W interactive.) In Python:
//
//   import re, sys
//   for line in sys.stdin:
//       text = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r", "0": "\0"}.get(m[1], m[1]), line.rstrip("\n"))
//       print(text.count("cat"), flush=True)
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "rl/rewards/child.h"
#include "rl/rewards/terms.h"

namespace gradus {

class RewardCommand {
 public:
  // Starts the program at once, so that it can get ready while we do. DataError where it cannot, and where its first
  // word is the name of no program.
  explicit RewardCommand(std::string program, std::chrono::milliseconds silence = std::chrono::seconds(30));

  // scores[i] of sequences[i]. DataError if the program writes a line that is no finite number, more lines than it was
  // given texts, ends early, or moves no byte for `silence`; it is then killed, and every later call throws the same.
  // Threads take turns.
  void score(std::span<const Generated> sequences, std::span<double> scores);

 private:
  void exchange(std::span<const Generated> sequences, std::span<double> scores);
  bool receive();
  void give_up(const std::string& why);

  std::string program_;
  std::chrono::milliseconds silence_;
  std::mutex mutex_;
  std::unique_ptr<Child> child_;  // null after a failure
  std::string failure_;
  bool first_ = true;     // no batch has been answered yet
  std::string received_;  // the line that is not whole yet
};

}  // namespace gradus
