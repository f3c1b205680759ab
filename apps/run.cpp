#include "apps/run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "engine/gemm.h"
#include "engine/io/safetensors.h"
#include "models/posterior/chains.h"
#include "models/run/checkpoint.h"
#include "models/text/utf8.h"

namespace gradus {

static constexpr const char* kBest = "/best.safetensors";
std::string RunFolder::best() const { return path_ + kBest; }
bool RunFolder::has_best() const {
  std::error_code error;
  return std::filesystem::exists(best(), error);
}

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

RunFolder::RunFolder(std::string path, Comm& ranks) : ranks_(&ranks), path_(std::move(path)) {
  if (!is_written()) return;
  namespace fs = std::filesystem;
  std::error_code error;
  for (fs::path folder = path_; !folder.empty() && !fs::exists(folder, error); folder = folder.parent_path())
    if (folder.has_filename()) made_.push_back(folder.string());  // not the empty one behind a last /
  fs::create_directories(path_, error);
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

void RunFolder::discard() {
  if (!is_written()) return;
  ::unlink((path_ + "/log.jsonl").c_str());
  for (const std::string& folder : made_) ::rmdir(folder.c_str());
}

static constexpr std::string_view kLogBeginning = R"({"type":"run")";

std::string RunFolder::truncate_log(int64_t step) {
  struct {
    char last[15] = {};
    bool lacks_beginning = false;
  } found;
  if (is_written()) {
    const std::string last = cut_log(step);
    last.copy(found.last, sizeof found.last - 1);
    found.lacks_beginning = lacks_beginning_;
  }
  ranks_->broadcast(std::as_writable_bytes(std::span(&found, 1)));
  lacks_beginning_ = found.lacks_beginning;
  return found.last;
}

std::string RunFolder::cut_log(int64_t step) {
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
  lacks_beginning_ = keep == 0 || !all.starts_with(kLogBeginning);
  if (lacks_beginning_) behind_ = all.substr(0, keep);
  return last;
}

void RunFolder::begin_log(const Json& record) {
  if (!behind_.empty() && ftruncate(log_.get(), 0) != 0)
    throw WriteError(text(path_, "/log.jsonl: cannot be written: ", std::strerror(errno)));
  write_line(record.dump() + "\n" + std::exchange(behind_, {}));
  lacks_beginning_ = false;
}

void RunFolder::log(const Json& record) { write_line(record.dump() + "\n"); }

void RunFolder::write_line(const std::string& line) {
  if (!log_error_.empty() || !is_written()) return;
  if (::write(log_.get(), line.data(), line.size()) != ssize_t(line.size()))
    log_error_ =
        text(path_, "/log.jsonl cannot be written (", std::strerror(errno), "); training continues without it");
}

// Of a run that came to nothing, or of one whose checkpoint somebody has deleted.
static bool is_ours(const std::string& weights) {
  try {
    return SafetensorsFile::open(weights).is_ours();
  } catch (const DataError&) {
    return false;
  }
}

static void refuse_checkpoint(const std::string& out) {
  if (RunFolder::has_checkpoint(out))
    throw UsageError(text(out, " already holds a run; continue it with --resume, or use another --out"));
}

void refuse_existing(const std::string& out) {
  refuse_checkpoint(out);
  const std::string log = out + "/log.jsonl";
  std::error_code error;
  if (const std::string best = out + kBest; std::filesystem::exists(best, error) && !is_ours(best))
    throw UsageError(text(best, ": gradus did not write this file and would replace it; use another --out"));
  if (!std::filesystem::exists(log, error)) return refuse_foreign_report(out);
  std::string beginning(kLogBeginning.size(), '\0');
  std::ifstream in(std::filesystem::is_regular_file(log, error) ? log : "", std::ios::binary);
  in.read(beginning.data(), std::streamsize(beginning.size()));
  // An empty log, or one that was cut at its first line, is ours too.
  if (!in.is_open() || !kLogBeginning.starts_with(beginning.substr(0, size_t(in.gcount()))))
    throw UsageError(text(log, ": gradus did not write this file and would replace it; use another --out"));
  refuse_foreign_report(out);
}

void require_room_in_header(const Checkpoint& run, const std::string& json, const std::string& what,
                            const std::string& remedy) {
  // Of an array: its name, shape and place. The rest: the options, the state of a run, up to 1,000 replayed batches.
  constexpr size_t kOfArray = 256, kRest = 1 << 20;
  const size_t arrays = 3 * size_t(run.model->params().count()) * kOfArray;  // with the moments of each
  const size_t need = Json(json).dump().size() + arrays + kRest;
  if (need > kMaxHeaderBytes)
    throw DataError(text(what, " would take ", need, " bytes of the header of a checkpoint, which may have ",
                         kMaxHeaderBytes, ", so the run could not be saved; ", remedy));
}

int64_t cores_of_job(Comm& ranks) {
  int64_t all = int64_t(cores()) * ranks.ranks();
  ranks.broadcast(std::as_writable_bytes(std::span(&all, 1)));
  return all;
}

// A run must not compute up to its first save and find only then that it cannot be written.
static void require_writable(const std::string& out) {
  std::error_code error;
  if (std::filesystem::is_directory(out, error))
    const AtomicFile possible(checkpoint_path(out));  // is not committed, so it leaves nothing
}

RunFolder make_folder(const std::string& out, Comm& ranks) {
  if (ranks.rank() > 0) return RunFolder(out, ranks);
  require_writable(out);
  RunFolder folder(out, ranks);
  refuse_checkpoint(out);           // another process may have trained here; to open the log again would end our lock
  ::unlink(folder.best().c_str());  // of a run that came to nothing: the new one may have no better weights
  return folder;
}

RunFolder reopen_folder(const std::string& out, Comm& ranks) {
  if (!RunFolder::has_checkpoint(out))
    throw DataError(
        text(out, ": there is no checkpoint.safetensors to resume from; without --resume a run begins there"));
  if (ranks.rank() == 0) require_writable(out);
  return RunFolder(out, ranks);
}

void announce_stored(Console& console, const std::string& what, const std::string& path, const std::string& remedy) {
  namespace fs = std::filesystem;
  const auto refuse = [&](const std::string& why) {
    throw DataError(text(path, ": ", what, " of the run ", why, "; ", remedy));
  };
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) refuse("is not there any more");
  if (!fs::is_regular_file(status)) refuse("is not a regular file, so it is not opened again unasked");
  if (const auto size = fs::file_size(path, error); error || size > uintmax_t(kMostStoredBytes))
    refuse(text("has more than ", kMostStoredBytes >> 20, " MB, so it is not opened unasked"));
  console.announce(text("the run names ", what, ", ", path, ", which is read now"));
}

void require_resumable(const RunCommand& command, int64_t steps, const Checkpoint& run, Console& console) {
  if (!run.optimizer && !run.config.samples())
    throw DataError(text(run.path, ": holds no optimiser state, training cannot be resumed from it; start a new run"));
  if (command.stop_after > 0 && command.stop_after <= run.step)
    throw UsageError(text("--stop-after ", command.stop_after, ": the run in ", command.out, " has already done ",
                          run.step, "; name a later step"));
  if (command.steps_given && steps < run.step)
    throw UsageError(text("--steps ", steps, ": the run in ", command.out, " has already done ", run.step,
                          "; --steps counts from its beginning"));
  if (run.blas_core != blas_core())
    console.announce(text("the run began on OpenBLAS ", run.blas_core, " kernels, this machine uses ", blas_core(),
                          "; results will differ in the last bits"));
  const Params& params = run.model->params();
  if (const int64_t i = first_not_finite(params); i >= 0)
    throw DataError(
        text(run.path, ": ", params.name(i), " holds a number that is not finite; training cannot go on from it"));
}

void stop_diverged(int64_t step, const std::string& what, const RunFolder& folder, const std::string& remedy) {
  throw DivergedError(text("step ", step, ": ", what, "; ", folder.checkpoint(),
                           RunFolder::has_checkpoint(folder.path()) ? " keeps the last good state" : " was not written",
                           "; ", remedy));
}

void require_finite(const Params& params, int64_t step, const RunFolder& folder) {
  if (const int64_t i = first_not_finite(params); i >= 0)
    stop_diverged(step, params.name(i) + " is not finite after its update", folder);
}

int end_run(const RunFolder& folder, Console& console, const Next& next, int64_t step, bool stopped) {
  console.warn(folder.log_error());
  const std::string no_report = folder.is_written() ? try_write_report(folder.path()) : std::string();
  console.warn(no_report);
  console.end_live();
  if (no_report.empty()) console.note(text("Curves and samples: ", folder.report(), "; open it in a browser."));
  console.note(stopped ? text("Stopped after step ", step, " and saved; continue with: ", next.resume)
                       : text("Saved ", folder.checkpoint(), ". Try: ", next.sample));
  return stopped ? kInterrupted : kDone;
}

std::optional<TuneConfig> tuning_of(const std::string& run) try {
  ArchiveReader in(checkpoint_path(run));
  const std::string* const section = in.find_section(kTuning);
  if (!section) return {};
  return tune_config_from_json(Json::parse(*section).at("config").dump(), run);
} catch (const std::runtime_error&) {
  return {};
}

void note_action_values(const std::vector<std::string>& runs, const Common& common) {
  std::set<std::string> seen{""};
  for (const std::string& run : runs) {
    if (common.quiet || !seen.insert(run).second) continue;
    if (const std::optional<TuneConfig> config = tuning_of(run); config && learns_action_values(*config))
      std::fprintf(
          stderr,
          "note: the logits of %s are action values of --algorithm %s, and their softmax is no policy; sample it "
          "with --temperature 0\n",
          one_line(run, 80).c_str(), config->algorithm.c_str());
  }
}

void note_burn_in(const Checkpoint& run, const Common& common) {
  const auto* const chains = dynamic_cast<const ChainsModel*>(run.model.get());
  if (!chains || common.quiet) return;
  const int64_t early = chains->draws_before(run.step, run.config.steps, run.config.burn_in);
  if (early == 0) return;
  std::fprintf(stderr, "note: %s",
               text(one_line(run.path, 80), " is of step ", run.step, " of ", run.config.steps, ": ", early, " of its ",
                    chains->draws(), " draws are states of the burn-in (to step ", run.config.burn_in,
                    "), and no samples of the posterior; train it to its end\n")
                   .c_str());
}

}  // namespace gradus
