// The command line: what each command takes. The only file that sees CLI11, which makes it long. A command is one
// function here, which declares its options, one row at the end, and one file of its name in apps/, which does the
// work.
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <thread>
#include <type_traits>

#include "apps/commands.h"
#include "apps/console.h"
#include "apps/format.h"
#include "apps/next_command.h"
#include "apps/run.h"
#include "apps/waiting.h"
#include "engine/error.h"
#include "engine/io/free_memory.h"
#include "engine/version.h"
#include "models/families.h"
#include "models/run/adapter_base.h"
#include "rl/methods/baselines.h"
#include "rl/rewards/reward.h"

namespace gradus {

// Of this machine, those that this process may use: mpirun and taskset leave it fewer.
int cores() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
  return int(std::max(1u, std::thread::hardware_concurrency()));
}
// Each thread takes address space for its stack, its heap and OpenBLAS's buffer; where that is limited there are fewer.
int threads_for(const Common& common, int64_t shards) {
  constexpr double kOfThread = 300e6;
  const double room = std::max(1.0, free_address_space() / kOfThread);
  const int64_t threads = std::min<int64_t>(common.threads ? common.threads : cores(), shards);
  return room < double(threads) ? int(room) : int(threads);
}

namespace {

constexpr size_t kHelpColumn = 30;  // where the text of an option begins

// The whole of `word` as a decimal number, with a sign or without; leading zeros mean nothing.
template <class T>
bool read_decimal(std::string_view word, T& value) {
  if (word.starts_with('+') && !word.starts_with("+-")) word.remove_prefix(1);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size();
}

// A decimal number that a double cannot tell from 0, though it is not.
bool vanishes(std::string_view word) {
  double value{};
  if (word.starts_with('+') && !word.starts_with("+-")) word.remove_prefix(1);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc::result_out_of_range && end == word.data() + word.size() &&
         std::strtod(std::string(word).c_str(), nullptr) == 0;
}

// A number in [least, greatest]; NaN, infinity, other bases and trailing letters are refused, and the message gives the
// range. CLI11, which takes 010 for 8, gets the number that was read.
template <class T>
CLI::Validator range(const std::string& name, T least, T greatest) {
  const std::string span = text("from ", least, " to ", greatest);
  return CLI::Validator(
      [=](std::string& input) -> std::string {
        T value{};
        if (std::is_floating_point_v<T> && least <= 0 && vanishes(input))
          return text(name, " ", input, ": is too small to be told from 0; write 0, or a larger number");
        if (!read_decimal(input, value) || !(value >= least && value <= greatest))
          return text(name, " ", input, ": must be a", std::is_floating_point_v<T> ? "" : " whole", " number ", span);
        if constexpr (std::is_integral_v<T>) input = std::to_string(value);
        return "";
      },
      "", "");
}

template <class T>
CLI::Option* number(CLI::App& app, const std::string& name, T& value, const std::string& help,
                    std::type_identity_t<T> least, std::type_identity_t<T> greatest) {
  return app.add_option(name, value, help)->transform(range<T>(name, least, greatest));
}

// One word of a list; the value it has is the default.
void words(CLI::App& app, const std::string& name, const std::string& help, const Word& word) {
  const std::string all = joined(word.known, " | ");
  app.add_option(name, *word.value, text(help, ": ", all, " (", *word.value, ")"))
      ->check([=](const std::string& input) {
        return word.allows(input) ? std::string() : text(name, " ", input, ": must be one of ", all);
      });
}

// The options of a table, each with its owners and its default. Left out: the seed, which every command has, and lists
// of texts, which a command declares itself.
void add_options(CLI::App& app, const std::vector<Option>& rows) {
  for (const Option& row : rows) {
    if (row.name == "seed" || std::holds_alternative<Texts>(row.value)) continue;
    const std::string name = option_name(row);
    std::string help = row.help;
    if (const Word* w = std::get_if<Word>(&row.value))
      words(app, name, help, *w);
    else if (const Switch* s = std::get_if<Switch>(&row.value))
      app.add_flag_callback(
          name, [value = s->value, usual = s->usual] { *value = !usual; }, help);
    else {
      const Whole* n = std::get_if<Whole>(&row.value);
      const Number* x = std::get_if<Number>(&row.value);
      if (help.find("(default") == std::string::npos)
        help += n ? text(" (", *n->value, ")") : text(" (", *x->value, ")");
      if (n) number(app, name, *n->value, help, n->least, n->greatest);
      if (x) number(app, name, *x->value, help, x->least, x->greatest);
    }
  }
}

void add_common(CLI::App& app, Common& common) {
  number(app, "--seed", common.seed, "random seed (1)", 0, INT64_MAX);
  number(app, "--threads", common.threads, "threads (all cores); the results do not depend on it", 0, 1024);
  app.add_flag("--json", common.json, "results as JSON on stdout, everything else on stderr");
  app.add_flag("--quiet", common.quiet, "no progress and no notes");
}

std::vector<std::string> given_of(const CLI::App& app, const std::vector<Option>& rows) {
  std::vector<std::string> given;
  for (const Option& row : rows)
    if (const CLI::Option* o = app.get_option_no_throw(option_name(row)); o && o->count() > 0)
      given.push_back(row.name);
  return given;
}

// Says which options were accepted but mean nothing beside the others.
void note_foreign_options(const CLI::App& app, const std::vector<Option>& rows, const Common& common) {
  const std::string note = without_meaning(rows, given_of(app, rows));
  if (!note.empty() && !common.quiet) std::fprintf(stderr, "note: %s\n", note.c_str());
}

// The commands below `app`, for people.
std::string names_below(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return joined(names, " | ");
}

// The least number of letters to add, remove, replace or swap with their neighbour that makes b of a (Damerau 1964).
size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0)
        d[i][j] = i + j;
      else
        d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

// " (did you mean --lr?)", or nothing where no known word is near.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& known) {
  const std::string* nearest = nullptr;
  size_t least = std::min<size_t>(2, word.size() / 3) + 1;
  for (const std::string& other : known)
    if (const size_t d = word.size() > 64 ? least : distance(word, other); d < least) nearest = &other, least = d;
  return nearest ? " (did you mean " + *nearest + "?)" : "";
}

// What a command was given that it does not take: the first word that looks like an option, or else the first.
std::string foreign(const CLI::App& command) {
  const std::vector<std::string> rest = command.remaining(true);
  const auto option = std::find_if(rest.begin(), rest.end(), [](const std::string& w) { return w.starts_with('-'); });
  if (option == rest.end()) return rest.empty() ? "" : rest.front();
  return option->substr(0, option->find('='));
}

// The error of CLI11 in our words.
std::string sentence(const CLI::App& app, const CLI::ParseError& error, const std::string& first) {
  std::string message = error.what();
  if (app.get_subcommands().empty() && first.empty()) return "no command given; see " + proposed({"--help"});
  if (app.get_subcommands().empty()) {
    std::vector<std::string> names;
    for (const CLI::App* one : app.get_subcommands(nullptr)) names.push_back(one->get_name());
    return first + " is not a command" + did_you_mean(first, names) + "; " + proposed({"--help"}) +
           " lists the commands";
  }
  const CLI::App& command = *app.get_subcommands().front();
  const std::string help = proposed({command.get_name(), "--help"});
  if (message == "A subcommand is required") return command.get_name() + " needs one of: " + names_below(command);
  const auto after = [&](const std::string& part) {  // the rest behind the part, empty if it does not occur
    const size_t at = message.find(part);
    return at == std::string::npos ? std::string() : message.substr(at + part.size());
  };
  if (const std::string extra = foreign(command); !extra.empty() && !after("not expected: ").empty()) {
    std::vector<std::string> names;
    const CLI::App* innermost = &command;  // exact has commands of its own
    while (!innermost->get_subcommands().empty()) innermost = innermost->get_subcommands().front();
    for (const CLI::Option* o : innermost->get_options()) names.push_back(o->get_name());
    return text(command.get_name(), " does not take ", extra, did_you_mean(extra, names), "; ", help,
                " lists its options");
  }
  const std::string name = message.substr(0, message.find(':'));
  if (!after(": At Most 1 required").empty()) return name + " is given more than once";
  if (!after(": 1 required").empty()) return name + " needs a value";
  if (const std::string two = after(": 2 required "); !two.empty())  // "STEP FILE missing"
    return name + " needs two values: " + two.substr(0, two.rfind(' '));
  if (const std::string rest = after(": --"); !rest.empty()) return "--" + rest;
  return message + "; " + help + " lists what it takes";
}

// Of a page of help, lines of at most 80 columns: the rest of an option's text stands below its beginning.
std::string wrapped(const std::string& page) {
  constexpr size_t kWidth = 80;
  std::string out;
  std::istringstream in(page);
  for (std::string line; std::getline(in, line); out += line + "\n")
    for (size_t space; line.size() > kWidth && (space = line.rfind(' ', kWidth)) > kHelpColumn && space <= kWidth;) {
      out += line.substr(0, space) + "\n";
      line = std::string(kHelpColumn, ' ') + line.substr(space + 1);
    }
  return out;
}

// Few options may be given with --resume; all others are stored in the run.
void refuse_beside_resume(const CLI::App& app, std::vector<std::string> kept) {
  kept.insert(kept.end(),
              {"--out", "--resume", "--steps", "--trace", "--stop-after", "--threads", "--json", "--quiet"});
  for (const CLI::Option* o : app.get_options())
    if (o->count() > 0 && std::find(kept.begin(), kept.end(), o->get_name()) == kept.end())
      throw UsageError(o->get_name() + " cannot be given with --resume: the run keeps its stored options");
}

void add_run(CLI::App& app, std::string& run) { app.add_option("RUN", run, "run folder or checkpoint")->required(); }
CLI::Option* add_rewards(CLI::App& app, std::vector<std::string>& rewards) {
  std::string below = "REWARDS (of the text that is drawn; the prompt does not count):\n";
  for (const auto& [name, meaning] : Reward::meanings()) below += "  " + left(name, kHelpColumn - 2) + meaning + "\n";
  app.footer(below);
  return app
      .add_option("--reward", rewards,
                  "[WEIGHT*]NAME[:ARGUMENT], one of those below; give --reward again to add another to it")
      ->allow_extra_args(false);
}

// --target gdc, with an algorithm that follows from target and divergence.
void add_features(CLI::App& app, TuneConfig& c) {
  app.add_option("--feature", c.feature, "NAME[:ARGUMENT]=MOMENT of --target gdc: a reward and the mean it is to have")
      ->allow_extra_args(false);
  app.add_option("--pointwise", c.pointwise,
                 "NAME[:ARGUMENT] of --target gdc: a hard constraint, which allows a text where this reward is at its "
                 "largest, 0 of blocklist and length and 1 of the others")
      ->allow_extra_args(false);
}

// Of train and tune: an option of this process, which no file keeps.
Option stop_after(int64_t& step, const Owners& owners) {
  return option("stop_after", step, 1, INT64_MAX,
                "stop after this step as Ctrl-C would: save and exit with code 130 (default: the last step)", owners);
}

using Check = std::function<void()>;  // of parsed options, for what none of them can say alone; throws UsageError
using Run = std::function<int()>;     // what the parsed command line asks for

// The folder of the run, which train and tune cannot do without.
void require_out(const CLI::App& app, const RunCommand& c, const char* what) {
  if (app.count("--out") == 0)
    throw UsageError(text(app.get_name(), " needs a folder for ", what, ": ", typed_again({"--out", "RUN"})));
  if (c.out.empty()) throw UsageError("--out is empty; it needs a folder name");
}

void read_trace(const std::pair<std::string, std::string>& given, RunCommand& c) {
  if (!read_decimal(given.first, c.trace_step) || c.trace_step < 1)
    throw UsageError(text("--trace ", given.first, ": the step must be a whole number, 1 or later"));
  if (given.second.empty() || given.second.starts_with('-'))  // of two words an option would be the second
    throw UsageError(text("--trace ", c.trace_step, " ", given.second, ": needs a step and a file name, as in --trace ",
                          c.trace_step, " step.html"));
  c.trace_file = given.second;
}
void add_trace(CLI::App& app, RunCommand& c, const std::string& help) {
  app.add_option_function<std::pair<std::string, std::string>>(
         "--trace", [&c](const auto& given) { read_trace(given, c); }, help)
      ->type_name("STEP FILE");
}

// How a list of words is read (models/text/word_list.h).
constexpr const char* kOfWords =
    " (upper and lower case differ; a word of Chinese letters is found inside others too, but with --tokenizer word)";

Check train_options(CLI::App& app, TrainCommand& c) {
  app.add_option("CORPUS", c.corpus,
                 "text file, UTF-8 (with --tokenizer byte any file); several are read one after the other");
  app.add_option("--drop", c.drop,
                 text("file of words or phrases, one a line; lines of the text that have one are left out", kOfWords));
  app.add_option("--out", c.out, "folder of the run");
  app.add_flag("--resume", c.resume, "continue the run in --out with the options stored there");
  app.add_option(
      "--from", c.from,
      "begin with the weights and the vocabulary of this run; its sizes are that run's, and a run of --lines can go on "
      "with --pairs (gradus merge joins an adapter with its run)");
  std::vector<Option> rows = options(c.config);
  rows.push_back(stop_after(c.stop_after, row_of(rows, "steps").owners));
  add_options(app, rows);
  add_trace(app, c, "STEP FILE.html: write this step of a small model, number by number, as a page");
  app.add_option("--entropy-rate", c.entropy_rate,
                 "known entropy rate of the text, in nats a token; the report draws it as a line")
      ->transform(range<double>("--entropy-rate", 0, 1e3));
  return [&app, &c, rows] {
    require_out(app, c, "the run");
    c.config.seed = c.common.seed;
    c.steps_given = app.count("--steps") > 0;
    c.config.lines |= c.config.pairs;  // a pair is a line, and what means something to lines does so to pairs
    if (!c.resume && c.corpus.empty()) throw UsageError("train needs a text: " + typed_again({"FILE.txt"}));
    if (c.resume) refuse_beside_resume(app, {"CORPUS", "--drop"});
    if (!c.from.empty())
      for (const char* of_model : {"--model", "--tokenizer", "--lines", "--layers", "--heads", "--embd", "--hidden",
                                   "--memory", "--context", "--mask-rate", "--no-bias", "--latent", "--importance"})
        if (app.count(of_model) > 0) throw UsageError(text(of_model, " cannot be given with --from, which has it"));
    if (c.from.empty() && !c.resume && c.config.adapter != kNoAdapter)
      throw UsageError("--adapter needs --from RUN, the run that it changes");
    // A smaller --lr says nothing of its end but that the cosine goes down.
    if (app.count("--min-lr") == 0) c.config.min_lr = std::min(c.config.min_lr, c.config.lr);
    if (c.from.empty())
      note_foreign_options(app, rows, c.common);
    else
      c.given = given_of(app, rows);  // what they mean its model decides
  };
}

// gradus classify and what it does.
Check classify_options(CLI::App& app, ClassifyCommand& c) {
  app.require_subcommand(1);
  CLI::App* train = app.add_subcommand("train", "train a classifier on lines: label, a tab, text");
  TrainCommand& t = c.training;
  t.labelled = true;
  t.config.lines = true;
  t.config.batch = 32;
  t.config.steps = 500;
  t.config.eval_every = 100;
  train->add_option("FILE.tsv", t.corpus, "labelled lines, UTF-8")->expected(1);
  train->add_option("--out", t.out, "folder of the run");
  train->add_flag("--resume", t.resume, "continue the run in --out with the options stored there");
  std::vector<Option> rows = classify_options(t.config);
  rows.push_back(stop_after(t.stop_after, {}));
  add_options(*train, rows);
  add_common(*train, c.common);
  train->callback([&c] { c.work = nullptr; });

  CLI::App* report =
      app.add_subcommand("report", "precision, recall, F1 and confusion of a classifier on labelled lines");
  report->add_option("RUN", c.run, "run folder or checkpoint of a classifier");
  report->add_option("FILE.tsv", c.file, "labelled lines");
  report->add_option("--check", c.check, "a printed report: say whether its numbers agree with each other, and exit");
  add_common(*report, c.common);
  report->callback([&c] { c.work = classify_report; });

  CLI::App* predict = app.add_subcommand("predict", "label and probability of each line of standard input");
  add_run(*predict, c.run);
  predict->add_option("--of", c.of, "print only the probability of this label, one number a line");
  predict->add_option("--nearest", c.templates,
                      "FILE.tsv of labelled lines: show the nearest that has the label, by the cosine of the features");
  add_common(*predict, c.common);
  predict->callback([&c] { c.work = classify_predict; });

  return [&c, &t, train, report, rows] {
    if (report->parsed() && c.check.empty() && (c.run.empty() || c.file.empty()))
      throw UsageError("classify report needs a run and labelled lines: " + typed_again({"RUN", "FILE.tsv"}));
    if (report->parsed() && !c.check.empty() && !c.run.empty())
      throw UsageError("--check looks at a printed report alone; leave out RUN and FILE.tsv");
    if (!train->parsed()) return;
    require_out(*train, t, "the run");
    t.common = c.common;
    t.config.seed = c.common.seed;
    t.config.model = encoder_of(t.config.encoder).name;
    t.steps_given = train->count("--steps") > 0;
    if (!t.resume && t.corpus.empty())
      throw UsageError("classify train needs labelled lines: " + typed_again({"FILE.tsv"}));
    if (t.resume) refuse_beside_resume(*train, {"FILE.tsv"});
    if (train->count("--min-lr") == 0) t.config.min_lr = std::min(t.config.min_lr, t.config.lr);
    note_foreign_options(*train, rows, c.common);
  };
}

Check fill_options(CLI::App& app, FillCommand& c) {
  add_run(app, c.run);
  app.add_option("TEXT", c.text, "a text with [MASK] in the place of each token that is to be filled in")->required();
  number(app, "--top", c.top, "so many of the likeliest tokens at each mask (10)", 1, kMostShown);
  return {};
}

Check bayes_options(CLI::App& app, BayesCommand& c) {
  c.config.model = "tabular";
  app.add_option("FILE", c.corpus, "text file, UTF-8; several are read one after the other");
  app.add_flag("--lesson", c.lesson, "print a lesson: what a posterior over parameters is, and what it is not");
  app.add_option("--prior", c.prior, "dirichlet:A, the prior of every row: A for each token (dirichlet:1)");
  std::vector<Option> rows;
  for (const char* name : {"model", "tokenizer", "lines", "order"}) rows.push_back(row_of(options(c.config), name));
  std::get<Word>(rows[0].value).known = counted_families();
  add_options(app, rows);
  app.add_option("--held-out", c.held_out,
                 "file of more lines: their cost in nats, under the predictive and at the "
                 "maximum of the likelihood");
  return [&app, &c, rows] {
    if (c.lesson && !c.corpus.empty()) throw UsageError("--lesson takes no file; leave it out");
    if (c.lesson && c.common.json) throw UsageError("--lesson is a page to read, and has no --json");
    if (!c.lesson && c.corpus.empty()) throw UsageError("bayes needs a text: " + typed_again({"FILE.txt"}));
    if (!c.held_out.empty() && !c.config.lines) throw UsageError("--held-out needs --lines: it compares lines");
    note_foreign_options(app, rows, c.common);
  };
}

Check tune_options(CLI::App& app, TuneCommand& c) {
  app.add_option("RUN", c.run, "run folder or checkpoint: the initial policy, and the prior");
  app.add_option("--out", c.out, "folder of the new run");
  app.add_flag("--resume", c.resume, "continue the run in --out with the options stored there");
  add_rewards(app, c.config.reward);
  add_features(app, c.config);
  app.add_option("--prior", c.prior, "another run that is the prior, of any family (default: RUN)");
  app.add_option("--prompt", c.prompt, "prompt before the first draw (default: the start of the run's texts)");
  app.add_option("--prompts", c.prompts, "file of prompts, one a line");
  app.add_option("--pairs", c.pairs, "file of lines prompt, tab, reference: prompts, and texts to compare with");
  app.add_option("--held-out", c.held_out,
                 "file of prompts, or with --pairs of pairs, to measure on and not to train on");
  app.add_option("--preferences", c.config.preferences,
                 "file of --algorithm dpo: PROMPT, a tab, CHOSEN, a tab, REJECTED (repeatable; gradus prefer)")
      ->allow_extra_args(false);
  app.add_option("--watch", c.config.watch, "another reward, which is measured and not raised (repeatable)")
      ->allow_extra_args(false);
  std::vector<Option> rows = options(c.config);
  rows.push_back(stop_after(c.stop_after, {}));
  add_options(app, rows);
  add_trace(
      app, c,
      "STEP FILE.html: write this step of a small model as a page: the tokens drawn, with probability, reward, KL, "
      "advantage, ratio, weight and gradient, and the policy before and after");
  return [&app, &c, rows] {
    require_out(app, c, "the new run");
    c.config.seed = c.common.seed;
    c.steps_given = app.count("--steps") > 0;
    if (c.resume)
      return refuse_beside_resume(app, {"RUN", "--reward", "--feature", "--pointwise", "--preferences", "--watch"});
    if (c.run.empty()) throw UsageError("tune needs a trained run: " + typed_again({"RUN"}));
    imply_algorithm(c.config, app.count("--algorithm") > 0);
    imply_replay(c.config, app.count("--replay") > 0);
    if (learns_from_pairs(c.config)) {
      if (c.config.preferences.empty())
        throw UsageError("--algorithm dpo needs --preferences FILE; gradus prefer makes one");
      if (!c.prompt.empty() || !c.prompts.empty() || !c.pairs.empty())
        throw UsageError("--preferences has the prompts; leave out --prompt, --prompts and --pairs");
    } else if (c.config.reward.empty() && !c.config.is_gdc())
      throw UsageError("tune needs a --reward: [WEIGHT*] and one of " + Reward::names());
    if (app.count("--prompt") > 0 && app.count("--prompts") > 0)
      throw UsageError("--prompt and --prompts are both given; use only one of them");
    if (app.count("--pairs") > 0 && app.count("--prompt") + app.count("--prompts") > 0)
      throw UsageError("--pairs brings prompts of its own; give no --prompt and no --prompts beside it");
    if (app.count("--kl-target") > 0 && c.config.kl_target <= 0)
      throw UsageError("--kl-target must be above 0: it is the KL that β is adjusted to reach");
    if (app.count("--until-kl") > 0 && c.config.until_kl <= 0)
      throw UsageError("--until-kl must be above 0: it is the KL at which the run ends");
    note_foreign_options(app, rows, c.common);
  };
}

Check sample_options(CLI::App& app, SampleCommand& c) {
  add_run(app, c.run);
  app.add_option("--prompt", c.prompt,
                 "text to continue (a newline; with --lines the beginning of a line), or with --pairs to "
                 "reply to");
  number(app, "--tokens", c.tokens, "tokens to draw (200)", 0, 1'000'000'000);
  number(app, "--count", c.count, "samples (1)", 1, 1'000'000);
  number(app, "--temperature", c.temperature,
         "divides the logits; 0: always the most probable token, which is what a run of q or dqn has learnt (1)", 0,
         1e6);
  number(app, "--top-k", c.top_k, "only the k most probable tokens; 0: all (0)", 0, 1'000'000'000);
  number(app, "--top-p", c.top_p, "only the most probable tokens whose probabilities sum to this (1)", 1e-9, 1);
  number(app, "--top", c.top, "show so many of the likeliest tokens at each place, with their probabilities (0)", 0,
         kMostShown);
  app.add_option("--block", c.block,
                 text("file of words or phrases, one a line; a sample that has one is drawn again", kOfWords));
  app.add_option("--require", c.require, "text that a sample must hold, or it is drawn again (repeatable)")
      ->allow_extra_args(false);
  app.add_option("--interpolate", c.interpolate,
                 "two texts A B: the most probable texts of latent vectors on the way from A to B, with --count points "
                 "(5) between (vae)")
      ->expected(2);
  return [&app, &c] {
    c.prompt_given = app.count("--prompt") > 0;
    if (c.interpolate.empty()) return;
    if (app.count("--count") == 0) c.count = 5;
    for (const char* name : {"--prompt", "--temperature", "--top-k", "--top-p", "--top", "--block", "--require"})
      if (app.count(name) > 0)
        throw UsageError(text(name, " is of texts that are drawn; leave it or --interpolate out"));
  };
}

void of_importance(CLI::App& app, int64_t& draws) {
  number(app, "--importance", draws,
         "latent vectors drawn for the importance-weighted log p of a text (the run's; vae)", 1, kMostImportance);
}

Check eval_options(CLI::App& app, EvalCommand& c) {
  add_run(app, c.run);
  app.add_option("CORPUS", c.corpus, "text files, tokenized as in training, read one after the other")->required();
  app.add_option("--drop", c.drop, "as of train: lines of the text that have a word of this file are left out");
  words(app, "--split", "part of the text to measure, split as in training", {&c.split, names_of(kSplits)});
  number(app, "--stride", c.stride,
         "tokens from one window to the next; a smaller stride gives each token more context (the context)", 1,
         1 << 20);
  app.add_option(
      "--metric", c.metric,
      "with a CORPUS of lines prompt, tab, reference: what the run's replies to the prompts are worth, their "
      "mean under a reward, such as bleu, rouge-l or exact-match (tune --help lists all)");
  app.add_option("--replies", c.replies, "with --metric: a file of replies, one a line, to be measured instead");
  number(app, "--tokens", c.tokens, "with --metric: tokens of a reply at most (200)", 1, 1'000'000);
  number(app, "--temperature", c.temperature,
         "with --metric: divides the logits; 0: always the most probable token (0)", 0, 1e6);
  of_importance(app, c.importance);
  return [&app, &c] {
    for (const char* name : {"--replies", "--tokens", "--temperature"})
      if (c.metric.empty() && app.count(name) > 0)
        throw UsageError(text(name, " is of replies; say how they are to be measured with --metric NAME"));
    for (const char* name : {"--split", "--stride", "--importance"})
      if (!c.metric.empty() && app.count(name) > 0)
        throw UsageError(text(name, " is of the loss of a text; leave it or --metric out"));
    if (!c.metric.empty()) Reward::source_of(c.metric);  // or it throws
  };
}

Check score_options(CLI::App& app, ScoreCommand& c) {
  add_run(app, c.run);
  number(app, "--temperature", c.temperature, "divides the logits; 0: all probability on the most probable token (1)",
         0, 1e6);
  of_importance(app, c.importance);
  app.footer("\nOf --model vae all are estimates; the log-probability of a token can exceed 0.");
  return {};
}

Check inspect_options(CLI::App& app, InspectCommand& c) {
  app.add_option("RUN", c.file, "run folder, or any FILE.safetensors")->required();
  return {};
}

Check report_options(CLI::App& app, ReportCommand& c) {
  app.add_option("RUN", c.run, "run folder")->required();
  return {};
}

Check corpus_options(CLI::App& app, CorpusCommand& c) {
  app.add_option("GRAMMAR", c.grammar, "file in the format of data/README.md")->required();
  number(app, "--bytes", c.bytes, "write whole lines until the text has this size", 1, 1'000'000'000'000);
  return [&c] {
    if (c.bytes == 0 && !c.common.json)
      throw UsageError("corpus needs a size, --bytes N, or --json for the entropy alone");
  };
}

Check look_options(CLI::App& app, LookCommand& c) {
  add_run(app, c.run);
  app.add_option("FILE", c.file, "text to read (default: a text that the model writes)");
  app.add_option("--text", c.text, "text to read, as it is");
  app.add_option("--html", c.html, "write all of it as a page for the browser");
  return [&app, &c] {
    c.text_given = app.count("--text") > 0;
    if (c.text_given && !c.file.empty()) throw UsageError("FILE and --text are both given; use only one of them");
    if (c.text_given && c.text.empty()) throw UsageError("--text is empty; leave it out to see a text of the model");
  };
}

Check kl_options(CLI::App& app, KlCommand& c) {
  app.add_option("FILE.json", c.file, R"({"p":{name: probability, ...},"q":{...}})");
  app.add_flag("--lesson", c.lesson, "print a lesson, from a first example to the optimum of fine-tuning");
  app.add_option("--section", c.section, "print one section of the worked examples")
      ->transform(range<int64_t>("--section", INT64_MIN, INT64_MAX));
  return [&app, &c] {
    if (app.count("FILE.json") > 0 && c.file.empty()) throw UsageError("FILE.json is empty; it needs a file name");
  };
}

Check step_options(CLI::App& app, StepCommand& c) {
  app.add_option("EXAMPLE", c.example, "scalar | neuron | lstm | attention | kl | elbo | reinforce | ppo (scalar)");
  app.add_option("--html", c.html, "write the walk as a page for the browser");
  app.add_flag("--all", c.all, "print every step and exit");
  return {};
}

Check bench_options(CLI::App& app, BenchCommand& c) {
  app.add_option("NAME,--only", c.names, "what to measure (everything): " + bench_names());
  number(app, "--seconds", c.seconds, "seconds for each measurement (1)", 1e-3, 3600);
  app.add_flag("--grow", c.grow,
               "how time and memory grow with batch, context, width, layers, vocabulary, samples, threads; under "
               "mpirun with ranks");
  app.add_option("--html", c.html, "with --grow: write its curves as a page");
  return [&c] {
    if (c.grow && !c.names.empty())
      throw UsageError("bench --grow measures sizes and no works; leave out " + c.names[0]);
    if (!c.grow && !c.html.empty()) throw UsageError("bench --html: only --grow draws curves; add --grow");
  };
}

// gradus exact and its questions.
Check exact_options(CLI::App& app, ExactCommand& c) {
  app.require_subcommand(1);
  const auto question = [&](const char* name, const char* help, int (*answer)(const ExactCommand&)) {
    CLI::App* q = app.add_subcommand(name, help);
    q->callback([&c, answer] { c.answer = answer; });
    add_run(*q, c.run);
    return q;
  };
  const auto world = [&](CLI::App* q) {
    number(*q, "--max-tokens", c.max_tokens, "maximum tokens per sequence, end mark included", 1, 1'000'000)
        ->required();
    q->add_option("--prompt", c.prompt, "prompt before the first draw (default: the start of the run's texts)");
    number(*q, "--temperature", c.temperature, "divides the logits of every model (1)", 1e-3, 1e6);
    add_common(*q, c.common);
  };
  world(question("sequences", "every sequence with its probability", answer_sequences));
  CLI::App* compare = question("compare", "divergences between two runs, over whole sequences", answer_compare);
  compare->add_option("RUN_B", c.other, "the other run")->required();
  world(compare);
  CLI::App* posterior =
      question("posterior", "the optimum of fine-tuning, prior exp(reward / β) / Z", answer_posterior);
  add_rewards(*posterior, c.tuning.reward)->required();
  number(*posterior, "--kl-coef", c.tuning.kl_coef,
         text("β of J = E[r] − β KL(policy, prior) (", c.tuning.kl_coef, ")"), 1e-9, 1e9);
  world(posterior);
  CLI::App* gdc = question("gdc", "the distribution nearest to the run that has given moments", answer_gdc);
  add_features(*gdc, c.tuning);
  world(gdc);
  CLI::App* values = question("values", "V and Q of every beginning of a text, and the greedy policy", answer_values);
  add_rewards(*values, c.tuning.reward)->required();
  const std::vector<Option> tuning = options(c.tuning);
  number(*values, "--kl-coef", c.tuning.kl_coef,
         "β of E[r] − β KL(policy, RUN), whose soft values are shown: RUN is the prior (default: hard values, "
         "those of the best text that can follow)",
         1e-9, 1e9);
  add_options(*values, {row_of(tuning, "pay"), row_of(tuning, "gamma")});
  world(values);
  CLI::App* gradient = question(
      "gradient", "the gradient for every parameter of what a method raises, exact or from samples", answer_gradient);
  gradient->add_option("--prior", c.other, "run that is the prior")->required();
  add_rewards(*gradient, c.tuning.reward);
  add_features(*gradient, c.tuning);
  const Owners sampled{"estimator", {"sampled", "reinforce"}};
  std::vector<Option> rows{
      option("estimator", c.estimator, names_of(kEstimators), "how; reinforce means sampled"),
      option("baseline", c.tuning.baseline, baselines_of_one_batch(), "baseline that is subtracted from the return",
             sampled),
      option("batch", c.tuning.batch, 1, 1 << 20, "sequences in a group", sampled),
      option("samples", c.samples, 1, 1'000'000'000, "number of sequences, rounded to whole groups with leave-one-out",
             sampled),
      narrowed(option("z", c.z, names_of(kZs),
                      "Z of the target of f-dpg: of all sequences, where they can be listed | from the others of each "
                      "batch, as in the first step of tune, which biases the gradient of some divergences",
                      sampled),
               row_of(tuning, "proposal").owners),
  };
  for (const char* name :
       {"reward", "feature", "pointwise", "target", "divergence", "algorithm", "proposal", "kl_coef", "kl_estimator",
        "reward_to_go", "pay", "gamma", "gae", "group", "divide_std", "divide_length", "epsilon"})
    rows.push_back(row_of(tuning, name));
  for (Option& row : rows)
    if (row.name == "reward") row.owners_too = {};  // of dpo it says how the pairs are chosen
  add_options(*gradient, rows);
  gradient->add_option("--out", c.out, "FILE.safetensors to write")->required();
  world(gradient);
  return [gradient, values, &c, rows] {
    c.is_soft = values->count("--kl-coef") > 0;
    if (values->parsed()) try {
        require_payable(c.tuning);
      } catch (const DataError& error) {
        throw UsageError(error.what());
      }
    if (!gradient->parsed()) return;
    imply_algorithm(c.tuning, gradient->count("--algorithm") > 0);
    if (c.tuning.reward.empty() && !c.tuning.is_gdc()) throw UsageError("exact gradient needs a --reward");
    note_foreign_options(*gradient, rows, c.common);
  };
}

Check frontier_options(CLI::App& app, FrontierCommand& c) {
  add_run(app, c.run);
  app.add_option("RUNS", c.runs, "runs to place beside the frontier");
  add_rewards(app, c.reward)->required();
  app.add_option("--learned", c.learned,
                 "a reward that was learnt, model:RUN, and raised in the place of the true --reward: how far they come "
                 "apart (repeatable)")
      ->allow_extra_args(false);
  number(app, "--max-tokens", c.max_tokens, "maximum tokens per sequence, end mark included", 1, 1'000'000)->required();
  app.add_option("--prompt", c.prompt, "prompt before the first draw (default: the start of the run's texts)");
  number(app, "--temperature", c.temperature, "divides the logits of every model (1)", 1e-3, 1e6);
  app.add_option("--html", c.html, "write the frontier as a page for the browser");
  return {};
}

Check atlas_options(CLI::App& app, AtlasCommand& c) {
  add_run(app, c.run);
  add_rewards(app, c.tuning.reward)->required();
  app.add_option("--feature", c.tuning.feature, "NAME[:ARGUMENT]=MOMENT: a reward and the mean it is to have")
      ->allow_extra_args(false)
      ->required();
  number(app, "--max-tokens", c.max_tokens, "largest number of draws in a sequence, including the end mark", 1,
         1'000'000)
      ->required();
  const std::vector<Option> tuning = options(c.tuning);
  std::vector<Option> rows;
  for (const char* name : {"kl_coef", "steps", "batch", "lr", "min_lr", "clip", "shards"})
    rows.push_back(row_of(tuning, name));
  add_options(app, rows);
  number(app, "--rate", c.rate, "learning rate of plain gradient descent (0.5)", 1e-9, 1e6);
  number(app, "--seeds", c.seeds, "descents from samples for each divergence, from --seed on (3)", 1, 100);
  app.add_option("--prompt", c.prompt, "prompt before the first draw (default: the start of the run's texts)");
  number(app, "--temperature", c.temperature, "divides the logits of every model (1)", 1e-3, 1e3);
  app.add_option("--html", c.html, "write the atlas as a page for the browser");
  return {};
}

Check prefer_options(CLI::App& app, PreferCommand& c) {
  add_run(app, c.run);
  app.add_option("--out", c.out, "file of choices; those of a person go behind what is there")->required();
  add_rewards(app, c.reward);
  number(app, "--count", c.count, "choices to make (with --reward 1000; a person ends with q)", 1, 10'000'000);
  number(app, "--scale", c.scale,
         "with --reward, a text is chosen with probability sigma(scale (r - r')); 0: by a coin (1)", 0, 1e9);
  app.add_option("--prompt", c.prompt, "prompt before the first draw (default: the start of the run's texts)");
  app.add_option("--prompts", c.prompts, "file of prompts, one a line");
  number(app, "--max-tokens", c.max_tokens, "maximum tokens per sequence, end mark included (32)", 1, 1 << 20);
  number(app, "--temperature", c.temperature, "divides the logits (1)", 1e-3, 1e3);
  return [&app, &c] {
    constexpr int64_t kChoices = 1000;
    if (c.out.empty()) throw UsageError("--out is empty; it needs a file name");
    if (c.count == 0 && !c.reward.empty()) c.count = kChoices;
    if (app.count("--prompt") > 0 && app.count("--prompts") > 0)
      throw UsageError("--prompt and --prompts are both given; use only one of them");
    if (c.reward.empty() && app.count("--scale") > 0 && !c.common.quiet)
      std::fprintf(stderr, "note: --scale has no meaning without --reward\n");
  };
}

Check reward_model_options(CLI::App& app, RewardModelCommand& c) {
  add_run(app, c.run);
  app.add_option("--preferences", c.preferences, "file of choices: PROMPT, a tab, CHOSEN, a tab, REJECTED (repeatable)")
      ->allow_extra_args(false)
      ->required();
  app.add_option("--out", c.out, "folder of the reward model")->required();
  add_options(app, options(c.config));
  return [&c] {
    c.config.seed = c.common.seed;
    if (c.out.empty()) throw UsageError("--out is empty; it needs a folder name");
  };
}

Check merge_options(CLI::App& app, MergeCommand& c) {
  add_run(app, c.run);
  app.add_option("--out", c.out, "folder of the new run")->required();
  return [&c] {
    if (c.out.empty()) throw UsageError("--out is empty; it needs a folder name");
  };
}

Check compare_options(CLI::App& app, CompareCommand& c) {
  add_run(app, c.run);
  app.add_option("RUN_B", c.other, "the other run")->required();
  number(app, "--samples", c.samples, "sequences drawn from each, two or more (10000)", 2, 1'000'000'000);
  number(app, "--max-tokens", c.max_tokens, "maximum tokens per sequence, end mark included (32)", 1, 1 << 20);
  app.add_option("--prompt", c.prompt, "prompt before the first draw (default: the start of the run's texts)");
  number(app, "--temperature", c.temperature, "divides the logits of both models (1)", 1e-3, 1e6);
  return {};
}

// A command: its options, bound to a C, and what it does. What every command takes comes last, of exact with each of
// its questions.
template <class C>
void add(CLI::App& program, Run& run, const char* name, const char* help, Check (*declare)(CLI::App&, C&),
         int (*work)(const C&)) {
  CLI::App* app = program.add_subcommand(name, help);
  const auto c = std::make_shared<C>();
  const Check check = declare(*app, *c);
  if (app->get_subcommands(nullptr).empty()) add_common(*app, c->common);
  app->callback([=, &run] {
    if (check) check();
    run = [=] {
      const Waiting waiting(c->common);
      show_bases_with([=, shown = std::set<std::string>()](const std::string& base) mutable {
        if (shown.insert(base).second)
          Console(c->common).announce(text("the run names its base, ", base, ", which is read now"));
      });
      return work(*c);
    };
  });
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app{"gradus: train language models, sample from them, measure them, look inside them.", "gradus"};
  app.set_version_flag("--version", std::string("gradus ") + kGradusVersion);
  app.require_subcommand(1);
  app.get_formatter()->column_width(kHelpColumn);
  app.footer("\ngradus COMMAND --help lists the options of a command.");
  Run run;
  add(app, run, "train", "train a language model on a text", train_options, train);
  add(app, run, "tune", "fine-tune a trained model on a reward, with a KL penalty to its prior", tune_options, tune);
  add(app, run, "prefer", "choose between two samples of a run, by a key or by a reward", prefer_options, prefer);
  add(app, run, "reward-model", "learn a reward from choices between texts", reward_model_options, reward_model);
  add(app, run, "merge", "make a run of one model: of an adapter and its base, or of the mean of a posterior",
      merge_options, merge);
  add(
      app, run, "classify", "train a classifier on labelled lines, measure it, ask it", classify_options,
      +[](const ClassifyCommand& c) { return c.work ? c.work(c) : train(c.training); });
  add(app, run, "fill", "say what a masked model expects at the masks of a text", fill_options, fill);
  add(app, run, "bayes", "the posterior of counted probabilities, in closed form", bayes_options, bayes);
  add(app, run, "sample", "write text with a trained model", sample_options, sample);
  add(app, run, "eval",
      "measure how well a trained model predicts a text, in nats a token and bits a character (a code point of the "
      "file)",
      eval_options, eval);
  add(app, run, "score", "log-probability of each line of standard input, as JSON lines", score_options, score);
  add(app, run, "inspect", "list the tensors and metadata of a safetensors file", inspect_options, inspect);
  add(app, run, "report", "write RUN/report.html: curves, samples, configuration", report_options, report);
  add(app, run, "look", "look inside a trained model: surprise, likeliest tokens, attention, gates, embeddings",
      look_options, look);
  add(app, run, "corpus", "write text drawn from a grammar; with --json its entropy", corpus_options, corpus);
  add(app, run, "kl", "compare two tables; without a file, print worked examples of KL-penalised RL", kl_options, kl);
  add(
      app, run, "exact", "exact results for models small enough to enumerate every sequence", exact_options,
      +[](const ExactCommand& c) {
        note_action_values({c.run, c.other}, c.common);
        return c.answer(c);
      });
  add(app, run, "frontier", "the most reward at each KL from a run, in worlds small enough to list", frontier_options,
      frontier);
  add(app, run, "atlas", "how every divergence comes to two targets, exactly and from samples, in a small world",
      atlas_options, atlas);
  add(app, run, "compare", "divergences between two runs, estimated from samples", compare_options, compare_runs);
  add(app, run, "step", "walk through a backward pass, one op at a time", step_options, step);
  add(app, run, "bench", "measure how fast this machine trains, fine-tunes and samples", bench_options, bench);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help or --version
      std::ostringstream page;
      app.exit(error, page);
      std::fputs(wrapped(page.str()).c_str(), stdout);
      return kDone;
    }
    throw UsageError(sentence(app, error, argc > 1 ? argv[1] : ""));
  }
  return run();
}

}  // namespace gradus
