// A run on disk, and what training and fine-tuning share. A run is a folder: checkpoint.safetensors, log.jsonl,
// report.html, and of a trained run best.safetensors. The
// process that trains holds a lock on the log, so that two never write into one run.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/console.h"
#include "engine/comm.h"
#include "engine/io/file.h"
#include "engine/io/json.h"

namespace gradus {

struct Checkpoint;
class Params;

class RunFolder {
 public:
  // Makes the folder if need be and locks its log. WriteError if it cannot be written; UsageError if another process
  // is training there. Of several ranks only rank 0 writes; the others do not touch the folder, and everything that
  // would is without effect for them.
  explicit RunFolder(std::string path, Comm& ranks = one_rank());
  bool is_written() const { return ranks_->rank() == 0; }  // by this rank
  const std::string& path() const { return path_; }
  std::string checkpoint() const { return path_ + "/checkpoint.safetensors"; }
  static bool has_checkpoint(const std::string& path);
  // The weights of the lowest validation loss so far, without an optimiser.
  std::string best() const;
  bool has_best() const;
  std::string report() const { return path_ + "/report.html"; }

  // Removes what the log says of steps after `step`, and a line cut short: those steps will be done again. With step 0
  // the log becomes empty. Returns the type of the record that is then the last, if it is one of `step`, else "".
  std::string truncate_log(int64_t step);
  // Whether the first record, that of the run, is missing: in a new run, or because somebody deleted the log.
  bool lacks_beginning() const { return lacks_beginning_; }
  // Writes that record before all others. REQUIRES: truncate_log(), lacks_beginning().
  void begin_log(const Json& record);
  // Appends one object as one line. If that fails, prints it once and continues: a full disk must not end a run.
  void log(const Json& record);
  const std::string& log_error() const { return log_error_; }
  // Removes the log, and the folders that the constructor made, where nothing else is in them: the run has come to
  // nothing.
  void discard();
  // Saves on the way. A failure is told and training goes on, since a full disk may have room again; the third in a row
  // is thrown. The save at the end of a run does not come here: nothing follows that could make up for it.
  template <class Save>
  void save_on_the_way(Console& console, Save save) try {
    if (is_written()) save();
    failed_saves_ = 0;
  } catch (const WriteError& error) {
    if (++failed_saves_ == kMostFailedSaves) throw;
    console.warn(text(error.what(), "; training goes on"));
  }

 private:
  void write_line(const std::string& line);

  static constexpr int kMostFailedSaves = 3;
  std::string cut_log(int64_t step);

  Comm* ranks_;
  int failed_saves_ = 0;  // in a row
  std::string path_;
  std::vector<std::string> made_;  // folders, the innermost first
  Descriptor folder_, log_;
  std::string log_error_;
  bool lacks_beginning_ = true;
  std::string behind_;  // records of a log that lacks its beginning
};

// --- Opening

// The section of a checkpoint that only a fine-tuned run has.
inline constexpr const char* kTuning = "tuning";

// UsageError where the folder holds a run, or a log or report that gradus did not write: a new one must not replace it.
void refuse_existing(const std::string& out);
// Cores for the default of --shards: those of rank 0 times the ranks, on all ranks, whatever machines the others have.
int64_t cores_of_job(Comm& ranks);
// resolve(), where two options that do not fit together are the user's mistake.
inline void resolve(Config& config, int cores) { config.resolve(cores); }
template <class C>
void resolve_options(C& config, int64_t cores) {
  try {
    resolve(config, int(cores));
  } catch (const DataError& error) {
    throw UsageError(error.what());
  }
}
// DataError, with `remedy`, where the texts that a checkpoint holds (vocabulary, names of files, prompts), in `json`,
// leave its header no room for the rest: it could never be saved. `what` has these texts.
void require_room_in_header(const Checkpoint& run, const std::string& json, const std::string& what,
                            const std::string& remedy);
// The options that a run was fine-tuned with; none where it was not, or cannot be read: who needs it will complain.
std::optional<TuneConfig> tuning_of(const std::string& run);
// Says so on stderr, once for each, where the logits of a run are action values, for commands that are about to take
// their softmax for a policy. An empty name is no run.
void note_action_values(const std::vector<std::string>& runs, const Common& common);
// Says so on stderr where a run stopped so early that draws of its posterior are states of the burn-in.
void note_burn_in(const Checkpoint& run, const Common& common);
// The folder of a new run, made only once everything else is known to be right, so that a mistake leaves none behind.
RunFolder make_folder(const std::string& out, Comm& ranks = one_rank());
// The folder of a resumed run, locked before it is read. DataError where it holds no checkpoint.
RunFolder reopen_folder(const std::string& out, Comm& ranks = one_rank());
// Before a file is opened that a checkpoint names, and not the person: says so on stderr. DataError, with `remedy`,
// which says how to name it, unless it is a regular file of at most kMostStoredBytes. `what` is what it is to the run.
void announce_stored(Console& console, const std::string& what, const std::string& path, const std::string& remedy);
inline constexpr int64_t kMostStoredBytes = int64_t{1} << 30;
// UsageError and DataError where the run that `command` continues cannot go on: it has no optimiser, has done more
// steps than asked for, or holds a number that is not finite. Notes where its last bits will differ. `steps` is
// --steps.
void require_resumable(const RunCommand& command, int64_t steps, const Checkpoint& run, Console& console);

// --- On the way

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  void restart() { begin_ = Clock::now(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
};

// DivergedError: the step, the quantity that is not finite, the state that the folder still holds, and what to do.
[[noreturn]] void stop_diverged(int64_t step, const std::string& what, const RunFolder& folder,
                                const std::string& remedy = "try a smaller --lr");
// Call it before every save: a finite loss says nothing of the weights after its update, and weights that are not
// finite must not replace a good checkpoint unseen. DivergedError.
void require_finite(const Params& params, int64_t step, const RunFolder& folder);

// --- The end

// After the last save of a run, whether it was stopped or finished: writes the report, prints where it is and how to
// continue, by one of two commands, and returns the exit code.
struct Next {
  std::string resume, sample;
};
int end_run(const RunFolder& folder, Console& console, const Next& next, int64_t step, bool stopped);

}  // namespace gradus
