// Single keys from a terminal.
#pragma once

namespace gradus {

// While it lives the keys of standard input come singly and unseen; one at a time. The terminal is as it was
// afterwards, also when a signal ends or stops the program. Where standard input is no terminal it does nothing.
class RawMode {
 public:
  RawMode();
  ~RawMode();
  RawMode(const RawMode&) = delete;

 private:
  bool is_terminal_;
};

// The next key, 0 at the end of the input; the arrows as n (right, down) and p (left, up).
char key();

}  // namespace gradus
