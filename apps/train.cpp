// gradus train: maximum likelihood on a text. The loop is at the end of the file; apps/train_run.h opens a run.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/format.h"
#include "apps/json_number.h"
#include "apps/proposal.h"
#include "apps/signals.h"
#include "apps/step/train_trace.h"
#include "apps/train_run.h"
#include "engine/inspect.h"
#include "engine/long_loop.h"
#include "models/loss.h"
#include "models/sampler.h"
#include "models/text/shell_word.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

// About so many characters.
std::string draw_sample(const Checkpoint& run, size_t characters) {
  Tape tape;
  const Tape::Use use(tape);
  const std::vector<int32_t> prompt{run.start_id}, of{0};
  const SampleOptions options{.temperature = 0.8, .end_id = run.tokenizer.end_id(), .max_tokens = int64_t(characters)};
  Sampler sampler(*run.model, {&prompt, 1}, of, options, Rng(uint64_t(run.config.seed), Stream::kSample, run.step));
  std::vector<int32_t> ids;
  std::string drawn;
  try {
    while (drawn.size() < characters && sampler.next())
      for (const Sampler::Draw& d : sampler.draws()) ids.push_back(d.token), drawn += run.tokenizer.token(d.token);
  } catch (const DivergedError&) {  // only a picture: the next step will say what is wrong
  }
  return valid_utf8(run.tokenizer.decode(ids));
}

// The losses of a moment: over a few random batches on the way, over the whole validation split at the end. What is
// counted has no way, and the loss that was minimised is that of the whole training split.
struct Losses {
  double train;
  std::optional<double> validation;
};
Losses evaluate(const Checkpoint& run, const Corpus& corpus, Shards& shards, bool at_end) {
  const auto loss = [&](Split split, bool whole) {
    return (whole ? loss_of_split(*run.model, corpus, split, shards, run.config.batch)
                  : loss_of_batches(*run.model, corpus, split, shards, run.config.batch, run.step,
                                    run.config.eval_batches))
        .mean();
  };
  Losses losses{loss(Split::kTrain, run.config.counts()), {}};
  if (corpus.has_validation()) losses.validation = loss(Split::kValidation, at_end);
  return losses;
}

// What is told while the loop runs. The log gets every step. A person sees on a terminal one live line with the time
// left and a sample that changes as the model learns, and everywhere a line for each evaluation.
class Progress {
 public:
  Progress(Console& console, RunFolder& folder, Checkpoint& run)
      : console_(console), folder_(folder), run_(run), first_(run.step) {
    renew_sample();
    if (run.step == 0 && !run.config.counts()) console_.note(text("step 0  ", sample_));
    if (run.step == 0 && run.config.steps > 0) log_sample();
  }
  void begin_step() { step_.restart(); }
  void end_step(double loss, double lr, double norm, int64_t tokens) {
    const double seconds = step_.seconds();
    tokens_ += tokens;
    training_ += seconds;
    const double per_step = this->seconds() / double(run_.step - first_);
    if (console_.is_live() && (!shown_ || shown_->seconds() > 0.1)) {
      shown_.emplace();
      console_.live(text("step ", run_.step, "/", run_.config.steps, "  loss ", fixed(loss, 3), "  ",
                         duration(per_step * double(run_.config.steps - run_.step)), " left  ", sample_));
    }
    folder_.log({{"type", "step"},
                 {"step", run_.step},
                 {"loss", loss},
                 {"lr", lr},
                 {"grad_norm", norm},
                 {"tokens_per_second", double(tokens) / seconds}});
  }
  // One that is not finite ends the run. `log` false: it is in the log already.
  void evaluated(const Losses& losses, bool log = true) {
    const auto& [train, validation] = losses;
    const bool finite = std::isfinite(train) && std::isfinite(validation.value_or(0));
    if (!finite && !run_.config.counts())  // what was counted may hold a text for impossible
      stop_diverged(run_.step, "the loss of an evaluation is not finite", folder_);
    if (validation) run_.best_val_loss = std::min(run_.best_val_loss.value_or(INFINITY), *validation);
    renew_sample();
    const std::string when = run_.config.counts() ? "counted" : text("step ", run_.step, "/", run_.config.steps);
    console_.note(text(when, "  train ", fixed(train, 3), validation ? "  val " + fixed(*validation, 3) : "", "  ",
                       duration(seconds()), "  ", sample_));
    if (!log) return;
    log_sample();
    folder_.log({{"type", "eval"}, {"step", run_.step}, {"train_loss", train}, {"val_loss", json_number(validation)}});
  }
  double seconds() const { return all_.seconds(); }
  double tokens_per_second() const {  // evaluation and saving left out
    return training_ > 0 ? double(tokens_) / training_ : 0;
  }

 private:
  void renew_sample() {
    text_ = draw_sample(run_, 240);
    sample_ = one_line(text_, 48);
    sampled_ = run_.step;
  }
  void log_sample() { folder_.log({{"type", "sample"}, {"step", sampled_}, {"text", text_}}); }

  Console& console_;
  RunFolder& folder_;
  Checkpoint& run_;
  const int64_t first_;
  Stopwatch all_, step_;
  std::optional<Stopwatch> shown_;  // since the live line was
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

void save(const Checkpoint& run, const RunFolder& folder) {
  require_finite(run.model->params(), run.step, folder);
  run.save(folder.checkpoint());
}

// Whether the name means this text to this process only, as that of <(...) does.
bool is_of_process(const std::string& path) {
  const std::string whole = std::filesystem::absolute(path).lexically_normal().string();
  return whole.starts_with("/dev/fd/") || (whole.starts_with("/proc/") && whole.find("/fd/") != whole.npos);
}

// A text that cannot be read again without the person, such as a pipe, must be named again, and so must one that was
// named for this process.
Next next_of(const TrainCommand& command, const Checkpoint& run) {
  std::vector<std::string> words{"train"};
  if (command.resume || std::ranges::any_of(run.corpus, [](const std::string& path) {
        std::error_code error;
        return is_of_process(path) || !std::filesystem::is_regular_file(path, error);
      }))
    for (const std::string& path : command.corpus) words.push_back(is_of_process(path) ? "TEXT" : path);
  words.insert(words.end(), {"--out", command.out, "--resume"});
  if (command.trace_step > run.step)
    words.insert(words.end(), {"--trace", std::to_string(command.trace_step), command.trace_file});
  return {proposed(words), proposed({"sample", as_argument(command.out), "--tokens", "400"})};
}

Json result_of(const Checkpoint& run, const std::optional<Losses>& losses, const Progress& progress) {
  return {{"steps", run.step},
          {"train_loss", losses ? Json(losses->train) : Json(nullptr)},
          {"val_loss", losses ? json_number(losses->validation) : Json(nullptr)},
          {"best_val_loss", json_number(run.best_val_loss)},
          {"parameters", run.model->params().size()},
          {"tokens_per_second", progress.tokens_per_second()},
          {"seconds", progress.seconds()}};
}

}  // namespace

int train(const TrainCommand& command) {
  Console console(command.common);
  TrainRun opened = open_train_run(command, console);
  Checkpoint& run = opened.checkpoint;
  const Config& config = run.config;
  const Corpus& corpus = opened.corpus;
  if (command.trace_step > 0) refuse_long_trace(command, run, corpus);
  if (!opened.folder) opened.folder.emplace(make_folder(command.out));
  RunFolder& folder = *opened.folder;
  const bool evaluated = folder.truncate_log(run.step) == "eval";  // by the process before this one
  const bool finished = evaluated && run.step == config.steps;

  Shards shards(int(config.shards), threads_for(command.common, config.shards));
  const Yardsticks yardsticks = corpus.yardsticks(run.tokenizer.size());
  introduce(console, opened, yardsticks, threads_for(command.common, config.shards));
  if (command.resume) console.note(text("Resuming after step ", run.step, " of ", config.steps, "."));
  if (folder.lacks_beginning()) folder.begin_log(run_record(opened, yardsticks, command.entropy_rate));

  const Schedule schedule{config.lr, config.min_lr, config.warmup, config.decay_steps};
  const uint64_t seed = uint64_t(config.seed);
  BatchLoss batch_loss(shards);
  Batch batch;
  Progress progress(console, folder, run);
  // Evaluates, unless it is interrupted: then nothing of it is told, and it is done again when the run goes on.
  const auto evaluate_now = [&](bool at_end, bool log) -> std::optional<Losses> {
    try {
      const Losses losses = evaluate(run, corpus, shards, at_end);
      progress.evaluated(losses, log);
      return losses;
    } catch (const Interrupted&) {
      return {};
    }
  };
  const auto due = [&](int64_t every) { return every > 0 && run.step % every == 0 && run.step < config.steps; };
  catch_interrupts(!command.common.quiet);
  bool stop = false;
  std::string no_trace;                                                                 // why
  if (run.step > 0 && due(config.eval_every) && !evaluated) evaluate_now(false, true);  // it was interrupted
  while (run.step < config.steps && !stop && !interrupted()) {
    const int64_t step = run.step + 1;
    progress.begin_step();
    batch.draw(corpus, Split::kTrain, Rng(seed, Stream::kBatch, step), 0, config.batch);
    const double weight = 1 / double(batch.scored);  // the loss is the mean over the tokens of the batch
    const double loss = weight * batch_loss.forward(*run.model, batch, {.seed = seed, .step = step, .training = true});
    batch_loss.backward(weight);
    const std::span<const real> gradient = shards.gradient(run.model->params());
    const double norm = gradient_norm(gradient), lr = schedule.at(step);
    if (!std::isfinite(loss) || !std::isfinite(norm)) stop_diverged(step, bad_op(shards), folder);
    if (step == command.trace_step) no_trace = write_trace(shards, step, run, command.trace_file, console);
    run.optimizer->step(run.model->params(), gradient, lr, clip_factor(norm, config.clip));
    run.step = step;
    progress.end_step(loss, lr, norm, batch.scored);

    if (due(config.eval_every)) evaluate_now(false, true);
    stop = step == command.stop_after;
    if (due(config.save_every) && !stop && !interrupted()) folder.save_on_the_way(console, [&] { save(run, folder); });
  }
  save(run, folder);

  std::optional<Losses> losses;
  if (!stop && !interrupted()) losses = evaluate_now(true, !finished);
  if (command.common.json) std::printf("%s\n", result_of(run, losses, progress).dump().c_str());
  console.warn(try_write_report(folder.path()));
  const int code = end_run(folder, console, next_of(command, run), run.step, !losses);
  if (!no_trace.empty()) throw WriteError(no_trace);
  return code;
}

}  // namespace gradus
