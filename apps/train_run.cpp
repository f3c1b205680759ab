#include "apps/train_run.h"

#include <algorithm>
#include <filesystem>

#include "apps/format.h"
#include "apps/next_command.h"
#include "engine/gemm.h"
#include "engine/io/json_number.h"
#include "engine/io/mpi.h"
#include "engine/muon.h"
#include "engine/version.h"
#include "models/adapter.h"
#include "models/families.h"
#include "models/memory.h"
#include "models/posterior/posterior_model.h"
#include "models/posterior/posteriors.h"
#include "models/text/labels.h"
#include "models/text/read_text.h"

namespace gradus {
namespace {

constexpr double kPresent = 3 * sizeof(real);  // bytes of a parameter that a checkpoint has brought: value and moments

// Before the first large allocation: UsageError where the bytes are not free that the parameters, their moments and a
// step will take; `present` are there already. Returns those of a run in one process, for the log, which does not
// depend on the ranks.
double refuse_beyond_memory(const Config& c, const LanguageModel& model, const Comm& ranks, double present = 0) {
  const int64_t B = c.batch, T = c.context, n = model.params().declared_size();
  double all = 0;
  if (const PosteriorModel* posterior = posterior_in(model)) {
    all = posterior->numbers_of_draws() * sizeof(real);
    require_memory(all, text("a posterior of ", posterior->draws(), " draws"), "use fewer --draws, or a smaller model");
  }
  if (adamw_options(c).muon) all += double(muon_work(model.params())) * sizeof(real);
  const auto of = [&](const OwnShards& shards) {
    return all + double(n) * sizeof(real) +  // of an optimiser's step LayerSizes
           (c.counts() ? evaluation_bytes(model, B, T, c.shards) : training_bytes(model, B, T, shards));
  };
  const double own = of(OwnShards(c.shards, ranks));
  all = of(c.shards);
  const bool large = double(n) * double(4 + c.shards) * sizeof(real) > all / 3;  // much of it is the model
  const std::string size = n > 0 ? text(" of ", grouped(n), " parameters") : "";
  require_memory(own - present, text("training ", c.family().title, size, " with --batch ", B, " and --context ", T),
                 large ? c.family().smaller() : "use a smaller --batch or --context", ranks_on_machine());
  return all;
}

// A new model; the families that count are fitted here, by counting.
std::unique_ptr<LanguageModel> new_model(const Config& config, const Tokenizer& tokenizer, const Corpus& corpus,
                                         const Comm& ranks, double& memory) {
  std::vector<double> counts = count_tokens(config, corpus);
  std::unique_ptr<LanguageModel> model =
      with_posterior(declare_model(config, tokenizer.size(), std::move(counts)), config);
  memory = refuse_beyond_memory(config, *model, ranks);
  model->initialise();
  return model;
}

// What a sample begins with: a line with its mark, a stream with a new line, or with its own first token if it has
// none.
int32_t start_of(const Config& config, const Tokenizer& tokenizer, const CorpusFiles& files, const Corpus& corpus) {
  if (config.lines) return tokenizer.end_id();
  const bool newline = files.content.find('\n') != std::string::npos;
  return newline ? tokenizer.encode("\n")[0] : corpus.tokens(Split::kAll)[0];
}

CorpusOptions corpus_options(const Config& config, const std::vector<std::string>& labels) {
  CorpusOptions options = config.corpus();
  options.labels = labels;
  return options;
}

Tokenizer tokenizer_of(const Config& config, const CorpusFiles& files, const std::vector<Labelled>& labelled) {
  try {
    if (!labelled.empty()) {
      const std::vector<std::string_view> texts = texts_of(labelled);
      return Tokenizer::from_lines(config.tokenizer, texts);
    }
    if (config.pairs) {
      const std::vector<Pair> pairs = pairs_of(files.content, files.name());
      std::vector<std::string_view> texts;
      for (const Pair& pair : pairs) texts.insert(texts.end(), {pair.prompt, pair.reply});
      return Tokenizer::from_lines(config.tokenizer, texts);
    }
    return config.lines ? Tokenizer::from_lines(config.tokenizer, split_lines(files.content))
                        : Tokenizer::from_text(config.tokenizer, files.content);
  } catch (const DataError& error) {
    throw DataError(text(files.name(), ": ", error.what()));
  }
}

// The options of a new run that begins with another one: what makes a model is that run's.
Config config_from(const Checkpoint& from, const TrainCommand& command, int64_t cores) {
  if (from.config.counts())
    throw UsageError(text("--from ", command.from, ": a model of the family ", from.config.model,
                          " is counted and takes no steps; count the new text together with the old one"));
  if (command.config.pairs && from.tokenizer.end_id() < 0)
    throw UsageError(text("--pairs: ", command.from,
                          " has no end mark, which stands between a prompt and its reply; begin with a run of --lines "
                          "or --pairs"));
  Config config = command.config;
  static_cast<ModelOptions&>(config) = from.config;
  config.pairs |= command.config.pairs;  // the same mark stands between a prompt and its reply
  config.tokenizer = from.config.tokenizer;
  if (from.base.empty()) {
    config.dropout = command.config.dropout;
    config.ops = command.config.ops;
    config.word_dropout = command.config.word_dropout;
    config.kl_anneal = command.config.kl_anneal;
  }
  config.seed = command.config.seed;
  resolve_options(config, cores);
  return config;
}

// UsageError where the run trains no parameter of the kind that its optimiser is for: an adapter, say.
AdamW new_optimizer(const Config& config, const Params& params) {
  const AdamWOptions options = adamw_options(config);
  if (options.muon && muon_work(params) == 0)
    throw UsageError(text(
        "--optimizer ", config.optimizer, " is for matrices between hidden layers, and this run trains none of them, ",
        config.adapter != kNoAdapter ? "but an adapter" : "but a posterior over them", "; leave it out"));
  return AdamW(params, options);
}

// A run that begins with the weights and the vocabulary of another one, whole or under an adapter.
TrainRun begin_from(const TrainCommand& command, const Comm& ranks, int64_t cores) {
  refuse_existing(command.out);
  Checkpoint run = load_any_checkpoint(command.from);
  if (!run.labels.empty()) throw DataError(text(run.path, ": is a classifier, with which no model of texts can begin"));
  if (posterior_in(*run.model) || command.config.posterior != kNoPosterior)
    throw UsageError(
        "--from and --posterior do not go together: a posterior begins with its prior; gradus merge makes "
        "one model of a run with a posterior");
  const Config config = config_from(run, command, cores);
  CorpusFiles files = read_corpus_files(command.corpus, config, command.drop);
  Corpus corpus(config.corpus(), run.tokenizer, files.content, files.name());
  const std::string stored = run.config.adapter;  // it goes on with an adapter that is there
  run.config = config;
  run.config.adapter = stored;
  if (run.base.empty()) run.model = clone_with(*run.model, config);
  if (config.adapter != kNoAdapter) run.adapt(config.adapter, uint64_t(config.seed), command.out);
  const double memory =
      refuse_beyond_memory(config, *run.model, ranks, double(run.model->params().size()) * sizeof(real));
  run.step = 0;
  run.best_val_loss.reset();
  run.corpus = files.paths;
  run.corpus_hash = files.hash;
  run.drop = files.drop;
  run.blas_core = blas_core();
  run.optimizer = new_optimizer(run.config, run.model->params());
  return {std::move(run), std::move(files), std::move(corpus), {}, memory};
}

TrainRun begin(const TrainCommand& command, const Comm& ranks, int64_t cores) {
  refuse_existing(command.out);
  Config config = command.config;
  resolve_options(config, cores);
  CorpusFiles files = read_corpus_files(command.corpus, config, command.drop);
  const std::vector<Labelled> labelled =
      command.labelled ? labelled_of(files.content, files.name()) : std::vector<Labelled>();
  const std::vector<std::string> labels =
      command.labelled ? labels_in(labelled, files.name()) : std::vector<std::string>();
  Tokenizer tokenizer = tokenizer_of(config, files, labelled);
  config.end_id = tokenizer.end_id();
  config.labels = std::ssize(labels);
  Corpus corpus(corpus_options(config, labels), tokenizer, files.content, files.name());
  double memory = 0;
  std::unique_ptr<LanguageModel> model = new_model(config, tokenizer, corpus, ranks, memory);
  const int32_t start_id = start_of(config, tokenizer, files, corpus);
  Checkpoint checkpoint{.config = config,
                        .tokenizer = std::move(tokenizer),
                        .model = std::move(model),
                        .optimizer = {},
                        .step = 0,
                        .best_val_loss = {},
                        .start_id = start_id,
                        .corpus = files.paths,
                        .corpus_hash = files.hash,
                        .drop = files.drop,
                        .blas_core = blas_core(),
                        .labels = labels};
  if (!config.counts() && !config.samples()) checkpoint.optimizer = new_optimizer(config, checkpoint.model->params());
  require_room_in_header(
      checkpoint, Json(checkpoint.tokenizer.vocab()).dump() + Json(files.paths).dump() + Json(labels).dump(),
      text(files.name(), ": its vocabulary of ", checkpoint.tokenizer.size(), " tokens"), "use another --tokenizer");
  return {std::move(checkpoint), std::move(files), std::move(corpus), {}, memory};
}

// The texts of a resumed run: those named, which must be its own, or those it was trained on, which the person has not
// named.
CorpusFiles read_texts_of(const Checkpoint& run, const TrainCommand& command, Console& console) {
  if (command.drop.empty() && !run.drop.empty())
    announce_stored(console, "the list of dropped words", run.drop, "name it: " + typed_again({"--drop", "FILE"}));
  const std::string drop = command.drop.empty() ? run.drop : command.drop;
  const auto read_stored = [&] {
    if (run.corpus.empty()) throw DataError(text(run.path, ": names no text; name it: ", typed_again({"TEXT"})));
    for (const std::string& path : run.corpus)
      announce_stored(console, "the text", path, "name it: " + typed_again({"TEXT"}));
    return read_corpus_files(run.corpus, run.config, drop);
  };
  CorpusFiles files = command.corpus.empty() ? read_stored() : read_corpus_files(command.corpus, run.config, drop);
  if (files.hash == run.corpus_hash) return files;
  // In another order they are another text; unless they changed too, a sentence names the right one.
  const bool reordered = files.paths != run.corpus && std::is_permutation(files.paths.begin(), files.paths.end(),
                                                                          run.corpus.begin(), run.corpus.end());
  if (reordered && read_stored().hash == run.corpus_hash)
    throw DataError(text("the texts of the run in ", run.path, " are named in another order than it was trained on: ",
                         joined(run.corpus, ", then "), "; name them in that order, or name none"));
  throw DataError(text(files.name(), ": is not the text that the run in ", command.out,
                       " was trained on; name that text, or start a new run with another --out"));
}

TrainRun resume(const TrainCommand& command, Console& console, Comm& ranks) {
  RunFolder folder = reopen_folder(command.out, ranks);
  Checkpoint run = load_any_checkpoint(command.out);
  if (std::ranges::find(run.other_sections, kTuning) != run.other_sections.end())
    throw UsageError(text(command.out, ": is a fine-tuned run; continue it with: ",
                          proposed({"tune", "--out", command.out, "--resume"})));
  if (run.config.counts())
    throw UsageError(text(command.out, ": a model of the family ", run.config.model,
                          " is counted at once; there is nothing to resume"));
  require_resumable(command, command.config.steps, run, console);
  const double memory =
      refuse_beyond_memory(run.config, *run.model, ranks, kPresent * double(run.model->params().size()));
  CorpusFiles files = read_texts_of(run, command, console);
  if (command.steps_given) {
    if (run.config.decay_steps == 0) run.config.decay_steps = command.config.steps;  // --steps 0 said nothing of it
    run.config.steps = command.config.steps;
  }
  try {
    run.config.resolve_steps();
  } catch (const DataError& error) {
    throw UsageError(error.what());
  }
  Corpus corpus(corpus_options(run.config, run.labels), run.tokenizer, files.content, files.name());
  return {std::move(run), std::move(files), std::move(corpus), std::move(folder), memory};
}

// Of lines the mark that begins the first one is none: nothing predicts it.
int64_t tokens_of(const Corpus& corpus, Split split) {
  return int64_t(corpus.tokens(split).size()) - int64_t(corpus.lines(Split::kAll) > 0);
}

// A model that is counted may have no parameters.
std::string size_of(const LanguageModel& model) {
  if (const int64_t n = parameters_of(model); n > 0)
    return grouped(n) + (posterior_in(model) ? " parameters with a posterior" : " parameters");
  return grouped(int64_t(model.counts().size()) / 3) + " counts";
}

}  // namespace

int64_t parameters_of(const LanguageModel& model) {
  const PosteriorModel* posterior = posterior_in(model);
  return posterior ? posterior->net_params().declared_size() : model.params().size();
}

TrainRun open_train_run(const TrainCommand& command, Console& console, Comm& ranks) {
  const int64_t cores = cores_of_job(ranks);
  if (command.resume) return resume(command, console, ranks);
  if (command.from.empty()) return begin(command, ranks, cores);
  TrainRun run = begin_from(command, ranks, cores);
  Config config = run.checkpoint.config;
  if (const std::string note = without_meaning(options(config), command.given); !note.empty())
    console.note("note: " + note);
  return run;
}

void introduce(Console& console, const TrainRun& run, const Yardsticks& y, const std::string& workers) {
  const Config& c = run.checkpoint.config;
  std::string files = std::filesystem::path(run.files.name()).filename().string();
  if (run.files.paths.size() > 1) files += text(" and ", run.files.paths.size() - 1, " more");
  const Tokenizer& tokenizer = run.checkpoint.tokenizer;
  const std::string unit = tokenizer.cutter().unit;
  const int64_t lines = run.corpus.lines(Split::kAll), marks = c.lines ? (c.pairs ? 2 : 1) * lines + 1 : 0;
  console.note(text(c.counts() ? "Counting " : "Training ", c.family().title,
                    c.family().has("order") ? text(" of order ", c.order) : "", " on ", files, ": ",
                    c.lines ? grouped(lines) + (c.pairs ? " pairs, " : " lines, ") : "",
                    grouped(int64_t(run.corpus.tokens(Split::kAll).size()) - marks), " ", unit, "s, ",
                    tokenizer.size() - c.lines, " distinct, ", c.labels > 0 ? text(c.labels, " labels, ") : "",
                    size_of(*run.checkpoint.model), ", ", workers, ", ", kRealName, ", seed ", c.seed, "."));
  if (c.labels > 0)
    console.note(text("To compare, nats a text", y.held_out ? " of those that validate" : "", ": uniform ",
                      fixed(y.uniform, 2), ", the labels' shares ", fixed(y.unigram, 2), "."));
  else
    console.note(text("To compare, nats a ", unit, y.held_out ? " of the validation text" : "", ": uniform ",
                      fixed(y.uniform, 2), ", unigram ", fixed(y.unigram, 2), ", bigram ", fixed(y.bigram, 2),
                      c.pairs   ? " (of replies, end marks counted)."
                      : c.lines ? " (end marks counted)."
                                : "."));
  if (c.family().has("latent")) {
    console.note("The loss of a VAE is −ELBO, in the mean at least −log p, which gradus eval estimates.");
    if (c.steps > 0 && c.steps < c.kl_anneal)
      console.note(text("note: at the last of ", c.steps, " steps the weight of the KL is ",
                        fixed(double(c.steps) / double(c.kl_anneal), 3),
                        ", so the ELBO itself is never trained; it is where --kl-anneal, here ", c.kl_anneal,
                        ", is at most --steps"));
  }
  if (!run.corpus.note().empty()) console.note("note: " + run.corpus.note());
  if (!run.files.drop.empty()) console.note(dropped_lines(run.files));
  constexpr int64_t kParametersEach = 50;  // parameters for each token that trains; a model that generalises has a few
  const int64_t parameters = parameters_of(*run.checkpoint.model), trains = tokens_of(run.corpus, Split::kTrain);
  if (run.checkpoint.step == 0 && c.steps > 0 && parameters > kParametersEach * trains)
    console.note(text("note: ", grouped(parameters), " parameters learn from ", grouped(trains), " ", unit,
                      "s, so they can learn the text by heart; a longer text, or a smaller model, generalises better"));
}

Json run_record(const TrainRun& run, const Yardsticks& y, const std::optional<double>& entropy_rate) {
  Json record{
      {"type", "run"},
      {"config", Json::parse(to_json(run.checkpoint.config))},
      {"vocabulary", run.checkpoint.tokenizer.size()},
      {"parameters", parameters_of(*run.checkpoint.model)},
      {"real", kRealName},
      {"blas_core", blas_core()},
      {"memory_bytes", run.memory},
      {"corpus", run.files.paths},
      {"corpus_hash", run.files.hash},
      {"tokens",
       {{"train", tokens_of(run.corpus, Split::kTrain)}, {"validation", tokens_of(run.corpus, Split::kValidation)}}},
      {"yardsticks",
       {{"uniform", y.uniform},
        {"unigram", json_number(y.unigram)},
        {"bigram", json_number(y.bigram)},
        {"held_out", y.held_out}}},
      {"entropy_rate", json_number(entropy_rate)},
      {"version", kGradusVersion}};
  if (!run.files.drop.empty()) record.update({{"drop", run.files.drop}, {"dropped_lines", run.files.dropped}});
  return record;
}

}  // namespace gradus
