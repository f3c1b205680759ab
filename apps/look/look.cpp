// gradus look: what a trained model makes of a text, place by place: on a terminal, as JSON, as a page for the browser.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "apps/console.h"
#include "apps/corpus_files.h"
#include "apps/format.h"
#include "apps/look/page.h"
#include "apps/look/text.h"
#include "apps/report/log.h"
#include "engine/io/file.h"
#include "models/memory.h"
#include "models/text/pairs.h"
#include "models/text/read_text.h"

namespace gradus {

// A text that the model writes: as much as it sees at once, or some lines.
static std::vector<std::vector<int32_t>> drawn_text(const Checkpoint& run, uint64_t seed) {
  constexpr int64_t kTokens = 64, kLines = 6;
  if (run.config.pairs)
    throw UsageError(
        text(run.path, ": is a run of --pairs; name a FILE of pairs to look at, or a --text: PROMPT, a tab, REPLY"));
  const bool lines = run.tokenizer.end_id() >= 0;
  const SampleOptions options{.end_id = run.tokenizer.end_id(), .max_tokens = std::min(kTokens, run.config.context)};
  const std::vector<int32_t> prompt{run.start_id}, of(size_t(lines ? kLines : 1), 0);
  Tape tape;
  const Tape::Use use(tape);
  std::vector<std::vector<int32_t>> sequences;
  for (const Drawn& drawn : draw_sequences(*run.model, {&prompt, 1}, of, options, Rng(seed, Stream::kSample)))
    sequences.push_back(drawn.tokens);
  return sequences;
}

// Of a text that was given: each line of a --lines run with its end mark, and of a --pairs run a mark behind the prompt
// too; else all of it.
static std::vector<std::vector<int32_t>> cut_text(const Checkpoint& run, std::string_view text) {
  const int32_t end_id = run.tokenizer.end_id();
  if (end_id < 0) return {run.tokenizer.encode(text)};
  std::vector<std::vector<int32_t>> sequences;
  for (const std::string_view line : split_lines(text)) {
    sequences.push_back(run.config.pairs ? example_of(run.tokenizer, pair_of(line)).tokens
                                         : run.tokenizer.encode(line));
    sequences.back().push_back(end_id);
  }
  return sequences;
}

static std::vector<std::vector<int32_t>> text_of(const Checkpoint& run, const LookCommand& command) {
  if (command.text_given) return cut_text(run, command.text);
  if (command.file.empty()) return drawn_text(run, uint64_t(command.common.seed));
  const CorpusFiles files = read_corpus_files({command.file}, run.config);
  return placed(files, run.tokenizer, [&] { return cut_text(run, files.content); });
}

// The sizes of layers that the run's log has. Of a checkpoint without its folder there are none.
static std::vector<Json> sizes_of_layers(const std::string& run) {
  const std::string log = run + "/log.jsonl";
  return is_missing_or_empty(log) ? std::vector<Json>() : read_run_log(log, true).layers;
}

static bool has_colours() {
  const char* none = std::getenv("NO_COLOR");
  return can_rewrite(stdout) && (!none || !*none);
}

int look(const LookCommand& command) {
  Console console(command.common);
  const Checkpoint run = load_checkpoint(command.run);
  run.require_one_model("look");
  require_memory(sampling_bytes(*run.model, 1, false) + evaluation_bytes(*run.model, 1, run.config.context, 1),
                 text("looking into ", run.path), "the model remembers too much for this machine");
  const Insight insight = look_into(run, text_of(run, command));
  if (insight.places.empty()) throw UsageError("the text has no token; name a FILE that has some, or a --text");
  const std::vector<Json> training = sizes_of_layers(command.run);
  if (insight.left_out > 0)
    console.note(text("note: the last ", grouped(insight.left_out), " tokens of the text are left out: ",
                      "what is shown has room for ", grouped(int64_t(insight.places.size()))));
  if (!command.html.empty()) {
    write_file_atomically(command.html, look_page(command.run, run, insight, training));
    console.note("Wrote " + command.html + "; open it in a browser.");
  }
  if (command.common.json)
    std::printf("%s\n", to_json(command.run, run, insight, training, false).dump().c_str());
  else if (command.html.empty())
    std::printf("%s%s\n%s%s%s tokens, %s nats a token\n", coloured_text(run, insight, has_colours()).c_str(),
                places_text(run, insight).c_str(), heads_text(insight).c_str(), units_text(insight).c_str(),
                grouped(int64_t(insight.places.size())).c_str(), fixed(insight.nats(), 4).c_str());
  return kDone;
}

}  // namespace gradus
