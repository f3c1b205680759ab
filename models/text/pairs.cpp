#include "models/text/pairs.h"

#include <algorithm>
#include <unordered_map>

#include "engine/long_loop.h"
#include "models/text/read_text.h"
#include "models/text/tsv.h"

namespace gradus {

Pair pair_of(std::string_view line) {
  static constexpr const char* kColumns[] = {"prompt", "reply"};
  std::vector<std::string> fields = tsv_fields(line, kColumns);
  if (fields[0].empty()) throw DataError("has an empty prompt; a line is prompt, a tab, reply");
  return {.prompt = std::move(fields[0]), .reply = std::move(fields[1])};
}

std::vector<Pair> pairs_of(std::string_view content, const std::string& name) {
  std::vector<Pair> pairs;
  const std::vector<std::string_view> lines = split_lines(content);
  const LongLoop loop("reading pairs", std::ssize(lines));
  for (const std::string_view line : lines) try {
      loop.at(std::ssize(pairs));
      pairs.push_back(pair_of(line));
      pairs.back().line = std::ssize(pairs);
    } catch (const DataError& error) {
      throw DataError(text(name, ", line ", pairs.size() + 1, ": ", error.what()));
    }
  return pairs;
}

std::vector<Prompt> prompts_of(std::span<const Pair> pairs) {
  std::vector<Prompt> prompts;
  std::unordered_map<std::string_view, size_t> place;
  for (const Pair& pair : pairs) {
    const auto [found, fresh] = place.emplace(pair.prompt, prompts.size());
    if (fresh) prompts.emplace_back(pair.prompt);
    std::vector<std::string>& references = prompts[found->second].references;
    if (std::ranges::find(references, pair.reply) == references.end()) references.push_back(pair.reply);
  }
  return prompts;
}

static std::vector<int32_t> encode(const Tokenizer& tokenizer, const char* part, const std::string& words) try {
  return tokenizer.encode(words);
} catch (const DataError& error) {
  throw DataError(text("in the ", part, " ", error.what()));
}

Example example_of(const Tokenizer& tokenizer, const Pair& pair) {
  Example example{.tokens = encode(tokenizer, "prompt", pair.prompt), .given = 0};
  example.tokens.push_back(tokenizer.end_id());
  example.given = std::ssize(example.tokens);
  const std::vector<int32_t> reply = encode(tokenizer, "reply", pair.reply);
  example.tokens.insert(example.tokens.end(), reply.begin(), reply.end());
  return example;
}

std::vector<int32_t> answer_to(const Tokenizer& tokenizer, std::string_view prompt) {
  std::vector<int32_t> tokens{tokenizer.end_id()};
  const std::vector<int32_t> given = tokenizer.encode(prompt);
  tokens.insert(tokens.end(), given.begin(), given.end());
  tokens.push_back(tokenizer.end_id());
  return tokens;
}

}  // namespace gradus
