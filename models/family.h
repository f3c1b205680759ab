// Family: a kind of model, as one row. It is at the end of the file of its network; models/families.cpp lists them all.
#pragma once

#include <memory>
#include <string>
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
  // Of one that does not say which token follows a text: what it is and does instead, as a sentence has it behind "is".
  const char* apart = nullptr;
  // Only for a family that is fitted by counting the text instead of by steps: makes the counts.
  std::vector<double> (*count)(const ModelOptions& options, const Corpus& corpus) = nullptr;
  // DataError where two options do not fit together.
  void (*check)(const ModelOptions& options) = nullptr;
  // Declares the parameters. `counts` is the result of count(), empty without it.
  std::unique_ptr<LanguageModel> (*declare)(const ModelOptions& options, int64_t vocabulary,
                                            std::vector<double> counts);
  // Of a family whose features tell what a text is: its name among the encoders of `gradus classify`, and a classifier
  // on top of it (models/classifier.h).
  const char* encoder = nullptr;
  std::unique_ptr<LanguageModel> (*classify)(const ModelOptions& options, int64_t vocabulary,
                                             std::vector<double> counts) = nullptr;
  // The advice for a model that is too large, where options are not what makes it small.
  const char* advice = nullptr;

  bool counted() const { return count != nullptr; }
  bool predicts_next() const { return apart == nullptr; }
  bool has(std::string_view option) const;  // among its own
  std::string smaller() const;              // the advice for a model that is too large
};

// The usual Family::declare, of a Model that is trained in steps and of one that is counted.
template <class Model>
std::unique_ptr<LanguageModel> declare_stepped(const ModelOptions& options, int64_t V,
                                               std::vector<double>) {  // NOLINT(performance-unnecessary-value-param)
  return std::make_unique<Model>(options, V);
}
template <class Model>
std::unique_ptr<LanguageModel> declare_counted(const ModelOptions& options, int64_t V, std::vector<double> counts) {
  return std::make_unique<Model>(options, V, std::move(counts));
}

}  // namespace gradus
