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
#include "engine/version.h"

namespace gradus {

int cores() { return int(std::max(1u, std::thread::hardware_concurrency())); }

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
  void operator()(const char* name, std::string& value, const char* help, std::initializer_list<const char*> words) {
    std::string list;
    for (const char* word : words) list += (list.empty() ? "" : " | ") + std::string(word);
    const std::vector<std::string> known(words.begin(), words.end());
    const std::string long_name = option(name);
    app.add_option(long_name, value, text(help, ": ", list, " (", value, ")"))->check([=](const std::string& input) {
      return std::find(known.begin(), known.end(), input) != known.end()
                 ? std::string()
                 : text(long_name, " ", input, ": must be one of ", list);
    });
  }
  void operator()(const char* name, bool& value, const char* help) {
    app.add_flag_callback(
        "--no-" + std::string(name), [&value] { value = false; }, help);
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
  const std::vector<std::pair<std::string, std::string>> owners{
      {"--heads", "transformer"}, {"--no-bias", "transformer"}, {"--hidden", "lstm"}};
  std::string names;
  for (const auto& [name, owner] : owners)
    if (owner != config.model && app.count(name)) names += (names.empty() ? "" : ", ") + name;
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

int parse_and_run(int argc, char** argv) {
  CLI::App app{"gradus: train language models, sample from them, look inside them.", "gradus"};
  app.set_version_flag("--version", std::string("gradus ") + kGradusVersion);
  app.require_subcommand(1);
  app.get_formatter()->column_width(30);
  app.footer("\ngradus COMMAND --help lists the options of a command.");

  TrainCommand train_command;
  CLI::App* t = app.add_subcommand("train", "train a language model on a text");
  t->add_option("CORPUS", train_command.corpus, "text file, UTF-8; several are read one after the other");
  t->add_option("--out", train_command.out, "folder of the run")->required();
  t->add_flag("--resume", train_command.resume, "continue the run in --out with the options stored there");
  for_each_option(train_command.config, ConfigOptions{*t});
  std::pair<int64_t, std::string> trace;
  t->add_option("--trace", trace, "STEP FILE.html: write the gradients of this step of a tiny model as a page")
      ->type_name("STEP FILE");
  number(*t, "--stop-after", train_command.stop_after, "end after this step as Ctrl-C would: save, exit code 130", 1,
         INT64_MAX);
  double entropy_rate = 0;
  CLI::Option* rate =
      number(*t, "--entropy-rate", entropy_rate,
             "entropy rate of the text where it is known, nats a token: a line in the report", 0.0, 1e3);
  add_common(*t, train_command.common);

  SampleCommand sample_command;
  CLI::App* s = app.add_subcommand("sample", "write text with a trained model");
  s->add_option("RUN", sample_command.run, "run folder or checkpoint")->required();
  CLI::Option* prompt = s->add_option("--prompt", sample_command.prompt, "text to continue (a newline)");
  number(*s, "--tokens", sample_command.tokens, "tokens to draw (200)", 0, 1'000'000'000);
  number(*s, "--count", sample_command.count, "samples (1)", 1, 1'000'000);
  number(*s, "--temperature", sample_command.temperature, "divides the logits; 0: always the most probable (1)", 0.0,
         1e6);
  number(*s, "--top-k", sample_command.top_k, "only the k most probable tokens; 0: all (0)", 0, 1'000'000'000);
  number(*s, "--top-p", sample_command.top_p, "only the most probable tokens that reach this share (1)", 1e-9, 1.0);
  add_common(*s, sample_command.common);

  InspectCommand inspect_command;
  CLI::App* i = app.add_subcommand("inspect", "list the tensors and metadata of a safetensors file");
  i->add_option("RUN", inspect_command.file, "run folder, or any FILE.safetensors")->required();
  add_common(*i, inspect_command.common);

  CorpusCommand corpus_command;
  CLI::App* c = app.add_subcommand("corpus", "write text drawn from a grammar; with --json its entropy");
  c->add_option("GRAMMAR", corpus_command.grammar, "file in the format of data/README.md")->required();
  number(*c, "--bytes", corpus_command.bytes, "end with the line that reaches this size", 1, 1'000'000'000'000);
  add_common(*c, corpus_command.common);
  ReportCommand report_command;
  CLI::App* r = app.add_subcommand("report", "write RUN/report.html: curves, samples, configuration");
  r->add_option("RUN", report_command.run, "run folder")->required();
  add_common(*r, report_command.common);
  KlCommand kl_command;
  CLI::App* k = app.add_subcommand("kl", "compare two tables; without a file, the worked numbers of the documents");
  k->add_option("FILE.json", kl_command.file, R"({"p":{name: probability, ...},"q":{...}})");
  k->add_flag("--lesson", kl_command.lesson, "from the example to what fine-tuning will do, a page to read");
  add_common(*k, kl_command.common);
  StepCommand step_command;
  CLI::App* p = app.add_subcommand("step", "walk through the gradients of a small step, one op at a time");
  p->add_option("EXAMPLE", step_command.example, "scalar | neuron | lstm | attention | kl (scalar)");
  p->add_option("--html", step_command.html, "write the walk as a page for the browser");
  p->add_flag("--all", step_command.all, "print every step and exit");
  add_common(*p, step_command.common);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    throw UsageError(sentence(app, error, argc > 1 ? argv[1] : ""));
  }

  if (*t) {
    if (train_command.out.empty()) throw UsageError("--out is empty: the name of a folder is wanted");
    train_command.config.seed = train_command.common.seed;
    if (t->count("--trace") > 0) {
      std::tie(train_command.trace_step, train_command.trace_file) = trace;
      if (trace.first < 1) throw UsageError(text("--trace ", trace.first, ": the step must be 1 or later"));
      if (trace.second.empty()) throw UsageError("--trace wants a step and the name of a file");
    }
    train_command.steps_given = t->count("--steps") > 0;
    if (rate->count() > 0) train_command.entropy_rate = entropy_rate;
    if (train_command.resume) {
      const std::vector<std::string> kept{"CORPUS",  "--out",     "--resume", "--steps", "--stop-after",
                                          "--trace", "--threads", "--json",   "--quiet"};
      for (const CLI::Option* o : t->get_options())
        if (o->count() > 0 && std::find(kept.begin(), kept.end(), o->get_name()) == kept.end())
          throw UsageError(o->get_name() + " cannot be given with --resume: the run goes on with its stored options");
    } else if (train_command.corpus.empty()) {
      throw UsageError("train needs a text: gradus train FILE.txt --out " + train_command.out);
    }
    note_foreign_options(*t, train_command.config, train_command.common);
    return train(train_command);
  }
  if (*c) {
    if (corpus_command.bytes == 0 && !corpus_command.common.json)
      throw UsageError("corpus needs a size, --bytes N, or --json for the entropy alone");
    return corpus(corpus_command);
  }
  if (*r) return report(report_command);
  if (*k) {
    if (k->count("FILE.json") > 0 && kl_command.file.empty()) throw UsageError("FILE.json is empty: a file is wanted");
    return kl(kl_command);
  }
  if (*p) return step(step_command);
  sample_command.prompt_given = prompt->count() > 0;
  return *s ? sample(sample_command) : inspect(inspect_command);
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
