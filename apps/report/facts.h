// The data of a report, the log of a run and its configuration, and its two pages with what they share.
#pragma once

#include <string>
#include <vector>

#include "apps/report/log.h"
#include "apps/report/page.h"
#include "models/run/config.h"
#include "rl/tune_config.h"

namespace gradus {

struct RunFacts {
  std::string folder;  // as it was typed
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

// Of a trained run: its loss beside reference values, samples during training, data and configuration (trained.cpp).
std::string page_of_trained(const RunFacts& facts);
// Of a fine-tuned run: curves beside the optimum, texts before and after, and, in a world small enough to enumerate,
// the policy, the prior and the posterior side by side (tuned.cpp).
std::string page_of_tuned(const RunFacts& facts);

// Of a trained run with a posterior over its parameters, what is known of it: traces of chains, what they are worth,
// mean and spread of each parameter (parameters.cpp). Nothing of other runs.
void add_parameters(Page& page, const RunFacts& facts);

// The end of both pages: all options, those that differ from their row in `usual` in bold, then `more` facts, and the
// command that repeats the run: `begin`, then the options in bold. Options without meaning for this run are
// left out of the list.
void add_configuration(Page& page, const std::vector<Option>& rows, const std::vector<Option>& usual,
                       const std::string& begin, const std::vector<Page::Fact>& more = {});
std::string out_again(const RunFacts& facts);       // --out of that command: beside the run, "-again" behind its name
std::string plain(const Json& value);               // a string as it is, anything else as JSON
double last_of(const std::vector<double>& column);  // NaN if it is empty
std::string precision_of(const RunFacts& facts);    // "double precision"
std::string program_of(const RunFacts& facts);      // of that precision, quoted for a shell

}  // namespace gradus
