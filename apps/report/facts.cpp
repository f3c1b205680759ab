#include "apps/report/facts.h"

#include <cmath>
#include <filesystem>

#include "apps/next_command.h"
#include "apps/run.h"
#include "engine/error.h"
#include "engine/io/safetensors.h"
#include "models/text/shell_word.h"
#include "models/text/utf8.h"

namespace gradus {

namespace fs = std::filesystem;

// What a checkpoint says of its run, in the place of a log, or of its first record, that somebody has deleted.
static RunLog log_of(const SafetensorsFile& file) {
  const auto section = [&](const char* key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? Json() : Json::parse_or_null(found->second);
  };
  RunLog log;
  log.run = Json{{"type", "run"}, {"config", section("config")}, {"corpus", section("corpus")}};
  if (const Json tuning = section(kTuning); tuning.is_object()) {
    log.run.update(tuning);
    log.run["model"] = section("config");
  }
  if (const Json step = section("step"); step.is_number_integer()) log.last_step = step.get<int64_t>();
  return log;
}

// DataError unless it is a file that can be read to its end.
static RunLog read_log(const std::string& folder) {
  const std::string path = folder + "/log.jsonl";
  const bool has_checkpoint = RunFolder::has_checkpoint(folder);
  const auto stored = [&] { return log_of(SafetensorsFile::open(folder + "/checkpoint.safetensors")); };
  if (has_checkpoint && is_missing_or_empty(path)) return stored();
  RunLog log = read_run_log(path, has_checkpoint);
  if (log.run.is_null()) {
    RunLog beginning = stored();
    log.run = std::move(beginning.run);
    if (log.steps.empty() && log.evals.empty()) log.last_step = beginning.last_step;
  }
  return log;
}

RunFacts read_run(const std::string& folder) {
  if (!fs::is_directory(folder))
    throw DataError(
        text(folder, ": is not the folder of a run; ", proposed({"train", "FILE.txt", "--out", "RUN"}), " makes one"));
  const std::string log = folder + "/log.jsonl";
  RunFacts facts{.folder = folder,
                 .name = fs::canonical(folder).filename().string(),
                 .log = read_log(folder),
                 .config = {},
                 .tuning = {}};
  const std::string options = facts.logged("config").dump();
  if (facts.is_tuned()) {
    facts.tuning = tune_config_from_json(options, log);
    return facts;
  }
  facts.config = config_from_json(options, log);
  if (!RunFolder::has_checkpoint(folder)) return facts;
  const SafetensorsFile file = SafetensorsFile::open(folder + "/checkpoint.safetensors");
  const auto config = file.metadata().find("config"), step = file.metadata().find("step");
  if (config == file.metadata().end() || step == file.metadata().end())
    throw DataError(text(file.path(), ": not a gradus checkpoint, its metadata lack 'config' or 'step'"));
  facts.config = config_from_json(config->second, file.path());
  const Json saved = Json::parse_or_null(step->second);
  if (!saved.is_number_integer() || saved.get<int64_t>() < 0)
    throw DataError(text(file.path(), ": the metadata's 'step' is ", one_line(step->second, 40),
                         ", must be a whole number from 0 up"));
  facts.saved_step = saved.get<int64_t>();
  return facts;
}

// An option that is not as usual, with a space before each word, as it is typed.
static std::string typed(const Option& row) {
  std::string name = " " + option_name(row);
  if (std::holds_alternative<Switch>(row.value)) return name;
  const Texts* texts = std::get_if<Texts>(&row.value);
  if (!texts) return name + " " + shell_word(value_text(row));
  std::string words;
  for (const std::string& one : *texts->value) words += name + " " + shell_word(one);
  return words;
}

// A number as a person writes it: 0 for 0.0.
static std::string shown(const std::string& value) {
  return value.ends_with(".0") ? value.substr(0, value.size() - 2) : value;
}

std::string out_again(const RunFacts& facts) {
  std::string typed = facts.folder;
  while (typed.size() > 1 && typed.ends_with('/')) typed.pop_back();
  const fs::path path = typed, last = path.filename();
  const bool has_name = !last.empty() && last != "." && last != ".." && last != "/";
  const fs::path parent = (has_name ? path : fs::canonical(path)).parent_path();
  return shell_path((parent / (facts.name + "-again")).string());
}

void add_configuration(Page& page, const std::vector<Option>& rows, const std::vector<Option>& usual,
                       const std::string& begin, const std::vector<Page::Fact>& more) {
  std::string command = begin;
  std::vector<Page::Fact> facts;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Switch* flag = std::get_if<Switch>(&rows[i].value);
    const std::string value = value_text(rows[i]);
    const bool differs = value != value_text(usual[i]);
    if (differs) command += typed(rows[i]);
    if (!has_meaning(rows[i], rows) || value == rows[i].nothing) continue;
    facts.push_back(
        {option_name(rows[i].name).substr(2), flag ? (*flag->value ? "yes" : "no") : shown(value), differs});
  }
  facts.insert(facts.end(), more.begin(), more.end());
  page.section("Configuration");
  page.facts(facts);
  page.paragraph("Options in bold were given for this run or chosen for its machine; the others are defaults.");
  page.section("Command that repeats this run");
  page.code(command);
}

std::string plain(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }
double last_of(const std::vector<double>& column) { return column.empty() ? NAN : column.back(); }

// The two programs lie side by side.
std::string program_of(const RunFacts& facts) {
  const fs::path typed = program_name();
  std::string name = typed.filename().string();
  if (name.ends_with("-f64")) name.resize(name.size() - 4);
  if (facts.logged("real") == Json("f64")) name += "-f64";
  return shell_path((typed.has_parent_path() ? typed.parent_path() / name : fs::path(name)).string());
}

std::string precision_of(const RunFacts& facts) {
  return facts.logged("real") == Json("f64") ? "double precision" : "single precision";
}

}  // namespace gradus
