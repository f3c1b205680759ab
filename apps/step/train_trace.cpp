#include "apps/step/train_trace.h"

#include <algorithm>
#include <cmath>

#include "engine/io/file.h"
#include "engine/step/math.h"
#include "engine/step/page.h"
#include "models/loss.h"

namespace gradus {

namespace {

// While it lives a model that runs on fused ops shows what attention and recurrent layers are made of.
class Opened {
 public:
  explicit Opened(LanguageModel& model) : model_(model), before_(model.rung()) {
    if (&before_ == &fused_rung()) model.use_rung(opened_rung());
  }
  ~Opened() { model_.use_rung(before_); }
  Opened(const Opened&) = delete;

 private:
  LanguageModel& model_;
  const Rung& before_;
};

StepInfo whole_batch(const Config& c, int64_t step) {
  return {.seed = uint64_t(c.seed), .step = step, .training = true, .first_sequence = 0, .sequences = c.batch};
}

// What rows of the weights stand for that have one for each token.
std::map<std::string, std::vector<std::string>> rows_of_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> tokens;
  for (int32_t id = 0; id < tokenizer.size(); ++id) tokens.push_back(tokenizer.token(id));
  return {{"wte.weight", tokens}, {"embedding.weight", tokens}, {"head.weight", tokens}};
}

TraceTable batch_table(Batch& batch, const Tensor& losses, const Tokenizer& tokenizer) {
  TraceTable table{.title = "The batch",
                   .note = "The loss is the mean of −log p(target).",
                   .columns = {"sequence", "token", "target", "p(target)", "−log p"},
                   .rows = {}};
  const auto tokens = batch.inputs_of(0, batch.B), targets = batch.targets_of(0, batch.B);
  for (size_t n = 0; n < tokens.size() && losses.numel() == int64_t(tokens.size()); ++n) {
    if (targets[n] == kNoTarget) continue;
    const double loss = double(losses.data()[n]);
    table.rows.push_back({text(int64_t(n) / batch.T + 1), std::string(tokenizer.token(tokens[n])),
                          std::string(tokenizer.token(targets[n])), std::exp(-loss), loss});
  }
  return table;
}

double largest_difference(std::span<const real> a, std::span<const real> b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(double(a[i]) - double(b[i])));
  return most;
}

constexpr int64_t kAllChecked = 4000, kChecked = 24;  // numbers of a step; elements of each value where it has more

}  // namespace

void refuse_long_trace(const TrainCommand& command, const Checkpoint& run, const Corpus& corpus) {
  const Config& c = run.config;
  if (command.trace_step <= run.step || command.trace_step > c.steps)
    throw UsageError(text("--trace ", command.trace_step, ": this command runs steps ", run.step + 1, " to ", c.steps));
  if (c.counts())
    throw UsageError(text("--trace: a model of the family ", c.model, " is counted and has no gradients"));
  const AtomicFile possible(command.trace_file);  // is not committed, so it leaves nothing
  const Opened opened(*run.model);
  Tape tape;
  const Tape::Use use(tape);
  tape.only_measure();
  tape.new_step(whole_batch(c, command.trace_step));
  Batch batch;
  batch.draw(corpus, Split::kTrain, Rng(uint64_t(c.seed), Stream::kBatch, command.trace_step), 0, c.batch);
  backward_from(token_losses(*run.model, batch, 0, c.batch), 1);
  if (const TraceSize size = trace_size(tape); !size.fits())
    throw UsageError(text("--trace: a step of this model has ", size.ops, " ops and ", size.numbers,
                          " numbers, but a page holds at most ", kMostOps, " and ", kMostNumbers,
                          "; use a smaller --embd, --hidden, --context or --batch, or a corpus with fewer characters"));
}

Trace trace_of(const TracedStep& step, Checkpoint& run) {
  const Config& c = run.config;
  const Params& params = run.model->params();
  const Opened opened(*run.model);
  Tape tape;
  const Tape::Use use(tape);
  tape.new_step(whole_batch(c, step.step));
  const Tensor losses = token_losses(*run.model, step.batch, 0, step.batch.B);
  backward_from(losses, 1 / double(step.batch.scored));
  const int64_t numbers = trace_size(tape).numbers;
  Trace trace = record_trace(
      tape, {.name = "training",
             .title = text("step ", step.step, " of ", c.steps, " of training ", c.family().title, " on a batch of ",
                           c.batch, c.batch == 1 ? " sequence" : " sequences", " of ", step.batch.T, " tokens"),
             .rows = rows_of_tokens(run.tokenizer),
             .checked = numbers > kAllChecked ? kChecked : 0});
  const double difference = largest_difference(step.gradient, tape.gradient(params.array()));
  trace.note = text(
      "Computed again on one tape, with attention and recurrent layers in their parts. The loss and the gradients of ",
      "the parameters are those of the run; ",
      difference == 0 ? "this tape's are the same to the bit."
                      : text("this tape's differ from them by at most ", brief(difference), "."));
  trace.loss = step.loss;
  trace.tables.push_back(batch_table(step.batch, losses, run.tokenizer));
  add_updates(trace, params, *run.optimizer, step.gradient, step.lr, step.factor);
  return trace;
}

std::string write_trace(const TracedStep& step, Checkpoint& run, const std::string& file, Console& console) {
  try {
    write_file_atomically(file, step_page(trace_of(step, run)));
    console.note(text("Wrote ", file, ", step ", step.step, " number by number; open it in a browser."));
  } catch (const WriteError& error) {
    console.warn(error.what());
    return error.what();
  }
  return "";
}

}  // namespace gradus
