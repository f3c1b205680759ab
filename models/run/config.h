// Config: every option that changes a training run, in one flat struct, and the one table of their names, ranges,
// meanings and owners (models/run/options.h).
#pragma once

#include "models/adapter_spec.h"
#include "models/families.h"
#include "models/posterior/options.h"
#include "models/run/options.h"
#include "models/text/corpus.h"

namespace gradus {

// With lines, which of them validate: false, the last ones; true, some at random.
inline constexpr Named<bool> kValLines[] = {{"random", true}, {"last", false}};

// Who makes the step of a matrix between hidden layers; all other parameters have AdamW.
inline constexpr Named<bool> kOptimizers[] = {{"adamw", false}, {"muon", true}};

struct Config : ModelOptions, RunOptions, PosteriorOptions {
  std::string encoder = "transformer";  // of `gradus classify train`: the model by its name among encoders; not stored
  std::string tokenizer = "char";
  std::string adapter = kNoAdapter;
  int64_t batch = 12;
  std::string optimizer = "adamw";  // a row of kOptimizers
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0.1;
  double val_fraction = -1;          // -1: the family's default
  std::string val_lines = "random";  // a word of kValLines
  int64_t eval_every = 250;
  int64_t eval_batches = 20;

  CorpusOptions corpus() const;  // how the text of the run is cut; counting needs whole lines
  const Family& family() const;  // DataError for an unknown name
  bool counts() const;           // fitted by counting, not by steps
  bool samples() const;          // its steps are those of chains, and not of an optimiser
  // Replaces the marks for defaults by their values, and checks.
  void resolve(int cores);
  // What a posterior wants of a run that takes steps, beginning or resumed. DataError where it cannot have it.
  void resolve_steps();
  // Throws DataError where two options do not fit together. REQUIRES: resolved, or read from a file.
  void check() const;
};

// The table, in the order of --help and of files. The rows point into `config`.
std::vector<Option> options(Config& config);
// Those of `gradus classify train`. Its texts are lines, and `encoder` stands for the family.
std::vector<Option> classify_options(Config& config);
inline constexpr int64_t kMostLabels = 1 << 16;

std::string to_json(const Config& config);  // one line; real numbers round-trip
// Throws DataError (naming `source`) for an unknown, missing or ill-typed option, or a number out of range.
Config config_from_json(const std::string& json, const std::string& source);

}  // namespace gradus
