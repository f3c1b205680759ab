// Options: the choices of a person for a run, as tables. A row has the name of an option, the address of its value, its
// range, its meaning, and its owners. The command line, files (JSON), notes on options without meaning and
// reports all read the rows: a new option is a member of a struct and a row of its table.
//
//   std::vector<Option> rows = options(config);     // models/run/config.h; rl/tune_config.h has the other table
//   for (const Option& o : rows) std::printf("%s %s\n", option_name(o.name).c_str(), value_text(o).c_str());
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gradus {

// The address of the value, and its range.
struct Switch {
  bool* value;
  bool usual;  // on by default: the option that turns it off is --no-NAME
};
struct Whole {
  int64_t* value;
  int64_t least, greatest;
};
struct Number {
  double* value;
  double least, greatest;
};
struct Word {
  std::string* value;
  std::vector<std::string> known;
  bool (*accepts)(const std::string& word) = nullptr;  // words beside the known ones
  bool allows(const std::string& word) const;
};
struct Texts {  // any number of them; the command line declares such an option itself
  std::vector<std::string>* value;
};

// To whom an option means something: where the option `option` of the same table has one of `words`, or without words
// anything but 0 and false. An empty `option`: to all.
struct Owners {
  std::string option;
  std::vector<std::string> words = {};
};

struct Option {
  std::string name;  // in files and logs, with _
  std::variant<Switch, Whole, Number, Word, Texts> value;
  std::string help;
  Owners owners = {};
  Owners owners_too = {};  // it has a meaning only where both say so
  // Younger than format 1: a file leaves it out where it has its usual value, so old files can be read.
  bool newer = false;
  // The value, as value_text() has it, that stands for nothing; a report does not show it. Empty: there is none.
  std::string nothing = {};
};

// Rows, for tables that are read from above to below.
inline Option option(const char* name, bool& value, bool usual, const std::string& help, const Owners& owners = {}) {
  return {.name = name, .value = Switch{&value, usual}, .help = help, .owners = owners};
}
inline Option option(const char* name, int64_t& value, int64_t least, int64_t most, const std::string& help,
                     const Owners& owners = {}) {
  return {.name = name, .value = Whole{&value, least, most}, .help = help, .owners = owners};
}
inline Option option(const char* name, double& value, double least, double most, const std::string& help,
                     const Owners& owners = {}) {
  return {.name = name, .value = Number{&value, least, most}, .help = help, .owners = owners};
}
inline Option option(const char* name, std::string& value, const std::vector<std::string>& known,
                     const std::string& help, const Owners& owners = {}) {
  return {.name = name, .value = Word{&value, known}, .help = help, .owners = owners};
}
inline Option option(const char* name, std::vector<std::string>& values, const std::string& help,
                     const Owners& owners = {}) {
  return {.name = name, .value = Texts{&values}, .help = help, .owners = owners};
}
// --adapter, of training and tuning.
Option adapter_option(std::string& value);
Option newer(Option row);
Option narrowed(Option row, const Owners& owners_too);
Option hidden_at(const std::string& nothing, Option row);

// What training and tuning share. The defaults are those of training.
inline constexpr int64_t kMostShards = 256;
struct RunOptions {
  int64_t steps = 2000;
  double lr = 1e-3;
  double min_lr = 1e-4;
  int64_t warmup = 100;
  int64_t decay_steps = 0;  // 0: the first --steps
  double clip = 1;
  int64_t save_every = 250;
  int64_t shards = 0;  // 0: the cores of the machine, at most the batch

  void resolve(int cores, int64_t batch);  // replaces the zeros above by the defaults that they mean
  void check(int64_t batch) const;         // DataError where two of them do not fit together
};
// The rows of the above and of a seed, and one of them: a table puts each where its files have it.
std::vector<Option> run_options(RunOptions& run, int64_t& seed, const Owners& owners = {});

inline constexpr int64_t kMany = 1'000'000'000;  // steps at most

// As the command line writes a name: --min-lr for min_lr. The only place that knows.
std::string option_name(std::string_view name);
// The same of a row, with the no- of a switch that is on by default.
std::string option_name(const Option& row);
// The value as files and the command line write it; words of a list with ", " between them.
std::string value_text(const Option& row);
// The range of the value in words, for a sentence with "must be": "a whole number from 1 to 100", "one of none, add".
std::string wanted(const Option& row);
// DataError if there is none.
const Option& row_of(const std::vector<Option>& rows, std::string_view name);
// Whether the option means something beside the other values of its table.
bool has_meaning(const Option& row, const std::vector<Option>& rows);
// Of the options `given` (names as in files) those that mean nothing beside the others, in a sentence for a person:
// "--heads, --order have no meaning for --model lstm"; empty if there are none.
std::string without_meaning(const std::vector<Option>& rows, const std::vector<std::string>& given);

// All options of a table as one JSON object in one line; `usual` is the same table for a struct of default values.
std::string options_to_json(const std::vector<Option>& rows, const std::vector<Option>& usual);
// Reads them back. DataError, naming `source`, for one that is missing, unknown, of another type or out of range.
void options_from_json(const std::vector<Option>& rows, const std::string& json, const std::string& source);

}  // namespace gradus
