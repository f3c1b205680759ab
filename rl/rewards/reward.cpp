#include "rl/rewards/reward.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/long_loop.h"
#include "models/table.h"
#include "models/text/utf8.h"
#include "models/text/words.h"
#include "rl/rewards/command.h"

namespace gradus {

namespace reward {
Maker contains, count, length, end, grammar, blocklist, lexicon, similarity, relevance, distinct, fluency, label, model,
    table, command, bleu, rouge_l, exact_match;
OverAll bleu_of_all;
WhyConstant unsayable, endless;
}  // namespace reward

namespace {

using Opens = Reward::Opens;

// Every reward: its name above and a row here; its maker in a file of this folder.
struct Name {
  const char* name;
  const char* argument;                // null: takes none
  std::optional<double> largest = {};  // none: it is no hard constraint
  reward::Maker* make;
  const char* meaning;
  Opens opens = Opens::kNothing;
  bool by_step = false;                 // may be paid draw by draw
  bool is_relative = false;             // without an argument it compares the text with the references of its prompt
  reward::WhyConstant* why = nullptr;   // null: it can always change
  reward::OverAll* over_all = nullptr;  // null: the mean says it
};
constexpr Name kNames[] = {
    {.name = "contains",
     .argument = "S",
     .largest = 1,
     .make = reward::contains,
     .meaning = "1 if S occurs in the text, else 0",
     .why = reward::unsayable},
    {.name = "count",
     .argument = "S",
     .make = reward::count,
     .meaning = "how often S occurs, without overlap",
     .by_step = true,
     .why = reward::unsayable},
    {.name = "length",
     .argument = "N",
     .largest = 0,
     .make = reward::length,
     .meaning = "-|T - N|, T the tokens of the text without its end mark",
     .by_step = true,
     .why = reward::endless},
    {.name = "end",
     .argument = nullptr,
     .largest = 1,
     .make = reward::end,
     .meaning = "1 if the text ended with its end mark, 0 if it was cut",
     .why = reward::endless},
    {.name = "grammar",
     .argument = "FILE",
     .largest = 1,
     .make = reward::grammar,
     .meaning = "1 if the grammar generates the text, else 0 (data/README.md)",
     .opens = Opens::kFile},
    {.name = "blocklist",
     .argument = "FILE",
     .largest = 0,
     .make = reward::blocklist,
     .meaning = "-1 if the text has one of the words in the file (upper and lower case differ), else 0",
     .opens = Opens::kFile,
     .by_step = true},
    {.name = "lexicon",
     .argument = "FILE",
     .make = reward::lexicon,
     .meaning = "mean score of the words of the text; lines word TAB score",
     .opens = Opens::kFile},
    {.name = "similarity",
     .argument = "S",
     .largest = 1,
     .make = reward::similarity,
     .meaning =
         "share of the positions of S, or without S of the reference of the prompt (--pairs), whose token agrees",
     .by_step = true,
     .is_relative = true},
    {.name = "exact-match",
     .argument = nullptr,
     .largest = 1,
     .make = reward::exact_match,
     .meaning = "1 if the text is the reference of its prompt (--pairs), else 0",
     .is_relative = true},
    {.name = "bleu",
     .argument = nullptr,
     .largest = 1,
     .make = reward::bleu,
     .meaning = "BLEU of the tokens with the reference, up to 4-grams, one added to the counts beyond 1-grams",
     .is_relative = true,
     .over_all = reward::bleu_of_all},
    {.name = "rouge-l",
     .argument = nullptr,
     .largest = 1,
     .make = reward::rouge_l,
     .meaning = "F1 of the longest common subsequence of the tokens with the reference",
     .is_relative = true},
    {.name = "relevance",
     .argument = nullptr,
     .largest = 1,
     .make = reward::relevance,
     .meaning = "share of the words of the text that occur in the prompt"},
    {.name = "distinct",
     .argument = "N",
     .largest = 1,
     .make = reward::distinct,
     .meaning = "distinct n-grams of N tokens, as a share of all"},
    {.name = "fluency",
     .argument = "RUN",
     .make = reward::fluency,
     .meaning = "log-probability of the text under another run",
     .opens = Opens::kRun},
    {.name = "class",
     .argument = "RUN=LABEL",
     .make = reward::label,
     .meaning = "probability of a label, by a run of gradus classify train",
     .opens = Opens::kRun},
    {.name = "model",
     .argument = "RUN",
     .make = reward::model,
     .meaning = "what a reward model says of the text behind its prompt (reward-model)",
     .opens = Opens::kRun},
    {.name = "table",
     .argument = "FILE.json",
     .largest = 1,
     .make = reward::table,
     .meaning = "{\"rewards\":{\"the cat\":1},\"default\":0}: a score for each text; \"prompts\":{PROMPT:{TEXT:1}} "
                "comes first, for the texts of one prompt",
     .opens = Opens::kFile,
     .by_step = true},
    {.name = "command",
     .argument = "PROGRAM",
     .largest = 1,
     .make = reward::command,
     .meaning = "a number for each text from a program of yours, which reads one text a line (\\n for a newline; of "
                "--pairs runs the prompt, a tab, the text) and writes one number a line at once (flushed)",
     .opens = Opens::kProgram},
};

std::string usage(const Name& n) {
  if (!n.argument) return n.name;
  return n.is_relative ? text(n.name, "[:", n.argument, "]") : text(n.name, ":", n.argument);
}

[[noreturn]] void fail(const std::string& spec, const std::string& what) {
  throw UsageError(text("reward '", spec, "': ", what));
}

struct Parsed {
  double weight = 1;
  const Name* row;
  std::string argument;
};
Parsed parse(const std::string& spec) {
  if (const auto bad = find_bad_byte(spec))
    fail(spec, text("is not text in UTF-8: its byte ", bad->at, " is ", bad->what));
  const size_t colon = spec.find(':'),
               star = spec.substr(0, colon).find('*');  // a * behind the colon is the argument's
  Parsed term;
  if (star != std::string::npos && !parse_number(std::string_view(spec).substr(0, star), term.weight))
    fail(spec, text("the weight '", spec.substr(0, star), "' is not a finite number"));
  const size_t begin = star == std::string::npos ? 0 : star + 1;
  const std::string name = spec.substr(begin, colon == std::string::npos ? colon : colon - begin);
  if (colon != std::string::npos) term.argument = spec.substr(colon + 1);

  term.row = find_row(kNames, name);
  if (!term.row) fail(spec, text("there is no '", name, "'; a reward is [WEIGHT*] and one of ", Reward::names()));
  const bool may_lack = term.row->is_relative && colon == std::string::npos;
  if (term.row->argument && term.argument.empty() && !may_lack)
    fail(spec, text("needs an argument: ", usage(*term.row)));
  if (!term.row->argument && colon != std::string::npos) fail(spec, text(name, " takes no argument"));
  return term;
}

}  // namespace

std::string Reward::names() {
  std::string list;
  for (const Name& n : kNames) list += (list.empty() ? "" : " | ") + usage(n);
  return list;
}

std::vector<std::pair<std::string, std::string>> Reward::meanings() {
  std::vector<std::pair<std::string, std::string>> list;
  for (const Name& n : kNames) list.emplace_back(usage(n), n.meaning);
  return list;
}

bool Reward::is_paid_by_step(const std::string& term) { return parse(term).row->by_step; }
std::vector<std::string> Reward::paid_by_step() {
  std::vector<std::string> names;
  for (const Name& n : kNames)
    if (n.by_step) names.push_back(n.name);
  return names;
}

std::string Reward::why_constant(const std::string& term, const Tokenizer& tokenizer) {
  const Parsed parsed = parse(term);
  return parsed.row->why ? parsed.row->why(parsed.argument, tokenizer) : std::string();
}

bool Reward::needs_reference(const std::string& term) {
  const Parsed parsed = parse(term);
  return parsed.row->is_relative && parsed.argument.empty();
}

Reward::Source Reward::source_of(const std::string& term) {
  const Parsed parsed = parse(term);
  const bool labelled = parsed.row->make == reward::label;  // the run stands before the label
  return {parsed.row->opens, labelled ? parsed.argument.substr(0, parsed.argument.rfind('=')) : parsed.argument};
}

double Reward::largest(const std::string& term) {
  const Parsed parsed = parse(term);
  if (parsed.weight != 1) fail(term, "a hard constraint takes no weight");
  if (parsed.row->largest) return *parsed.row->largest;
  std::string list;
  for (const Name& n : kNames)
    if (n.largest) list += (list.empty() ? "" : " | ") + usage(n);
  fail(term, "has no largest value, so it allows no text by itself; a hard constraint is one of " + list);
}

Reward::Reward(const std::vector<std::string>& terms, const Tokenizer& tokenizer, Comm& ranks) : ranks_(ranks) {
  for (const std::string& spec : terms) {
    const Parsed term = parse(spec);
    if (ranks.rank() > 0) continue;
    try {
      terms_.push_back({spec, term.weight, term.row->make(term.argument, tokenizer), needs_reference(spec)});
    } catch (const UsageError& error) {
      fail(spec, error.what());
    }
  }
}

std::vector<double> Reward::score(std::span<const Generated> sequences) const {
  std::vector<double> sum = ranks_.rank() == 0 ? sum_of_terms(sequences) : std::vector<double>(sequences.size());
  ranks_.broadcast(std::as_writable_bytes(std::span(sum)));
  return sum;
}

std::vector<double> Reward::sum_of_terms(std::span<const Generated> sequences) const {
  std::vector<double> sum(sequences.size()), one(sequences.size());
  for (const Term& term : terms_) {
    if (term.is_relative)
      for (const Generated& g : sequences)
        if (g.references.empty())
          fail(term.spec,
               "compares texts with the reference of their prompt, and there is none; give prompts with "
               "their references, as in tune --pairs FILE.tsv");
    term.score(sequences, one);
    for (size_t i = 0; i < sum.size(); ++i) {
      sum[i] += term.weight * one[i];
      if (!std::isfinite(sum[i]))  // so is 0 times a term that is not
        throw DataError(text("reward '", term.spec, "' is ", one[i],
                             std::isfinite(one[i]) ? ", which makes the sum infinite," : "", " for the text ",
                             shown(sequences[i].text), "; it must be a finite number"));
    }
  }
  return sum;
}

std::optional<double> Reward::over_all(const std::string& term, std::span<const Generated> sequences) {
  const auto f = parse(term).row->over_all;
  return f ? std::optional(f(sequences)) : std::nullopt;
}

GeneratedTexts::GeneratedTexts(const Tokenizer& tokenizer, std::vector<Prompt> prompts)
    : tokenizer_(tokenizer), prompts_(std::move(prompts)) {
  for (const Prompt& prompt : prompts_) {
    references_.emplace_back();
    for (const std::string& reference : prompt.references) references_.back().push_back(tokenizer.encode(reference));
  }
}

std::vector<Generated> GeneratedTexts::of(const Sequences& sequences, std::span<const int32_t> prompt, int64_t first,
                                          int64_t end, std::vector<std::string>& texts) const {
  std::vector<Generated> generated;
  texts.clear();
  for (int64_t i = first; i < end; ++i) texts.push_back(tokenizer_.decode(sequences.text(i)));
  for (int64_t i = first; i < end; ++i) {
    const auto p = size_t(prompt[size_t(i)]);
    generated.push_back({.text = texts[size_t(i - first)],
                         .tokens = sequences.text(i),
                         .ended = sequences.ended(i),
                         .prompt = prompts_[p].text,
                         .references = references_[p],
                         .is_reply = prompts_[p].is_replied_to});
  }
  return generated;
}

static constexpr int64_t kTextsAtOnce = 4096;

RewardFunction text_reward(const Reward& reward, const Tokenizer& tokenizer, std::vector<Prompt> prompts) {
  return [&reward, texts_of = GeneratedTexts(tokenizer, std::move(prompts))](const Sequences& sequences,
                                                                             std::span<const int32_t> of) {
    std::vector<double> r;
    std::vector<std::string> texts;
    const LongLoop loop("rewarding texts", sequences.size());
    for (int64_t first = 0; first < sequences.size(); first += kTextsAtOnce) {
      loop.at(first);
      const int64_t end = std::min(first + kTextsAtOnce, sequences.size());
      const std::vector<double> part = reward.score(texts_of.of(sequences, of, first, end, texts));
      r.insert(r.end(), part.begin(), part.end());
    }
    return r;
  };
}

}  // namespace gradus
