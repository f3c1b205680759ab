// The folder of a test, and what a run left in it.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/program/program.h"

namespace gradus::testing {

namespace fs = std::filesystem;

Scratch::Scratch() : path_("/tmp/gradus_test_XXXXXX") {
  if (!::mkdtemp(path_.data())) throw std::runtime_error("no temporary folder");
  path_ = fs::canonical(path_).string();
}
Scratch::~Scratch() {
  std::error_code ignored;  // a test that failed may have left a process that still writes there
  fs::remove_all(path_, ignored);
}

Child Scratch::start(Precision precision, const std::string& words, const Setting& setting) const {
  std::vector<std::string> command = words_of(words);
  command.insert(command.begin(), program(precision));
  return Child(command, path_, setting);
}
Run Scratch::run(Precision precision, const std::string& words, const Setting& setting) const {
  return start(precision, words, setting).wait();
}
Run Scratch::run(const std::vector<std::string>& command, const Setting& setting) const {
  return Child(command, path_, setting).wait();
}
Run Scratch::must(Precision precision, const std::string& words, const Setting& setting, int code) const {
  Run run = this->run(precision, words, setting);
  if (run.code != code) throw std::runtime_error("gradus " + words + ": " + exits(run, code).trouble);
  return run;
}

void Scratch::write(std::string_view name, std::string_view bytes) const {
  std::ofstream(*this / name, std::ios::binary) << bytes;
}
void Scratch::append(std::string_view name, std::string_view bytes) const {
  std::ofstream(*this / name, std::ios::binary | std::ios::app) << bytes;
}
std::string Scratch::read(std::string_view name) const { return bytes_of(*this / name); }
bool Scratch::has(std::string_view name) const { return fs::exists(*this / name); }
void Scratch::copy(std::string_view from, std::string_view to) const {
  fs::copy(*this / from, *this / to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}
void Scratch::remove(std::string_view name) const { fs::remove_all(*this / name); }
void Scratch::make_folder(std::string_view name) const { fs::create_directories(*this / name); }

std::vector<std::pair<std::string, std::string>> Scratch::contents(std::string_view name) const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(*this / name))
    if (entry.is_regular_file())
      all.emplace_back(fs::relative(entry.path(), *this / name).string(), bytes_of(entry.path().string()));
  std::sort(all.begin(), all.end());
  return all;
}

// ------------------------------------------------------------------------------------------------ a run's folder

std::vector<Json> Scratch::log(std::string_view run) const { return objects(read(std::string(run) + "/log.jsonl")); }

std::vector<Json> Scratch::log(std::string_view run, std::string_view type) const {
  std::vector<Json> all;
  for (Json& record : log(run))
    if (record["type"] == Json(type)) all.push_back(std::move(record));
  return all;
}

int64_t Scratch::saved_steps(std::string_view run) const {
  const Json said = must(f64, "inspect --json", {.words = {std::string(run)}}).json();
  return std::stoll(said.at("metadata").at("step").get<std::string>());
}

int64_t Scratch::logged_steps(std::string_view run) const {
  const std::string path = std::string(run) + "/log.jsonl";
  return has(path) ? int64_t(count(read(path), "{\"type\":\"step\"")) : 0;
}

// The lines of a log that contain `part`, without the fields that tell the time.
static std::vector<std::string> timeless(const std::string& log, std::string_view part) {
  std::vector<std::string> all;
  for (std::string& line : lines(log)) {
    if (!contains(line, part)) continue;
    for (const std::string field : {",\"tokens_per_second\":", ",\"seconds\":"}) {
      const size_t at = line.find(field);
      if (at != line.npos) line.erase(at, line.find_first_of(",}", at + 1) - at);
    }
    all.push_back(std::move(line));
  }
  return all;
}

static Verdict same_lines(const Scratch& dir, std::string_view a, std::string_view b, std::string_view part) {
  const std::vector<std::string> x = timeless(dir.read(std::string(a) + "/log.jsonl"), part);
  const std::vector<std::string> y = timeless(dir.read(std::string(b) + "/log.jsonl"), part);
  if (x.empty()) return {"the log of " + std::string(a) + " has no such lines"};
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (x[i] != y[i]) return {"line " + std::to_string(i + 1) + " is " + x[i] + " and " + y[i]};
  if (x.size() != y.size()) return {std::to_string(x.size()) + " lines and " + std::to_string(y.size())};
  return {};
}

Verdict Scratch::same_logs(std::string_view a, std::string_view b) const { return same_lines(*this, a, b, ""); }
Verdict Scratch::same_steps(std::string_view a, std::string_view b) const {
  return same_lines(*this, a, b, "{\"type\":\"step\"");
}
Verdict Scratch::same_weights(std::string_view a, std::string_view b) const {
  const std::string x = read(std::string(a) + "/checkpoint.safetensors");
  const std::string y = read(std::string(b) + "/checkpoint.safetensors");
  const size_t at = size_t(std::mismatch(x.begin(), x.end(), y.begin(), y.end()).first - x.begin());
  if (x == y) return {};
  return {"the checkpoints of " + std::string(a) + " and " + std::string(b) + " differ at byte " + std::to_string(at)};
}

Verdict Scratch::steps_once(std::string_view run, int64_t steps) const {
  int64_t last = 0;
  for (const Json& record : log(run, "step"))
    if (record["step"].get<int64_t>() != ++last)
      return {"step " + record["step"].dump() + " in place of " + std::to_string(last)};
  if (last != steps) return {std::to_string(last) + " steps instead of " + std::to_string(steps)};
  return {};
}

Verdict Scratch::valid_html(std::string_view page) const {
  const Run run = this->run({"sh", root() + "tests/valid_html.sh", std::string(page)});
  if (run.code == 77) left_out("valid HTML", "neither html-validate nor tidy is installed");
  return {run.code == 0 || run.code == 77 ? "" : "not valid: " + run.out + run.err};
}

}  // namespace gradus::testing
