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
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (signal != SIGHUP || before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup ignores SIGHUP
  }
}
bool interrupted() { return interrupts > 0; }

}  // namespace gradus
