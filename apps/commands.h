// The commands of the gradus program: one struct of options and one function each, in the file of its name.
// command_line.cpp parses the command line into the struct; the function returns the exit code or throws one of the
// errors of engine/error.h, which main.cpp turns into one sentence and an exit code.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/run/config.h"
#include "rl/reward_model_config.h"
#include "rl/tune_config.h"

namespace gradus {

enum ExitCode {
  kDone = 0,
  kInternal = 1,
  kUsage = 2,
  kCouldNotWrite = 3,
  kBadInput = 4,
  kDiverged = 5,
  kInterrupted = 130
};

// What every command takes.
struct Common {
  int64_t seed = 1;
  int64_t threads = 0;  // 0: all cores
  bool json = false, quiet = false;
};
// Parses and runs; returns the exit code. UsageError for a wrong command line; otherwise the errors of the command.
int run_command_line(int argc, char** argv);

int cores();
int threads_for(const Common& common, int64_t shards);  // the requested number, at most one for each shard

// What both commands that train take.
struct RunCommand {
  Common common;
  std::string out;  // the folder
  bool resume = false;
  bool steps_given = false;
  int64_t stop_after = 0;  // 0: never
  int64_t trace_step = 0;  // 0: none; else the step that becomes the page trace_file
  std::string trace_file;
};

struct TrainCommand : RunCommand {
  Config config;
  std::string from;                // a run whose weights and vocabulary it begins with; empty: none
  std::vector<std::string> given;  // beside --from: options on the command line, of which its model may know nothing
  std::vector<std::string> corpus;
  std::string drop;  // file of words; lines of the corpus with one of them are left out; empty: none are
  std::optional<double> entropy_rate;  // nats a token, where the text's is known: for the report
  bool labelled = false;               // gradus classify train: the lines have labels, which are learnt
};
int train(const TrainCommand& command);

struct TuneCommand : RunCommand {
  TuneConfig config;
  std::string run;       // the policy as it begins, and the prior
  std::string prior;     // another prior; empty: run
  std::string prompt;    // empty: the start of the run's texts
  std::string prompts;   // file, one a line; empty: none
  std::string pairs;     // file of prompts with their references; empty: none
  std::string held_out;  // file of more of them, of the same form, to measure on; empty: none
};
int tune(const TuneCommand& command);

inline constexpr int64_t kMostShown = 100;  // likeliest tokens at one place

struct SampleCommand {
  Common common;
  std::string run;
  std::string prompt;
  bool prompt_given = false;
  int64_t tokens = 200, count = 1;
  double temperature = 1, top_p = 1;
  int64_t top_k = 0;
  int64_t top = 0;                            // how many of the likeliest tokens are shown at each place
  std::string block = {};                     // file of words that no sample may hold; empty: none
  std::vector<std::string> require = {};      // texts that every sample must hold
  std::vector<std::string> interpolate = {};  // two texts, or none; then `count` is of the points between them
};
int sample(const SampleCommand& command);

struct BenchCommand {
  Common common;
  std::vector<std::string> names;  // empty: every work
  double seconds = 1;              // for each work and number of threads, or each point of --grow
  bool grow = false;               // how cost grows with each size, instead of works
  std::string html;                // the page of that; empty: none
};
int bench(const BenchCommand& command);
int grow(const BenchCommand& command);
std::string bench_names();  // of the works, for people

// Parts of a text, by the words of --split.
inline constexpr Named<Split> kSplits[] = {{"all", Split::kAll}, {"train", Split::kTrain}, {"val", Split::kValidation}};

struct EvalCommand {
  Common common;
  std::string run;
  std::vector<std::string> corpus;
  std::string drop = {};  // as of train
  std::string split = "all";
  int64_t stride = 0;        // 0: the context
  std::string metric = {};   // a reward that the replies to the prompts of the corpus get; empty: the loss is measured
  std::string replies = {};  // file of the replies; empty: the run makes them
  int64_t tokens = 200;
  double temperature = 0;
  int64_t importance = 0;  // of a VAE, draws of the importance-weighted log p; 0: as many as the run says
};
int eval(const EvalCommand& command);
int eval_replies(const EvalCommand& command);  // with a metric

struct ScoreCommand {
  Common common;
  std::string run;
  double temperature = 1;
  int64_t importance = 0;  // as of eval
};
int score(const ScoreCommand& command);

struct ClassifyCommand {
  Common common;
  int (*work)(const ClassifyCommand&) = nullptr;  // one of those below, or null: train
  TrainCommand training;                          // as a text is learnt, its corpus the labelled lines
  std::string run, file;                          // file: labelled lines
  std::string check;                              // a report to check; empty: none
  std::string of;                                 // a label: its probability is what is printed
  std::string templates;                          // labelled lines, of which the nearest are shown; empty: none
};
int classify_report(const ClassifyCommand& command);
int classify_predict(const ClassifyCommand& command);

struct FillCommand {
  Common common;
  std::string run, text;
  int64_t top = 10;  // candidates at each mask
};
int fill(const FillCommand& command);

struct BayesCommand {
  Common common;
  Config config;
  std::vector<std::string> corpus;
  std::string prior = "dirichlet:1";
  std::string held_out;  // file of more lines, to measure; empty: none
  bool lesson = false;
};
int bayes(const BayesCommand& command);

// How exact gradient finds it: from every sequence, or from a sample of them.
enum class Estimator { kExact, kSampled };
inline constexpr Named<Estimator> kEstimators[] = {
    {"exact", Estimator::kExact}, {"sampled", Estimator::kSampled}, {"reinforce", Estimator::kSampled}};

// Where the Z of a sampled gradient comes from: from all sequences of the world, or from the others of each batch.
enum class ZFrom { kWorld, kBatch };
inline constexpr Named<ZFrom> kZs[] = {{"known", ZFrom::kWorld}, {"estimated", ZFrom::kBatch}};

struct ExactCommand {
  Common common;
  int (*answer)(const ExactCommand&) = nullptr;  // to the question that was asked: one of those below
  std::string run, other;                        // other: RUN_B, or the prior
  std::string prompt;                            // empty: the start of the run's texts
  int64_t max_tokens = 0;
  double temperature = 1;
  TuneConfig tuning;     // what the target, the values and the gradient are of
  bool is_soft = false;  // the values are those of E[r] − β KL, not those of the best text
  std::string estimator = "exact", z = "known", out;
  int64_t samples = 10'000;
  ExactCommand() { tuning.baseline = "none"; }
};
int answer_sequences(const ExactCommand& command);
int answer_compare(const ExactCommand& command);
int answer_posterior(const ExactCommand& command);
int answer_gdc(const ExactCommand& command);
int answer_values(const ExactCommand& command);
int answer_gradient(const ExactCommand& command);

struct FrontierCommand {
  Common common;
  std::string run;                // the prior
  std::vector<std::string> runs;  // beside the frontier
  std::vector<std::string> reward;
  std::vector<std::string> learned;  // another reward, that was raised in its place; empty: none
  std::string prompt, html;
  int64_t max_tokens = 0;
  double temperature = 1;
};
int frontier(const FrontierCommand& command);

struct AtlasCommand {
  Common common;
  std::string run;  // the prior, and every policy as it begins
  std::string prompt, html;
  int64_t max_tokens = 0, seeds = 3;
  double temperature = 1;
  double rate = 0.5;  // of plain gradient descent
  TuneConfig tuning;
  AtlasCommand() {
    tuning.kl_coef = 1;
    tuning.lr = 0.03;
  }
};
int atlas(const AtlasCommand& command);

struct PreferCommand {
  Common common;
  std::string run, out;
  std::string prompt, prompts;      // as of TuneCommand
  std::vector<std::string> reward;  // chooses; empty: a person
  int64_t count = 0;                // choices to be made; 0: until the person ends it
  double scale = 1;
  int64_t max_tokens = 32;
  double temperature = 1;
};
int prefer(const PreferCommand& command);

struct RewardModelCommand {
  Common common;
  RewardModelConfig config;
  std::string run, out;
  std::vector<std::string> preferences;
};
int reward_model(const RewardModelCommand& command);

struct MergeCommand {
  Common common;
  std::string run, out;
};
int merge(const MergeCommand& command);

struct CompareCommand {
  Common common;
  std::string run, other, prompt;
  int64_t samples = 10'000, max_tokens = 32;
  double temperature = 1;
};
int compare_runs(const CompareCommand& command);

struct InspectCommand {
  Common common;
  std::string file;
};
int inspect(const InspectCommand& command);

struct CorpusCommand {
  Common common;
  std::string grammar;
  int64_t bytes = 0;  // 0: not given
};
int corpus(const CorpusCommand& command);

struct ReportCommand {
  Common common;
  std::string run;
};
int report(const ReportCommand& command);
// UsageError where the folder has a report.html that gradus did not write.
void refuse_foreign_report(const std::string& folder);
// Writes report.html into the folder of a run and returns its path. DataError for a folder or log that is not that of
// a run, WriteError where the page cannot be written, UsageError as refuse_foreign_report.
std::string write_report(const std::string& folder);
// The same at the end of a run, which must not fail because of its page: returns the reason if no page was written, or
// "".
std::string try_write_report(const std::string& folder);

struct LookCommand {
  Common common;
  std::string run, file, html;  // file: the text; html: the page to write; empty for none
  std::string text;
  bool text_given = false;
};
int look(const LookCommand& command);

struct KlCommand {
  Common common;
  std::string file;  // empty: the worked numbers, or the lesson
  bool lesson = false;
  std::optional<int64_t> section;  // of the worked numbers; all if not given
};
int kl(const KlCommand& command);

struct StepCommand {
  Common common;
  std::string example = "scalar";
  std::string html;  // file to write, empty for none
  bool all = false;
};
int step(const StepCommand& command);

}  // namespace gradus
