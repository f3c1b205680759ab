// The options of a fine-tuning run: the one table of their names, ranges, meanings and owners (models/run/options.h),
// as models/run/config.h has it for training, with the checks that need more than one of them.
#pragma once

#include "rl/tune_values.h"

namespace gradus {

// Replaces zeros by what they stand for. Throws DataError where two options do not fit together.
void resolve(TuneConfig& config, int cores);
// The table, in the order of --help and of files. The rows point into `config`.
std::vector<Option> options(TuneConfig& config);

std::string to_json(const TuneConfig& config);
// Throws DataError as config_from_json.
TuneConfig tune_config_from_json(const std::string& json, const std::string& source);

}  // namespace gradus
