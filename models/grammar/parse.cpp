// Parses the text of a grammar into rules: data/README.md describes the format. Ranges are expanded here, so that no
// other file knows of them. Over 350 lines: half of them are the error sentences.
#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "engine/error.h"
#include "models/grammar/network.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

using Alternative = GrammarRule::Alternative;
using Symbol = GrammarRule::Symbol;

constexpr int64_t kMaxAlternatives = 1'000'000, kMaxSymbols = 4'000'000, kMaxNumber = 1'000'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || (c & 0x80);
}
bool is_name(std::string_view s) {
  return !s.empty() && !is_digit(s[0]) && std::all_of(s.begin(), s.end(), is_name_letter);
}
std::string_view trimmed(std::string_view s) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

class Parser {
 public:
  explicit Parser(const std::string& file) : file_(file) {}

  std::vector<GrammarRule> parse(std::string_view whole) {
    while (!whole.empty()) {
      const size_t end = std::min(whole.find('\n'), whole.size());
      ++line_;
      read_line(trimmed(whole.substr(0, end)));
      whole.remove_prefix(std::min(end + 1, whole.size()));
    }
    if (rules_.empty()) fail("the file has no rule; write one, such as   line = the cat | the dog");
    link();
    return std::move(rules_);
  }

 private:
  // An alternative as it stands: a list of parts, each a text, or what stands between braces.
  struct Part {
    bool braces;
    std::string text;
  };
  struct Variable {
    std::string name;
    bool is_text;
    int64_t value;
    std::string text;
  };
  struct Range {
    std::string name;
    bool is_rule;             // the values are the texts of the rule `first`
    std::string first, last;  // else: expressions
  };

  [[noreturn]] void fail(const std::string& what) const { throw DataError(text(file_, ": line ", line_, ": ", what)); }

  // ------------------------------------------------------------------------------------------------ lines

  void read_line(std::string_view line) {
    if (line.empty() || line[0] == '#') return;
    if (line[0] == '|') {
      if (rules_.empty()) fail("an alternative before the first rule; begin with NAME = ALTERNATIVE | ...");
      line.remove_prefix(1);
    } else {
      const size_t equals = std::min(line.find('='), line.size());
      const std::string_view name = trimmed(line.substr(0, equals));
      if (equals == line.size() || !is_name(name))
        fail(
            text("\"", std::string(line.substr(0, 40)),
                 "\" neither begins nor continues a rule; write NAME = ALTERNATIVE | ... or | ALTERNATIVE, with a name "
                 "of letters, digits and _"));
      const auto [place, is_new] = rule_of_.try_emplace(std::string(name), int32_t(rules_.size()));
      if (!is_new)
        fail(text("rule ", name, " is already defined in line ", rules_[size_t(place->second)].line,
                  "; further alternatives begin with |"));
      rules_.push_back({std::string(name), line_, {}, {}});
      line.remove_prefix(equals + 1);
    }
    for (bool more = true; more;) more = read_alternative(line);
  }

  // Takes one alternative from the front of `rest`; was there a | behind it?
  bool read_alternative(std::string_view& rest) {
    std::vector<Part> parts;
    std::string plain;
    const auto flush = [&] {
      if (!plain.empty()) parts.push_back({false, std::move(plain)});
      plain.clear();
    };
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\t')) rest.remove_prefix(1);
    std::string_view bracket;
    if (!rest.empty() && rest[0] == '[') {
      const size_t end = rest.find(']');
      if (end == rest.npos) fail("a [ without its ]; text that begins with one is written \\[");
      bracket = trimmed(rest.substr(1, end - 1));
      if (bracket.empty()) fail("[] is empty; write a weight, [3], or a range, [for a in 0..9]");
      rest.remove_prefix(end + 1);
      while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\t')) rest.remove_prefix(1);
    }
    bool more = false;
    while (!rest.empty()) {
      const char c = rest[0];
      rest.remove_prefix(1);
      if (c == '|') {
        more = true;
        break;
      }
      if (c == '}') fail("a } without its {; the sign itself is written \\}");
      if (c == '{') {
        const size_t end = rest.find('}');
        if (end == rest.npos) fail("a { without its }; the sign itself is written \\{");
        flush();
        parts.push_back({true, std::string(trimmed(rest.substr(0, end)))});
        rest.remove_prefix(end + 1);
        continue;
      }
      if (c == '\\') {
        if (rest.empty() || std::string_view("\\|{}[]#").find(rest[0]) == std::string_view::npos)
          fail("a \\ may only precede one of \\ | { } [ ] #");
        plain += rest[0];
        rest.remove_prefix(1);
        continue;
      }
      plain += c;
    }
    plain.erase(plain.find_last_not_of(" \t") + 1);
    flush();
    if (parts.empty()) fail("an alternative is empty; the empty text is written {}");
    instantiate(bracket, parts);
    return more;
  }

  // ------------------------------------------------------------------------------------------------ weights and ranges

  // The alternatives that "[WEIGHT for NAME in FIRST..LAST, ...] PARTS" stands for; they share the weight.
  void instantiate(std::string_view bracket, const std::vector<Part>& parts) {
    double weight = 1;
    std::vector<Range> ranges;
    const size_t word = bracket.starts_with("for ") ? 0 : bracket.find(" for ");
    const std::string_view number = trimmed(bracket.substr(0, std::min(word, bracket.size())));
    if (!number.empty()) {
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), weight);
      if (error != std::errc() || end != number.data() + number.size() || !(weight >= 1e-9 && weight <= 1e9))
        fail(text("[", number,
                  "]: a weight is a number from 1e-9 to 1e9; an alternative that never occurs is left out"));
    }
    if (word != bracket.npos) ranges = read_ranges(bracket.substr(bracket.find("for ") + 4));
    std::vector<Alternative>& all = rules_.back().alternatives;  // their weights, until link()
    const size_t first = all.size();
    std::vector<Variable> variables;
    expand(ranges, parts, 1, variables);
    double total = 0;
    for (size_t i = first; i < all.size(); ++i) total += all[i].probability;
    if (total == 0) fail(text("[", bracket, "] has no values: every range is empty"));
    for (size_t i = first; i < all.size(); ++i) all[i].probability *= weight / total;
  }

  std::vector<Range> read_ranges(std::string_view list) {
    std::vector<Range> ranges;
    while (true) {
      const size_t comma = std::min(list.find(','), list.size());
      const std::string_view item = trimmed(list.substr(0, comma));
      const size_t in = item.find(" in ");
      const std::string_view name = trimmed(item.substr(0, in));
      const std::string_view values = in == item.npos ? "" : trimmed(item.substr(in + 4));
      const size_t dots = values.find("..");
      if (!is_name(name) || (dots == values.npos && !is_name(values)))
        fail(text("\"", item,
                  "\" is not a range; write NAME in FIRST..LAST, as in [for a in 0..9, b in 0..a], or NAME in RULE"));
      if (dots == values.npos)
        ranges.push_back({std::string(name), true, std::string(values), ""});
      else
        ranges.push_back(
            {std::string(name), false, std::string(values.substr(0, dots)), std::string(values.substr(dots + 2))});
      variables_.try_emplace(ranges.back().name, line_);
      if (comma == list.size()) return ranges;
      list.remove_prefix(comma + 1);
    }
  }

  // Every combination of values, the first range slowest, each with its share of the weight.
  void expand(const std::vector<Range>& ranges, const std::vector<Part>& parts, double share,
              std::vector<Variable>& variables) {
    const size_t depth = variables.size();
    if (depth == ranges.size()) return write_out(parts, share, variables);
    const Range& range = ranges[depth];
    if (depth >= 8) fail("an alternative may have at most 8 ranges");
    const auto with = [&](const Variable& variable, double p) {
      variables.push_back(variable);
      expand(ranges, parts, share * p, variables);
      variables.pop_back();
      if (++turns_ > 4 * kMaxAlternatives) too_large();
    };
    if (!range.is_rule) {
      const int64_t first = value_of(range.first, variables), last = value_of(range.last, variables);
      for (int64_t value = first; value <= last; ++value) with({range.name, false, value, ""}, 1);
      return;
    }
    const auto found = rule_of_.find(range.first);
    if (found == rule_of_.end() || size_t(found->second) + 1 == rules_.size())
      fail(text(range.name, " in ", range.first, ": the rule ", range.first, " = ... must come before this line"));
    for (const auto& [weight, symbols] : rules_[size_t(found->second)].alternatives) {
      if (symbols.size() != 1 || symbols[0].rule >= 0)
        fail(text(range.name, " in ", range.first, ": the alternatives of ", range.first,
                  " must be plain texts, without {}"));
      with({range.name, true, 0, std::string(symbols[0].text)}, weight);
    }
  }

  void write_out(const std::vector<Part>& parts, double share, const std::vector<Variable>& variables) {
    Alternative alternative{share, {}};
    const auto write = [&](const std::string& words) {
      auto& symbols = alternative.symbols;
      if (!symbols.empty() && symbols.back().rule < 0)
        symbols.back().text += words;
      else
        symbols.push_back({-1, words});
      symbols_ += int64_t(words.size());
    };
    for (const Part& part : parts) {
      const Variable* variable = part.braces ? lookup(part.text, variables) : nullptr;
      if (!part.braces) {
        write(part.text);
      } else if (variable && variable->is_text) {
        write(variable->text);
      } else if (is_name(part.text) && !variable) {
        const int32_t index = int32_t(names_.size());
        const auto [place, is_new] = name_index_.try_emplace(part.text, index);
        if (is_new) names_.push_back({part.text, line_});
        alternative.symbols.push_back({place->second, ""});  // index of the name, until link()
        ++symbols_;
      } else if (!part.text.empty()) {
        write(std::to_string(value_of(part.text, variables)));
      }
    }
    rules_.back().alternatives.push_back(std::move(alternative));
    if (++alternatives_ > kMaxAlternatives || symbols_ > kMaxSymbols) too_large();
  }
  [[noreturn]] void too_large() const {
    fail(text("the grammar is too large here: with its ranges written out it may have ", kMaxAlternatives,
              " alternatives and ", kMaxSymbols, " characters"));
  }

  // ------------------------------------------------------------------------------------------------ expressions

  static const Variable* lookup(std::string_view name, const std::vector<Variable>& variables) {
    for (const Variable& v : variables)
      if (v.name == name) return &v;
    return nullptr;
  }

  // A sum of products of numbers, variables and sums in parentheses.
  int64_t value_of(const std::string& expression, const std::vector<Variable>& variables) const {
    Expression e{*this, expression, expression, variables, 0};
    const int64_t value = e.sum();
    if (!trimmed(e.rest).empty()) e.fail();
    return value;
  }
  struct Expression {
    const Parser& parser;
    const std::string& whole;
    std::string_view rest;
    const std::vector<Variable>& variables;
    int depth;

    [[noreturn]] void fail() const {
      parser.fail(text("\"", whole,
                       "\" is not an expression; write numbers and names of ranges with + - * and parentheses, "
                       "or {NAME} for a rule"));
    }
    // The next sign, if it is this one.
    bool take(char sign) {
      rest = trimmed(rest);
      if (rest.empty() || rest[0] != sign) return false;
      rest.remove_prefix(1);
      return true;
    }
    int64_t checked(int64_t value) const {
      if (value > kMaxNumber || value < -kMaxNumber)
        parser.fail(text("\"", whole, "\" evaluates to ", value, "; numbers must be from -10^9 to 10^9"));
      return value;
    }
    int64_t sum() {
      if (++depth > 100) parser.fail(text("\"", whole, "\" is nested more than 100 deep"));
      int64_t value = product();
      while (true) {
        if (take('+'))
          value = checked(value + product());
        else if (take('-'))
          value = checked(value - product());
        else
          break;
      }
      --depth;
      return value;
    }
    int64_t product() {
      int64_t value = factor();
      while (take('*')) value = checked(value * factor());
      return value;
    }
    int64_t factor() {
      bool minus = false;
      while (take('-')) minus = !minus;
      const int64_t value = positive();
      return minus ? -value : value;
    }
    int64_t positive() {
      if (take('(')) {
        const int64_t value = sum();
        if (!take(')')) fail();
        return value;
      }
      const auto end_of_word = std::find_if_not(rest.begin(), rest.end(), is_name_letter);
      const std::string_view word = rest.substr(0, size_t(end_of_word - rest.begin()));
      rest.remove_prefix(word.size());
      if (!word.empty() && is_digit(word[0])) {
        int64_t value = 0;
        const auto [end, error] = std::from_chars(word.begin(), word.end(), value);
        if (error != std::errc() || end != word.end()) fail();
        return checked(value);
      }
      const Variable* variable = lookup(word, variables);
      if (!variable || variable->is_text) fail();
      return variable->value;
    }
  };

  // ------------------------------------------------------------------------------------------------ the whole

  // Names become rules, weights probabilities.
  void link() {
    std::vector<int32_t> rule;
    for (const auto& [name, line] : names_) {
      const auto found = rule_of_.find(name);
      line_ = line;
      if (found == rule_of_.end()) fail(text("{", name, "} is not defined; add a rule,  ", name, " = ..."));
      rule.push_back(found->second);
    }
    for (const auto& [name, line] : variables_) {
      line_ = line;
      if (rule_of_.count(name)) fail(text(name, " is a range here and a rule elsewhere; rename one of them"));
    }
    for (GrammarRule& each : rules_) {
      double total = 0, sum = 0;
      for (const Alternative& alternative : each.alternatives) total += alternative.probability;
      for (Alternative& alternative : each.alternatives) {
        alternative.probability /= total;
        each.cumulative.push_back(sum += alternative.probability);
        for (Symbol& s : alternative.symbols)
          if (s.rule >= 0) s.rule = rule[size_t(s.rule)];
      }
      each.cumulative.back() = 1;
    }
  }

  struct Name {
    std::string name;
    int64_t line;  // of its first use
  };
  const std::string& file_;
  int64_t line_ = 0, alternatives_ = 0, symbols_ = 0, turns_ = 0;
  std::vector<GrammarRule> rules_;
  std::unordered_map<std::string, int32_t> rule_of_, name_index_;
  std::unordered_map<std::string, int64_t> variables_;  // to the line of the first
  std::vector<Name> names_;                             // used in braces
};

}  // namespace

Grammar Grammar::parse(std::string_view words, const std::string& file) {
  require_utf8(words, file);
  Grammar grammar;
  grammar.rules_ = std::make_shared<const std::vector<GrammarRule>>(Parser(file).parse(words));
  grammar.network_ = std::make_shared<const GrammarNetwork>(*grammar.rules_, file);
  return grammar;
}

Grammar Grammar::read(const std::string& path) {
  const std::string content = read_text(path, kMostListed);
  require_newlines(content, path);
  return parse(content, path);
}

}  // namespace gradus
