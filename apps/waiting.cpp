#include "apps/waiting.h"

#include <unistd.h>

#include <cstdio>

#include "apps/console.h"
#include "apps/format.h"
#include "apps/signals.h"

namespace gradus {

using Clock = std::chrono::steady_clock;

Waiting::Waiting(const Common& common) : shows_(!common.quiet && can_rewrite(stderr)) { watch_with(this); }
Waiting::~Waiting() { watch_with(nullptr); }

void Waiting::see(const LongLoop& loop, int64_t done) {
  constexpr std::chrono::milliseconds kPatience(2000), kPause(200);
  if (interrupted()) throw Interrupted();
  if (!shows_) return;
  const Clock::time_point now = Clock::now();
  if (now - loop.begin < kPatience) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || (shown_ && now - since_ < kPause) || !takes_bytes(stderr)) return;
  shown_ = &loop;
  since_ = now;
  const double seconds = std::chrono::duration<double>(now - loop.begin).count();
  std::string line = text(loop.what, ": ", grouped(done));
  if (loop.of > 0) line += " of " + grouped(loop.of);
  if (loop.of > done && done > 0) line += ", " + duration(seconds / double(done) * double(loop.of - done)) + " left";
  std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
  std::fflush(stderr);
}

// What the program prints next must not stand behind the line.
void Waiting::see_end(const LongLoop& loop) noexcept {
  const LongLoop* mine = &loop;
  if (shown_.compare_exchange_strong(mine, nullptr)) std::fputs("\r\x1b[K", stderr);
}

}  // namespace gradus
