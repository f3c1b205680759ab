// The families of models: the only place that knows them all. A new family is a file, its line in families.cpp and its
// tests; all other code reads what it needs from the row (models/family.h).
#pragma once

#include "models/family.h"

namespace gradus {

const std::vector<Family>& families();
const Family& family_of(std::string_view name);  // DataError, which lists the families, for an unknown name
std::vector<std::string> stepped_families();     // those that are trained in steps
std::vector<std::string> generative_families();  // of these, those that say what follows a text
std::vector<std::string> counted_families();     // all others
std::vector<std::string> families_with(std::string_view option);
std::vector<std::string> encoders();              // names of those that a classifier can stand on
const Family& encoder_of(std::string_view name);  // DataError, which lists the encoders, for an unknown name

// A model of the family options.model, or with options.labels a classifier on top of it, whose parameters are only
// declared: its shapes are known, and initialise() makes the numbers.
std::unique_ptr<LanguageModel> declare_model(const ModelOptions& options, int64_t vocabulary,
                                             std::vector<double> counts = {});
// A model of the family options.model, with values drawn from options.seed; a counted one from `counts`, which
// count_tokens or a checkpoint gives. Throws DataError, before it allocates them, if that takes more than
// max_parameters numbers.
std::unique_ptr<LanguageModel> make_model(const ModelOptions& options, int64_t vocabulary,
                                          int64_t max_parameters = INT64_MAX, std::vector<double> counts = {});
// A model of its own with the same options and the same values.
std::unique_ptr<LanguageModel> clone(const LanguageModel& model);
// What a counted family is made from; nothing for one that is trained in steps.
std::vector<double> count_tokens(const ModelOptions& options, const Corpus& corpus);

}  // namespace gradus
