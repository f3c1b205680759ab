#include "models/config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace gradus {

using Json = nlohmann::ordered_json;

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

namespace {

struct Write {
  Json& json;
  template <class T, class... Rest>
  void operator()(const char* name, const T& value, const char*, const Rest&...) {
    json[name] = value;
  }
  void operator()(const char* name, const std::string& value, const char*, std::initializer_list<const char*>) {
    json[name] = value;
  }
};

struct Read {
  const Json& json;
  const std::string& source;
  size_t used = 0;

  const Json& get(const char* name) {
    const auto i = json.find(name);
    if (i == json.end()) throw DataError(text(source, ": the configuration lacks '", name, "'"));
    ++used;
    return *i;
  }
  [[noreturn]] void bad(const char* name, const std::string& wanted) {
    throw DataError(
        text(source, ": '", name, "' in the configuration is ", json.at(name).dump(), ", it must be ", wanted));
  }
  void operator()(const char* name, std::string& value, const char*, std::initializer_list<const char*> words) {
    const Json& j = get(name);
    std::string list;
    for (const char* word : words) list += (list.empty() ? "" : ", ") + std::string(word);
    if (!j.is_string() || std::find(words.begin(), words.end(), j.get<std::string>()) == words.end())
      bad(name, "one of " + list);
    value = j.get<std::string>();
  }
  void operator()(const char* name, bool& value, const char*) {
    const Json& j = get(name);
    if (!j.is_boolean()) bad(name, "true or false");
    value = j.get<bool>();
  }
  void operator()(const char* name, int64_t& value, const char*, int64_t least, int64_t greatest) {
    const Json& j = get(name);
    if (!j.is_number_integer() || j.get<int64_t>() < least || j.get<int64_t>() > greatest)
      bad(name, text("a whole number from ", least, " to ", greatest));
    value = j.get<int64_t>();
  }
  void operator()(const char* name, double& value, const char*, double least, double greatest) {
    const Json& j = get(name);
    if (!j.is_number() || !(j.get<double>() >= least && j.get<double>() <= greatest))
      bad(name, text("a number from ", least, " to ", greatest));
    value = j.get<double>();
  }
};

}  // namespace

std::string to_json(const Config& config) {
  Json json;
  for_each_option(config, Write{json});
  if (config.lines) json["end_id"] = config.end_id;
  return json.dump();
}

Config config_from_json(const std::string& text_, const std::string& source) {
  const Json json = Json::parse(text_, nullptr, false);
  if (!json.is_object()) throw DataError(text(source, ": the configuration is not a JSON object"));
  Config config;
  Read read{json, source};
  for_each_option(config, read);
  if (config.lines) read("end_id", config.end_id, "", 0, INT32_MAX);
  if (read.used != json.size())
    throw DataError(text(source, ": the configuration has options this version does not know"));
  return config;
}

}  // namespace gradus
