#include "apps/train_progress.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/format.h"
#include "apps/overfitting.h"
#include "apps/report/log.h"
#include "engine/error.h"
#include "engine/io/json_number.h"
#include "models/sampler.h"
#include "models/text/utf8.h"

namespace gradus {

// About so many characters.
static std::string draw_sample(const Checkpoint& run, const std::vector<int32_t>& prompt, size_t characters) {
  if (!run.model->draws_texts()) return {};
  Tape tape;
  const Tape::Use use(tape);
  const std::vector<int32_t> of{0};
  const SampleOptions options{.temperature = 0.8, .end_id = run.tokenizer.end_id(), .max_tokens = int64_t(characters)};
  Sampler sampler(*run.model, {&prompt, 1}, of, options, Rng(uint64_t(run.config.seed), Stream::kSample, run.step));
  std::vector<int32_t> ids;
  std::string drawn;
  try {
    while (drawn.size() < characters && sampler.next())
      for (const Sampler::Draw& d : sampler.draws()) ids.push_back(d.token), drawn += run.tokenizer.token(d.token);
  } catch (const DivergedError&) {  // only a picture: the next step will say what is wrong
  }
  const std::string before = run.config.pairs ? run.tokenizer.decode(prompt) + run.joint() : "";
  return valid_utf8(before + run.tokenizer.decode(ids));
}

// What a sample of this step goes on from: of pairs a random prompt, one that validates if there is any.
std::vector<int32_t> TrainProgress::beginning() const {
  if (!run_.config.pairs) return {run_.start_id};
  const Split split = corpus_.has_validation() ? Split::kValidation : Split::kTrain;
  const Rng rng = Rng(uint64_t(run_.config.seed), Stream::kSample, run_.step).at(1);  // the sample itself is number 0
  const Window pair = corpus_.window(split, rng.below(0, corpus_.lines(split)));
  return {pair.inputs.begin(), pair.inputs.begin() + pair.first_scored + 1};
}

static constexpr size_t kLine = 80, kShort = 48;  // columns of a line, and of a sample that is kept for one

// The sample behind what the line says, as far as it fits.
static std::string with_sample(const std::string& line, const std::string& sample) {
  const auto taken = size_t(count_characters(line));
  return line + one_line(sample, kLine - std::min(taken, kLine - 16));
}

TrainProgress::TrainProgress(Console& console, RunFolder& folder, Checkpoint& run, const Corpus& corpus)
    : console_(console), folder_(folder), run_(run), corpus_(corpus), first_(run.step) {
  if (run.step > 0) read_evaluations();
  renew_sample();
  if (run.step == 0 && !sample_.empty() && !run.config.counts()) console_.note(with_sample("step 0  ", sample_));
  if (run.step == 0 && run.config.steps > 0) log_sample();
}

// Of a resumed run, those before this process. They serve notes only, so a log that cannot be read is no matter.
void TrainProgress::read_evaluations() try {
  const RunLog log = read_run_log(folder_.path() + "/log.jsonl", true);
  steps_ = log.evals.step;
  train_ = log.evals["train_loss"];
  validation_ = log.evals["val_loss"];
  noted_ = overfits_since(train_, validation_).has_value();
} catch (const DataError&) {
}

void TrainProgress::end_step(double loss, double lr, double norm, int64_t tokens, const Json& more) {
  const double seconds = step_.seconds();
  tokens_ += tokens;
  training_ += seconds;
  const double per_step = this->seconds() / double(run_.step - first_);
  if (console_.is_live() && (!shown_ || shown_->seconds() > 0.1)) {
    shown_.emplace();
    renew_live_sample();
    console_.live(text("step ", run_.step, "/", run_.config.steps, "  loss ", fixed(loss, 3), "  ",
                       duration(per_step * double(run_.config.steps - run_.step)), " left  ", sample_));
  }
  Json record{{"type", "step"}, {"step", run_.step}, {"loss", loss},
              {"lr", lr},       {"grad_norm", norm}, {"tokens_per_second", double(tokens) / seconds}};
  record.update(more);
  folder_.log(record);
}

void TrainProgress::evaluated(const Losses& losses, bool log) {
  const auto& [train, validation, kl] = losses;
  const bool finite = std::isfinite(train) && std::isfinite(validation.value_or(0));
  if (!finite && !run_.config.counts())  // what was counted may hold a text for impossible
    stop_diverged(run_.step, "the loss of an evaluation is not finite", folder_);
  renew_sample();
  const bool counted = run_.config.counts();
  const std::string when = counted ? "counted" : text("step ", run_.step, "/", run_.config.steps);
  const std::string val = validation ? "  val " + fixed(*validation, 3)
                          : counted  ? "  (no validation: --val-fraction 0)"
                                     : "";
  const std::string bound = kl ? "  −ELBO" : "", of_latent = kl ? text("  KL ", fixed(*kl, 3), " a text") : "";
  console_.note(with_sample(
      text(when, bound, "  train ", fixed(train, 3), val, of_latent, "  ", duration(seconds()), "  "), sample_));
  if (log) {
    log_sample();
    Json record{{"type", "eval"}, {"step", run_.step}, {"train_loss", train}, {"val_loss", json_number(validation)}};
    if (kl) record["kl"] = *kl;
    folder_.log(record);
    steps_.push_back(double(run_.step));
    train_.push_back(train);
    validation_.push_back(validation.value_or(std::numeric_limits<double>::quiet_NaN()));
  }
  if (validation) keep_best(*validation);
  note_overfitting();
}

// Without the optimiser, so that the file is a third of a checkpoint: it is there to be used, not to be continued.
void TrainProgress::keep_best(double validation) {
  if (run_.best_val_loss && validation >= *run_.best_val_loss) return;
  run_.best_val_loss = validation;
  if (run_.config.counts()) return;
  require_finite(run_.model->params(), run_.step, folder_);
  folder_.save_on_the_way(console_, [&] { run_.save_weights(folder_.best()); });
}

void TrainProgress::note_overfitting() {
  const std::optional<size_t> best = overfits_since(train_, validation_);
  if (!best || noted_) return;
  noted_ = true;
  console_.note(text("note: since step ", int64_t(steps_[*best]),
                     " the validation loss rises while the training loss falls: the model learns its text by heart"));
}

void TrainProgress::tell_best() {
  const std::optional<size_t> best = best_evaluation(validation_);
  if (!best || steps_[*best] == double(run_.step) || !folder_.has_best()) return;
  console_.note(text("The best validation ", loss_name(run_.config), " was ", fixed(validation_[*best], 3), " at step ",
                     int64_t(steps_[*best]), "; its weights are in ", folder_.best(), "."));
}

std::string TrainProgress::to_sample() const {
  return overfits_since(train_, validation_) && folder_.has_best() ? folder_.best() : folder_.path();
}

double TrainProgress::tokens_per_second() const { return training_ > 0 ? double(tokens_) / training_ : 0; }

void TrainProgress::renew_sample() {
  const Stopwatch drawing;
  text_ = draw_sample(run_, beginning(), 240);
  sample_ = one_line(text_, kShort);
  sampled_ = run_.step;
  sampling_ = drawing.seconds();
  sampled_ago_.restart();
}

// At most every second, and in one fiftieth of the time.
void TrainProgress::renew_live_sample() {
  if (sampled_ago_.seconds() < std::max(1.0, 50 * sampling_)) return;
  const Stopwatch drawing;
  sample_ = one_line(draw_sample(run_, beginning(), kShort), kShort);
  sampling_ = drawing.seconds();
  sampled_ago_.restart();
}

void TrainProgress::log_sample() {
  if (run_.model->draws_texts()) folder_.log({{"type", "sample"}, {"step", sampled_}, {"text", text_}});
}

}  // namespace gradus
