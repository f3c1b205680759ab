#include "apps/signals.h"

#include <unistd.h>

#include <csignal>

#include "apps/commands.h"

namespace gradus {

static volatile std::sig_atomic_t interrupts = 0;

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) {
    interrupts = interrupts + 1;
    if (interrupts > 1) _exit(kInterrupted);
  };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}
bool interrupted() { return interrupts > 0; }

}  // namespace gradus
