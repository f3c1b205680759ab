// Runs the gradus program as a person would, for the tests in this folder:
//
//   const Scratch dir;                                          // a folder of this test's own, removed with it
//   const Run run = dir.run(f32, "sample " + name + " --json");  // in that folder; spaces cut words, '' keep them
//   CHECK(exits(run, 0));
//   CHECK(run.json()["samples"].size() == 1);  // stdout must be exactly one object of JSON
//
// GRADUS and GRADUS_F64 name other programs than build/gradus and build/gradus-f64. The tests run from the root of the
// repository. Nothing here includes the engine but for JSON.
#pragma once

#include <doctest/doctest.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/json.h"

namespace gradus::testing {

enum Precision { f32, f64 };
std::string program(Precision precision);  // its absolute path
std::string root();                        // the repository's absolute path, / at the end

// Empty if all is well, else what is not. A failing CHECK prints the trouble.
struct Verdict {
  std::string trouble;
  explicit operator bool() const { return trouble.empty(); }
};

// What a process left behind.
struct Run {
  int code = 0;  // the exit code; 128 + N after signal N; 124 if it was killed because its time was over
  std::string out{}, err{};
  std::string folder{};  // where it ran
  double cpu = 0;        // seconds of the processor, whatever else the machine did
  double peak = 0;       // the most memory that it held at once, in bytes

  Json json() const;                // DataError unless stdout is one line that holds one object
  std::vector<Json> jsonl() const;  // likewise, of one object in each line
};

struct Setting {
  std::vector<std::string> words{};                        // after those of the command, taken as they are
  std::string in{};                                        // standard input
  std::vector<std::pair<std::string, std::string>> env{};  // beside the environment of the tests
  const char* out = nullptr;                               // a file that stdout goes to, instead of Run::out
  size_t hang_up_after = 0;                                // closes the pipe at stdout after so many bytes
  size_t memory = 0;                                       // limit of address space, in bytes
  double seconds = 60;                                     // then it is killed
};

// A program that goes on while the test does. Killed in the end if nobody waited for it.
class Child {
 public:
  Child(const std::vector<std::string>& command, const std::string& folder, const Setting& setting);
  ~Child();
  Child(const Child&) = delete;
  pid_t pid() const { return pid_; }
  bool kill(int signal) const;
  bool running() const;
  Run wait();

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, err_ = -1;
  std::string folder_;
  Setting setting_;
};

class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  Run run(Precision precision, const std::string& words, const Setting& setting = {}) const;
  Child start(Precision precision, const std::string& words, const Setting& setting = {}) const;
  // Any other program, found on PATH.
  Run run(const std::vector<std::string>& command, const Setting& setting = {}) const;
  // A run that the test itself needs: throws unless it exits with `code`.
  Run must(Precision precision, const std::string& words, const Setting& setting = {}, int code = 0) const;

  void write(std::string_view name, std::string_view bytes) const;
  void append(std::string_view name, std::string_view bytes) const;
  std::string read(std::string_view name) const;  // DataError if it cannot be read
  bool has(std::string_view name) const;
  void copy(std::string_view from, std::string_view to) const;  // a file, or a folder with all that is in it
  void remove(std::string_view name) const;
  void make_folder(std::string_view name) const;
  // Every file below it with its bytes, sorted by name: equal for folders that are equal.
  std::vector<std::pair<std::string, std::string>> contents(std::string_view name) const;

  // Of a run's folder.
  std::vector<Json> log(std::string_view run) const;
  std::vector<Json> log(std::string_view run, std::string_view type) const;  // its records of this type
  int64_t saved_steps(std::string_view run) const;   // of its checkpoint, as `gradus inspect` says
  int64_t logged_steps(std::string_view run) const;  // records of steps in its log so far; 0 where there is no log
  std::string report(std::string_view run) const { return read(std::string(run) + "/report.html"); }
  Verdict same_weights(std::string_view a, std::string_view b) const;  // the bytes of their checkpoints
  Verdict same_logs(std::string_view a, std::string_view b) const;     // but for what depends on the clock
  Verdict same_steps(std::string_view a, std::string_view b) const;    // likewise, of the records of steps
  // The log is whole lines of JSON, and its steps are 1, 2, ..., steps, each once.
  Verdict steps_once(std::string_view run, int64_t steps) const;
  // As tests/valid_html.sh says; left out where there is no validator.
  Verdict valid_html(std::string_view page) const;

 private:
  std::string path_;
};

Verdict exits(const Run& run, int code);
// Refused as a person likes it: the exit code, nothing on stdout, on stderr one sentence "gradus: ..." with `part` in
// it, and no folder `new`, which is what such commands are told to make.
Verdict refuses(const Run& run, int code, std::string_view part);
Verdict near(double got, double wanted, double distance);  // |got - wanted| <= distance

// Says which part of this test was left out, and why; it then counts as skipped.
void left_out(const std::string& what, const std::string& reason);

bool contains(std::string_view text, std::string_view part);
size_t count(std::string_view text, std::string_view part);  // occurrences
std::vector<std::string> words_of(const std::string& line);  // cut at spaces, except within '...'
std::vector<Json> objects(const std::string& text);          // one in each line; DataError if it is anything else
std::vector<std::string> lines(std::string_view text);       // without their ends
// What stands between the first `before` and the next `after`; empty if they do not occur.
std::string between(std::string_view text, std::string_view before, std::string_view after);
size_t characters(std::string_view text);            // code points of UTF-8
bool utf8(std::string_view text);                    // is it?
std::vector<std::string> names(const Json& object);  // of its members, in their order
std::string repeated(std::string_view text, int times);

// 20 seconds at most for `condition` to become true.
void pause_a_little();
template <class Condition>
bool wait_until(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    pause_a_little();
  }
  return false;
}

std::string bytes_of(const std::string& path);  // of a file, DataError if it cannot be read
// The first 4000 bytes of data/fables.txt.
std::string fables();
// Four sentences of two words: the cat 4 times of 10, the dog 3, a cat 2, a dog 1; their entropy is 1.27985422583367.
std::string four_sentences();
// Options of a model that trains in no time.
std::string tiny(const std::string& model);

// A folder with text.txt, the first bytes of the fables.
struct Text : Scratch {
  Text() { write("text.txt", fables()); }
};
// What is promised of both families and both builds is tested with each.
struct Kind {
  std::string model;
  Precision real;
};
inline std::vector<Kind> kinds() { return {{"transformer", f32}, {"transformer", f64}, {"lstm", f32}, {"lstm", f64}}; }

}  // namespace gradus::testing

template <>
struct doctest::StringMaker<gradus::testing::Precision> {
  static String convert(gradus::testing::Precision precision) {
    return precision == gradus::testing::f32 ? "f32" : "f64";
  }
};
template <>
struct doctest::StringMaker<gradus::testing::Verdict> {
  static String convert(const gradus::testing::Verdict& verdict) {
    return verdict ? "all is well" : verdict.trouble.c_str();
  }
};
