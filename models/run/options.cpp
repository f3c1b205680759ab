#include "models/run/options.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/io/json.h"
#include "models/adapter_spec.h"
#include "models/table.h"
#include "models/text/utf8.h"

namespace gradus {

bool Word::allows(const std::string& word) const {
  return std::find(known.begin(), known.end(), word) != known.end() || (accepts && accepts(word));
}

Option newer(Option row) {
  row.newer = true;
  return row;
}

Option narrowed(Option row, const Owners& owners_too) {
  row.owners_too = owners_too;
  return row;
}

Option hidden_at(const std::string& nothing, Option row) {
  row.nothing = nothing;
  return row;
}

void RunOptions::resolve(int cores, int64_t batch) {
  if (decay_steps == 0) decay_steps = steps;
  if (shards == 0) shards = std::min<int64_t>(cores, kMostShards);
  shards = std::min(shards, batch);
}

void RunOptions::check(int64_t batch) const {
  if (shards < 1 || shards > batch) throw DataError(text("--shards ", shards, ": must be from 1 to --batch ", batch));
  if (min_lr > lr) throw DataError(text("--min-lr ", min_lr, " is above --lr ", lr));
}

std::vector<Option> run_options(RunOptions& run, int64_t& seed, const Owners& owners) {
  return {
      option("steps", run.steps, 0, kMany, "total number of steps", owners),
      option("lr", run.lr, 0, 1e3, "learning rate after the warm-up", owners),
      option("min_lr", run.min_lr, 0, 1e3, "learning rate at the end of the cosine", owners),
      option("warmup", run.warmup, 0, kMany, "steps of linear warm-up", owners),
      option("decay_steps", run.decay_steps, 0, kMany,
             "step at which the cosine reaches --min-lr (default: the first --steps)", owners),
      option("clip", run.clip, 0, 1e9, "largest norm of the gradient; 0: no clipping", owners),
      option("save_every", run.save_every, 0, kMany, "steps between checkpoints; 0: only at the end", owners),
      option("shards", run.shards, 0, kMostShards,
             "split each batch into N parts, summed in a fixed order: the same bits on any number of threads "
             "and ranks (default: the cores of all ranks, at most --batch)",
             owners),
      option("seed", seed, 0, INT64_MAX, "random seed"),
  };
}

Option adapter_option(std::string& value) {
  Option row =
      option("adapter", value, {kNoAdapter, "lora:RANK"},
             "train only an adapter, a change of RANK to every matrix of a run whose own weights stay as they are");
  std::get<Word>(row.value).accepts = Adapter::accepts;
  return newer(row);
}

std::string option_name(std::string_view name) {
  std::string out = "--" + std::string(name);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

std::string option_name(const Option& row) {
  const Switch* s = std::get_if<Switch>(&row.value);
  return option_name(s && s->usual ? "no_" + row.name : row.name);
}

static Json json_of(const Option& row) {
  return std::visit([](const auto& v) { return Json(*v.value); }, row.value);
}

std::string value_text(const Option& row) {
  if (const Word* word = std::get_if<Word>(&row.value)) return *word->value;
  if (const Texts* texts = std::get_if<Texts>(&row.value)) return joined(*texts->value);
  return json_of(row).dump();
}

std::string wanted(const Option& row) {
  if (std::holds_alternative<Switch>(row.value)) return "true or false";
  if (std::holds_alternative<Texts>(row.value)) return "a list of texts without NUL";
  if (const Word* word = std::get_if<Word>(&row.value)) return "one of " + joined(word->known);
  if (const Whole* n = std::get_if<Whole>(&row.value))
    return text("a whole number from ", n->least, " to ", n->greatest);
  const Number& x = std::get<Number>(row.value);
  return text("a number from ", x.least, " to ", x.greatest);
}

const Option& row_of(const std::vector<Option>& rows, std::string_view name) { return row_named(rows, name, "option"); }

static bool fits(const Owners& owners, const std::vector<Option>& rows) {
  if (owners.option.empty()) return true;
  const std::string value = value_text(row_of(rows, owners.option));
  const std::vector<std::string>& words = owners.words;
  return words.empty() ? value != "0" && value != "0.0" && value != "false"
                       : std::find(words.begin(), words.end(), value) != words.end();
}
bool has_meaning(const Option& row, const std::vector<Option>& rows) {
  return fits(row.owners, rows) && fits(row.owners_too, rows);
}

std::string without_meaning(const std::vector<Option>& rows, const std::vector<std::string>& given) {
  struct Part {
    std::vector<std::string> names;
    std::string why;
  };
  std::vector<Part> parts;
  for (const Option& row : rows) {
    if (std::find(given.begin(), given.end(), row.name) == given.end() || has_meaning(row, rows)) continue;
    const Owners& owners = fits(row.owners, rows) ? row.owners_too : row.owners;
    const std::string owner = option_name(owners.option);
    const std::string why =
        owners.words.empty() ? "without " + owner : text("for ", owner, " ", value_text(row_of(rows, owners.option)));
    const auto same = std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.why == why; });
    if (same == parts.end())
      parts.push_back({{option_name(row)}, why});
    else
      same->names.push_back(option_name(row));
  }
  std::vector<std::string> sentences;
  sentences.reserve(parts.size());
  for (const auto& [names, why] : parts)
    sentences.push_back(text(joined(names, ", "), names.size() > 1 ? " have" : " has", " no meaning ", why));
  return joined(sentences, "; ");
}

std::string options_to_json(const std::vector<Option>& rows, const std::vector<Option>& usual) {
  Json json = Json::object();
  for (size_t i = 0; i < rows.size(); ++i)
    if (!rows[i].newer || !(json_of(rows[i]) == json_of(usual[i]))) json[rows[i].name] = json_of(rows[i]);
  return json.dump();
}

// One value from JSON into its place; false where it is of another type or out of range.
static bool read_value(const Json& json, const Option& row) {
  if (const Switch* s = std::get_if<Switch>(&row.value)) {
    if (!json.is_boolean()) return false;
    *s->value = json.get<bool>();
  } else if (const Whole* n = std::get_if<Whole>(&row.value)) {
    if (!json.is_number_integer() || json.get<int64_t>() < n->least || json.get<int64_t>() > n->greatest) return false;
    *n->value = json.get<int64_t>();
  } else if (const Number* x = std::get_if<Number>(&row.value)) {
    if (!json.is_number() || !(json.get<double>() >= x->least && json.get<double>() <= x->greatest)) return false;
    *x->value = json.get<double>();
  } else if (const Word* w = std::get_if<Word>(&row.value)) {
    if (!json.is_string() || !w->allows(json.get<std::string>())) return false;
    *w->value = json.get<std::string>();
  } else {
    std::vector<std::string>& texts = *std::get<Texts>(row.value).value;
    if (!json.is_array()) return false;
    texts.clear();
    for (const Json& one : json) {
      if (!one.is_string() || one.get<std::string>().find('\0') != std::string::npos) return false;  // as of a command
      texts.push_back(one.get<std::string>());
    }
  }
  return true;
}

void options_from_json(const std::vector<Option>& rows, const std::string& json_text, const std::string& source) {
  if (constexpr size_t kMostBytes = 1 << 20; json_text.size() > kMostBytes)
    throw DataError(text(source, ": the configuration has ", json_text.size(), " bytes, more than ", kMostBytes));
  Json json;
  try {
    constexpr size_t kMostValues = 10'000;
    json = Json::parse(json_text, kMostValues);
  } catch (const JsonError& error) {
    throw DataError(text(source, ": the configuration: ", error.what()));
  }
  if (!json.is_object()) throw DataError(text(source, ": the configuration is not a JSON object"));
  size_t used = 0;
  for (const Option& row : rows) {
    if (!json.contains(row.name)) {
      if (row.newer) continue;
      throw DataError(text(source, ": the configuration lacks '", row.name, "'"));
    }
    ++used;
    if (!read_value(json.at(row.name), row))
      throw DataError(text(source, ": '", row.name, "' in the configuration is ",
                           one_line(json.at(row.name).dump(), 60), ", it must be ", wanted(row)));
  }
  if (used != json.size()) throw DataError(text(source, ": the configuration has options this version does not know"));
}

}  // namespace gradus
