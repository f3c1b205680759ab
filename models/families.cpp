#include "models/families.h"

#include <algorithm>

#include "models/counted/ngram_lm.h"
#include "models/counted/tabular_lm.h"
#include "models/lstm_lm.h"
#include "models/nnlm.h"
#include "models/rnn_lm.h"
#include "models/transformer_lm.h"

namespace gradus {

template <class Model>
static std::unique_ptr<LanguageModel> stepped(const ModelOptions& options, int64_t V, std::vector<double>) {
  return std::make_unique<Model>(options, V);
}
template <class Model>
static std::unique_ptr<LanguageModel> counted(const ModelOptions& options, int64_t V, std::vector<double> counts) {
  return std::make_unique<Model>(options, V, std::move(counts));
}

const std::vector<Family>& families() {
  static const std::vector<Family> rows{
      {.name = "transformer",
       .title = "a Transformer",
       .options = {"layers", "heads", "embd", "dropout", "bias"},
       .windowed = true,
       .check = TransformerLm::check,
       .declare = stepped<TransformerLm>},
      {.name = "lstm",
       .title = "an LSTM",
       .options = {"layers", "embd", "hidden", "memory", "dropout"},
       .layers = 1,
       .declare = stepped<LstmLm>},
      {.name = "rnn",
       .title = "an RNN",
       .options = {"layers", "embd", "hidden", "dropout"},
       .layers = 1,
       .declare = stepped<RnnLm>},
      {.name = "nnlm",
       .title = "a feed-forward network",
       .options = {"embd", "hidden", "dropout", "order"},
       .layers = 1,
       .check = Nnlm::check,
       .declare = stepped<Nnlm>},
      {.name = "ngram",
       .title = "an n-gram model",
       .options = {"order", "smoothing", "alpha"},
       .count = count_runs,
       .declare = counted<NgramLm>},
      {.name = "tabular",
       .title = "a table",
       .count = count_beginnings,
       .check = TabularLm::check,
       .declare = counted<TabularLm>,
       .smaller = "a table has one row for each beginning of a line: use fewer or shorter lines"},
  };
  return rows;
}

bool Family::has(std::string_view option) const {
  return std::find(options.begin(), options.end(), option) != options.end();
}

const Family& family_of(std::string_view name) { return row_named(families(), name, "model"); }

std::vector<std::string> stepped_families() {
  std::vector<std::string> names;
  for (const Family& f : families())
    if (!f.counted()) names.emplace_back(f.name);
  return names;
}

std::vector<std::string> families_with(std::string_view option) {
  std::vector<std::string> names;
  for (const Family& f : families())
    if (f.has(option)) names.emplace_back(f.name);
  return names;
}

std::unique_ptr<LanguageModel> make_model(const ModelOptions& options, int64_t vocabulary, int64_t max_parameters,
                                          std::vector<double> counts) {
  const Family& family = family_of(options.model);
  std::unique_ptr<LanguageModel> model = family.declare(options, vocabulary, std::move(counts));
  if (const int64_t n = model->params().declared_size(); n > max_parameters)
    throw DataError(text("this ", family.name, " has ", n, " parameters, there is room for ", max_parameters, "; ",
                         family.smaller));
  model->initialise();
  return model;
}

std::vector<double> count_tokens(const ModelOptions& options, const Corpus& corpus) {
  const Family& family = family_of(options.model);
  return family.counted() ? family.count(options, corpus) : std::vector<double>();
}

}  // namespace gradus
