// gradus score: the log-probability of each line of standard input, token by token, as sampling would draw it. To a run
// of --pairs a line is a prompt, a tab and the reply, which is scored. Of a VAE it is estimated.
#include <cstdio>
#include <numeric>
#include <optional>

#include "apps/commands.h"
#include "apps/input_lines.h"
#include "apps/latent.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "models/memory.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/pairs.h"
#include "models/text/utf8.h"

namespace gradus {

static LatentScore latent_score(const Vae& vae, const Checkpoint& run, const std::vector<int32_t>& tokens,
                                const ScoreCommand& command, int64_t line) {
  const auto length = std::ssize(tokens);
  require_memory(score_text_bytes(vae, length), text("a line of ", length, " tokens"), "score it in parts");
  Tape tape;
  const Tape::Use use(tape);
  const Rng rng = latent_rng(uint64_t(command.common.seed)).at(line, 2);
  return score_text(vae, run.start_id, tokens, latent_draws(run, command.importance), rng, command.temperature);
}

int score(const ScoreCommand& command) {
  if (command.temperature > 0) note_action_values({command.run}, command.common);
  const Checkpoint run = load_writer(command.run);
  note_burn_in(run, command.common);
  const Vae* const vae = vae_in(*run.model);
  const int64_t draws = latent_draws(run, command.importance);
  require_memory(sampling_bytes(*run.model, 1, false), text("scoring by ", run.path),
                 "the model remembers too much for this machine");
  const int32_t end_id = run.tokenizer.end_id();
  SequenceScorer score(*run.model, run.start_id, command.temperature);
  InputLines input;
  std::string line;
  for (int64_t number = 0; input.next(line); ++number) {
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
    std::optional<LatentScore> latent;
    if (vae) latent = latent_score(*vae, run, tokens, command, number);
    std::vector<double> log_probs = latent ? latent->log_probs : score({&tokens, 1})[0];
    tokens.erase(tokens.begin(), tokens.begin() + example.given);
    log_probs.erase(log_probs.begin(), log_probs.begin() + example.given);
    const double sum = std::accumulate(log_probs.begin(), log_probs.end(), 0.0);
    Json record = Json::object();
    if (run.config.pairs) record["prompt"] = valid_utf8(pair.prompt);
    record.update({{"text", valid_utf8(pair.reply)},
                   {"tokens", tokens},
                   {"log_probs", json_numbers(log_probs)},
                   {"log_prob", json_number(sum)}});
    if (latent) record["latent"] = latent_json(latent->bounds, draws);
    std::printf("%s\n", record.dump().c_str());
    std::fflush(stdout);  // a program that sends lines one by one gets each answer at once
  }
  return kDone;
}

}  // namespace gradus
