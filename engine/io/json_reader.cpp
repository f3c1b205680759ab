// Written here, and not left to a library, for three reasons: nlohmann's parser does not tell where a fault stands,
// copies each text twice while it reads, and takes 1.5 ms for the header of 1,000 tensors.
#include "engine/io/json_reader.h"

#include <utf8.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/io/orders.h"

namespace gradus {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Line and column of a byte, from 1; columns count characters.
struct Place {
  std::ptrdiff_t line, column;
};
Place place_of(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, at);
  const size_t begin = before.rfind('\n') + 1;  // 0 where there is none
  const auto is_character = [](char c) { return (c & 0xC0) != 0x80; };
  return {1 + std::ranges::count(before, '\n'), 1 + std::ranges::count_if(before.substr(begin), is_character)};
}

}  // namespace

std::string in_quotes(std::string_view s) {
  size_t n = std::min<size_t>(s.size(), 80);
  while (n < s.size() && n > 0 && (s[n] & 0xC0) == 0x80) --n;  // not through the middle of a character
  std::string out = "\"";
  for (auto i = s.begin(); i != s.begin() + std::ptrdiff_t(n);) {
    const char32_t c = utf8::unchecked::next(i);
    utf8::unchecked::append(is_order(c) ? U'?' : c, std::back_inserter(out));
  }
  return out + (n < s.size() ? "...\"" : "\"");
}

JsonReader::JsonReader(std::string_view text) : text_(text) {
  at_ = size_t(utf8::find_invalid(text.begin(), text.end()) - text.begin());
  if (at_ < text.size()) not_json();
  at_ = 0;
}

void JsonReader::fail(const std::string& what) const {
  const Place place = place_of(text_, at_);
  throw JsonError(gradus::text(what, " (line ", place.line, ", column ", place.column, ")"));
}

void JsonReader::not_json() const {
  const Place place = place_of(text_, at_);
  throw JsonError(gradus::text("line ", place.line, " is not JSON (column ", place.column, ")"));
}

void JsonReader::take(char c) {
  if (!here(c)) not_json();
  ++at_;
}

void JsonReader::skip_white() {
  while (here(' ') || here('\n') || here('\t') || here('\r')) ++at_;
}

char JsonReader::peek() {
  skip_white();
  if (at_ == text_.size() || (!is_digit(text_[at_]) && std::string_view("{[\"tfn-").find(text_[at_]) == text_.npos))
    not_json();
  return text_[at_];
}

void JsonReader::open(char bracket) {
  peek();
  if (depth_ == kMaxDepth) fail(gradus::text("is nested more than ", kMaxDepth, " levels deep"));
  take(bracket);
  ++depth_;
  first_ = true;
}

bool JsonReader::more(char closing) {
  skip_white();
  const bool first = std::exchange(first_, false);
  if (here(closing)) {
    ++at_;
    --depth_;
    return false;
  }
  if (!first) take(',');
  return true;
}

std::string JsonReader::key() {
  std::string name = text();
  skip_white();
  take(':');
  return name;
}

std::string JsonReader::text() {
  peek();
  take('"');
  const size_t begin = at_;
  bool plain = true;
  for (; !here('"'); ++at_) {
    if (at_ == text_.size() || static_cast<unsigned char>(text_[at_]) < 0x20) not_json();
    if (text_[at_] != '\\') continue;
    plain = false;
    if (++at_ == text_.size()) not_json();
  }
  const size_t end = at_;
  at_ = begin;
  std::string out = plain ? std::string(text_.substr(begin, end - begin)) : unescaped(end);
  at_ = end + 1;
  return out;
}

// The text from here to its closing quote at `end`.
std::string JsonReader::unescaped(size_t end) {
  std::string out;
  out.reserve(end - at_);
  while (at_ < end) {
    const char c = text_[at_++];
    if (c != '\\') {
      out += c;
      continue;
    }
    static constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    const char escape = text_[at_++];
    if (const size_t i = kEscapes.find(escape); i != kEscapes.npos) {
      out += kMeant[i];
      continue;
    }
    --at_;
    take('u');
    unsigned code = hex4();
    if (code >= 0xDC00 && code < 0xE000) not_json();
    if (code >= 0xD800 && code < 0xDC00) {  // the first half of a character, which needs its second
      take('\\');
      take('u');
      const unsigned low = hex4();
      if (low < 0xDC00 || low >= 0xE000) not_json();
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    utf8::append(char32_t(code), std::back_inserter(out));
  }
  return out;
}

unsigned JsonReader::hex4() {
  unsigned code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    static constexpr std::string_view kDigits = "0123456789abcdef0123456789ABCDEF";
    const size_t digit = at_ < text_.size() ? kDigits.find(text_[at_]) : kDigits.npos;
    if (digit == kDigits.npos) not_json();
    code = code << 4 | unsigned(digit & 15);
  }
  return code;
}

void JsonReader::digits() {
  if (at_ == text_.size() || !is_digit(text_[at_])) not_json();
  while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
}

std::string_view JsonReader::number() {
  peek();
  const size_t begin = at_;
  if (here('-')) ++at_;
  if (here('0'))
    ++at_;
  else
    digits();
  if (here('.')) {
    ++at_;
    digits();
  }
  if (here('e') || here('E')) {
    ++at_;
    if (here('+') || here('-')) ++at_;
    digits();
  }
  return text_.substr(begin, at_ - begin);
}

void JsonReader::word(std::string_view word) {
  peek();
  for (const char c : word) take(c);
}

void JsonReader::end() {
  skip_white();
  if (at_ != text_.size()) not_json();
}

}  // namespace gradus
