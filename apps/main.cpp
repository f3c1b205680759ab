// The gradus program: runs the command line and turns every error into one sentence and an exit code.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <new>
#include <system_error>

#include "apps/commands.h"
#include "engine/error.h"

namespace gradus {

static int fail(const char* message, ExitCode code) {
  std::fprintf(stderr, "gradus: %s\n", message);
  return code;
}

}  // namespace gradus

int main(int argc, char** argv) {
  using namespace gradus;
  std::signal(SIGPIPE, SIG_DFL);  // a closed pipe ends us quietly
  try {
    const int code = run_command_line(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
      throw WriteError(text("standard output cannot be written: ", std::generic_category().message(errno)));
    return code;
  } catch (const UsageError& error) {
    return fail(error.what(), kUsage);
  } catch (const DataError& error) {
    return fail(error.what(), kBadInput);
  } catch (const WriteError& error) {
    return fail(error.what(), kCouldNotWrite);
  } catch (const DivergedError& error) {
    return fail(error.what(), kDiverged);
  } catch (const std::bad_alloc&) {
    return fail("out of memory; use a smaller --batch, --context, --embd or --hidden", kInternal);
  } catch (const std::exception& error) {
    return fail(error.what(), kInternal);
  }
}
