// The gradus program: runs the command line and turns every error into one sentence and an exit code.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <system_error>

#include "apps/commands.h"
#include "apps/proposal.h"
#include "engine/error.h"
#include "models/text/utf8.h"

namespace gradus {

static int fail(const char* message, ExitCode code) {
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

}  // namespace gradus

int main(int argc, char** argv) {
  using namespace gradus;
  take_standard_descriptors();
  set_command_line(argc, argv);
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
  } catch (const std::filesystem::filesystem_error& error) {  // a name that is too long, a folder that is locked
    return fail(text(error.path1().string(), ": ", error.code().message()).c_str(), kBadInput);
  } catch (const std::bad_alloc&) {
    return fail("out of memory; use a smaller --batch, --context, --embd or --hidden", kInternal);
  } catch (const std::exception& error) {
    return fail(error.what(), kInternal);
  }
}
