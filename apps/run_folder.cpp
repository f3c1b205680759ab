#include "apps/run_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "engine/error.h"
#include "engine/kernels.h"
#include "engine/params.h"

namespace gradus {

Json number(double x) {
  if (std::isfinite(x)) return x;
  return std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

bool RunFolder::has_checkpoint(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path + "/checkpoint.safetensors", error);
}

RunFolder::RunFolder(std::string path) : path_(std::move(path)) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) throw WriteError(text(path_, ": the folder of the run cannot be made: ", error.message()));
  const std::string name = path_ + "/log.jsonl";
  log_ = Descriptor(::open(name.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!log_) throw WriteError(text(name, ": cannot be opened for writing: ", std::strerror(errno)));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  if (fcntl(log_.get(), F_SETLK, &lock) != 0) {
    fcntl(log_.get(), F_GETLK, &lock);
    throw UsageError(
        text(path_, ": process ", lock.l_pid, " is training in this run; wait for it or take another --out"));
  }
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
    log_error_ = text(path_, "/log.jsonl cannot be written (", std::strerror(errno), "); training goes on without it");
}

void refuse_existing(const std::string& out) {
  if (RunFolder::has_checkpoint(out))
    throw UsageError(text(out, " already holds a run; continue it with --resume, or take another --out"));
}

int end_run(const RunFolder& folder, Console& console, const std::string& command, int64_t step, bool stopped,
            int64_t tokens) {
  if (!folder.log_error().empty()) console.note("warning: " + folder.log_error());
  try {
    write_report(folder.path());
  } catch (const std::exception& error) {  // the run itself is safe
    console.note(text("warning: no report: ", error.what()));
  }
  console.note(stopped
                   ? text("Stopped after step ", step, " and saved; go on with: gradus ", command, " --out ",
                          folder.path(), " --resume")
                   : text("Saved ", folder.checkpoint(), ". Try: gradus sample ", folder.path(), " --tokens ", tokens));
  return stopped ? kInterrupted : kDone;
}

int64_t first_not_finite(const Params& params) {
  for (int64_t i = 0; i < params.count(); ++i)
    if (!kernel::all_finite(params.shape(i).numel(), params.values(i).data())) return i;
  return -1;
}

void stop_diverged(int64_t step, const std::string& what, const RunFolder& folder) {
  throw DivergedError(text("step ", step, ": ", what, "; ", folder.checkpoint(),
                           RunFolder::has_checkpoint(folder.path()) ? " keeps the last good state" : " was not written",
                           "; try a smaller --lr"));
}

}  // namespace gradus
