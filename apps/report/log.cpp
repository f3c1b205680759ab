#include "apps/report/log.h"

#include <filesystem>
#include <limits>

#include "engine/error.h"
#include "models/text/read_text.h"

namespace gradus {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMostColumns = 64;  // or a log with another field in each line would take the square of its length
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

void shorten(Records& records, size_t n) {
  records.step.resize(n);
  records.texts.resize(n);
  for (auto& [name, column] : records.columns) column.resize(n);
}

void append(Records& records, const Json& record) {
  const double step = record["step"].get<double>();
  size_t n = records.step.size();
  while (n > 0 && records.step[n - 1] >= step) --n;
  shorten(records, n);
  records.step.push_back(step);
  records.texts.push_back(record.contains("text") ? record["text"].get<std::string>() : "");
  const auto put = [&](const std::string& name, const Json& value) {
    if (!value.is_number() || name == "step") return;
    std::vector<double>& column = records.columns[name];
    column.resize(n, kNone);
    column.push_back(value.get<double>());
  };
  for (const auto& [name, value] : record.items()) {
    put(name, value);
    for (size_t i = 0; value.is_array() && i < value.size(); ++i) put(text(name, "_", i + 1), value[i]);
  }
  for (auto& [name, column] : records.columns) column.resize(n + 1, kNone);
}

// {"step","layers":[{"name","grad_norm","update_ratio"},...]}, kept whole. What is wrong with it, or nothing.
std::string append_layers(std::vector<Json>& records, const Json& record) {
  const Json *step = record.find("step"), *layers = record.find("layers");
  if (!step || !step->is_number_integer()) return "has no \"step\"";
  if (!layers || !layers->is_array()) return "has no \"layers\"";
  for (const Json& layer : *layers) {
    const Json *name = layer.find("name"), *norm = layer.find("grad_norm"), *ratio = layer.find("update_ratio");
    if (!name || !name->is_string() || !norm || !ratio) return "has a layer without name, grad_norm or update_ratio";
  }
  while (!records.empty() && records.back()["step"].get<int64_t>() >= step->get<int64_t>()) records.pop_back();
  records.push_back(record);
  return "";
}

// The record behind those before it; what is wrong with it, or nothing.
std::string add(RunLog& log, const Json& record) {
  if (!record.is_object()) return "is not a JSON object";
  const Json *type = record.find("type"), *step = record.find("step"), *words = record.find("text");
  if (!type || !type->is_string()) return "has no \"type\"";
  Records* records = *type == "step"     ? &log.steps
                     : *type == "eval"   ? &log.evals
                     : *type == "sample" ? &log.samples
                                         : nullptr;
  if (*type == "posterior") log.posterior = record;
  if (*type == "parameters") log.parameters = record;
  if (*type == "layers") return append_layers(log.layers, record);
  if (!records) return "";
  constexpr int64_t kMostSteps = int64_t{1} << 53;  // that a double counts
  if (!step || !step->is_number_integer() || step->get<int64_t>() < 0 || step->get<int64_t>() > kMostSteps)
    return "has no \"step\"";
  if (words && !words->is_string()) return "has a \"text\" that is not a string";
  append(*records, record);
  if (records->columns.size() > kMostColumns) return text("is the first after more than ", kMostColumns, " fields");
  log.last_step = step->get<int64_t>();
  return "";
}

[[noreturn]] void throw_no_log(const std::string& path) {
  throw DataError(text(path, ": is not the log of a run, which begins with {\"type\":\"run\",\"config\":{...}}"));
}

}  // namespace

std::vector<double> Records::operator[](const std::string& field) const {
  const auto i = columns.find(field);
  return i != columns.end() ? i->second : std::vector<double>(step.size(), kNone);
}

bool is_missing_or_empty(const std::string& log) {
  std::error_code error;
  return !fs::exists(log, error) || (fs::is_regular_file(log, error) && fs::file_size(log, error) == 0);
}

RunLog read_run_log(const std::string& path, bool may_lack_beginning) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_regular_file(path, error))  // a pipe would be waited for
    throw DataError(path + ": is not a regular file, so it is not the log of a run");
  const std::string all = read_bytes(path);
  RunLog log;
  size_t line = 1;
  for (size_t at = 0, end; at < all.size(); at = end + 1, ++line) {
    end = std::min(all.find('\n', at), all.size());
    Json record = Json::parse_or_null(std::string_view(all).substr(at, end - at));
    const bool begins = line == 1 && record.is_object() && record.value("type", Json()) == Json("run") &&
                        record.value("config", Json()).is_object();
    if (begins) {
      log.run = std::move(record);
    } else if (line == 1 && !may_lack_beginning) {
      throw_no_log(path);
    } else if (line > 1 && record.is_null() && end == all.size()) {
      break;  // cut short
    } else if (const std::string wrong = add(log, record); !wrong.empty()) {
      if (line == 1) throw_no_log(path);
      throw DataError(text(path, ": line ", line, " ", wrong, ", so the log is damaged"));
    }
  }
  return log;
}

}  // namespace gradus
