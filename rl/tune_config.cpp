#include "rl/tune_config.h"

#include "models/options_json.h"
#include "rl/methods/baselines.h"

namespace gradus {

void TuneConfig::resolve(int cores) {
  if (decay_steps == 0) decay_steps = steps;
  if (shards == 0) shards = cores;
  shards = std::min(shards, batch);
  if (min_lr > lr) throw DataError(text("--min-lr ", min_lr, " is above --lr ", lr));
  if (const int64_t least = baseline_named(baseline).least_batch; batch < least)
    throw DataError(
        text("--baseline ", baseline, " compares the sequences of a batch: --batch must be at least ", least));
  if (minibatches > batch)
    throw DataError(text("--minibatches ", minibatches, " of --batch ", batch, ": each must hold a sequence"));
  if (kl_target > 0 && kl_coef == 0)
    throw DataError("--kl-target moves the coefficient by a factor: --kl-coef, where it begins, must be above 0");
  if (kl_target > 0 && kl_horizon <= 0.2 * double(batch))
    throw DataError(text("--kl-horizon ", kl_horizon, " with --batch ", batch,
                         ": one step could bring the coefficient to 0; it must be above ", 0.2 * double(batch)));
}

std::string to_json(const TuneConfig& config) { return options_to_json(config); }

TuneConfig tune_config_from_json(const std::string& json_text, const std::string& source) {
  auto json = nlohmann::ordered_json::parse(json_text, nullptr, false);
  if (!json.is_object()) throw DataError(text(source, ": the options of the fine-tuning are not a JSON object"));
  for (const char* later : {"epochs", "minibatches"})  // runs of version 0.1 have none
    if (!json.contains(later)) json[later] = 1;
  TuneConfig config;
  ReadOptions read{json, source};
  for_each_option(config, read);
  if (read.used != json.size())
    throw DataError(text(source, ": the fine-tuning has options this version does not know"));
  return config;
}

}  // namespace gradus
