#include "rl/tune_config.h"

#include "models/options_json.h"

namespace gradus {

void TuneConfig::resolve(int cores) {
  if (decay_steps == 0) decay_steps = steps;
  if (shards == 0) shards = cores;
  shards = std::min(shards, batch);
  if (min_lr > lr) throw DataError(text("--min-lr ", min_lr, " is above --lr ", lr));
  if (baseline == "leave-one-out" && batch < 2)
    throw DataError("--baseline leave-one-out compares the sequences of a batch: --batch must be at least 2");
  if (kl_target > 0 && kl_coef == 0)
    throw DataError("--kl-target moves the coefficient by a factor: --kl-coef, where it begins, must be above 0");
  if (kl_target > 0 && kl_horizon <= 0.2 * double(batch))
    throw DataError(text("--kl-horizon ", kl_horizon, " with --batch ", batch,
                         ": one step could bring the coefficient to 0; it must be above ", 0.2 * double(batch)));
}

std::string to_json(const TuneConfig& config) { return options_to_json(config); }

TuneConfig tune_config_from_json(const std::string& json_text, const std::string& source) {
  const auto json = Json::parse_or_null(json_text);
  if (!json.is_object()) throw DataError(text(source, ": the options of the fine-tuning are not a JSON object"));
  TuneConfig config;
  ReadOptions read{json, source};
  for_each_option(config, read);
  if (read.used != json.size())
    throw DataError(text(source, ": the fine-tuning has options this version does not know"));
  return config;
}

}  // namespace gradus
