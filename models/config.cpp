#include "models/config.h"

#include <algorithm>

#include "engine/io/json.h"
#include "models/options_json.h"

namespace gradus {

void Config::resolve(int cores) {
  if (layers == 0) layers = model == "lstm" || model == "rnn" ? 1 : 4;
  if (val_fraction < 0) val_fraction = counts() ? 0 : 0.1;
  if (counts()) steps = 0;  // one look at the text is all
  if (decay_steps == 0) decay_steps = steps;
  if (shards == 0) shards = std::min<int64_t>(cores, batch);
  shards = std::min(shards, batch);
  check();
}

void Config::check() const {
  if (layers < 1) throw DataError(text("--layers ", layers, ": a model has at least one layer"));
  if (shards < 1 || shards > batch) throw DataError(text("--shards ", shards, ": must be from 1 to --batch ", batch));
  if (model == "transformer" && embd % heads != 0)
    throw DataError(
        text("--embd ", embd, " is not a multiple of --heads ", heads, ": every head needs the same width"));
  if (tokenizer == "word" && !lines)
    throw DataError("--tokenizer word needs --lines: words do not say where a line ends");
  if (model == "tabular" && !lines) throw DataError("--model tabular needs --lines: its rows are beginnings of lines");
  if (min_lr > lr) throw DataError(text("--min-lr ", min_lr, " is above --lr ", lr));
}

std::string to_json(const Config& config) {
  Json json;
  for_each_option(config, WriteOptions{json});
  if (config.lines) json["end_id"] = config.end_id;
  return json.dump();
}

Config config_from_json(const std::string& text_, const std::string& source) {
  const Json json = Json::parse_or_null(text_);
  if (!json.is_object()) throw DataError(text(source, ": the configuration is not a JSON object"));
  Config config;
  ReadOptions read{json, source};
  for_each_option(config, read);
  if (config.lines) read("end_id", config.end_id, "", 0, INT32_MAX);
  if (read.used != json.size())
    throw DataError(text(source, ": the configuration has options this version does not know"));
  return config;
}

}  // namespace gradus
