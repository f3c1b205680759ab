// Options as JSON: an object with one member for each row of a table of options (Config's in models/config.h), checked
// against the table when it is read.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/io/json.h"

namespace gradus {

// visit(...) of a table writes the options into `json`.
struct WriteOptions {
  Json& json;
  template <class T, class... Rest>
  void operator()(const char* name, const T& value, const char*, const Rest&...) {
    json[name] = value;
  }
  void operator()(const char* name, const std::string& value, const char*, std::initializer_list<const char*>) {
    json[name] = value;
  }
};

// visit(...) of a table reads them back. DataError, naming `source`, for one that is missing, ill-typed or out of
// range; `used` counts those that were there.
struct ReadOptions {
  const Json& json;
  const std::string& source;
  size_t used = 0;

  const Json& get(const char* name) {
    const Json* member = json.find(name);
    if (!member) throw DataError(text(source, ": the configuration lacks '", name, "'"));
    ++used;
    return *member;
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
  void operator()(const char* name, std::vector<std::string>& value, const char*) {
    const Json& j = get(name);
    if (!j.is_array() || !std::ranges::all_of(j, [](const auto& word) { return word.is_string(); }))
      bad(name, "a list of texts");
    value = j.get<std::vector<std::string>>();
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

// All options of a table, an object in one line.
template <class C>
std::string options_to_json(const C& options) {
  Json json;
  for_each_option(options, WriteOptions{json});
  return json.dump();
}

}  // namespace gradus
