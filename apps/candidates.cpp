#include "apps/candidates.h"

#include <algorithm>
#include <cmath>

#include "apps/format.h"
#include "engine/io/json_number.h"
#include "models/text/utf8.h"

namespace gradus {

std::string shown_token(const Tokenizer& tokenizer, int32_t token) {
  constexpr size_t kLongest = 14;
  if (token == tokenizer.end_id()) return "end";
  const std::string shown = harmless_line(tokenizer.token(token));
  const std::string_view part = first_columns(shown, kLongest);
  return "\"" + std::string(part) + (part.size() < shown.size() ? "…\"" : "\"");
}

static size_t columns_of(const std::string& text) {
  size_t columns = 0;
  while (first_columns(text, columns).size() < text.size()) ++columns;
  return columns;
}

size_t columns_of_tokens(const Tokenizer& tokenizer) {
  size_t widest = std::string_view("token").size();
  for (int32_t id = 0; id < tokenizer.size(); ++id) widest = std::max(widest, columns_of(shown_token(tokenizer, id)));
  return widest + 1;
}

std::string to_columns(const std::string& text, size_t columns) {
  const size_t taken = columns_of(text);
  return text + std::string(taken < columns ? columns - taken : 0, ' ');
}

std::string candidates_text(const Tokenizer& tokenizer, std::span<const Candidate> candidates, size_t begin) {
  constexpr size_t kLine = 80, kGap = 2;
  std::string out;
  size_t at = begin;
  for (const auto& [token, log_prob] : candidates) {
    const std::string cell = shown_token(tokenizer, token) + " " + fixed(std::exp(log_prob), 3);
    const size_t width = columns_of(cell);
    if (at > begin && at + kGap + width > kLine) {
      out += "\n" + std::string(begin, ' ');
      at = begin;
    }
    const size_t gap = at > begin ? kGap : 0;
    out += std::string(gap, ' ') + cell;
    at += gap + width;
  }
  return out;
}

Json candidates_json(const Tokenizer& tokenizer, std::span<const Candidate> candidates) {
  Json list = Json::array();
  for (const auto& [token, log_prob] : candidates)
    list.push_back({{"text", valid_utf8(tokenizer.token(token))}, {"probability", json_number(std::exp(log_prob))}});
  return list;
}

}  // namespace gradus
