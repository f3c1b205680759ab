#include "apps/step/train_trace.h"

#include "engine/io/file.h"
#include "engine/step/page.h"
#include "models/loss.h"

namespace gradus {

void refuse_long_trace(const TrainCommand& command, const Checkpoint& run, const Corpus& corpus) {
  const Config& c = run.config;
  if (command.trace_step <= run.step || command.trace_step > c.steps)
    throw UsageError(text("--trace ", command.trace_step, ": this command runs steps ", run.step + 1, " to ", c.steps));
  if (c.counts())
    throw UsageError(text("--trace: a model of the family ", c.model, " is counted and has no gradients"));
  const AtomicFile possible(command.trace_file);  // is not committed, so it leaves nothing
  const int64_t sequences = c.batch / c.shards;
  Tape tape;
  const Tape::Use use(tape);
  tape.new_step({.training = true, .sequences = sequences});
  Batch batch;
  batch.draw(corpus, Split::kTrain, Rng(uint64_t(c.seed), Stream::kBatch, command.trace_step), 0, c.batch);
  backward_from(token_losses(*run.model, batch, 0, sequences), 1);
  if (const TraceSize size = trace_size(tape); !size.fits())
    throw UsageError(text("--trace: a step of this model has ", size.ops, " ops and ", size.numbers,
                          " numbers, but a page holds at most ", kMostOps, " and ", kMostNumbers,
                          "; use a smaller --embd, --hidden, --context or --batch, or a corpus with fewer characters"));
}

std::string write_trace(Shards& shards, int64_t step, const Checkpoint& run, const std::string& file,
                        Console& console) {
  const std::string title = text("step ", step, " of ", run.config.steps, " of training a ", run.config.model, ", ",
                                 shards.count(0), " of ", run.config.batch, " sequences of ", run.config.context);
  try {
    write_file_atomically(file, step_page(record_trace(shards.tape(0), "training", title)));
    console.note(text("Wrote ", file, ", the gradients of step ", step, "."));
  } catch (const WriteError& error) {
    console.warn(error.what());
    return error.what();
  }
  return "";
}

}  // namespace gradus
