// Checkpoint: everything a run needs to continue: weights, optimiser, step, configuration and vocabulary. Random
// numbers and the place in the data are functions of (seed, step) and are not stored. On disk it is an archive
// (models/run/archive.h), in which fine-tuning keeps more.
#pragma once

#include <optional>
#include <string>

#include "models/language_model.h"
#include "models/run/archive.h"
#include "models/run/config.h"
#include "models/text/pairs.h"
#include "models/text/tokenizer.h"

namespace gradus {

struct Checkpoint {
  Config config;
  Tokenizer tokenizer;
  std::unique_ptr<LanguageModel> model;
  std::optional<AdamW> optimizer;  // absent in a file that carries none
  int64_t step = 0;                // training steps done
  std::optional<double> best_val_loss;
  int32_t start_id = 0;                  // the token that a sample starts from when no prompt is given
  std::vector<std::string> corpus;       // files that the run was trained on; none of a model made otherwise
  std::string corpus_hash;               // of their text
  std::string drop = {};                 // file of words whose lines were left out of it; empty: none
  std::string blas_core;                 // kernels that OpenBLAS used
  std::string path = {};                 // where it was read from
  std::string hash = {};                 // of that file, as its metadata give it
  std::vector<std::string> labels = {};  // of a classifier, what it tells apart; index = id

  // Of a model with an adapter, the file of its base, which is not saved itself, and the same as seen from the folder
  // of the run, so that both may be moved together.
  std::string base = {}, base_hash = {}, base_from_run = {};
  std::string kind = {};  // of a file whose model is another thing than a language model: "reward model"

  // Sections of the file that no owner here reads.
  std::vector<std::string> other_sections = {};

  // What the model has read before the first token that it draws: one long text begins with the prompt, a line with the
  // mark before it, and without a prompt both begin with start_id; a reply stands behind its prompt between two marks.
  // UsageError without the prompt of a reply.
  std::vector<int32_t> beginning(const std::string& prompt) const;
  Prompt prompt(const std::string& text) const;  // as rewards see it, without references
  // What people see between a prompt and the text that follows it: of pairs a tab, as in their files.
  const char* joint() const { return config.pairs ? "\t" : tokenizer.separator(); }
  // UsageError where a windowed family does not see a beginning of so many tokens and max_tokens draws at once.
  void require_one_window(int64_t tokens, int64_t max_tokens) const;

  // UsageError where the parameters have a posterior: `who` wants one set of them.
  void require_one_model(const char* who) const;

  // Puts an adapter on the model, which stays the base: it is named by path and hash, and if it is known, as seen from
  // the folder of the new run. DataError where it has one already, was not read from a file, or has no matrix.
  void adapt(const std::string& adapter, uint64_t seed, const std::string& folder = {});
  // The same run with all its numbers in one model, without adapter and optimiser; of a posterior its mean. DataError
  // where there is neither.
  Checkpoint merged() &&;

  void write(ArchiveWriter& out, bool with_optimizer = true) const;
  void save(const std::string& path) const;  // as ArchiveWriter::write
  // The same without the optimiser: for all that a run is used for, but not to be continued.
  void save_weights(const std::string& path) const;
};

inline constexpr const char* kKindSection = "kind";  // which only such files have

// A run folder's checkpoint, or the file itself.
std::string checkpoint_path(const std::string& run_or_file);
// The first parameter that holds a number that is not finite, or -1.
int64_t first_not_finite(const Params& params);
// Throws DataError, which says what is missing or does not fit, or which parameter is not finite, or that the file
// holds another thing than a model of texts, such as a reward model.
Checkpoint load_any_checkpoint(const std::string& run_or_file);
// The same of a model of which texts can be drawn, also whole ones only. DataError for a masked model and a classifier.
Checkpoint load_writer(const std::string& run_or_file);
// The same of one that says what follows a text. UsageError for one that draws whole texts only.
Checkpoint load_checkpoint(const std::string& run_or_file);
// The same of a classifier. DataError for any other model.
Checkpoint load_classifier(const std::string& run_or_file);
// The same of another model that is to say the same texts. DataError, with the first token that differs, where it has
// other tokens than `run`.
Checkpoint load_beside(const std::string& other, const Checkpoint& run);
// The same as load_checkpoint of an archive that holds more, which its owners read, of any kind. The base of an adapter
// is opened where it was, or else where it is as seen from the run: a regular file with the hash that the run names
// (models/run/adapter_base.h shows it before), else a DataError that says where to put it.
Checkpoint read_checkpoint(ArchiveReader& in);

AdamWOptions adamw_options(const Config& config);

}  // namespace gradus
