// A fine-tuned run on disk: the archive of a checkpoint in which the section "tuning" holds the inputs of the tuning
// (its options, the prior and its hash, the prompts) and its state (the KL coefficient, the method's),
// with the value network and the replayed sequences in arrays of their own.
#pragma once

#include <optional>

#include "apps/console.h"
#include "apps/run.h"
#include "models/run/checkpoint.h"
#include "rl/tune_config.h"
#include "rl/tuner.h"

namespace gradus {

struct TunedRun {
  Checkpoint policy;                     // its model is the policy, its step that of the tuning
  std::unique_ptr<LanguageModel> prior;  // frozen
  std::string prior_path;                // of another prior than the policy as it began, or of both
  TuneConfig config;
  std::vector<Prompt> prompts;      // an empty one is the start of the run's texts
  std::vector<Prompt> held_out;     // prompts that the policy is measured on and not trained on
  Json tuning;                      // the inputs in the section
  std::optional<RunFolder> folder;  // of a resumed run; a new run has none yet
  std::optional<ArchiveReader> saved = {};
  Json state = {};  // of a resumed run: the section, from which restore() takes the state
  std::vector<std::vector<int32_t>> prompt_tokens = {}, held_out_tokens = {};
  World world = {};          // all but the prompt
  TokenPairs pairs = {};     // of a run that learns from preferences
  double bytes_of_step = 0;  // that it takes, as estimated

  // Restores the state of a new Tuner from the archive; does nothing in a new run.
  void restore(Tuner& tuner);
  // Writes everything; the old file stays if that fails.
  void save(const Tuner& tuner, const std::string& path);
};

// The prompts of a file: each line that is not empty, or of pairs each prompt with its replies as references.
// DataError, with its line, for one that the model cannot continue, or a reference that it cannot say.
std::vector<Prompt> read_prompts(const std::string& file, bool pairs, const Checkpoint& model, int64_t max_tokens);

// A new run from the prior of command.run, or with --resume the one in command.out. UsageError and DataError: a
// policy without parameters, prompts that leave no room for --max-tokens, a prior that changed.
TunedRun open_tuned_run(const TuneCommand& command, Console& console, Comm& ranks);

}  // namespace gradus
