// A child process with its standard input and output on pipes.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

#include "engine/io/file.h"

namespace gradus {

class Child {
 public:
  // Starts `sh -c PROGRAM` in a process group of its own, so that Ctrl-C reaches us alone, with no descriptor of ours
  // but stderr. A small guardian in that group kills all of it when we end, even by kill -9. DataError where no process
  // can be started; a program that is not there ends with exit status 127.
  explicit Child(const std::string& program);
  // Closes the pipes, which a program takes for the end of its work, and kills it, with all that it has started, where
  // it is not gone within a second.
  ~Child() { end(std::chrono::seconds(1)); }
  Child(const Child&) = delete;

  // Our ends of the pipes; neither blocks.
  int in() const { return in_.get(); }
  int out() const { return out_.get(); }
  // As write(2) to in(), but where nobody reads any more it fails with EPIPE and raises no signal.
  ssize_t write(std::string_view bytes) const;

  // As the destructor, after `grace` instead of a second. "exit status 3", "signal 11 (Segmentation fault)", or
  // "killed" where it had to be. Again: the same.
  std::string end(std::chrono::milliseconds grace);

 private:
  pid_t pid_ = -1, group_ = -1;  // of the program and of the guardian, which leads the group; -1 when reaped
  Descriptor in_, out_, life_;   // life_: the end of the guardian's pipe that nobody else has
  std::string ending_;
};

}  // namespace gradus
