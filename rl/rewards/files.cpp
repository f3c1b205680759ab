// The rewards that read a file: grammar, blocklist, lexicon, table. The file is read once, when the reward is made.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "engine/io/json.h"
#include "models/grammar/grammar.h"
#include "models/text/read_text.h"
#include "models/text/words.h"
#include "rl/rewards/terms.h"

namespace gradus::reward {
namespace {

struct Line {
  size_t number;  // from 1
  std::string_view text;
};

// The lines of a file that are not blank.
std::vector<Line> lines(std::string_view content, const std::string& file) {
  require_newlines(content, file);
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

// −1 if an entry of the file occurs, else 0. An entry is a line; one of several words must occur as these words in a
// row. Empty lines are skipped.
Scorer blocklist(const std::string& file, const Tokenizer& tokenizer) {
  using Phrase = std::vector<std::string_view>;
  struct List {
    std::string content;  // what the words look into
    // By their first word, and by their length: of many that begin alike few are compared.
    std::unordered_map<std::string_view, std::map<std::ptrdiff_t, std::set<Phrase>>> phrases;
  };
  const auto list = std::make_shared<List>();
  const WordRule rule = word_rule(tokenizer);
  list->content = read_text(file, kMostListed);
  for (const Line& line : lines(list->content, file)) {
    Phrase phrase = words(line.text, rule);
    if (phrase.empty())
      throw DataError(text(file, ": line ", line.number, " is ", shown(line.text), ", which holds no word"));
    const std::string_view first = phrase[0];
    list->phrases[first][std::ssize(phrase)].insert(std::move(phrase));
  }
  if (list->phrases.empty()) throw DataError(text(file, ": lists no word"));

  return [list, rule](std::span<const Generated> sequences, std::span<double> scores) {
    const auto is_blocked = [&](const Generated& g) {
      const std::vector<std::string_view> mine = words(g.text, rule);
      for (auto at = mine.begin(); at != mine.end(); ++at) {
        const auto found = list->phrases.find(*at);
        if (found == list->phrases.end()) continue;
        for (const auto& [length, phrases] : found->second)
          if (length <= mine.end() - at && phrases.contains(Phrase(at, at + length))) return true;
      }
      return false;
    };
    for (size_t i = 0; i < sequences.size(); ++i) scores[i] = is_blocked(sequences[i]) ? -1 : 0;
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
  for (const Line& line : lines(list->content, file)) {
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

// {"rewards":{TEXT: number, ...}, "default": number}: the number of the text, else the default (0 where it is left
// out).
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
  if (!json.is_object() || !json.contains("rewards") || !json["rewards"].is_object()) fail("has no \"rewards\"");
  for (const auto& [key, value] : json.items())
    if (key != "rewards" && key != "default") fail(text("has the unknown field ", shown(key)));
  const auto number = [&](const std::string& key, const Json& value) {
    if (!value.is_number()) fail(text("the value of ", shown(key), " is not a number"));
    return value.get<double>();
  };
  const double otherwise = json.contains("default") ? number("default", json["default"]) : 0;
  std::map<std::string, double, std::less<>> rewards;
  for (const auto& [key, value] : json["rewards"].items()) rewards.emplace(key, number(key, value));

  return [rewards = std::move(rewards), otherwise](std::span<const Generated> sequences, std::span<double> scores) {
    for (size_t i = 0; i < sequences.size(); ++i) {
      const auto found = rewards.find(sequences[i].text);
      scores[i] = found == rewards.end() ? otherwise : found->second;
    }
  };
}

}  // namespace gradus::reward
