// The data of a report: the log of a run, its configuration, and the helpers that the page of a trained run (trained.h)
// shares with the page of a fine-tuned run (tuned.h).
#pragma once

#include <string>
#include <vector>

#include "apps/report/log.h"
#include "models/run/config.h"
#include "rl/tune_config.h"

namespace gradus {

struct RunFacts {
  std::string name;
  RunLog log;
  Config config;            // of a trained run, the checkpoint's, since a resume may raise the steps; else the log's
  TuneConfig tuning;        // of a fine-tuned one
  int64_t saved_step = -1;  // -1: there is no checkpoint

  bool is_tuned() const { return log.run.contains("prior_hash"); }
  // A member of the log's first record, or of an object in it; null where an older log lacks it.
  Json logged(const char* key) const { return log.run.value(key, Json()); }
  Json logged(const char* object, const char* key) const { return logged(object).value(key, Json()); }
};

// DataError for a folder, log or checkpoint that is not that of a run.
RunFacts read_run(const std::string& folder);

std::string plain(const Json& value);               // a string as it is, anything else as JSON
double last_of(const std::vector<double>& column);  // NaN if it is empty
std::string precision_of(const RunFacts& facts);    // "double precision"

}  // namespace gradus
