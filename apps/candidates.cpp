#include "apps/candidates.h"

#include <algorithm>
#include <cmath>

#include "apps/format.h"
#include "engine/io/json_number.h"
#include "models/text/utf8.h"

namespace gradus {

std::string shown_token(const Tokenizer& tokenizer, int32_t token) {
  constexpr size_t kLongest = 20;
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

std::string to_columns(const std::string& text, size_t columns) {
  const size_t taken = columns_of(text);
  return text + std::string(taken < columns ? columns - taken : 0, ' ');
}

std::string candidates_text(const Tokenizer& tokenizer, std::span<const Candidate> candidates, size_t begin) {
  constexpr size_t kLine = 80, kGap = 2;
  size_t widest = 0;
  std::vector<std::string> cells;
  for (const auto& [token, log_prob] : candidates) {
    cells.push_back(shown_token(tokenizer, token) + " " + fixed(std::exp(log_prob), 3));
    widest = std::max(widest, columns_of(cells.back()));
  }
  std::string out;
  size_t at = begin;
  for (const std::string& cell : cells) {
    if (at > begin && at + kGap + widest > kLine) {
      out.erase(out.find_last_not_of(' ') + 1);
      out += "\n" + std::string(begin, ' ');
      at = begin;
    }
    const size_t gap = at > begin ? kGap : 0;
    out += std::string(gap, ' ') + to_columns(cell, widest);
    at += gap + widest;
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

Json candidates_json(const Tokenizer& tokenizer, std::span<const Candidate> candidates) {
  Json list = Json::array();
  for (const auto& [token, log_prob] : candidates)
    list.push_back({{"text", valid_utf8(tokenizer.token(token))}, {"probability", json_number(std::exp(log_prob))}});
  return list;
}

}  // namespace gradus
