#include "rl/rewards/terms.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <unordered_set>

#include "models/text/words.h"

namespace gradus {

bool parse_number(std::string_view s, double& value) {
  if (s.starts_with('+') && !s.starts_with("+-")) s.remove_prefix(1);
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  // Too large or too small: which of the two, it does not say.
  if (error == std::errc::result_out_of_range) value = std::strtod(std::string(s).c_str(), nullptr);
  return error != std::errc::invalid_argument && end == s.data() + s.size() && std::isfinite(value);
}

double similarity(std::span<const int32_t> tokens, std::span<const int32_t> target, Loc where) {
  require(!target.empty(), "similarity", where, "the target is empty: it has no positions to agree on");
  int64_t hits = 0;
  for (size_t t = 0; t < std::min(tokens.size(), target.size()); ++t) hits += tokens[t] == target[t];
  return double(hits) / double(target.size());
}

namespace reward {
namespace {

// A Scorer that looks at one sequence at a time.
template <class F>
Scorer each(F f) {
  return [f = std::move(f)](std::span<const Generated> sequences, std::span<double> scores) {
    std::transform(sequences.begin(), sequences.end(), scores.begin(), f);
  };
}

int64_t parse_length(const std::string& s, int64_t least) {
  int64_t n = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (error != std::errc() || end != s.data() + s.size() || n < least || n > 1'000'000'000)
    throw UsageError(text("'", s, "' must be a whole number from ", least, " to 1000000000"));
  return n;
}

}  // namespace

// 1 if s occurs in the text, else 0. An occurrence is one of bytes, which in UTF-8 is one of characters.
Scorer contains(const std::string& s, const Tokenizer&) {
  return each([s](const Generated& g) { return g.text.find(s) != std::string_view::npos ? 1.0 : 0.0; });
}

// A character of s that is in no token.
std::string unsayable(const std::string& s, const Tokenizer& tokenizer) {
  std::string all = tokenizer.separator();
  for (int32_t id = 0; id < tokenizer.size(); ++id) all += tokenizer.decode({&id, 1});
  for (size_t at = 0, n; at < s.size(); at += n) {
    for (n = 1; at + n < s.size() && (uint8_t(s[at + n]) & 0xC0) == 0x80;) ++n;  // one code point
    const std::string_view c = std::string_view(s).substr(at, n);
    if (all.find(c) == std::string::npos) return text("the vocabulary has no ", shown(c));
  }
  return "";
}

// No text of the run ends by itself.
std::string endless(const std::string&, const Tokenizer& tokenizer) {
  return tokenizer.end_id() < 0 ? "the run has no end mark, so that every text has the same length" : "";
}

// Occurrences of s in the text, from the left, that do not overlap.
Scorer count(const std::string& s, const Tokenizer&) {
  return each([s](const Generated& g) {
    int64_t n = 0;
    for (size_t at = 0; (at = g.text.find(s, at)) != std::string_view::npos; at += s.size()) ++n;
    return double(n);
  });
}

// −|T − n| of its T tokens.
Scorer length(const std::string& n, const Tokenizer&) {
  return each([wanted = double(parse_length(n, 0))](const Generated& g) {
    return 0.0 - std::fabs(double(g.tokens.size()) - wanted);  // 0, not -0, where it fits
  });
}

// 1 if ended by the end mark, else 0.
Scorer end(const std::string&, const Tokenizer&) {
  return each([](const Generated& g) { return g.ended ? 1.0 : 0.0; });
}

// Different n-grams of tokens / n-grams; 0 where there are none.
Scorer distinct(const std::string& n, const Tokenizer&) {
  return each([n = size_t(parse_length(n, 1))](const Generated& g) {
    if (g.tokens.size() < n) return 0.0;
    const auto before = [](std::span<const int32_t> a, std::span<const int32_t> b) {
      return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
    };
    std::set<std::span<const int32_t>, decltype(before)> seen(before);
    const size_t all = g.tokens.size() - n + 1;
    for (size_t t = 0; t < all; ++t) seen.insert(g.tokens.subspan(t, n));
    return double(seen.size()) / double(all);
  });
}

// Share of the positions of s that the sequence fills with the same token; what follows the last one is not looked at.
// Without s, of the reference with the largest share; an empty one is met by an empty text.
Scorer similarity(const std::string& s, const Tokenizer& tokenizer) {
  if (s.empty())
    return each([](const Generated& g) {
      double most = 0;
      for (const std::vector<int32_t>& r : g.references)
        most = std::max(most, r.empty() ? double(g.tokens.empty()) : gradus::similarity(g.tokens, r));
      return most;
    });
  std::vector<int32_t> target;
  try {
    target = tokenizer.encode(s);
  } catch (const DataError& error) {
    throw DataError(text("reward similarity:", s, ": ", error.what()));
  }
  if (target.empty()) throw UsageError(text("'", s, "' holds no token to agree with"));
  return each([target = std::move(target)](const Generated& g) { return gradus::similarity(g.tokens, target); });
}

// Share of the words (models/text/words.h) that occur in the prompt; 0 without words.
Scorer relevance(const std::string&, const Tokenizer& tokenizer) {
  return each([rule = word_rule(tokenizer)](const Generated& g) {
    const std::vector<std::string_view> mine = words(g.text, rule), asked = words(g.prompt, rule);
    if (mine.empty()) return 0.0;
    const std::unordered_set<std::string_view> known(asked.begin(), asked.end());
    const auto hits = std::count_if(mine.begin(), mine.end(), [&](std::string_view w) { return known.contains(w); });
    return double(hits) / double(mine.size());
  });
}

}  // namespace reward
}  // namespace gradus
