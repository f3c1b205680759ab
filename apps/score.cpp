// gradus score: the log-probability of each line of standard input, token by token, as sampling would draw it. To a run
// of --pairs a line is a prompt, a tab and the reply, which is scored.
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <numeric>

#include "apps/commands.h"
#include "apps/memory.h"
#include "engine/io/json_number.h"
#include "models/memory.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/pairs.h"
#include "models/text/utf8.h"

namespace gradus {

int score(const ScoreCommand& command) {
  const Checkpoint run = load_checkpoint(command.run);
  require_memory(sampling_bytes(*run.model, 1, false), text("scoring by ", run.path),
                 "the model remembers too much for this machine");
  const int32_t end_id = run.tokenizer.end_id();
  SequenceScorer score(*run.model, run.start_id, command.temperature);
  std::string line;
  errno = 0;
  for (int64_t number_of_line = 1; std::getline(std::cin, line); ++number_of_line) {
    if (line.ends_with('\r')) line.pop_back();
    if (number_of_line == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // a byte order mark
    Pair pair{.prompt = {}, .reply = line};
    Example example;
    try {
      if (run.config.pairs)
        example = example_of(run.tokenizer, pair = pair_of(line));
      else
        example.tokens = run.tokenizer.encode(line);
    } catch (const DataError& error) {
      throw DataError(text("line ", number_of_line, " of standard input: ", error.what()));
    }
    std::vector<int32_t>& tokens = example.tokens;
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
  if (std::cin.bad() || errno == EISDIR) throw DataError("standard input cannot be read: is it a folder?");
  return kDone;
}

}  // namespace gradus
