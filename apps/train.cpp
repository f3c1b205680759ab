// gradus train: maximum likelihood on a text. The loop is at the end of the file; what stands before it opens a run,
// new or resumed, and tells a person what to expect. That makes it long: a run is read here from beginning to end.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "apps/console.h"
#include "apps/run_folder.h"
#include "apps/step/train_trace.h"
#include "apps/text.h"
#include "engine/blas.h"
#include "engine/inspect.h"
#include "engine/version.h"
#include "models/counted/count_trie.h"
#include "models/families.h"
#include "models/loss.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"

namespace gradus {

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double numbers_in_memory() {
  return double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE)) / double(sizeof(real));
}

// Numbers that may be allocated for parameters: each is held as value, both moments and one gradient for each shard.
int64_t parameter_limit(const Config& config) { return int64_t(numbers_in_memory() / double(4 + config.shards)); }

// Better a sentence now than a machine that swaps.
void refuse_batch_beyond_memory(const Config& c, const LanguageModel& model) {
  const double needed = double(c.batch) * double(c.context) * double(model.numbers_per_token());
  if (needed > numbers_in_memory())
    throw UsageError(text("a step with --batch ", c.batch, " and --context ", c.context, " needs more than ",
                          fixed(needed * double(sizeof(real)) / 1e9, 0), " GB, this machine has ",
                          fixed(numbers_in_memory() * double(sizeof(real)) / 1e9, 0),
                          "; take a smaller --batch or --context"));
}

// A new model; the families that count are fitted here, by counting.
std::unique_ptr<LanguageModel> new_model(const Config& config, const Tokenizer& tokenizer, const Text& corpus) {
  std::vector<double> counts;
  if (config.counts()) counts = count_tokens(config, Corpus(config.corpus(), tokenizer, corpus.content, corpus.name()));
  try {
    return make_model(config, tokenizer.size(), parameter_limit(config), std::move(counts));
  } catch (const DataError& error) {
    throw UsageError(error.what());  // options, not a file, ask for too much
  }
}

Checkpoint begin_run(Config config, const Text& corpus) {
  const Tokenizer::Kind kind = Tokenizer::parse_kind(config.tokenizer);
  Tokenizer tokenizer = config.lines ? Tokenizer::from_lines(kind, split_lines(corpus.content))
                                     : Tokenizer::from_text(kind, corpus.content);
  config.end_id = tokenizer.end_id();
  std::unique_ptr<LanguageModel> model = new_model(config, tokenizer, corpus);
  if (!config.counts()) refuse_batch_beyond_memory(config, *model);
  const bool newline = corpus.content.find('\n') != std::string::npos;
  const int32_t start = config.lines ? tokenizer.end_id() : tokenizer.encode(newline ? "\n" : corpus.content)[0];
  std::optional<AdamW> optimizer;
  if (!config.counts()) optimizer.emplace(model->params(), adamw_options(config));
  return {config, std::move(tokenizer), std::move(model), std::move(optimizer), 0, {},
          start,  corpus.files,         corpus.hash,      blas_core(),          ""};
}

// The files of a run in another order are another text; unless they changed too, a sentence names the right one.
void refuse_other_order(const Checkpoint& run, const Text& corpus) {
  if (corpus.files == run.corpus || read_texts(run.corpus, run.config).hash != run.corpus_hash) return;
  std::string order;
  for (const std::string& file : run.corpus) order += (order.empty() ? "" : ", then ") + file;
  throw DataError(text("the texts of the run in ", run.path,
                       " are named in another order than it was trained on: ", order, "; name them so, or none"));
}

// The checkpoint of a run that goes on, checked against the corpus.
Checkpoint resume_run(TrainCommand& command, Text& corpus, Console& console) {
  Checkpoint run = load_checkpoint(command.out);
  if (!run.tuning.empty())
    throw UsageError(
        text(command.out, ": is a fine-tuned run; continue it with gradus tune --out ", command.out, " --resume"));
  if (run.config.counts())
    throw UsageError(text(command.out, ": a model of the family ", run.config.model,
                          " is counted at once; there is nothing to resume"));
  if (!run.optimizer)
    throw DataError(text(run.path, ": holds no optimiser state, training cannot be resumed from it; start a new run"));
  corpus = read_texts(command.corpus.empty() ? run.corpus : command.corpus, run.config);
  if (corpus.hash != run.corpus_hash &&
      std::is_permutation(corpus.files.begin(), corpus.files.end(), run.corpus.begin(), run.corpus.end()))
    refuse_other_order(run, corpus);
  if (corpus.hash != run.corpus_hash)
    throw DataError(text(corpus.files[0], ": is not the text that the run in ", command.out,
                         " was trained on; name that text, or start a new run with another --out"));
  if (command.stop_after > 0 && command.stop_after <= run.step)
    throw UsageError(text("--stop-after ", command.stop_after, ": the run in ", command.out, " has already done ",
                          run.step, "; name a later step"));
  if (command.steps_given) {
    if (command.config.steps < run.step)
      throw UsageError(text("--steps ", command.config.steps, ": the run in ", command.out, " has already done ",
                            run.step, "; --steps counts from its beginning"));
    if (run.config.decay_steps == 0) run.config.decay_steps = command.config.steps;  // --steps 0 said nothing of it
    run.config.steps = command.config.steps;
  }
  if (run.blas_core != blas_core())
    console.note(text("note: the run began on OpenBLAS ", run.blas_core, " kernels, this machine uses ", blas_core(),
                      "; results will differ in the last bits"));
  const Params& params = run.model->params();
  if (const int64_t i = first_not_finite(params); i >= 0)
    throw DataError(
        text(run.path, ": ", params.name(i), " holds a number that is not finite; training cannot go on from it"));
  return run;
}

std::string draw_sample(const Checkpoint& run, int64_t tokens) {
  Tape tape;
  const Tape::Use use(tape);
  const std::vector<int32_t> prompt{run.start_id}, of{0};
  const SampleOptions options{.temperature = 0.8, .end_id = run.tokenizer.end_id(), .max_tokens = tokens};
  Sampler sampler(*run.model, {&prompt, 1}, of, options, Rng(uint64_t(run.config.seed), Stream::kSample, run.step));
  std::vector<int32_t> ids;
  try {
    while (sampler.next())
      for (const Sampler::Draw& d : sampler.draws()) ids.push_back(d.token);
  } catch (const DivergedError&) {  // only a picture: the next step will say what is wrong
  }
  return valid_utf8(run.tokenizer.decode(ids));
}

void introduce(Console& console, const Checkpoint& run, const Text& corpus, const Corpus& tokens, const Yardsticks& y,
               int threads) {
  const Config& c = run.config;
  std::string files = std::filesystem::path(corpus.files[0]).filename().string();
  if (corpus.files.size() > 1) files += text(" and ", corpus.files.size() - 1, " more");
  const std::string unit = run.tokenizer.unit(), of = unit == "character" ? "letter" : unit;
  const int64_t lines = tokens.lines(Split::kAll), marks = c.lines ? lines + 1 : 0;
  console.note(text(c.counts() ? "Counting " : "Training ", c.family().title,
                    c.family().has("order") ? text(" of order ", c.order) : "", " on ", files, ": ",
                    c.lines ? grouped(lines) + " lines, " : "",
                    grouped(int64_t(tokens.tokens(Split::kAll).size()) - marks), " ", unit, "s, ",
                    run.tokenizer.size() - c.lines, " distinct, ", grouped(run.model->params().size()), " parameters, ",
                    threads, threads == 1 ? " thread, " : " threads, ", kRealName, ", seed ", c.seed, "."));
  console.note(text("Yardsticks, nats per ", unit, ": uniform ", fixed(y.uniform, 2), ", ", of, " frequencies ",
                    fixed(y.unigram, 2), ", ", of, " pairs ", fixed(y.bigram, 2), c.lines ? " (marks counted)." : "."));
  if (!tokens.note().empty()) console.note("note: " + tokens.note());
}

// What a person sees while the loop runs: on a terminal one live line with the time left and a sample that changes as
// the model learns; a line of its own for every evaluation.
class Progress {
 public:
  Progress(Console& console, const Checkpoint& run) : console_(console), run_(run), first_(run.step) {
    renew_sample();
    if (run.step == 0 && !run.config.counts()) console_.note(text("step 0  ", sample_));
  }
  void begin_step() { step_begin_ = Clock::now(); }
  double end_step(double loss, int64_t tokens) {  // seconds of the step
    const double seconds = seconds_since(step_begin_);
    tokens_ += tokens;
    training_ += seconds;
    const double per_step = seconds_since(begin_) / double(run_.step - first_);
    if (console_.is_live() && seconds_since(shown_) > 0.1) {
      shown_ = Clock::now();
      console_.live(text("step ", run_.step, "/", run_.config.steps, "  loss ", fixed(loss, 3), "  ",
                         duration(per_step * double(run_.config.steps - run_.step)), " left  ", sample_));
    }
    return seconds;
  }
  void report(double train, const std::optional<double>& validation) {
    renew_sample();
    const std::string when = run_.config.counts() ? "counted" : text("step ", run_.step, "/", run_.config.steps);
    console_.note(text(when, "  train ", fixed(train, 3), validation ? "  val " + fixed(*validation, 3) : "", "  ",
                       duration(seconds()), "  ", sample_));
  }
  // What the model wrote last.
  Json sample_record() const { return {{"type", "sample"}, {"step", sampled_}, {"text", text_}}; }
  double seconds() const { return seconds_since(begin_); }
  double tokens_per_second() const {  // evaluation and saving left out
    return training_ > 0 ? double(tokens_) / training_ : 0;
  }

 private:
  void renew_sample() {
    text_ = draw_sample(run_, 240);
    sample_ = one_line(text_, 48);
    sampled_ = run_.step;
  }

  Console& console_;
  const Checkpoint& run_;
  const int64_t first_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point step_begin_, shown_;
  double training_ = 0;
  std::string text_, sample_;  // and its first line
  int64_t sampled_ = 0, tokens_ = 0;
};

// The first op of the step that made a number that is not finite, in a sentence.
std::string bad_op(Shards& shards) {
  for (int s = 0; s < shards.size(); ++s)
    if (shards.count(s) > 0)
      if (const auto bad = why_nan(shards.tape(s))) return bad->sentence;
  return "the loss or the gradient is not finite";
}

// A finite loss says nothing of the weights after its update: they must not replace a good checkpoint unseen.
void save(const Checkpoint& run, const RunFolder& folder) {
  const Params& params = run.model->params();
  if (const int64_t i = first_not_finite(params); i >= 0)
    stop_diverged(run.step, params.name(i) + " is not finite after its update", folder);
  run.save(folder.checkpoint());
}

// Opens a run, new or resumed; `corpus` becomes its text. A run that goes on is locked before it is read.
Checkpoint open_run(TrainCommand& command, Text& corpus, std::optional<RunFolder>& folder, Console& console) {
  if (command.resume) {
    if (!RunFolder::has_checkpoint(command.out))
      throw DataError(text(command.out,
                           ": there is no checkpoint.safetensors to resume from; without --resume a run begins there"));
    folder.emplace(command.out);
    return resume_run(command, corpus, console);
  }
  refuse_existing(command.out);
  try {
    command.config.resolve(cores());
  } catch (const DataError& error) {
    throw UsageError(error.what());  // two options that do not fit together
  }
  corpus = read_texts(command.corpus, command.config);
  return begin_run(command.config, corpus);
}

// The losses of a moment: over a few random batches on the way, over the whole validation split at the end. What is
// counted has no way, and the loss that was minimised is that of the whole training split. Nothing if it was
// interrupted.
struct Losses {
  double train;
  std::optional<double> validation;
};
std::optional<Losses> evaluate(const Checkpoint& run, const Corpus& corpus, Shards& shards, bool at_end) {
  const auto loss = [&](Split split, bool whole) {
    return (whole ? loss_of_split(*run.model, corpus, split, shards, run.config.batch, 0, interrupted)
                  : loss_of_batches(*run.model, corpus, split, shards, run.config.batch, run.step,
                                    run.config.eval_batches, interrupted))
        .mean();
  };
  Losses losses{loss(Split::kTrain, run.config.counts()), {}};
  if (corpus.has_validation()) losses.validation = loss(Split::kValidation, at_end);
  if (interrupted()) return {};
  return losses;
}

Json or_null(const std::optional<double>& x) { return x ? number(*x) : Json(nullptr); }

}  // namespace

int train(TrainCommand command) {
  Console console(command.common);
  Text content;
  std::optional<RunFolder> locked;
  Checkpoint run = open_run(command, content, locked, console);
  const Config& config = run.config;
  const Corpus corpus(config.corpus(), run.tokenizer, content.content, content.name());
  if (command.trace_step > 0) refuse_long_trace(command, run, corpus);
  if (!locked) {  // a new run makes its folder only now, so that a mistake leaves none behind
    locked.emplace(command.out);
    refuse_existing(command.out);  // another process may have trained here meanwhile
  }
  RunFolder& folder = *locked;
  const bool evaluated = folder.truncate_log(run.step) == "eval";  // by the process before this one
  const bool finished = evaluated && run.step == config.steps;
  const int threads = threads_for(command.common, config.shards);
  const Yardsticks y = corpus.yardsticks(run.tokenizer.size());
  introduce(console, run, content, corpus, y, threads);
  if (command.resume) console.note(text("Resuming after step ", run.step, " of ", config.steps, "."));
  if (run.step == 0)
    folder.log(
        {{"type", "run"},
         {"config", Json::parse(to_json(config))},
         {"vocabulary", run.tokenizer.size()},
         {"parameters", run.model->params().size()},
         {"real", kRealName},
         {"blas_core", blas_core()},
         {"corpus", content.files},
         {"corpus_hash", content.hash},
         {"tokens",
          {{"train", corpus.tokens(Split::kTrain).size()}, {"validation", corpus.tokens(Split::kValidation).size()}}},
         {"yardsticks", {{"uniform", y.uniform}, {"unigram", y.unigram}, {"bigram", y.bigram}}},
         {"entropy_rate", or_null(command.entropy_rate)},
         {"version", kGradusVersion}});

  const Schedule schedule{config.lr, config.min_lr, config.warmup, config.decay_steps};
  const uint64_t seed = uint64_t(config.seed);
  Params& params = run.model->params();
  Shards shards(int(config.shards), threads);
  BatchLoss batch_loss(shards);
  Batch batch;
  Progress progress(console, run);
  if (run.step == 0 && config.steps > 0) folder.log(progress.sample_record());
  const auto note_losses = [&](const std::optional<Losses>& losses, bool log) {
    if (!losses) return;
    const Losses& l = *losses;
    const bool finite = std::isfinite(l.train) && std::isfinite(l.validation.value_or(0));
    if (!finite && !config.counts())  // what was counted may hold a text for impossible
      stop_diverged(run.step, "the loss of an evaluation is not finite", folder);
    if (l.validation) run.best_val_loss = std::min(run.best_val_loss.value_or(INFINITY), *l.validation);
    progress.report(l.train, l.validation);
    if (!log) return;
    folder.log(progress.sample_record());
    folder.log({{"type", "eval"}, {"step", run.step}, {"train_loss", l.train}, {"val_loss", or_null(l.validation)}});
  };
  const auto due = [&](int64_t every) { return every > 0 && run.step % every == 0 && run.step < config.steps; };
  catch_interrupts();
  bool stop = false;
  if (run.step > 0 && due(config.eval_every) && !evaluated)  // it was interrupted
    note_losses(evaluate(run, corpus, shards, false), true);
  while (run.step < config.steps && !stop) {
    const int64_t step = run.step + 1;
    progress.begin_step();
    batch.draw(corpus, Split::kTrain, Rng(seed, Stream::kBatch, step), 0, config.batch);
    const double weight = 1 / double(batch.scored);  // the loss is the mean over the tokens of the batch
    const double loss = weight * batch_loss.forward(*run.model, batch, {.seed = seed, .step = step, .training = true});
    batch_loss.backward(weight);
    const std::span<const real> gradient = shards.gradient(params);
    const double norm = gradient_norm(gradient), lr = schedule.at(step);
    if (!std::isfinite(loss) || !std::isfinite(norm)) stop_diverged(step, bad_op(shards), folder);
    if (step == command.trace_step) write_trace(shards, step, run, command.trace_file, console);
    run.optimizer->step(params, gradient, lr, clip_factor(norm, config.clip));
    run.step = step;
    const double rate = double(batch.scored) / progress.end_step(loss, batch.scored);
    folder.log({{"type", "step"},
                {"step", step},
                {"loss", loss},
                {"lr", lr},
                {"grad_norm", norm},
                {"tokens_per_second", rate}});

    if (due(config.eval_every)) note_losses(evaluate(run, corpus, shards, false), true);
    stop = interrupted() || step == command.stop_after;
    if (due(config.save_every) && !stop) save(run, folder);
  }
  save(run, folder);

  Json result{{"steps", run.step}, {"train_loss", nullptr}, {"val_loss", nullptr}, {"best_val_loss", nullptr}};
  if (!stop) {
    const std::optional<Losses> losses = evaluate(run, corpus, shards, true);
    note_losses(losses, !finished);
    stop = !losses;
    if (losses) result["train_loss"] = losses->train;
    if (losses) result["val_loss"] = or_null(losses->validation);
  }
  result["best_val_loss"] = or_null(run.best_val_loss);
  result["parameters"] = params.size();
  result["tokens_per_second"] = progress.tokens_per_second();
  result["seconds"] = progress.seconds();
  if (command.common.json) std::printf("%s\n", result.dump().c_str());
  return end_run(folder, console, "train", run.step, stop, 400);
}

}  // namespace gradus
