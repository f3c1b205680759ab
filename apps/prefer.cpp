// gradus prefer: choices between two samples of a run, by a person, who presses a key, or by a reward, as Bradley and
// Terry have it (rl/tables/bradley_terry.h). They go into a file of lines PROMPT, a tab, CHOSEN, a tab, REJECTED.
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "apps/format.h"
#include "apps/next_command.h"
#include "apps/tuned_run.h"
#include "engine/io/keys.h"
#include "engine/long_loop.h"
#include "models/text/shell_word.h"
#include "models/text/utf8.h"
#include "rl/preferences.h"
#include "rl/rewards/reward.h"
#include "rl/rollout.h"
#include "rl/tables/bradley_terry.h"

namespace gradus {
namespace {

// Pairs of samples that differ, of all prompts in turn: pair i is a function of (seed, i), the run and the number of
// choices that are there already, so that whoever goes on sees new ones.
class Pairs {
 public:
  Pairs(const PreferCommand& command, const Checkpoint& run, std::vector<Prompt> prompts, int64_t there)
      : run_(run),
        prompts_(std::move(prompts)),
        there_(there),
        world_{{}, run.tokenizer.end_id(), command.max_tokens, command.temperature},
        rng_(uint64_t(command.common.seed), Stream::kSample, there) {
    for (const Prompt& prompt : prompts_) {
      begins_.push_back(run.beginning(prompt.text));
      run.require_one_window(std::ssize(begins_.back()), world_.max_tokens);
    }
  }

  struct Pair {
    int32_t prompt;
    Sequences two;
    std::vector<std::string> texts;
  };
  // The next pair. DataError where the run hardly says anything but one text, or one that the file cannot hold.
  Pair next() {
    constexpr int64_t kEqual = 10'000;
    const LongLoop loop("looking for two texts that differ", kEqual);
    for (int64_t tries = 0; tries < kEqual; ++tries, ++equal_) {
      loop.at(tries);
      const auto p = size_t((there_ + index_) % std::ssize(prompts_));
      world_.prompt = begins_[p];
      Sequences two = roll_out(*run_.model, world_, rng_, 2 * index_++, 2).sequences;
      std::vector<std::string> texts;
      for (int64_t i = 0; i < 2; ++i) texts.push_back(run_.tokenizer.decode(two.text(i)));
      if (texts[0] == texts[1]) continue;
      return {int32_t(p), std::move(two), std::move(texts)};
    }
    throw DataError(text(run_.path, ": of ", grouped(kEqual),
                         " pairs of samples in a row both were the same text; use a "
                         "higher --temperature"));
  }
  Preference preference(const Pair& pair, size_t chosen) const {
    return {prompts_[size_t(pair.prompt)].text, pair.texts[chosen], pair.texts[1 - chosen]};
  }
  const std::vector<Prompt>& prompts() const { return prompts_; }
  int64_t there() const { return there_; }
  int64_t equal() const { return equal_; }  // pairs that were left out, since there was no choice

 private:
  const Checkpoint& run_;
  const std::vector<Prompt> prompts_;
  const int64_t there_;
  World world_;
  const Rng rng_;
  std::vector<std::vector<int32_t>> begins_;
  int64_t index_ = 0, equal_ = 0;
};

int tell(const PreferCommand& command, Console& console, const Pairs& pairs, int64_t made, const Json& agreement) {
  if (command.common.json) {
    std::printf("%s\n", Json{{"pairs", made}, {"equal", pairs.equal()}, {"agreement", agreement}}.dump().c_str());
    return kDone;
  }
  console.note(text("Wrote ", grouped(made), made == 1 ? " choice to " : " choices to ", command.out, ". Try: ",
                    proposed({"reward-model", as_argument(command.run), "--preferences", command.out, "--out",
                              "runs/reward-model"})));
  return kDone;
}

// σ(scale (r − r')) is the chance of each text to be chosen.
int choose_by_reward(const PreferCommand& command, const Checkpoint& run, Pairs& pairs, Console& console) {
  const Reward terms(command.reward, run.tokenizer);
  const RewardFunction reward = text_reward(terms, run.tokenizer, pairs.prompts());
  const Rng rng(uint64_t(command.common.seed), Stream::kBatch);
  std::string lines;
  int64_t agreed = 0;
  const LongLoop loop("choosing between samples", command.count);
  for (int64_t made = 0; made < command.count; ++made) {
    loop.at(made);
    const Pairs::Pair pair = pairs.next();
    const std::vector<double> r = reward(pair.two, std::vector<int32_t>(2, pair.prompt));
    const double first = preference(command.scale * r[0], command.scale * r[1]);
    const size_t chosen = rng.uniform(made) < first ? 0 : 1;
    agreed += r[chosen] >= r[1 - chosen];
    lines += preference_line(pairs.preference(pair, chosen));
  }
  write_file_atomically(command.out, lines);
  console.note(text("The text of the higher reward, or one of two equal ones, was chosen in ",
                    fixed(100 * double(agreed) / double(command.count), 1), " % of the pairs."));
  return tell(command, console, pairs, command.count, double(agreed) / double(command.count));
}

// Behind the choices that are in the file; each is there as soon as it is made.
int choose_by_person(const PreferCommand& command, Pairs& pairs, Console& console) {
  if (pairs.there() > 0)
    console.note(text(command.out, " has ", grouped(pairs.there()), pairs.there() == 1 ? " choice" : " choices",
                      "; yours go behind ", pairs.there() == 1 ? "it." : "them."));
  std::FILE* const file = std::fopen(command.out.c_str(), "a");
  if (!file) throw WriteError(text(command.out, ": cannot be opened for writing"));
  const RawMode keys;
  std::FILE* const screen = command.common.json ? stderr : stdout;
  std::fprintf(screen, "Which text is better? Press 1 or 2; s: neither; q: end.\n");
  int64_t made = 0;
  bool more = true;
  while (more && (command.count == 0 || made < command.count)) {
    const Pairs::Pair pair = pairs.next();
    const std::string& prompt = pairs.prompts()[size_t(pair.prompt)].text;
    const std::string line[2] = {preference_line(pairs.preference(pair, 0)),
                                 preference_line(pairs.preference(pair, 1))};
    std::fprintf(screen, "\n%s1  %s\n2  %s\n", prompt.empty() ? "" : (harmless(prompt) + "\n").c_str(),
                 harmless(pair.texts[0]).c_str(), harmless(pair.texts[1]).c_str());
    std::fflush(screen);
    for (char pressed = 0; pressed != 's';) {
      pressed = key();
      more = pressed != 'q' && pressed != 0;
      if (!more) break;
      if (pressed != '1' && pressed != '2') continue;
      const std::string& choice = line[pressed - '1'];
      if (std::fwrite(choice.data(), 1, choice.size(), file) != choice.size() || std::fflush(file) != 0) {
        std::fclose(file);
        throw WriteError(text(command.out, ": a choice could not be written"));
      }
      std::fprintf(screen, "   -> %c\n", pressed);
      ++made;
      break;
    }
  }
  std::fclose(file);
  return tell(command, console, pairs, made, nullptr);
}

}  // namespace

int prefer(const PreferCommand& command) {
  Console console(command.common);
  std::error_code unknown;
  const bool exists = std::filesystem::exists(command.out, unknown);
  if (!command.reward.empty() && exists)
    throw UsageError(text(command.out,
                          " exists already, and choices that somebody has made are not replaced; use "
                          "another --out, or remove it"));
  // Somebody may have ended before the first choice.
  const bool has_choices = exists && !std::filesystem::is_empty(command.out, unknown);
  note_action_values({command.run}, command.common);
  const Checkpoint run = load_checkpoint(command.run);
  Pairs pairs(command, run,
              command.prompts.empty() ? std::vector<Prompt>{run.prompt(command.prompt)}
                                      : read_prompts(command.prompts, false, run, command.max_tokens),
              has_choices ? std::ssize(read_preferences({command.out})) : 0);
  if (command.reward.empty()) return choose_by_person(command, pairs, console);
  return choose_by_reward(command, run, pairs, console);
}

}  // namespace gradus
