#include "apps/step/tune_trace.h"

#include "apps/next_command.h"
#include "engine/io/file.h"

namespace gradus {

void refuse_long_trace(const TuneCommand& command, const TuneConfig& config, int64_t done, const LanguageModel& policy,
                       const LanguageModel& prior, const Tuner& tuner, int64_t prompt) {
  if (command.trace_step <= done || command.trace_step > config.steps)
    throw UsageError(
        text("--trace ", command.trace_step, ": this command runs steps ", done + 1, " to ", config.steps));
  if (config.replay > 0)
    throw UsageError(text("--trace shows one batch, but with --replay ", config.replay,
                          " a step is made of earlier ones too; ",
                          command.resume ? "the run keeps its --replay, so begin another with --replay 0"
                                         : "use: " + typed_again({"--replay", "0"}, {"--replay"})));
  const AtomicFile possible(command.trace_file);  // is not committed, so it leaves nothing
  const int64_t M = config.minibatches,
                unit = tuner.method->needs().whole_groups ? std::max<int64_t>(1, config.group) : 1,
                rows = (config.batch / unit + M - 1) / M * unit;
  const TraceSize size =
      trace_size(policy, prior, *tuner.method, rows, prompt + config.max_tokens - 1, config.temperature);
  if (!size.fits())
    throw UsageError(text("--trace: an update of this run has up to ", size.ops, " ops and ", size.numbers,
                          " numbers, but a page holds at most ", kMostOps, " and ", kMostNumbers,
                          "; use a smaller --batch or --max-tokens, more --minibatches, or a smaller model"));
}

}  // namespace gradus
