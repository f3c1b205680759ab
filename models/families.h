// The families of models, one row each: the only place that knows them all. A new family is a file, its row in
// families.cpp and its tests; all other code reads what it needs from the row.
#pragma once

#include <memory>
#include <vector>

#include "models/model_options.h"

namespace gradus {

class Corpus;
class LanguageModel;

struct Family {
  const char* name;
  const char* title;  // as a sentence has it: "an LSTM"
  // The options that are its own: of those that no family lists each has all, of the others only those of its row.
  std::vector<std::string> options = {};
  int64_t layers = 4;  // the default number
  // It sees at most `context` tokens of a sequence at once.
  bool windowed = false;
  // Only for a family that is fitted by counting the text instead of by steps: makes the counts.
  std::vector<double> (*count)(const ModelOptions& options, const Corpus& corpus) = nullptr;
  // DataError where two options do not fit together.
  void (*check)(const ModelOptions& options) = nullptr;
  // Declares the parameters. `counts` is the result of count(), empty without it.
  std::unique_ptr<LanguageModel> (*declare)(const ModelOptions& options, int64_t vocabulary,
                                            std::vector<double> counts);
  // The advice for a model that is too large.
  const char* smaller = "use a smaller --embd, --hidden, --layers or --context";

  bool counted() const { return count != nullptr; }
  bool has(std::string_view option) const;  // among its own
};

const std::vector<Family>& families();
const Family& family_of(std::string_view name);  // DataError, which lists the families, for an unknown name
std::vector<std::string> stepped_families();     // those that are trained in steps
std::vector<std::string> families_with(std::string_view option);

// A model of the family options.model, with values drawn from options.seed; a counted one from `counts`, which
// count_tokens or a checkpoint gives. Throws DataError, before it allocates them, if that takes more than
// max_parameters numbers.
std::unique_ptr<LanguageModel> make_model(const ModelOptions& options, int64_t vocabulary,
                                          int64_t max_parameters = INT64_MAX, std::vector<double> counts = {});
// What a counted family is made from; nothing for one that is trained in steps.
std::vector<double> count_tokens(const ModelOptions& options, const Corpus& corpus);

}  // namespace gradus
