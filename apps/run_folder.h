// A run is a folder: checkpoint.safetensors and log.jsonl. The process that trains holds a lock on the log, so that two
// never write into one run.
#pragma once

#include <string>

#include "apps/commands.h"
#include "apps/console.h"
#include "engine/io/file.h"
#include "engine/io/json.h"

namespace gradus {

class Params;

// A number, or "inf", "-inf", "nan", which JSON has no numbers for.
Json number(double x);

class RunFolder {
 public:
  // Makes the folder if need be and locks its log. WriteError if it cannot be written; UsageError if another process
  // is training there.
  explicit RunFolder(std::string path);
  const std::string& path() const { return path_; }
  std::string checkpoint() const { return path_ + "/checkpoint.safetensors"; }
  static bool has_checkpoint(const std::string& path);

  // Removes what the log says of steps after `step`, and a line cut short: those steps will be done again. With step 0
  // the log becomes empty. Returns the type of the record that is then the last, if it is one of `step`, else "".
  std::string truncate_log(int64_t step);
  // Appends one object as one line. If that fails, says so once and goes on: a full disk must not end a run.
  void log(const Json& record);
  const std::string& log_error() const { return log_error_; }

 private:
  std::string path_;
  Descriptor log_;
  std::string log_error_;
};

// UsageError where the folder holds a run: a new one must not replace it.
void refuse_existing(const std::string& out);
// The end of a run that is saved, stopped on the way or not: writes its report, says what is to be said and how to go
// on, and returns the exit code. `command` is train or tune, `tokens` how many to sample.
int end_run(const RunFolder& folder, Console& console, const std::string& command, int64_t step, bool stopped,
            int64_t tokens);

// The first parameter that holds a number that is not finite, or -1.
int64_t first_not_finite(const Params& params);
// DivergedError: the step, what became infinite in it, and what the folder still holds.
[[noreturn]] void stop_diverged(int64_t step, const std::string& what, const RunFolder& folder);

}  // namespace gradus
