// gradus sample: text from a trained model, token by token. On a terminal it appears as it is drawn.
#include <unistd.h>

#include "apps/console.h"
#include "engine/io/json.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/utf8.h"

namespace gradus {

// Writes text as it grows: a character that is cut in the middle waits for the rest of its bytes.
class Writer {
 public:
  void add(const std::string& bytes) {
    held_ += bytes;
    const size_t whole = complete_length(held_);
    std::fputs(valid_utf8(std::string_view(held_).substr(0, whole)).c_str(), stdout);
    held_.erase(0, whole);
    if (isatty(STDOUT_FILENO)) std::fflush(stdout);
  }
  void finish() {
    std::fputs((valid_utf8(held_) + "\n").c_str(), stdout);
    held_.clear();
  }

 private:
  std::string held_;
};

int sample(const SampleCommand& command) {
  const Checkpoint run = load_checkpoint(command.run);
  const int32_t end_id = run.tokenizer.end_id();
  if (command.prompt_given && command.prompt.empty() && end_id < 0)
    throw UsageError("--prompt is empty; leave it out to start from a newline");
  const std::vector<int32_t> prompt = run.beginning(command.prompt);
  const SampleOptions options{command.temperature, command.top_k, command.top_p};
  const Rng rng(uint64_t(command.common.seed), Stream::kSample);

  Json samples = Json::array();
  Writer writer;
  for (int64_t i = 0; i < command.count; ++i) {
    const bool show = !command.common.json;
    if (show) writer.add((i > 0 ? "\n---\n" : "") + command.prompt);
    Sampler sampler(*run.model, {&prompt, 1}, options, rng, i);
    std::vector<int32_t> tokens;
    std::vector<double> log_probs;
    bool ended = false;
    for (int64_t t = 0; t < command.tokens && !ended; ++t) {
      sampler.next();
      tokens.push_back(sampler.tokens()[0]);
      log_probs.push_back(sampler.log_probs()[0]);
      ended = tokens.back() == end_id;
      if (!show || ended) continue;
      const bool follows = t > 0 || !command.prompt.empty();
      writer.add((follows ? run.tokenizer.separator() : "") + run.tokenizer.decode({&tokens.back(), 1}));
    }
    if (show) writer.finish();
    samples.push_back({{"text", valid_utf8(run.tokenizer.decode(tokens))},
                       {"tokens", tokens},
                       {"log_probs", log_probs},
                       {"ended", ended}});
  }
  if (command.common.json) std::printf("%s\n", Json{{"samples", samples}}.dump().c_str());
  return kDone;
}

}  // namespace gradus
