#include "models/text/utf8.h"

#include <utf8.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdio>

#include "engine/error.h"
#include "engine/io/orders.h"
#include "models/text/shell_word.h"

namespace gradus {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

unsigned byte_at(std::string_view s, size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0; }
bool continues(std::string_view s, size_t i) { return (byte_at(s, i) & 0xC0) == 0x80; }

// What is wrong with the bytes that `s` begins with, to be read after "the byte 0xE9, ".
std::string complaint(std::string_view s) {
  const unsigned b = byte_at(s, 0);
  if (b == 0) return "which no text contains";
  if (b < 0xC0) return "which continues a character that never began";
  if (b < 0xC2 || b > 0xF4) return "which occurs nowhere in UTF-8";
  const size_t length = b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
  size_t here = 1;
  while (here < length && continues(s, here)) ++here;
  if (here < length)
    return text("which begins a character of ", length, " bytes, ",
                here == s.size() ? "but there the text ends" : "but another one begins before its end");
  if (b == 0xED) return "which begins a surrogate, a number that UTF-8 excludes";
  if (b == 0xF4) return "which begins a number above U+10FFFF";
  return "which begins an overlong form, longer than the character needs";
}

// True where all of `s` is GB18030 and most pairs lie in the rows of GB2312, which hold the usual characters. Where
// damaged UTF-8 or Latin-1 happens to be GB18030, fewer than half of the pairs do.
bool looks_like_gb18030(std::string_view s) {
  const auto between = [](unsigned b, unsigned low, unsigned high) { return low <= b && b <= high; };
  size_t pairs = 0, usual = 0;
  for (size_t i = 0; i < s.size();) {
    const unsigned a = byte_at(s, i), b = byte_at(s, i + 1);
    if (a == 0) return false;
    if (a < 0x80) {
      ++i;
    } else if (!between(a, 0x81, 0xFE)) {
      return false;
    } else if (between(b, '0', '9') && between(byte_at(s, i + 2), 0x81, 0xFE) && between(byte_at(s, i + 3), '0', '9')) {
      i += 4;
    } else if (between(b, 0x40, 0xFE) && b != 0x7F) {
      ++pairs;
      usual += (between(a, 0xA1, 0xA9) || between(a, 0xB0, 0xF7)) && between(b, 0xA1, 0xFE);
      i += 2;
    } else {
      return false;
    }
  }
  return pairs > 0 && usual * 3 >= pairs * 2;
}

// True for ASCII text without odd control characters in which at most every fourth byte is beyond ASCII.
bool looks_western(std::string_view s) {
  size_t high = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    const unsigned b = byte_at(s, i);
    if ((b < 0x20 && !(b >= '\t' && b <= '\r')) || b == 0x7F) return false;
    high += b >= 0x80;
  }
  return high * 4 <= s.size();
}

// The encoding that `s` seems to be in, by the name that iconv knows it by; null if nothing comes to mind.
const char* guess_encoding(std::string_view s, size_t bad) {
  if (s.starts_with("\xFF\xFE") || s.starts_with("\xFE\xFF")) return "UTF-16";
  if (s[bad] == '\0') {
    size_t nul[2] = {0, 0};
    for (size_t i = 0; i < s.size(); ++i) nul[i % 2] += s[i] == '\0';
    if (nul[1] * 3 > s.size() && nul[0] * 8 < s.size()) return "UTF-16LE";
    if (nul[0] * 3 > s.size() && nul[1] * 8 < s.size()) return "UTF-16BE";
    return nullptr;
  }
  if (looks_like_gb18030(s)) return "GB18030";
  const auto is_high = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
  // Good UTF-8 beyond ASCII before the bad byte: a damaged file, not another encoding.
  if (std::any_of(s.begin(), s.begin() + long(bad), is_high) || !looks_western(s)) return nullptr;
  // Windows puts letters where Latin-1 has control characters.
  const auto is_c1 = [](char c) { return (static_cast<unsigned char>(c) & 0xE0) == 0x80; };
  return std::any_of(s.begin(), s.end(), is_c1) ? "WINDOWS-1252" : "ISO-8859-1";
}

utf8proc_category_t category(char32_t c) { return utf8proc_category(utf8proc_int32_t(c)); }

}  // namespace

std::optional<BadByte> find_bad_byte(std::string_view text) {
  const char* const invalid = utf8::find_invalid(text.data(), text.data() + text.size());
  const size_t at = std::min(text.find('\0'), size_t(invalid - text.data()));
  if (at == text.size()) return {};
  return BadByte{at, hex_byte(text[at]) + ", " + complaint(text.substr(at))};
}

void require_utf8(std::string_view s, const std::string& file) {
  const std::optional<BadByte> bad = find_bad_byte(s);
  if (!bad) return;
  const std::string_view before = s.substr(0, bad->at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  std::string_view start = before.substr(before.rfind('\n') + 1);  // npos + 1 = 0
  if (line == 1 && start.starts_with(kByteOrderMark)) start.remove_prefix(kByteOrderMark.size());
  std::string message = text(file.empty() ? "the text" : file, " is not text in UTF-8: line ", line, ", column ",
                             1 + count_characters(start), " (byte offset ", bad->at, ") is the byte ", bad->what);
  if (const char* encoding = file.empty() ? nullptr : guess_encoding(s, bad->at)) {
    message += text("; it looks like ", encoding, ", so try: iconv -f ", encoding, " -t UTF-8 ", shell_path(file),
                    " > ", shell_path(file + ".utf8"));
  }
  throw DataError(message);
}

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  utf8::replace_invalid(bytes.begin(), bytes.end(), std::back_inserter(out));
  return out;
}

Character first_character(std::string_view bytes) {
  if (byte_at(bytes, 0) < 0x80) return {byte_at(bytes, 0), 1};
  utf8proc_int32_t c;
  const auto n = utf8proc_iterate(reinterpret_cast<const uint8_t*>(bytes.data()), utf8proc_ssize_t(bytes.size()), &c);
  return n > 0 ? Character{char32_t(c), size_t(n)} : Character{kNoCharacter, 1};
}

int64_t count_characters(std::string_view text, size_t from, size_t to) {
  int64_t n = 0;
  for (size_t i = 0; i < std::min(to, text.size()); i += first_character(text.substr(i)).bytes) n += i >= from;
  return n;
}

size_t complete_length(std::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(bytes.size(), 3); ++back) {
    if (continues(bytes, bytes.size() - back)) continue;
    const auto length = size_t(static_cast<unsigned char>(utf8proc_utf8class[byte_at(bytes, bytes.size() - back)]));
    return length > back ? bytes.size() - back : bytes.size();
  }
  return bytes.size();
}

bool is_white(char32_t c) {
  if (c < 0x80) return (c >= 9 && c <= 13) || c == ' ';
  const utf8proc_category_t k = category(c);
  return c == 0x85 || k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

bool is_letter(char32_t c) {
  return category(c) >= UTF8PROC_CATEGORY_LU && category(c) <= UTF8PROC_CATEGORY_ME;  // all of L, then all of M
}

std::string_view first_columns(std::string_view text, size_t columns) {
  size_t i = 0;
  for (size_t used = 0; i < text.size();) {
    const Character c = first_character(text.substr(i));
    used += size_t(std::max(1, utf8proc_charwidth(utf8proc_int32_t(c.code))));
    if (used > columns) break;
    i += c.bytes;
  }
  return text.substr(0, i);
}

std::string one_line(std::string_view text, size_t columns) {
  const std::string valid = valid_utf8(text);
  std::string out;
  for (std::string_view rest = first_columns(valid, columns); !rest.empty();) {
    const Character c = first_character(rest);
    if (category(c.code) == UTF8PROC_CATEGORY_CC)
      out += ' ';
    else
      utf8::unchecked::append(visible(c.code), std::back_inserter(out));
    rest.remove_prefix(c.bytes);
  }
  return out;
}

char32_t visible(char32_t c) {
  if (c == '\n' || c == '\t') return c;
  if (c < 0x20) return 0x2400 + c;  // the signs for control characters
  return is_order(c) ? 0xFFFD : c;
}

std::string harmless(std::string_view bytes) {
  const std::string valid = valid_utf8(bytes);
  std::string out;
  for (auto i = valid.begin(); i != valid.end();) {
    const char32_t c = utf8::unchecked::next(i);
    if (c == '\r' && i != valid.end() && *i == '\n') continue;
    utf8::unchecked::append(visible(c), std::back_inserter(out));
  }
  return out;
}

std::string harmless_line(std::string_view bytes) {
  constexpr size_t kEnd = kLongestMessage / 4;  // often says what to do
  std::string all;
  if (bytes.size() > kLongestMessage) {
    all.append(bytes.substr(0, kLongestMessage - kEnd)).append(" ... ").append(bytes.substr(bytes.size() - kEnd));
    bytes = all;
  }
  std::string out;
  for (const char c : harmless(bytes))
    if (c == '\n' || c == '\t')
      utf8::unchecked::append(char32_t(0x2400 + c), std::back_inserter(out));
    else
      out += c;
  return out;
}

std::string hex_byte(char byte) {
  char out[8];
  std::snprintf(out, sizeof out, "0x%02X", static_cast<unsigned char>(byte));
  return out;
}

std::string readable(std::string_view character) {
  const char32_t c = first_character(character).code;
  char number[16];
  std::snprintf(number, sizeof number, "U+%04X", unsigned(c));
  if (c == '\n') return text("'\\n' (", number, ")");
  if (c == '\r') return text("'\\r' (", number, ")");
  if (c == '\t') return text("'\\t' (", number, ")");
  const utf8proc_category_t k = category(c);
  // Separators, control and format characters, what is private or not assigned. A space between quotes can be seen.
  if ((k >= UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_CN) && c != ' ') return number;
  const bool combines = k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME;
  return text("'", combines ? "\u25CC" : "", character, "' (", number, ")");
}

}  // namespace gradus
