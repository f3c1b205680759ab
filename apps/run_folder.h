// A run is a folder: checkpoint.safetensors and log.jsonl. The process that trains holds a lock on the log, so that two
// never write into one run.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "apps/commands.h"
#include "engine/atomic_file.h"

namespace gradus {

class Params;

using Json = nlohmann::ordered_json;

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
  // the log becomes empty. Returns whether what is left ends with the evaluation of `step`.
  bool truncate_log(int64_t step);
  // Appends one object as one line. If that fails, says so once and goes on: a full disk must not end a run.
  void log(const Json& record);
  const std::string& log_error() const { return log_error_; }

 private:
  std::string path_;
  Descriptor log_;
  std::string log_error_;
};

// The first parameter that holds a number that is not finite, or -1.
int64_t first_not_finite(const Params& params);
// DivergedError: the step, what became infinite in it, and what the folder still holds.
[[noreturn]] void stop_diverged(int64_t step, const std::string& what, const RunFolder& folder);

}  // namespace gradus
