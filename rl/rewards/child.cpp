#include "rl/rewards/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/error.h"

extern char** environ;

namespace gradus {
namespace {

struct Pipe {
  Descriptor read, write;
};

// Closed on exec, and above the standard descriptors, onto which the child will copy it.
Descriptor above_standard(int fd) {
  const Descriptor low(fd);
  return Descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

Pipe make_pipe() {
  int fd[2];
  if (pipe2(fd, O_CLOEXEC) != 0) return {};
  return {above_standard(fd[0]), above_standard(fd[1])};
}

sigset_t only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

// A set of posix_spawn's attributes and file actions.
struct Spawn {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t files;
  Spawn() {
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&files);
  }
  ~Spawn() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
  }
  Spawn(const Spawn&) = delete;
};

// Starts `sh -c PROGRAM` in the process group `group` (0: one of its own). Returns 0 or the error.
// What a program inherits: not that this process may be a rank of a job, or a gradus in it would want to join.
std::vector<char*> inherited() {
  std::vector<char*> variables;
  for (char** one = environ; *one; ++one)
    if (std::ranges::none_of(std::array{"OMPI_", "PMI_", "PMIX_", "OPAL_"},
                             [&](const char* of_mpi) { return std::string_view(*one).starts_with(of_mpi); }))
      variables.push_back(*one);
  variables.push_back(nullptr);
  return variables;
}

int start(pid_t& pid, std::string program, pid_t group, int in, int out) {
  Spawn spawn;
  sigset_t standard = only(SIGPIPE), none;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&standard, signal);
  sigemptyset(&none);
  posix_spawnattr_setflags(&spawn.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&spawn.attributes, group);
  posix_spawnattr_setsigdefault(&spawn.attributes, &standard);
  posix_spawnattr_setsigmask(&spawn.attributes, &none);
  posix_spawn_file_actions_adddup2(&spawn.files, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&spawn.files, out, STDOUT_FILENO);
  std::string shell = "sh", option = "-c";
  char* const argv[] = {shell.data(), option.data(), program.data(), nullptr};
  return posix_spawn(&pid, "/bin/sh", &spawn.files, &spawn.attributes, argv, inherited().data());
}

// The guardian reads until its pipe ends, which it does when we end, however that is; then it kills its group. It holds
// no end of the program's pipes, or we would not see that the program has ended.
constexpr const char* kGuardian = "while read -r _; do :; done; kill -9 0";

}  // namespace

Child::Child(const std::string& program) {
  Pipe input = make_pipe(), output = make_pipe(), life = make_pipe();
  int error = errno;
  if (input.read && input.write && output.read && output.write && life.read && life.write) {
    error = start(group_, kGuardian, 0, life.read.get(), life.read.get());  // it writes nothing
    if (error == 0) error = start(pid_, program, group_, input.read.get(), output.write.get());
    if (error == 0) {
      in_ = std::move(input.write);
      out_ = std::move(output.read);
      life_ = std::move(life.write);
      for (int fd : {in(), out()}) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
      return;
    }
    pid_ = -1;
    end(std::chrono::milliseconds(0));
  }
  throw DataError(text(program, ": no process can be started: ", std::strerror(error)));
}

ssize_t Child::write(std::string_view bytes) const {
  // SIGPIPE is held back on this thread, and taken off it again if it is ours.
  const sigset_t pipe = only(SIGPIPE);
  sigset_t before, pending;
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const ssize_t n = ::write(in(), bytes.data(), bytes.size());
  const int error = errno;
  const timespec at_once{};
  if (n < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) sigtimedwait(&pipe, nullptr, &at_once);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return n;
}

static int reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string Child::end(std::chrono::milliseconds grace) {
  if (group_ < 0) return ending_;
  in_ = Descriptor();
  out_ = Descriptor();
  const auto deadline = std::chrono::steady_clock::now() + grace;
  siginfo_t info{};
  // WNOWAIT leaves the process unreaped, so that its number still belongs to it when we kill.
  const auto is_gone = [&] { return waitid(P_PID, id_t(pid_), &info, WEXITED | WNOHANG | WNOWAIT), info.si_pid != 0; };
  while (pid_ > 0 && !is_gone() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const bool by_itself = pid_ > 0 && is_gone();
  kill(-group_, SIGKILL);  // what it has started too, and the guardian
  reap(std::exchange(group_, -1));
  life_ = Descriptor();
  if (pid_ < 0) return ending_;
  const int status = reap(std::exchange(pid_, -1));
  if (!by_itself)
    ending_ = "killed";
  else if (WIFSIGNALED(status))
    ending_ = text("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  else
    ending_ = text("exit status ", WEXITSTATUS(status), WEXITSTATUS(status) == 127 ? ", command not found" : "");
  return ending_;
}

}  // namespace gradus
