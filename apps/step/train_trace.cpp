#include "apps/step/train_trace.h"

#include <algorithm>
#include <cmath>

#include "apps/format.h"
#include "apps/next_command.h"
#include "engine/io/file.h"
#include "engine/step/math.h"
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
  tokens.reserve(size_t(tokenizer.size()));
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
    table.rows.push_back({text(int64_t(n) / batch.T), std::string(tokenizer.token(tokens[n])),
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

// What a step of the model on this batch would record.
TraceSize size_of_step(const Config& c, LanguageModel& model, Batch& batch, int64_t step) {
  const Opened opened(model);
  Tape tape;
  const Tape::Use use(tape);
  tape.only_measure();
  tape.new_step(whole_batch(c, step));
  backward_from(token_losses(model, batch, 0, batch.B), 1);
  return trace_size(tape);
}

// The command line as it was typed with smaller numbers, of which as few as will do, so that a page can show a step;
// "" where it is the vocabulary that is too large.
std::string fitting_command(Config c, int64_t vocabulary) {
  struct Smaller {
    const char* option;
    int64_t& value;
    int64_t size;
  };
  std::vector<std::string> more, without;
  const std::vector<std::string>& own = c.family().options;
  for (const auto& [option, value, size] :
       {Smaller{"batch", c.batch, 1}, Smaller{"shards", c.shards, 1}, Smaller{"context", c.context, 16},
        Smaller{"layers", c.layers, 1}, Smaller{"heads", c.heads, 4}, Smaller{"embd", c.embd, 16},
        Smaller{"hidden", c.hidden, 16}}) {
    const bool is_own = std::find(own.begin(), own.end(), option) != own.end();
    const bool of_all = &value == &c.batch || &value == &c.shards || &value == &c.context;
    if (!(is_own || of_all) || value <= size) continue;
    value = size;
    without.push_back(text("--", option));
    more.insert(more.end(), {without.back(), text(size)});
    if (is_own && c.embd % c.heads != 0) continue;  // until --embd is smaller too
    const std::unique_ptr<LanguageModel> model = declare_model(c, vocabulary);
    Batch batch{.inputs = std::vector<int32_t>(size_t(c.batch * c.context), 0), .targets = {}, .windows = {}};
    batch.targets = batch.inputs;
    batch.B = c.batch;
    batch.T = c.context;
    if (size_of_step(c, *model, batch, 1).fits()) return typed_again(more, without);
  }
  return "";
}

}  // namespace

void refuse_long_trace(const TrainCommand& command, const Checkpoint& run, const Corpus& corpus) {
  const Config& c = run.config;
  if (command.trace_step <= run.step || command.trace_step > c.steps)
    throw UsageError(text("--trace ", command.trace_step, ": this command runs steps ", run.step + 1, " to ", c.steps));
  if (c.counts())
    throw UsageError(text("--trace: a model of the family ", c.model, " is counted and has no gradients"));
  const AtomicFile possible(command.trace_file);  // is not committed, so it leaves nothing
  Batch batch;
  batch.draw(corpus, Split::kTrain, Rng(uint64_t(c.seed), Stream::kBatch, command.trace_step), 0, c.batch);
  const TraceSize size = size_of_step(c, *run.model, batch, command.trace_step);
  if (size.fits()) return;
  const std::string command_line = command.resume ? "" : fitting_command(c, run.tokenizer.size());
  throw UsageError(text("--trace: a step of this model has ", grouped(size.ops), " ops and ", grouped(size.numbers),
                        " numbers, but a page holds at most ", grouped(kMostOps), " and ", grouped(kMostNumbers), "; ",
                        command.resume         ? "train a smaller model in a run of its own"
                        : command_line.empty() ? "use a corpus with fewer characters, or --tokenizer byte"
                                               : "a smaller one fits: " + command_line));
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

}  // namespace gradus
