// gradus corpus: text of known entropy. Draws whole lines from a grammar; --json prints their entropy, which is the
// lowest expected loss that any model can reach on such text.
#include <unistd.h>

#include <cstdio>

#include "apps/commands.h"
#include "engine/io/json.h"
#include "engine/long_loop.h"
#include "models/grammar/grammar.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

enum { kText = 0, kEstimate = 1 };  // what the random numbers are for: steps of the stream

// nats of a line, as the loss of a token of three kinds of run (data/README.md defines each).
Json rates(const Grammar& grammar, const LineEntropy& entropy) {
  const double tokens = grammar.mean_characters() + 1;  // the end of the line counts
  Json out{{"entropy_rate", entropy.nats / tokens},
           {"exact", entropy.exact},
           {"unit", "nats per character"},
           {"stderr", entropy.standard_error / tokens},
           {"upper_bound", entropy.upper_bound / tokens},
           {"how", entropy.how},
           {"line_entropy", entropy.nats},
           {"characters_per_line", grammar.mean_characters()},
           {"words_per_line", nullptr},
           {"word_entropy_rate", nullptr}};
  if (const auto words = grammar.mean_words()) {
    out["words_per_line"] = *words;
    out["word_entropy_rate"] = entropy.nats / (*words + 1);
  }
  return out;
}

void write(const CorpusCommand& command, const Grammar& grammar) {
  const uint64_t seed = uint64_t(command.common.seed);
  Json result;
  if (command.common.json) result = rates(grammar, grammar.entropy(Rng(seed, Stream::kSample, kEstimate)));

  const Rng rng(seed, Stream::kSample, kText);
  const bool on_terminal = isatty(STDOUT_FILENO) == 1;
  int64_t bytes = 0, lines = 0;
  double nats = 0;
  int64_t characters = 0;
  if (!command.common.json && isatty(STDOUT_FILENO)) watch_with(nullptr);  // the text itself shows how far it is
  const LongLoop loop("writing bytes", command.bytes);
  for (; bytes < command.bytes; ++lines) {
    loop.at(bytes);
    const std::string line = grammar.derive(rng.at(lines)) + "\n";
    bytes += int64_t(line.size());
    if (!command.common.json) {
      const std::string shown = on_terminal ? harmless(line) : line;
      std::fwrite(shown.data(), 1, shown.size(), stdout);
      if (std::ferror(stdout)) break;  // main says so
      continue;
    }
    nats -= grammar.log_probability(std::string_view(line).substr(0, line.size() - 1));
    for (const char c : line) characters += (c & 0xC0) != 0x80;
  }
  if (!command.common.json) return;
  // The text that the same command writes without --json, under the true distribution.
  if (lines > 0)
    result["text"] = {
        {"bytes", bytes}, {"lines", lines}, {"characters", characters}, {"entropy_rate", nats / double(characters)}};
  std::printf("%s\n", result.dump().c_str());
}

}  // namespace

int corpus(const CorpusCommand& command) {
  const Grammar grammar = Grammar::read(command.grammar);
  try {
    write(command, grammar);
  } catch (const DataError& error) {
    throw DataError(text(command.grammar, ": ", error.what()));
  }
  return kDone;
}

}  // namespace gradus
