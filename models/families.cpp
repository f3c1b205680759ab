#include "models/families.h"

#include <algorithm>

#include "models/language_model.h"
#include "models/table.h"

namespace gradus {

// Each at the end of its file.
Family transformer_family();
Family masked_family();
Family lstm_family();
Family rnn_family();
Family nnlm_family();
Family vae_family();
Family ngram_family();
Family tabular_family();

const std::vector<Family>& families() {
  static const std::vector<Family> rows{transformer_family(), masked_family(), lstm_family(),  rnn_family(),
                                        nnlm_family(),        vae_family(),    ngram_family(), tabular_family()};
  return rows;
}

bool Family::has(std::string_view option) const {
  return std::find(options.begin(), options.end(), option) != options.end();
}

std::string Family::smaller() const {
  if (advice) return advice;
  std::vector<std::string> names;
  for (const char* size : {"embd", "hidden", "layers", "order"})
    if (has(size)) names.push_back(text("--", size));
  if (windowed) names.emplace_back("--context");  // it has a parameter for each place
  std::string all = "use a smaller " + names[0];
  for (size_t i = 1; i < names.size(); ++i) all += (i + 1 < names.size() ? ", " : " or ") + names[i];
  return all;
}

const Family& family_of(std::string_view name) { return row_named(families(), name, "model"); }

template <class Which>
static std::vector<std::string> names_where(const Which& which) {
  std::vector<std::string> names;
  for (const Family& f : families())
    if (which(f)) names.emplace_back(f.name);
  return names;
}

std::vector<std::string> stepped_families() {
  return names_where([](const Family& f) { return !f.counted(); });
}

std::vector<std::string> counted_families() {
  return names_where([](const Family& f) { return f.counted(); });
}

std::vector<std::string> generative_families() {
  return names_where([](const Family& f) { return !f.counted() && f.predicts_next(); });
}

std::vector<std::string> families_with(std::string_view option) {
  return names_where([&](const Family& f) { return f.has(option); });
}

std::vector<std::string> encoders() {
  std::vector<std::string> names;
  for (const Family& f : families())
    if (f.encoder) names.emplace_back(f.encoder);
  return names;
}

const Family& encoder_of(std::string_view name) {
  for (const Family& f : families())
    if (f.encoder && f.encoder == name) return f;
  throw_unknown("encoder", name, encoders());
}

std::unique_ptr<LanguageModel> declare_model(const ModelOptions& options, int64_t vocabulary,
                                             std::vector<double> counts) {
  const Family& family = family_of(options.model);
  if (options.labels > 0 && !family.classify)
    throw DataError(
        text("a classifier cannot stand on the family ", family.name, "; its encoder is one of ", joined(encoders())));
  return (options.labels > 0 ? family.classify : family.declare)(options, vocabulary, std::move(counts));
}

std::unique_ptr<LanguageModel> make_model(const ModelOptions& options, int64_t vocabulary, int64_t max_parameters,
                                          std::vector<double> counts) {
  const Family& family = family_of(options.model);
  std::unique_ptr<LanguageModel> model = declare_model(options, vocabulary, std::move(counts));
  if (const int64_t n = model->params().declared_size(); n > max_parameters)
    throw DataError(text("this ", family.name, " has ", n, " parameters, there is room for ", max_parameters, "; ",
                         family.smaller()));
  model->initialise();
  return model;
}

std::unique_ptr<LanguageModel> clone(const LanguageModel& model) {
  if (std::unique_ptr<LanguageModel> twin = model.copy()) return twin;
  const std::span<const double> counts = model.counts();
  std::unique_ptr<LanguageModel> twin =
      declare_model(model.options(), model.vocabulary(), {counts.begin(), counts.end()});
  twin->params().init(0);
  twin->params().copy_from(model.params());
  return twin;
}

std::vector<double> count_tokens(const ModelOptions& options, const Corpus& corpus) {
  const Family& family = family_of(options.model);
  return family.counted() ? family.count(options, corpus) : std::vector<double>();
}

}  // namespace gradus
