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
  return error == std::errc() && end == s.data() + s.size() && std::isfinite(value);
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

Scorer contains(const std::string& s, const Tokenizer&) {
  return each([s](const Generated& g) { return g.text.find(s) != std::string_view::npos ? 1.0 : 0.0; });
}

Scorer count(const std::string& s, const Tokenizer&) {
  return each([s](const Generated& g) {
    int64_t n = 0;
    for (size_t at = 0; (at = g.text.find(s, at)) != std::string_view::npos; at += s.size()) ++n;
    return double(n);
  });
}

Scorer length(const std::string& n, const Tokenizer&) {
  return each([wanted = double(parse_length(n, 0))](const Generated& g) {
    return 0.0 - std::fabs(double(g.tokens.size()) - wanted);  // 0, not -0, where it fits
  });
}

Scorer end(const std::string&, const Tokenizer&) {
  return each([](const Generated& g) { return g.ended ? 1.0 : 0.0; });
}

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

Scorer similarity(const std::string& s, const Tokenizer& tokenizer) {
  std::vector<int32_t> target;
  try {
    target = tokenizer.encode(s);
  } catch (const DataError& error) {
    throw DataError(text("reward similarity:", s, ": ", error.what()));
  }
  if (target.empty()) throw UsageError(text("'", s, "' holds no token to agree with"));
  return each([target = std::move(target)](const Generated& g) { return gradus::similarity(g.tokens, target); });
}

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
