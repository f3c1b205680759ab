// The gradus program: parses the command line and turns every error into one sentence and an exit code. The only file
// that sees CLI11. Commands stand in the files of their names; see apps/commands.h.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <new>
#include <system_error>
#include <thread>

#include "apps/commands.h"
#include "engine/error.h"
#include "rl/reward.h"

namespace gradus {

int cores() { return int(std::max(1u, std::thread::hardware_concurrency())); }
int threads_for(const Common& common, int64_t shards) {
  return int(std::min<int64_t>(common.threads ? common.threads : cores(), shards));
}

namespace {

// A number in [least, greatest]; NaN, infinity and trailing letters are refused, and the message gives the range.
template <class T>
CLI::Validator range(const std::string& name, T least, T greatest) {
  const std::string span = text("from ", least, " to ", greatest);
  return CLI::Validator(
      [=](std::string& input) -> std::string {
        T value{};
        const bool read = CLI::detail::lexical_cast(input, value);
        bool good = read && value >= least && value <= greatest;
        if constexpr (std::is_floating_point_v<T>) good = good && std::isfinite(value);
        return good ? ""
                    : text(name, " ", input, ": must be a", std::is_floating_point_v<T> ? "" : " whole", " number ",
                           span);
      },
      "", "");
}

CLI::Option* number(CLI::App& app, const std::string& name, int64_t& value, const std::string& help, int64_t least,
                    int64_t greatest) {
  return app.add_option(name, value, help)->check(range<int64_t>(name, least, greatest));
}
CLI::Option* number(CLI::App& app, const std::string& name, double& value, const std::string& help, double least,
                    double greatest) {
  return app.add_option(name, value, help)->check(range<double>(name, least, greatest));
}

// One word of a list; the value it has is the default.
void words(CLI::App& app, const std::string& name, std::string& value, const std::string& help,
           std::initializer_list<const char*> list) {
  std::string all;
  for (const char* word : list) all += (all.empty() ? "" : " | ") + std::string(word);
  const std::vector<std::string> known(list.begin(), list.end());
  app.add_option(name, value, text(help, ": ", all, " (", value, ")"))->check([=](const std::string& input) {
    return std::find(known.begin(), known.end(), input) != known.end()
               ? std::string()
               : text(name, " ", input, ": must be one of ", all);
  });
}

// The options of Config, from its table.
struct ConfigOptions {
  CLI::App& app;
  static std::string option(std::string name) {
    std::replace(name.begin(), name.end(), '_', '-');
    return "--" + name;
  }
  static std::string with_default(const char* help, const std::string& value) {
    return std::string(help).find("(default") == std::string::npos ? text(help, " (", value, ")") : help;
  }
  void operator()(const char* name, std::string& value, const char* help, std::initializer_list<const char*> list) {
    words(app, option(name), value, help, list);
  }
  void operator()(const char*, std::vector<std::string>&, const char*) {}  // a list has its own line in main.cpp
  void operator()(const char* name, bool& value, const char* help) {
    app.add_flag_callback(
        value ? "--no-" + std::string(name) : option(name), [&value, set = !value] { value = set; }, help);
  }
  void operator()(const char* name, int64_t& value, const char* help, int64_t least, int64_t greatest) {
    if (std::string(name) != "seed")
      number(app, option(name), value, with_default(help, std::to_string(value)), least, greatest);
  }
  void operator()(const char* name, double& value, const char* help, double least, double greatest) {
    number(app, option(name), value, with_default(help, text(value)), least, greatest);
  }
};

void add_common(CLI::App& app, Common& common) {
  number(app, "--seed", common.seed, "everything random follows from it (1)", 0, INT64_MAX);
  number(app, "--threads", common.threads, "threads (all cores); changes no result", 0, 1024);
  app.add_flag("--json", common.json, "results as JSON on stdout, everything else on stderr");
  app.add_flag("--quiet", common.quiet, "no progress and no notes");
}

// Options that are accepted but mean nothing to the chosen family.
void note_foreign_options(const CLI::App& app, const Config& config, const Common& common) {
  const std::string recurrent = "lstm rnn", stepped = "transformer lstm rnn", counted = "ngram";
  std::vector<std::pair<std::string, std::string>> owners{{"--heads", "transformer"}, {"--no-bias", "transformer"},
                                                          {"--hidden", recurrent},    {"--order", counted},
                                                          {"--smoothing", counted},   {"--alpha", counted}};
  for (const char* name : {"--layers", "--embd", "--dropout", "--steps", "--lr", "--min-lr", "--warmup",
                           "--decay-steps", "--beta1", "--beta2", "--weight-decay", "--clip", "--eval-every",
                           "--eval-batches", "--save-every", "--ops", "--stop-after"})
    owners.emplace_back(name, stepped);
  std::string names;
  for (const auto& [name, owner] : owners)
    if (owner.find(config.model) == std::string::npos && app.count(name)) names += (names.empty() ? "" : ", ") + name;
  if (!names.empty() && !common.quiet)
    std::fprintf(stderr, "note: %s has no meaning for --model %s\n", names.c_str(), config.model.c_str());
}

// What CLI11 objects to, in our words.
std::string sentence(const CLI::App& app, const CLI::ParseError& error, const std::string& first) {
  std::string message = error.what(), commands;
  const std::vector<const CLI::App*> known = app.get_subcommands(nullptr);
  for (const CLI::App* command : known) commands += (commands.empty() ? "" : " | ") + command->get_name();
  if (app.get_subcommands().empty())
    return (first.empty() ? "a command is wanted" : first + " is not a command") + ": must be one of " + commands;
  const std::string command = app.get_subcommands().front()->get_name();
  if (message == "A subcommand is required") {
    std::string questions;
    for (const CLI::App* q : app.get_subcommands().front()->get_subcommands(nullptr))
      questions += (questions.empty() ? "" : " | ") + q->get_name();
    return command + " wants to know what: " + questions;
  }
  const auto after = [&](const std::string& part) {  // what stands behind the part, empty if it is not there
    const size_t at = message.find(part);
    return at == std::string::npos ? std::string() : message.substr(at + part.size());
  };
  if (const std::string extra = after("not expected: "); !extra.empty())
    return text(command, " does not take ", extra, "; gradus ", command, " --help lists what it takes");
  const std::string name = message.substr(0, message.find(':'));
  if (!after(": At Most 1 required").empty()) return name + " is given more than once";
  if (!after(": 1 required").empty()) return name + " wants a value behind it";
  if (const std::string rest = after(": --"); !rest.empty()) return "--" + rest;
  return message;
}

// What may stand beside --resume; everything else is stored in the run.
void refuse_beside_resume(const CLI::App& app, const std::vector<std::string>& kept) {
  for (const CLI::Option* o : app.get_options())
    if (o->count() > 0 && std::find(kept.begin(), kept.end(), o->get_name()) == kept.end())
      throw UsageError(o->get_name() + " cannot be given with --resume: the run goes on with its stored options");
}

CLI::App* add_tune(CLI::App& app, TuneCommand& command) {
  CLI::App* t =
      app.add_subcommand("tune", "fine-tune a trained model on a reward, with a KL penalty to where it began");
  t->add_option("RUN", command.run, "run folder or checkpoint: the prior, and where the policy begins");
  t->add_option("--out", command.out, "folder of the new run")->required();
  t->add_flag("--resume", command.resume, "continue the run in --out with the options stored there");
  t->add_option("--reward", command.config.reward, "[WEIGHT*]NAME[:ARGUMENT], several add up: " + Reward::names())
      ->allow_extra_args(false);
  t->add_option("--prompt", command.prompt, "text before the first draw (what the run starts from)");
  t->add_option("--prompts", command.prompts, "file of prompts, one a line");
  for_each_option(command.config, ConfigOptions{*t});
  number(*t, "--stop-after", command.stop_after, "end after this step as Ctrl-C would: save, exit code 130", 1,
         INT64_MAX);
  add_common(*t, command.common);
  return t;
}

int run_tune(const CLI::App& app, TuneCommand& command) {
  if (command.out.empty()) throw UsageError("--out is empty: the name of a folder is wanted");
  command.config.seed = command.common.seed;
  command.steps_given = app.count("--steps") > 0;
  if (command.resume) {
    refuse_beside_resume(app,
                         {"RUN", "--out", "--resume", "--steps", "--stop-after", "--threads", "--json", "--quiet"});
    return tune(command);
  }
  if (command.run.empty()) throw UsageError("tune needs a trained run: gradus tune RUN --out " + command.out);
  if (command.config.reward.empty()) throw UsageError("tune needs a --reward: [WEIGHT*] and one of " + Reward::names());
  if (app.count("--prompt") > 0 && app.count("--prompts") > 0)
    throw UsageError("--prompt and --prompts are both given; one of them says what is continued");
  if (app.count("--kl-target") > 0 && command.config.kl_target <= 0)
    throw UsageError("--kl-target must be above 0: it is the KL that the coefficient is steered to");
  std::string names;
  for (const auto& [name, means] : {std::pair{"--kl-horizon", command.config.kl_target > 0},
                                    std::pair{"--value-lr", command.config.baseline == "value"}})
    if (app.count(name) > 0 && !means) names += (names.empty() ? "" : ", ") + std::string(name);
  if (!names.empty() && !command.common.quiet)
    std::fprintf(stderr, "note: %s has no meaning with the other options\n", names.c_str());
  return tune(command);
}

// gradus exact and its four questions.
CLI::App* add_exact(CLI::App& app, ExactCommand& command) {
  CLI::App* exact_app = app.add_subcommand("exact", "worlds small enough to list every sequence: what is true there");
  exact_app->require_subcommand(1);
  const auto question = [&](const char* name, const char* help) {
    CLI::App* q = exact_app->add_subcommand(name, help);
    q->callback([&command, name] { command.what = name; });
    q->add_option("RUN", command.run, "run folder or checkpoint")->required();
    return q;
  };
  const auto world = [&](CLI::App* q) {
    number(*q, "--max-tokens", command.max_tokens, "draws of a sequence at most, the end mark counted", 1, 1'000'000)
        ->required();
    q->add_option("--prompt", command.prompt, "text before the first draw (what the run starts from)");
    number(*q, "--temperature", command.temperature, "divides the logits of every model (1)", 1e-3, 1e6);
    add_common(*q, command.common);
  };
  const auto objective = [&](CLI::App* q, double least) {
    q->add_option("--reward", command.reward, "[WEIGHT*]NAME[:ARGUMENT], several add up: " + Reward::names())
        ->allow_extra_args(false)
        ->required();
    number(*q, "--kl-coef", command.kl_coef, text("beta of J = E[r] - beta KL(policy, prior) (", command.kl_coef, ")"),
           least, 1e9);
  };
  world(question("sequences", "every sequence with its probability"));
  CLI::App* compare = question("compare", "divergences between two runs, over whole sequences");
  compare->add_option("RUN_B", command.other, "the other run")->required();
  world(compare);
  CLI::App* posterior = question("posterior", "prior exp(reward / beta) / Z: the best that fine-tuning can reach");
  objective(posterior, 1e-9);
  world(posterior);
  CLI::App* gradient = question("gradient", "of J with respect to every parameter, exact or sampled");
  gradient->add_option("--prior", command.other, "run that the KL is measured from")->required();
  objective(gradient, 0);
  words(*gradient, "--estimator", command.estimator, "how", {"exact", "reinforce"});
  words(*gradient, "--baseline", command.baseline, "what a return is compared with", {"none", "leave-one-out"});
  number(*gradient, "--batch", command.batch, "sequences of a group (64)", 1, 1 << 20);
  number(*gradient, "--samples", command.samples, "sequences in all, in whole groups with leave-one-out (10000)", 1,
         1'000'000'000);
  gradient->add_option("--out", command.out, "FILE.safetensors to write")->required();
  world(gradient);
  return exact_app;
}

int run_exact(const CLI::App& app, const ExactCommand& command) {
  std::string names;
  for (const char* name : {"--baseline", "--batch", "--samples"})
    if (command.what == "gradient" && command.estimator == "exact" && app.get_subcommand("gradient")->count(name))
      names += (names.empty() ? "" : ", ") + std::string(name);
  if (!names.empty() && !command.common.quiet)
    std::fprintf(stderr, "note: %s has no meaning for --estimator exact\n", names.c_str());
  return exact(command);
}

int parse_and_run(int argc, char** argv) {
  CLI::App app{"gradus: train language models, sample from them, measure them, look inside them.", "gradus"};
  app.require_subcommand(1);
  app.get_formatter()->column_width(30);
  app.footer("\ngradus COMMAND --help lists the options of a command.");

  TrainCommand train_command;
  CLI::App* t = app.add_subcommand("train", "train a language model on a text");
  t->add_option("CORPUS", train_command.corpus,
                "text file, UTF-8 (with --tokenizer byte any file); several are read one after the other");
  t->add_option("--out", train_command.out, "folder of the run")->required();
  t->add_flag("--resume", train_command.resume, "continue the run in --out with the options stored there");
  for_each_option(train_command.config, ConfigOptions{*t});
  number(*t, "--stop-after", train_command.stop_after, "end after this step as Ctrl-C would: save, exit code 130", 1,
         INT64_MAX);
  add_common(*t, train_command.common);

  TuneCommand tune_command;
  CLI::App* u = add_tune(app, tune_command);

  SampleCommand sample_command;
  CLI::App* s = app.add_subcommand("sample", "write text with a trained model");
  s->add_option("RUN", sample_command.run, "run folder or checkpoint")->required();
  CLI::Option* prompt = s->add_option("--prompt", sample_command.prompt,
                                      "text to continue (a newline; with --lines the beginning of a line)");
  number(*s, "--tokens", sample_command.tokens, "tokens to draw (200)", 0, 1'000'000'000);
  number(*s, "--count", sample_command.count, "samples (1)", 1, 1'000'000);
  number(*s, "--temperature", sample_command.temperature, "divides the logits; 0: always the most probable (1)", 0.0,
         1e6);
  number(*s, "--top-k", sample_command.top_k, "only the k most probable tokens; 0: all (0)", 0, 1'000'000'000);
  number(*s, "--top-p", sample_command.top_p, "only the most probable tokens that reach this share (1)", 1e-9, 1.0);
  add_common(*s, sample_command.common);

  EvalCommand eval_command;
  CLI::App* e = app.add_subcommand("eval", "how well a trained model predicts a text");
  e->add_option("RUN", eval_command.run, "run folder or checkpoint")->required();
  e->add_option("CORPUS", eval_command.corpus, "text file, read as the run reads its own")->required();
  words(*e, "--split", eval_command.split, "which part of the text, divided as the run divides its own",
        {"all", "train", "val"});
  number(*e, "--stride", eval_command.stride,
         "tokens between the beginnings of two windows: smaller shows more before each token (the context)", 1,
         1 << 20);
  add_common(*e, eval_command.common);

  ScoreCommand score_command;
  CLI::App* c = app.add_subcommand("score", "log-probability of each line of standard input, as JSON lines");
  c->add_option("RUN", score_command.run, "run folder or checkpoint")->required();
  number(*c, "--temperature", score_command.temperature, "divides the logits; 0: all on the most probable (1)", 0.0,
         1e6);
  add_common(*c, score_command.common);

  ExactCommand exact_command;
  CLI::App* x = add_exact(app, exact_command);

  InspectCommand inspect_command;
  CLI::App* i = app.add_subcommand("inspect", "list the tensors and metadata of a safetensors file");
  i->add_option("RUN", inspect_command.file, "run folder, or any FILE.safetensors")->required();
  add_common(*i, inspect_command.common);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    throw UsageError(sentence(app, error, argc > 1 ? argv[1] : ""));
  }

  if (*t) {
    if (train_command.out.empty()) throw UsageError("--out is empty: the name of a folder is wanted");
    train_command.config.seed = train_command.common.seed;
    train_command.steps_given = t->count("--steps") > 0;
    if (train_command.resume) {
      refuse_beside_resume(
          *t, {"CORPUS", "--out", "--resume", "--steps", "--stop-after", "--threads", "--json", "--quiet"});
    } else if (train_command.corpus.empty()) {
      throw UsageError("train needs a text: gradus train FILE.txt --out " + train_command.out);
    }
    note_foreign_options(*t, train_command.config, train_command.common);
    return train(train_command);
  }
  sample_command.prompt_given = prompt->count() > 0;
  if (*u) return run_tune(*u, tune_command);
  if (*x) return run_exact(*x, exact_command);
  if (*s) return sample(sample_command);
  if (*e) return eval(eval_command);
  return *c ? score(score_command) : inspect(inspect_command);
}

int fail(const char* message, ExitCode code) {
  std::fprintf(stderr, "gradus: %s\n", message);
  return code;
}

}  // namespace
}  // namespace gradus

int main(int argc, char** argv) {
  using namespace gradus;
  std::signal(SIGPIPE, SIG_DFL);  // a closed pipe ends us quietly
  try {
    const int code = parse_and_run(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
      throw WriteError(text("standard output cannot be written: ", std::generic_category().message(errno)));
    return code;
  } catch (const UsageError& error) {
    return fail(error.what(), kUsage);
  } catch (const DataError& error) {
    return fail(error.what(), kBadInput);
  } catch (const WriteError& error) {
    return fail(error.what(), kCouldNotWrite);
  } catch (const DivergedError& error) {
    return fail(error.what(), kDiverged);
  } catch (const std::bad_alloc&) {
    return fail("out of memory; take a smaller --batch, --context, --embd or --hidden", kInternal);
  } catch (const std::exception& error) {
    return fail(error.what(), kInternal);
  }
}
