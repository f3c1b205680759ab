// LongLoop: what a loop that may take long says of itself in every round. Who wants to hear of it makes a Watcher
// current, as the program does (apps/waiting.h): to show how far it has come, and to end it. Without one a round costs
// a load and a branch.
//
//   LongLoop loop("listing sequences", n);
//   for (int64_t i = 0; i < n; ++i) {
//     loop.at(i);
//     ...
//   }
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace gradus {

// Thrown out of a loop that is not to go on, because somebody pressed Ctrl-C. It is no std::exception, so that only
// those catch it who mean it: a loop that is cut short has no result.
struct Interrupted {};

class LongLoop;
class Watcher {
 public:
  virtual ~Watcher() = default;
  // A round of the loop, `done` of its pieces after its beginning. May throw Interrupted. Called on any thread, and by
  // loops within loops.
  virtual void see(const LongLoop& loop, int64_t done) = 0;
  virtual void see_end(const LongLoop& loop) noexcept = 0;
};
// Whom all loops of the process tell from now on; null: nobody. REQUIRES: no loop is running.
void watch_with(Watcher* watcher);

class LongLoop {
 public:
  // What it does as a person reads it, and of how many pieces; 0 if nobody knows how many.
  explicit LongLoop(const char* activity, int64_t pieces = 0) : what(activity), of(pieces) {}
  ~LongLoop() {
    if (Watcher* w = watcher.load(std::memory_order_relaxed)) w->see_end(*this);
  }
  LongLoop(const LongLoop&) = delete;
  void at(int64_t done) const {
    if (Watcher* w = watcher.load(std::memory_order_relaxed)) w->see(*this, done);
  }

  const char* const what;
  const int64_t of;
  const std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();

 private:
  friend void watch_with(Watcher* watcher);
  static std::atomic<Watcher*> watcher;
};

}  // namespace gradus
