// The families of models by name: the one place that knows them all.
#include "models/lstm_lm.h"
#include "models/counted/ngram_lm.h"
#include "models/rnn_lm.h"
#include "models/counted/tabular_lm.h"
#include "models/transformer_lm.h"

namespace gradus {

static std::unique_ptr<LanguageModel> declare_model(const Config& config, int64_t vocabulary,
                                                    std::vector<double> counts) {
  if (config.model == "ngram") return std::make_unique<NgramLm>(config, vocabulary, std::move(counts));
  if (config.model == "tabular") return std::make_unique<TabularLm>(config, vocabulary, std::move(counts));
  if (config.model == "rnn") return std::make_unique<RnnLm>(config, vocabulary);
  if (config.model == "lstm") return std::make_unique<LstmLm>(config, vocabulary);
  if (config.model == "transformer") return std::make_unique<TransformerLm>(config, vocabulary);
  throw DataError(
      text("there is no model '", config.model, "'; the families are transformer, lstm, rnn, ngram and tabular"));
}

std::unique_ptr<LanguageModel> make_model(const Config& config, int64_t vocabulary, int64_t max_parameters,
                                          std::vector<double> counts) {
  auto model = declare_model(config, vocabulary, std::move(counts));
  if (const int64_t n = model->params().declared_size(); n > max_parameters)
    throw DataError(text("this ", config.model, " has ", n, " parameters, there is room for ", max_parameters,
                         config.model == "tabular"
                             ? "; a table has one row for each beginning of a line: take fewer or shorter lines"
                             : "; take a smaller --embd, --hidden, --layers or --context"));
  model->initialise();
  return model;
}

}  // namespace gradus
