// Family: a kind of model, as one row. It stands at the end of the file of its net; models/families.cpp lists them all.
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
  int64_t layers = 4;  // where nobody says how many
  // At most `context` tokens fit into what it sees of a sequence at once.
  bool windowed = false;
  // Of a family that is fitted by one count of the text instead of in steps: what it is made from.
  std::vector<double> (*count)(const ModelOptions& options, const Corpus& corpus) = nullptr;
  // DataError where two options do not fit together.
  void (*check)(const ModelOptions& options) = nullptr;
  // Declares the parameters. `counts` is what count() said, empty where there is none.
  std::unique_ptr<LanguageModel> (*declare)(const ModelOptions& options, int64_t vocabulary,
                                            std::vector<double> counts);
  // What a person can do about a model that is too large.
  const char* smaller = "take a smaller embd, hidden, layers or context";

  bool counted() const { return count != nullptr; }
  bool has(std::string_view option) const;  // among its own
};

// The usual Family::declare, of a Model that is trained in steps and of one that is counted.
template <class Model>
std::unique_ptr<LanguageModel> declare_stepped(const ModelOptions& options, int64_t V, std::vector<double>) {
  return std::make_unique<Model>(options, V);
}
template <class Model>
std::unique_ptr<LanguageModel> declare_counted(const ModelOptions& options, int64_t V, std::vector<double> counts) {
  return std::make_unique<Model>(options, V, std::move(counts));
}

}  // namespace gradus
