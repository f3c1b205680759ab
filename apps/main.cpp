// The gradus program: runs the command line and turns every error into one sentence and an exit code.
#include <fcntl.h>
#include <malloc.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "apps/commands.h"
#include "apps/console.h"
#include "apps/next_command.h"
#include "engine/error.h"
#include "engine/io/mpi.h"
#include "engine/long_loop.h"
#include "models/text/utf8.h"

namespace gradus {

// What ended the program, for rank 0 where this is another one.
static std::string sentence;

static int fail(const char* message, ExitCode code) {
  sentence = message;
  std::fprintf(stderr, "gradus: %s\n", harmless_line(message).c_str());
  return code;
}

// Where a standard descriptor is closed, the next file to be opened would take its place and get what is meant for it.
static void take_standard_descriptors() {
  for (int fd = open("/dev/null", O_RDONLY); fd >= 0; fd = open("/dev/null", O_RDONLY))  // which cannot be written
    if (fd > STDERR_FILENO) {
      close(fd);
      break;
    }
}

// The first word of the command line.
static const char* command = "";

// Takes no memory itself. A remedy only where the command has options that ask for memory.
static int out_of_memory() {
  constexpr std::pair<const char*, const char*> kRemedies[] = {
      {"train", "; use a smaller --batch, --context or model"},
      {"classify", "; use a smaller --batch, --context or model"},
      {"tune", "; use a smaller --batch or --max-tokens"},
      {"sample", "; use a smaller --count or --tokens"},
      {"exact", "; use a smaller --max-tokens"},
      {"prefer", "; use a smaller --max-tokens"},
      {"reward-model", "; use a smaller --batch"},
      {"frontier", "; use a smaller --max-tokens"},
      {"atlas", "; use a smaller --max-tokens or --batch"},
      {"compare", "; use a smaller --samples or --max-tokens"}};
  const char* remedy = "";
  for (const auto& [name, options] : kRemedies)
    if (std::strcmp(command, name) == 0) remedy = options;
  std::fprintf(stderr, "gradus: out of memory%s\n", remedy);
  return kInternal;
}

// Some functions of the libraries (CLI11's objects before main, and what it calls noexcept) cannot throw: there too
// memory that has run out ends in the sentence.
static std::terminate_handler otherwise;
static void end_where_nothing_can_be_thrown() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    _exit(out_of_memory());
  } catch (...) {
  }
  otherwise();
}
[[gnu::constructor(101)]] static void before_all_objects() {
  otherwise = std::set_terminate(end_where_nothing_can_be_thrown);
}

// Of a job of several ranks only the first talks, and only what is made for it runs in one.
static void join_job() {
  const Comm& ranks = ranks_of_job();
  if (ranks.ranks() == 1) return;
  std::signal(SIGPIPE, SIG_IGN);  // mpirun may be gone before rank 0 has saved
  setenv("TERM", "dumb", 1);      // mpirun gives each rank a terminal that nobody sees
  if (ranks.rank() > 0)
    if (const int nowhere = open("/dev/null", O_WRONLY); nowhere >= 0)
      for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere, fd);
  constexpr const char* kOnRanks[] = {"train", "tune", "bench"};
  for (const char* name : kOnRanks)
    if (std::strcmp(command, name) == 0) return;
  throw UsageError(text("gradus ", command, " runs in one process, and mpirun has started ", ranks.ranks(),
                        "; leave out mpirun (train, tune and bench --grow run on several)"));
}

// Runs the command and turns errors into sentences; returns the exit code.
static int run(int argc, char** argv) {
  try {
    join_job();
    const int code = run_command_line(argc, argv);
    if (code == kInterrupted && !takes_bytes(stdout)) __fpurge(stdout);  // nobody reads: the end must not wait for it
    errno = 0;
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
      const std::string why =
          errno != 0 ? ": " + std::generic_category().message(errno) : "";  // of now, if it is known
      throw WriteError("standard output cannot be written" + why);
    }
    return code;
  } catch (const Interrupted&) {  // where there was nothing to save
    return kInterrupted;
  } catch (const UsageError& error) {
    return fail(error.what(), kUsage);
  } catch (const DataError& error) {
    return fail(error.what(), kBadInput);
  } catch (const WriteError& error) {
    return fail(error.what(), kCouldNotWrite);
  } catch (const DivergedError& error) {
    return fail(error.what(), kDiverged);
  } catch (const std::filesystem::filesystem_error& error) {  // a name that is too long, a folder that is locked
    return fail(text(error.path1().string(), ": ", error.code().message()).c_str(), kBadInput);
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::exception& error) {
    return fail(error.what(), kInternal);
  }
}

}  // namespace gradus

int main(int argc, char** argv) {
  using namespace gradus;
  take_standard_descriptors();
  if (argc > 1) command = argv[1];
  set_command_line(argc, argv);
  std::signal(SIGPIPE, SIG_DFL);  // a closed pipe ends us quietly
  // Blocks of a megabyte and more go back to the machine when they are freed. Left alone, glibc learns to keep them,
  // and how much it then holds depends on the order of the small ones: up to 11 % of a step of fine-tuning.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  const int code = run(argc, argv);
  const JobFailure& elsewhere = failure_of_job();
  if (elsewhere.code == 0) return leave_job(code, sentence);
  std::fprintf(stderr, "gradus: %s\n", harmless_line(elsewhere.sentence).c_str());
  return leave_job(elsewhere.code, "");
}
