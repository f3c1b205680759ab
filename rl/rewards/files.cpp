// The rewards that read a file: grammar, blocklist, lexicon, table. The file is read once, when the reward is made.
#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>

#include "engine/io/json.h"
#include "models/grammar/grammar.h"
#include "models/text/read_text.h"
#include "models/text/word_list.h"
#include "rl/rewards/terms.h"

namespace gradus::reward {
namespace {

struct Line {
  size_t number;  // from 1
  std::string_view text;
};

// The lines of a file that are not blank.
std::vector<Line> lines(std::string_view content) {
  std::vector<Line> found;
  size_t number = 0;
  for (const std::string_view line : split_lines(content))
    if (++number; line.find_first_not_of(" \t") != std::string_view::npos) found.push_back({number, line});
  return found;
}

}  // namespace

// 1 if the grammar of the file generates the whole text, else 0.
Scorer grammar(const std::string& file, const Tokenizer&) {
  return [rules = Grammar::read(file)](std::span<const Generated> sequences, std::span<double> scores) {
    for (size_t i = 0; i < sequences.size(); ++i) scores[i] = rules.generates(sequences[i].text) ? 1 : 0;
  };
}

// −1 if an entry of the file occurs (models/text/word_list.h), else 0.
Scorer blocklist(const std::string& file, const Tokenizer& tokenizer) {
  return [list = WordList(file, word_rule(tokenizer))](std::span<const Generated> sequences, std::span<double> scores) {
    for (size_t i = 0; i < sequences.size(); ++i) scores[i] = list.occurs_in(sequences[i].text) ? -1 : 0;
  };
}

// Sum of the scores of the words / number of words; 0 without words. Lines of the file: WORD, a tab, a number.
Scorer lexicon(const std::string& file, const Tokenizer& tokenizer) {
  struct List {
    std::string content;
    std::unordered_map<std::string_view, double> scores;
  };
  const auto list = std::make_shared<List>();
  const WordRule rule = word_rule(tokenizer);
  list->content = read_text(file, kMostListed);
  for (const Line& line : lines(list->content)) {
    const auto fail = [&](const std::string& what) { throw DataError(text(file, ": line ", line.number, ": ", what)); };
    const size_t tab = line.text.find('\t');
    if (tab == std::string_view::npos) fail(text(shown(line.text), " has no tab; a line is WORD, a tab, a number"));
    const std::string_view word = line.text.substr(0, tab), number = line.text.substr(tab + 1);
    double score = 0;
    if (!parse_number(number, score)) fail(text(shown(number), " is not a finite number"));
    if (const auto parts = words(word, rule); parts.size() != 1 || parts[0] != word)
      fail(text(shown(word), " is not one word and would never match",
                rule == WordRule::kLetters ? "; a word is a run of letters" : "; a word holds no white space"));
    if (!list->scores.emplace(word, score).second) fail(text(shown(word), " is listed twice"));
  }
  if (list->scores.empty()) throw DataError(text(file, ": lists no word"));

  return [list, rule](std::span<const Generated> sequences, std::span<double> scores) {
    for (size_t i = 0; i < sequences.size(); ++i) {
      const std::vector<std::string_view> mine = words(sequences[i].text, rule);
      double sum = 0;
      for (std::string_view word : mine)
        if (const auto found = list->scores.find(word); found != list->scores.end()) sum += found->second;
      scores[i] = mine.empty() ? 0 : sum / double(mine.size());
    }
  };
}

// {"rewards":{TEXT: number, ...}, "prompts":{PROMPT:{TEXT: number, ...}, ...}, "default": number}: the number of the
// text among those of its prompt, else among all, else the default (0 where it is left out). One of the first two may
// be missing.
Scorer table(const std::string& file, const Tokenizer&) {
  const std::string content = read_text(file, kMostListed);
  const auto fail = [&](const std::string& what) {
    throw DataError(text(file, ": ", what, R"(; a table is {"rewards":{TEXT:number,...},"default":number})"));
  };
  Json json;
  try {
    json = Json::parse(content);
  } catch (const DataError& error) {
    fail(error.what());
  }
  using Numbers = std::map<std::string, double, std::less<>>;
  const auto number = [&](const std::string& key, const Json& value) {
    if (!value.is_number()) fail(text("the value of ", shown(key), " is not a number"));
    return value.get<double>();
  };
  const auto numbers = [&](const Json& texts) {
    Numbers list;
    for (const auto& [key, value] : texts.items()) list.emplace(key, number(key, value));
    return list;
  };
  const auto is_table = [&](const char* name) { return json.contains(name) && json[name].is_object(); };
  if (!json.is_object() || (!is_table("rewards") && !is_table("prompts"))) fail("has no \"rewards\"");
  for (const auto& [key, value] : json.items())
    if (key != "rewards" && key != "prompts" && key != "default")
      fail(text("has the unknown field ", shown(key)));
    else if (key != "default" && !value.is_object())
      fail(text("the value of ", shown(key), " is not an object"));
  const double otherwise = json.contains("default") ? number("default", json["default"]) : 0;
  const Numbers all = json.contains("rewards") ? numbers(json["rewards"]) : Numbers();
  std::map<std::string, Numbers, std::less<>> of_prompt;
  if (json.contains("prompts"))
    for (const auto& [prompt, texts] : json["prompts"].items()) {
      if (!texts.is_object()) fail(text("the value of the prompt ", shown(prompt), " is not an object of texts"));
      of_prompt.emplace(prompt, numbers(texts));
    }

  return [=](std::span<const Generated> sequences, std::span<double> scores) {
    const auto value = [&](const Generated& g) {
      if (const auto here = of_prompt.find(g.prompt); here != of_prompt.end())
        if (const auto found = here->second.find(g.text); found != here->second.end()) return found->second;
      const auto found = all.find(g.text);
      return found == all.end() ? otherwise : found->second;
    };
    std::ranges::transform(sequences, scores.begin(), value);
  };
}

}  // namespace gradus::reward
