#include "rl/preferences.h"

#include <map>
#include <numeric>

#include "models/text/tsv.h"

namespace gradus {

std::vector<Preference> read_preferences(const std::vector<std::string>& files) {
  std::vector<Preference> all;
  for (const std::string& file : files)
    for (TsvRow& row : read_tsv(file, {"PROMPT", "CHOSEN", "REJECTED"})) {
      const std::string place = text(file, ", line ", row.line);
      if (row.fields[1] == row.fields[2]) throw DataError(place + ": the chosen and the rejected text are the same");
      all.push_back({std::move(row.fields[0]), std::move(row.fields[1]), std::move(row.fields[2]), place});
    }
  return all;
}

std::string preference_line(const Preference& p) {
  for (const std::string* part : {&p.prompt, &p.chosen, &p.rejected})
    if (part->find_first_of("\t\n\r") != part->npos)
      throw DataError("a text with a tab or a line end cannot be a preference; use a run of --lines");
  return p.prompt + "\t" + p.chosen + "\t" + p.rejected + "\n";
}

std::vector<std::string> prompts_of(const std::vector<Preference>& preferences) {
  std::vector<std::string> prompts;
  std::map<std::string_view, bool> seen;
  for (const Preference& p : preferences)
    if (seen.emplace(p.prompt, true).second) prompts.push_back(p.prompt);
  return prompts;
}

int64_t Rounds::at(int64_t place) {
  const int64_t n = std::ssize(order_);
  if (place / n != round_) {
    round_ = place / n;
    const Rng rng(seed_, Stream::kBatch, round_);
    std::iota(order_.begin(), order_.end(), 0);
    for (int64_t i = n - 1; i > 0; --i) std::swap(order_[size_t(i)], order_[size_t(rng.below(i, i + 1))]);
  }
  return order_[size_t(place % n)];
}

static std::vector<int32_t> draws_of(const std::string& words, const Checkpoint& run, const World& world) {
  std::vector<int32_t> draws = run.tokenizer.encode(words);
  const int64_t n = std::ssize(draws);
  if (n > world.max_tokens) throw DataError(text("a text of ", n, " tokens, and --max-tokens is ", world.max_tokens));
  if (n < world.max_tokens && world.end_id < 0)
    throw DataError(
        text("a text of ", n, " tokens, which in a run without end marks must have --max-tokens, ", world.max_tokens));
  if (n < world.max_tokens) draws.push_back(world.end_id);
  return draws;
}

TokenPairs tokens_of(const std::vector<Preference>& preferences, const Checkpoint& run, const World& world) {
  TokenPairs pairs{.sequences = Sequences(world.end_id)};
  std::map<std::string_view, int32_t> number;  // of each prompt
  for (const Preference& p : preferences) try {
      const auto [at, is_new] = number.emplace(p.prompt, int32_t(pairs.prompts.size()));
      if (is_new) {
        pairs.prompts.push_back(run.beginning(p.prompt));
        run.require_one_window(std::ssize(pairs.prompts.back()), world.max_tokens);
      }
      pairs.of.push_back(at->second);
      for (const std::string* words : {&p.chosen, &p.rejected}) pairs.sequences.add(draws_of(*words, run, world));
    } catch (const std::exception& error) {
      throw DataError(text(p.place, ": ", error.what()));
    }
  return pairs;
}

}  // namespace gradus
