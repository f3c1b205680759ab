#include "engine/long_loop.h"

namespace gradus {

std::atomic<Watcher*> LongLoop::watcher{nullptr};

void watch_with(Watcher* watcher) { LongLoop::watcher.store(watcher); }

}  // namespace gradus
