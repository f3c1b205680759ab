#include "tests/program/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace gradus::testing {

namespace fs = std::filesystem;

// ------------------------------------------------------------------------------------------------ text

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

size_t count(std::string_view text, std::string_view part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> all;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    all.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

std::string between(std::string_view text, std::string_view before, std::string_view after) {
  size_t begin = text.find(before);
  if (begin == text.npos) return "";
  begin += before.size();
  const size_t end = text.find(after, begin);
  return end == text.npos ? "" : std::string(text.substr(begin, end - begin));
}

size_t characters(std::string_view text) {
  return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// As the value of a string of JSON, whose reader refuses what is not UTF-8.
bool utf8(std::string_view text) {
  std::string string = "\"";
  for (const char c : text) string += (c == '"' || c == '\\' || (c >= 0 && c < ' ')) ? ' ' : c;
  return !Json::parse_or_null(string + '"').is_null();
}

std::vector<std::string> names(const Json& object) {
  std::vector<std::string> all;
  for (const auto& [name, value] : object.items()) all.push_back(name);
  return all;
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || fs::is_directory(path)) throw DataError(path + " cannot be read");
  std::string bytes(size_t(file.tellg()), '\0');
  file.seekg(0).read(bytes.data(), std::streamsize(bytes.size()));
  return bytes;
}

std::string fables() { return bytes_of(root() + "data/fables.txt").substr(0, 4000); }
std::string four_sentences() {
  return repeated("the cat\n", 4) + repeated("the dog\n", 3) + repeated("a cat\n", 2) + "a dog\n";
}
std::string tiny(const std::string& model) {
  const std::string sizes = model == "lstm" ? "--hidden 16" : "--heads 2 --layers 1";
  return " --model " + model + " --embd 16 " + sizes + " --context 16 --batch 4 --shards 2 ";
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  bool in_word = false, quoted = false;
  for (const char c : line) {
    if (c == ' ' && !quoted) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == '\'')
      quoted = !quoted;
    else
      words.back() += c;
  }
  return words;
}

// ------------------------------------------------------------------------------------------------ processes

std::string root() {
  static const std::string path = fs::current_path().string() + "/";
  return path;
}

std::string program(Precision precision) {
  const char* const given = std::getenv(precision == f32 ? "GRADUS" : "GRADUS_F64");
  const std::string path = fs::absolute(given ? given : precision == f32 ? "build/gradus" : "build/gradus-f64");
  if (::access(path.c_str(), X_OK) != 0) throw std::runtime_error("there is no program " + path + "; make builds it");
  return path;
}

// A file that nobody sees, and which ends with its descriptor.
static int nameless(std::string_view bytes = {}) {
  char path[] = "/tmp/gradus_io_XXXXXX";
  const int file = ::mkostemp(path, O_CLOEXEC);
  if (file < 0) throw std::runtime_error("no temporary file");
  ::unlink(path);
  if (::write(file, bytes.data(), bytes.size()) != ssize_t(bytes.size())) throw std::runtime_error("/tmp is full");
  ::lseek(file, 0, SEEK_SET);
  return file;
}

static std::string all_of(int file) {
  std::string text(size_t(::lseek(file, 0, SEEK_END)), '\0');
  if (::pread(file, text.data(), text.size(), 0) != ssize_t(text.size())) throw std::runtime_error("a read failed");
  return text;
}

Child::Child(const std::vector<std::string>& command, const std::string& folder, const Setting& setting)
    : in_(nameless(setting.in)), err_(nameless()), folder_(folder), setting_(setting) {
  int ends[2] = {-1, -1};
  if (setting.hang_up_after) {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    out_ = ends[0];
  } else if (setting.out) {
    ends[1] = ::open(setting.out, O_WRONLY | O_CLOEXEC);
  } else {
    out_ = ends[1] = nameless();
  }
  std::vector<char*> argv;
  for (const std::vector<std::string>& words : {std::cref(command), std::cref(setting_.words)})
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("no process could be made");
  if (pid_ == 0) {
    for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_DFL);
    for (const char* unwanted : {"LC_ALL", "LANG", "FAULT_AT", "FAULT_HOW"}) ::unsetenv(unwanted);
    for (const auto& [variable, value] : setting_.env) ::setenv(variable.c_str(), value.c_str(), 1);
    const rlimit limit{setting.memory, setting.memory};
    if ((setting.memory && ::setrlimit(RLIMIT_AS, &limit) != 0) || ::chdir(folder.c_str()) != 0) ::_exit(127);
    ::dup2(in_, 0);
    ::dup2(ends[1], 1);
    ::dup2(err_, 2);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  if (ends[1] != out_) ::close(ends[1]);
}

Child::~Child() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (const int file : {in_, out_, err_})
    if (file >= 0) ::close(file);
}

bool Child::running() const {
  siginfo_t state{};
  return ::waitid(P_PID, id_t(pid_), &state, WEXITED | WNOHANG | WNOWAIT) == 0 && state.si_pid == 0;
}
bool Child::kill(int signal) const { return ::kill(pid_, signal) == 0; }

Run Child::wait() {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + std::chrono::duration<double>(setting_.seconds);
  Run run{.folder = folder_};
  if (setting_.hang_up_after) {
    run.out.resize(setting_.hang_up_after);
    size_t got = 0;
    for (ssize_t n; got < run.out.size() && (n = ::read(out_, &run.out[got], run.out.size() - got)) > 0;)
      got += size_t(n);
    run.out.resize(got);
    ::close(std::exchange(out_, -1));
  }
  int status = 0;
  bool late = false;
  rusage used{};
  while (::wait4(pid_, &status, WNOHANG, &used) == 0) {
    if (!late && steady_clock::now() > end) late = ::kill(pid_, SIGKILL) == 0;
    ::usleep(500);
  }
  pid_ = -1;
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  run.cpu = seconds(used.ru_utime) + seconds(used.ru_stime);
  run.peak = 1024 * double(used.ru_maxrss);
  run.code = late ? 124 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (out_ >= 0) run.out = all_of(out_);
  run.err = all_of(err_);
  return run;
}

void pause_a_little() { ::usleep(10000); }

std::vector<Json> objects(const std::string& text) {
  if (text.empty() || text.back() != '\n') throw DataError("not whole lines of JSON: \"" + text.substr(0, 200) + "\"");
  std::vector<Json> all;
  for (const std::string& line : lines(text)) {
    all.push_back(Json::parse(line));
    if (!all.back().is_object() || line.front() != '{')
      throw DataError("not an object of JSON: " + line.substr(0, 200));
  }
  return all;
}

std::vector<Json> Run::jsonl() const { return objects(out); }

Json Run::json() const {
  std::vector<Json> all = objects(out);
  if (all.size() != 1) throw DataError("stdout has " + std::to_string(all.size()) + " lines instead of 1");
  return all[0];
}

// ------------------------------------------------------------------------------------------------ verdicts

static std::string tail(const std::string& text) { return text.size() <= 400 ? text : text.substr(text.size() - 400); }

Verdict exits(const Run& run, int code) {
  if (run.code == code) return {};
  return {"exit code " + std::to_string(run.code) + " instead of " + std::to_string(code) + "; " + tail(run.err)};
}

Verdict refuses(const Run& run, int code, std::string_view part) {
  if (const Verdict exit = exits(run, code); !exit) return exit;
  if (count(run.err, "\n") != 1 || run.err.back() != '\n') return {"not one line on stderr: " + tail(run.err)};
  if (run.err.rfind("gradus: ", 0) != 0 || run.err.size() < 10 || run.err[8] == ' ')
    return {"the message does not begin with 'gradus: ': " + run.err};
  if (!contains(run.err, part)) return {"the message lacks '" + std::string(part) + "': " + run.err};
  if (!run.out.empty()) return {"stdout has " + run.out.substr(0, 200)};
  if (fs::exists(run.folder + "/new")) return {"it left a folder"};
  return {};
}

Verdict near(double got, double wanted, double distance) {
  if (std::abs(got - wanted) <= distance) return {};
  char text[99];
  std::snprintf(text, sizeof text, "got %.17g instead of %.17g", got, wanted);
  return {text};
}

void left_out(const std::string& what, const std::string& reason) {
  std::printf("SKIP %s: %s: %s\n", doctest::getContextOptions()->currentTest->m_name, what.c_str(), reason.c_str());
  std::fflush(stdout);
}

}  // namespace gradus::testing
