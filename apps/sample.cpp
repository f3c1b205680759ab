// gradus sample: text from a trained model, token by token. On a terminal it appears as it is drawn.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "apps/console.h"
#include "models/checkpoint.h"
#include "models/sampler.h"

namespace gradus {

int sample(const SampleCommand& command) {
  const Checkpoint run = load_checkpoint(command.run);
  std::vector<int32_t> prompt{run.start_id};
  if (command.prompt_given) {
    if (command.prompt.empty()) throw UsageError("--prompt is empty; leave it out to start from a newline");
    prompt = run.tokenizer.encode(command.prompt);
  }
  const SampleOptions options{command.temperature, command.top_k, command.top_p};
  const Rng rng(uint64_t(command.common.seed), Stream::kSample);

  nlohmann::ordered_json samples = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < command.count; ++i) {
    const bool show = !command.common.json;
    if (show) std::fputs(text(i > 0 ? "\n---\n" : "", command.prompt_given ? command.prompt : "").c_str(), stdout);
    Sampler sampler(*run.model, {&prompt, 1}, options, rng, i);
    std::vector<int32_t> tokens;
    std::vector<double> log_probs;
    for (int64_t t = 0; t < command.tokens; ++t) {
      sampler.next();
      tokens.push_back(sampler.tokens()[0]);
      log_probs.push_back(sampler.log_probs()[0]);
      if (!show) continue;
      std::fputs(run.tokenizer.token(tokens.back()).c_str(), stdout);
      if (isatty(STDOUT_FILENO)) std::fflush(stdout);
    }
    if (show) std::fputs("\n", stdout);
    samples.push_back(
        {{"text", run.tokenizer.decode(tokens)}, {"tokens", tokens}, {"log_probs", log_probs}, {"ended", false}});
  }
  if (command.common.json) std::printf("%s\n", nlohmann::ordered_json{{"samples", samples}}.dump().c_str());
  return kDone;
}

}  // namespace gradus
