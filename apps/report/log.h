// Reads log.jsonl of a run, which may still be running or may have been killed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/io/json.h"

namespace gradus {

// The records of one type, in the order of their steps, each step once: a column for every field that is a number,
// and NAME_1, NAME_2, ... for one that is a list of them.
struct Records {
  std::vector<double> step;
  std::map<std::string, std::vector<double>> columns;  // as long as step; NaN where a record has no number
  std::vector<std::string> texts;                      // field "text", empty if it is missing

  bool empty() const { return step.empty(); }
  // A column; NaN all along where no record has the field.
  std::vector<double> operator[](const std::string& field) const;
};

struct RunLog {
  Json run;  // the first record
  Records steps, evals, samples;
  std::vector<Json> layers;  // records of that type, whole, in the order of their steps
  Json parameters;           // of a run with a posterior over its parameters, the last record of that type
  Json posterior;  // of a fine-tuned run, the last record of that type: probabilities of the likeliest sequences
  int64_t last_step = 0;
};

bool is_missing_or_empty(const std::string& log);
// A last line that was cut short is left out, and so are records of other types. Where a step is there twice the later
// record holds: the run went on from an earlier step. DataError, one sentence with file and line, for a file that is
// not the log of a run, or no regular file; one that lacks only the first record is one too with `may_lack_beginning`,
// and leaves `run` null.
RunLog read_run_log(const std::string& path, bool may_lack_beginning = false);

}  // namespace gradus
