// gradus eval: how well a run predicts a text; with --metric, apps/eval_replies.cpp, how well it replies.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "apps/console.h"
#include "apps/corpus_files.h"
#include "apps/format.h"
#include "apps/latent.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "models/loss.h"
#include "models/memory.h"
#include "models/run/checkpoint.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"

namespace gradus {

// Code points of the scored part of a split, as the text has them: white space between words and before the ends of
// lines too, and for the end mark of a line its end, \n or \r\n. Of a stream the first token is not scored, and of a
// pair the prompt and its tab.
static int64_t characters(const Tokenizer& tokenizer, const Corpus& corpus, Split split, std::string_view text,
                          const Config& config) {
  if (!config.lines) {
    const int64_t first = split == Split::kValidation ? int64_t(corpus.tokens(Split::kTrain).size()) : 0;
    return count_characters(text, tokenizer.bytes_of(text, first + 1),
                            tokenizer.bytes_of(text, first + int64_t(corpus.tokens(split).size())));
  }
  int64_t n = 0;
  const std::vector<std::string_view> lines = split_lines(text);
  for (int64_t i = 0; i < corpus.lines(split); ++i) {
    const auto at = size_t(corpus.source_line(split, i));
    const char* const end = at + 1 < lines.size() ? lines[at + 1].data() : text.data() + text.size();
    const size_t prompt = config.pairs ? lines[at].find('\t') + 1 : 0;
    const std::string_view scored(lines[at].data() + prompt, size_t(end - lines[at].data()) - prompt);
    const auto [inputs, targets, given, label] = corpus.window(split, i);
    const bool cut = targets.back() != tokenizer.end_id();
    n += count_characters(scored, 0, cut ? tokenizer.bytes_of(scored, std::ssize(targets) - given) : scored.size());
  }
  return n;
}

namespace {

struct Measured {
  double nats;  // −log p, or of a VAE its importance-weighted estimate
  int64_t tokens;
  std::optional<LatentBounds> latent;
};
Measured measure(const Checkpoint& run, const EvalCommand& command, const Corpus& corpus, Split split, int64_t stride,
                 const Config& config) {
  if (const Vae* vae = vae_in(*run.model)) {
    Pool pool(threads_for(command.common, corpus.windows(split)));
    size_t longest = 1;
    for (int64_t i = 0; i < corpus.windows(split); ++i)
      longest = std::max(longest, corpus.window(split, i).targets.size());
    require_memory(
        double(pool.threads()) * score_text_bytes(*vae, int64_t(longest)),
        text("measuring ", run.path, " on ", pool.threads(), " texts at once, of up to ", longest, " tokens"),
        "use fewer --threads");
    const LatentBounds sum = bounds_of_split(*vae, corpus, split, latent_draws(run, command.importance),
                                             uint64_t(command.common.seed), pool);
    return {.nats = -sum.importance, .tokens = sum.tokens, .latent = sum};
  }
  require_memory(
      evaluation_bytes(*run.model, config.batch, config.context, config.shards),
      text("measuring ", run.path, " in batches of ", config.batch, " sequences of ", config.context, " tokens"),
      "the run's own --batch and --context set it");
  Shards shards(int(config.shards), threads_for(command.common, config.shards));
  const SplitLoss loss = loss_of_split(*run.model, corpus, split, shards, config.batch, stride);
  return {.nats = loss.nats, .tokens = loss.tokens, .latent = {}};
}

}  // namespace

int eval(const EvalCommand& command) {
  if (!command.metric.empty()) return eval_replies(command);
  Console console(command.common);
  const Checkpoint run = load_any_checkpoint(command.run);
  note_burn_in(run, command.common);
  if (!run.labels.empty()) throw DataError(text(run.path, ": is a classifier; measure it with gradus classify report"));
  const int64_t draws = latent_draws(run, command.importance);
  Config config = run.config;
  if (command.stride > config.context)
    throw UsageError(text("--stride ", command.stride, ": must be a whole number from 1 to the context of the run, ",
                          config.context));
  if (command.stride > 0 && config.lines) console.note("note: --stride has no meaning for a run of --lines or --pairs");
  const CorpusFiles content = read_corpus_files(command.corpus, config, command.drop);
  const Split split = row_named(kSplits, command.split, "split").value;
  int64_t stride = command.stride;
  if (split == Split::kAll) {
    config.val_fraction = 0;
    if (!config.lines) {  // a text shorter than the context is one window
      const int64_t tokens =
          int64_t(placed(content, run.tokenizer, [&] { return run.tokenizer.encode(content.content); }).size());
      config.context = std::clamp<int64_t>(tokens - 1, 1, config.context);
      stride = std::min(stride, config.context);
    }
  }
  const Corpus corpus = placed(content, run.tokenizer,
                               [&] { return Corpus(config.corpus(), run.tokenizer, content.content, content.name()); });
  if (split == Split::kValidation && !corpus.has_validation())
    throw DataError(text(content.name(), ": has no validation split: --val-fraction of the run is ",
                         config.val_fraction, " and the text has ", corpus.tokens(Split::kAll).size(),
                         " tokens; use --split all"));
  if (!content.drop.empty()) console.note(dropped_lines(content));
  if (!corpus.note().empty()) console.note("note: " + corpus.note());

  const Measured loss = measure(run, command, corpus, split, stride, config);
  if (std::isnan(loss.nats))
    throw DivergedError(text(run.path, ": the loss of its model on this text is not a number"));
  const double bits =
      loss.nats / std::log(2.0) / double(characters(run.tokenizer, corpus, split, content.content, config));
  const double mean = loss.nats / double(loss.tokens);
  Json result{{"tokens", loss.tokens},
              {"nats_per_token", json_number(mean)},
              {"bits_per_character", json_number(bits)},
              {"perplexity", json_number(std::exp(mean))}};
  if (loss.latent) result["latent"] = latent_json(*loss.latent, draws);
  if (command.common.json)
    std::printf("%s\n", result.dump().c_str());
  else
    std::printf("%s tokens, %s nats a token, %s bits a character, perplexity %s\n", grouped(loss.tokens).c_str(),
                fixed(mean, 4).c_str(), fixed(bits, 4).c_str(), fixed(std::exp(mean), 3).c_str());
  if (loss.latent && !command.common.json) std::printf("%s\n", latent_line(*loss.latent, draws).c_str());
  return kDone;
}

}  // namespace gradus
