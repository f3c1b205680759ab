#include "apps/signals.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "apps/commands.h"

namespace gradus {

static volatile std::sig_atomic_t interrupts = 0;
static bool in_job = false, follows = false;

// What a wait of more than a second says; without its first character where no line stands on a terminal.
static constexpr char kWaits[] =
    "\nThis step is finished and saved first. Ctrl-C again ends the program at once, and the step is lost.\n";
static size_t waits_from = 0;
static unsigned patience = 0;  // seconds; 0: nothing is said

// A reader of stderr that has stopped to read must not hold us up.
static void tell_of_the_wait(int) {
  const int before = errno;
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  [[maybe_unused]] const bool told =
      poll(&ready, 1, 0) > 0 && write(STDERR_FILENO, kWaits + waits_from, sizeof kWaits - 1 - waits_from) > 0;
  errno = before;
}

void catch_interrupts(bool tells) {
  waits_from = isatty(STDERR_FILENO) ? 0 : 1;
  patience = tells ? 1 : 0;
  struct sigaction action {};
  action.sa_handler = tell_of_the_wait;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  action.sa_handler = [](int) {
    interrupts = interrupts + 1;
    if (in_job) return;
    if (interrupts > 1) _exit(kInterrupted);
    alarm(patience);
  };
  action.sa_flags = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (signal != SIGHUP || before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup ignores SIGHUP
  }
}
bool interrupted() { return interrupts > 0 && !follows; }

void stop_with_job(bool leads) {
  in_job = true;
  follows = !leads;
}
bool was_signalled() { return interrupts > 0; }
void interrupt() { interrupts = 1; }

}  // namespace gradus
