// Opens a training run, new or resumed, and prints its description before the first step.
#pragma once

#include <optional>

#include "apps/console.h"
#include "apps/corpus_files.h"
#include "apps/run.h"
#include "models/run/checkpoint.h"
#include "models/text/corpus.h"
#include "models/yardsticks.h"

namespace gradus {

struct TrainRun {
  Checkpoint checkpoint;  // its model is the one that learns
  CorpusFiles files;
  Corpus corpus;
  std::optional<RunFolder> folder;  // of a resumed run; a new run has none yet
  double memory = 0;                // bytes that the run takes, for model and steps
};

// UsageError and DataError: options that do not fit together, texts that cannot be read or are
// not those of the run, a run that is not to be resumed, a step that the machine has no memory for.
TrainRun open_train_run(const TrainCommand& command, Console& console, Comm& ranks);

// Of the model itself, also where a posterior over them has more numbers.
int64_t parameters_of(const LanguageModel& model);

// Notes for a person: the model, the text, and reference values for the loss.
// `workers` are those of apps/ranks.h.
void introduce(Console& console, const TrainRun& run, const Yardsticks& y, const std::string& workers);
// The first record of its log.
Json run_record(const TrainRun& run, const Yardsticks& y, const std::optional<double>& entropy_rate);

}  // namespace gradus
