#include "apps/run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine/gemm.h"
#include "engine/kernels.h"
#include "models/run/checkpoint.h"

namespace gradus {

bool RunFolder::has_checkpoint(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path + "/checkpoint.safetensors", error);
}

// A log that leads elsewhere would have a file cut that is not of this run. With `more` 0 there may be none.
static Descriptor open_log(const std::string& name, int more) {
  Descriptor log(::open(name.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | more, 0666));
  if (!log && more == 0) return log;
  if (!log && errno == ELOOP)
    throw WriteError(text(name, ": is a symbolic link, and the log must be in the folder; remove it"));
  struct stat status {};
  if (!log || ::fstat(log.get(), &status) != 0)
    throw WriteError(text(name, ": cannot be opened for writing: ", std::strerror(errno)));
  if (!S_ISREG(status.st_mode)) throw WriteError(text(name, ": is a device or a pipe, and the log must be a file"));
  return log;
}

RunFolder::RunFolder(std::string path) : path_(std::move(path)) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) throw WriteError(text(path_, ": the folder of the run cannot be made: ", error.message()));
  const std::string name = path_ + "/log.jsonl";
  // The folder's lock is the one that counts: a log can be deleted. The log's says which process it is.
  folder_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const bool is_taken = ::flock(folder_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  log_ = open_log(name, is_taken ? 0 : O_CREAT);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  if (!is_taken && fcntl(log_.get(), F_SETLK, &lock) == 0) return;
  if (fcntl(log_.get(), F_GETLK, &lock) != 0) lock.l_type = F_UNLCK;
  throw UsageError(text(path_, ": ", lock.l_type == F_UNLCK ? "another process" : text("process ", lock.l_pid),
                        " is training in this run; wait for it or use another --out"));
}

std::string RunFolder::truncate_log(int64_t step) {
  std::string all;
  char buffer[65536];
  for (ssize_t n; (n = pread(log_.get(), buffer, sizeof buffer, off_t(all.size()))) > 0;) all.append(buffer, size_t(n));
  size_t keep = 0;
  std::string last;
  while (step > 0 && keep < all.size()) {
    const size_t end = all.find('\n', keep);
    if (end == std::string::npos) break;
    const Json record = Json::parse_or_null(std::string_view(all).substr(keep, end - keep));
    const Json* of = record.find("step");
    if (!record.is_object() || (of && (!of->is_number_integer() || of->get<int64_t>() > step))) break;
    const Json type = record.value("type", Json());
    last = of && of->get<int64_t>() == step && type.is_string() ? type.get<std::string>() : "";
    keep = end + 1;
  }
  if (ftruncate(log_.get(), off_t(keep)) != 0)
    throw WriteError(text(path_, "/log.jsonl: cannot be cut back to step ", step, ": ", std::strerror(errno)));
  return last;
}

void RunFolder::log(const Json& record) {
  const std::string line = record.dump() + "\n";
  if (!log_error_.empty()) return;
  if (::write(log_.get(), line.data(), line.size()) != ssize_t(line.size()))
    log_error_ =
        text(path_, "/log.jsonl cannot be written (", std::strerror(errno), "); training continues without it");
}

void refuse_existing(const std::string& out) {
  if (RunFolder::has_checkpoint(out))
    throw UsageError(text(out, " already holds a run; continue it with --resume, or use another --out"));
}

RunFolder make_folder(const std::string& out) {
  RunFolder folder(out);
  refuse_existing(out);  // another process may have trained here meanwhile
  return folder;
}

RunFolder reopen_folder(const std::string& out) {
  if (!RunFolder::has_checkpoint(out))
    throw DataError(
        text(out, ": there is no checkpoint.safetensors to resume from; without --resume a run begins there"));
  return RunFolder(out);
}

// The first parameter that holds a number that is not finite, or -1.
static int64_t first_not_finite(const Params& params) {
  for (int64_t i = 0; i < params.count(); ++i)
    if (!kernel::all_finite(params.shape(i).numel(), params.values(i).data())) return i;
  return -1;
}

void require_resumable(const RunCommand& command, int64_t steps, const Checkpoint& run, Console& console) {
  if (!run.optimizer)
    throw DataError(text(run.path, ": holds no optimiser state, training cannot be resumed from it; start a new run"));
  if (command.stop_after > 0 && command.stop_after <= run.step)
    throw UsageError(text("--stop-after ", command.stop_after, ": the run in ", command.out, " has already done ",
                          run.step, "; name a later step"));
  if (command.steps_given && steps < run.step)
    throw UsageError(text("--steps ", steps, ": the run in ", command.out, " has already done ", run.step,
                          "; --steps counts from its beginning"));
  if (run.blas_core != blas_core())
    console.note(text("note: the run began on OpenBLAS ", run.blas_core, " kernels, this machine uses ", blas_core(),
                      "; results will differ in the last bits"));
  const Params& params = run.model->params();
  if (const int64_t i = first_not_finite(params); i >= 0)
    throw DataError(
        text(run.path, ": ", params.name(i), " holds a number that is not finite; training cannot go on from it"));
}

void stop_diverged(int64_t step, const std::string& what, const RunFolder& folder) {
  throw DivergedError(text("step ", step, ": ", what, "; ", folder.checkpoint(),
                           RunFolder::has_checkpoint(folder.path()) ? " keeps the last good state" : " was not written",
                           "; try a smaller --lr"));
}

void require_finite(const Params& params, int64_t step, const RunFolder& folder) {
  if (const int64_t i = first_not_finite(params); i >= 0)
    stop_diverged(step, params.name(i) + " is not finite after its update", folder);
}

int end_run(const RunFolder& folder, Console& console, const std::string& command, int64_t step, bool stopped,
            int64_t tokens) {
  console.warn(folder.log_error());
  console.note(stopped
                   ? text("Stopped after step ", step, " and saved; continue with: gradus ", command, " --out ",
                          folder.path(), " --resume")
                   : text("Saved ", folder.checkpoint(), ". Try: gradus sample ", folder.path(), " --tokens ", tokens));
  return stopped ? kInterrupted : kDone;
}

}  // namespace gradus
