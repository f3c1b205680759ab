// gradus score: the log-probability of each line of standard input, token by token, as sampling would draw it. To a run
// of --pairs a line is a prompt, a tab and the reply, which is scored.
#include <cstdio>
#include <numeric>

#include "apps/commands.h"
#include "apps/input_lines.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "models/memory.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/pairs.h"
#include "models/text/utf8.h"

namespace gradus {

int score(const ScoreCommand& command) {
  if (command.temperature > 0) note_action_values({command.run}, command.common);
  const Checkpoint run = load_checkpoint(command.run);
  require_memory(sampling_bytes(*run.model, 1, false), text("scoring by ", run.path),
                 "the model remembers too much for this machine");
  const int32_t end_id = run.tokenizer.end_id();
  SequenceScorer score(*run.model, run.start_id, command.temperature);
  InputLines input;
  for (std::string line; input.next(line);) {
    Pair pair{.prompt = {}, .reply = line};
    Example example;
    try {
      if (run.config.pairs)
        example = example_of(run.tokenizer, pair = pair_of(line));
      else
        example.tokens = run.tokenizer.encode(line);
    } catch (const DataError& error) {
      throw DataError(text(input.place(), ": ", error.what()));
    }
    std::vector<int32_t>& tokens = example.tokens;
    constexpr double kOfToken = 300;  // bytes of its id and log-probability, in lists and as JSON
    require_memory(kOfToken * double(tokens.size()), input.place(), "score it in parts");
    if (end_id >= 0) tokens.push_back(end_id);
    std::vector<double> log_probs = score({&tokens, 1})[0];
    tokens.erase(tokens.begin(), tokens.begin() + example.given);
    log_probs.erase(log_probs.begin(), log_probs.begin() + example.given);
    const double sum = std::accumulate(log_probs.begin(), log_probs.end(), 0.0);
    Json record = Json::object();
    if (run.config.pairs) record["prompt"] = valid_utf8(pair.prompt);
    record.update({{"text", valid_utf8(pair.reply)},
                   {"tokens", tokens},
                   {"log_probs", json_numbers(log_probs)},
                   {"log_prob", json_number(sum)}});
    std::printf("%s\n", record.dump().c_str());
    std::fflush(stdout);  // a program that sends lines one by one gets each answer at once
  }
  return kDone;
}

}  // namespace gradus
