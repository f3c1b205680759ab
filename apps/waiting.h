// Waiting: the Watcher of the program (engine/long_loop.h). It ends every long loop once somebody has asked for the end
// (apps/signals.h), and shows a person how far a loop has come that takes longer than two seconds.
#pragma once

#include <atomic>
#include <mutex>

#include "apps/commands.h"
#include "engine/long_loop.h"

namespace gradus {

class Waiting final : public Watcher {
 public:
  explicit Waiting(const Common& common);
  ~Waiting() override;
  void see(const LongLoop& loop, int64_t done) override;
  void see_end(const LongLoop& loop) noexcept override;

 private:
  const bool shows_;  // on a terminal at stderr
  std::mutex mutex_;
  std::atomic<const LongLoop*> shown_{nullptr};  // whose line stands on the screen
  std::chrono::steady_clock::time_point since_;  // it was written
};

}  // namespace gradus
