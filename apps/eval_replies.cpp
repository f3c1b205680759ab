// gradus eval --metric: how well a run replies. It replies to every prompt of a file of pairs, and a reward says what
// the replies are worth.
#include <algorithm>
#include <cstdio>
#include <numeric>
#include <unordered_map>

#include "apps/commands.h"
#include "apps/console.h"
#include "apps/corpus_files.h"
#include "apps/format.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "engine/long_loop.h"
#include "models/memory.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"
#include "rl/rewards/reward.h"

namespace gradus {
namespace {

// What is to be replied to: the prompts, each with all its references, and the prompt of each line.
struct Questions {
  std::vector<Prompt> prompts;
  std::vector<int32_t> of;

  Questions(const CorpusFiles& files, const Checkpoint& run) {
    const std::vector<Pair> pairs = pairs_of(files.content, files.name());
    prompts = prompts_of(pairs);
    std::unordered_map<std::string_view, int32_t> place;
    for (Prompt& prompt : prompts) {
      prompt.is_replied_to = run.config.pairs;
      place.emplace(prompt.text, int32_t(place.size()));
    }
    for (const Pair& pair : pairs) of.push_back(place.at(pair.prompt));
  }
};

Sequences replies_of(const Checkpoint& run, const Questions& asked, const EvalCommand& command) {
  std::vector<std::vector<int32_t>> prompts;
  for (const Prompt& prompt : asked.prompts) prompts.push_back(run.beginning(prompt.text));
  const SampleOptions options{
      .temperature = command.temperature, .end_id = run.tokenizer.end_id(), .max_tokens = command.tokens};
  const Rng rng(uint64_t(command.common.seed), Stream::kSample);
  const int64_t N = std::ssize(asked.of), group = side_by_side(*run.model);
  const int threads = threads_for(command.common, (N + group - 1) / group);
  require_memory(threads * sampling_bytes(*run.model, std::min(group, N), true), text("replying by ", run.path),
                 "use fewer --threads");
  Pool pool(threads);
  Sequences replies(options.end_id);
  const LongLoop loop("replying to prompts", N);
  for (int64_t begin = 0; begin < N; begin += group * threads) {  // so much at a time that it can be ended
    loop.at(begin);
    const int64_t count = std::min(group * threads, N - begin);
    std::vector<std::vector<Drawn>> drawn(size_t((count + group - 1) / group));
    pool.each(int(drawn.size()), [&](int part) {
      Tape tape;
      const Tape::Use use(tape);
      const int64_t first = begin + part * group, n = std::min(group, begin + count - first);
      drawn[size_t(part)] = draw_sequences(*run.model, prompts, std::span(asked.of).subspan(size_t(first), size_t(n)),
                                           options, rng, first);
    });
    for (const std::vector<Drawn>& part : drawn)
      for (const Drawn& one : part) replies.add(one.tokens);
  }
  return replies;
}

Sequences read_replies(const std::string& file, const Checkpoint& run, size_t wanted) {
  const std::string content = read_text(file, kMostListed);
  require_newlines(content, file);
  const std::vector<std::string_view> lines = split_lines(content);
  if (lines.size() != wanted)
    throw DataError(text(file, ": has ", lines.size(), " lines for ", wanted, " pairs; it must have a reply for each"));
  const int32_t end_id = run.tokenizer.end_id();
  Sequences replies(end_id);
  for (size_t i = 0; i < lines.size(); ++i) try {
      std::vector<int32_t> tokens = run.tokenizer.encode(lines[i]);
      if (end_id >= 0) tokens.push_back(end_id);
      replies.add(tokens);
    } catch (const DataError& error) {
      throw DataError(text(file, ", line ", i + 1, ": ", error.what()));
    }
  return replies;
}

}  // namespace

int eval_replies(const EvalCommand& command) {
  const Checkpoint run = load_checkpoint(command.run);
  note_burn_in(run, command.common);
  Config config = run.config;  // of the file, which holds pairs whatever the run was trained on
  config.lines = config.pairs = true;
  const CorpusFiles files = read_corpus_files(command.corpus, config, command.drop);
  const Questions asked(files, run);
  const GeneratedTexts texts_of =
      placed(files, run.tokenizer, [&] { return GeneratedTexts(run.tokenizer, asked.prompts); });
  const Reward metric({command.metric}, run.tokenizer);
  const Sequences replies =
      command.replies.empty() ? replies_of(run, asked, command) : read_replies(command.replies, run, asked.of.size());
  std::vector<std::string> texts;
  const std::vector<Generated> all = texts_of.of(replies, asked.of, 0, replies.size(), texts);
  const std::vector<double> values = metric.score(all);
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
  const std::optional<double> together = Reward::over_all(command.metric, all);

  if (command.common.json) {
    Json list = Json::array();
    for (size_t i = 0; i < all.size(); ++i)
      list.push_back({{"prompt", valid_utf8(all[i].prompt)},
                      {"reply", valid_utf8(all[i].text)},
                      {"value", json_number(values[i])}});
    Json result{{"metric", command.metric}, {"pairs", all.size()}, {"mean", json_number(mean)}};
    if (together) result["corpus"] = json_number(*together);
    result["replies"] = std::move(list);
    std::printf("%s\n", result.dump().c_str());
    return kDone;
  }
  constexpr size_t kShown = 5;
  for (size_t i = 0; i < std::min(kShown, all.size()); ++i)
    std::printf("%s  %s -> %s\n", right(fixed(values[i], 3), 7).c_str(), one_line(all[i].prompt, 32).c_str(),
                one_line(all[i].text, 32).c_str());
  std::printf("%s of %s replies: mean %s%s\n", one_line(command.metric, 40).c_str(), grouped(std::ssize(all)).c_str(),
              fixed(mean, 4).c_str(), together ? text(", of all together ", fixed(*together, 4)).c_str() : "");
  return kDone;
}

}  // namespace gradus
