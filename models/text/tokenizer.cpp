#include "models/text/tokenizer.h"

#include <utf8.h>

#include <algorithm>
#include <cstdio>
#include <unordered_set>

#include "models/text/shell_word.h"

namespace gradus {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kOrderMark16[] = {"\xFF\xFE", "\xFE\xFF"};

std::string hex(const char* format, uint32_t n) {
  char out[16];
  std::snprintf(out, sizeof out, format, n);
  return out;
}

unsigned byte_at(std::string_view s, size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0; }
bool continues(std::string_view s, size_t i) { return (byte_at(s, i) & 0xC0) == 0x80; }

// Byte offset of the first byte that is not UTF-8 or is NUL; text.size() if there is none.
size_t find_bad_byte(std::string_view text) {
  const char* bad = utf8::find_invalid(text.data(), text.data() + text.size());
  return std::min(text.find('\0'), size_t(bad - text.data()));
}

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
  for (std::string_view mark : kOrderMark16)
    if (s.starts_with(mark)) return "UTF-16";
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

// Throws unless all of `s` is UTF-8 without NUL. With a file name the sentence speaks of that file.
void check_utf8(std::string_view s, const std::string* file) {
  const size_t bad = find_bad_byte(s);
  if (bad == s.size()) return;
  const std::string_view before = s.substr(0, bad);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  std::string_view start = before.substr(before.rfind('\n') + 1);  // npos + 1 = 0
  if (line == 1 && start.starts_with(kByteOrderMark)) start.remove_prefix(kByteOrderMark.size());
  const auto column = 1 + utf8::distance(start.data(), start.data() + start.size());
  std::string message =
      text(file ? *file : "the text", " is not text in UTF-8: line ", line, ", column ", column, " (byte offset ", bad,
           ") is the byte ", hex("0x%02X", byte_at(s, bad)), ", ", complaint(s.substr(bad)));
  if (const char* encoding = file ? guess_encoding(s, bad) : nullptr) {
    const std::string path = (file->starts_with('-') ? "./" : "") + *file;
    message += text("; it looks like ", encoding, ", so try: iconv -f ", encoding, " -t UTF-8 ", shell_word(path),
                    " > ", shell_word(path + ".utf8"));
  }
  throw DataError(message);
}

// 'x' (U+0078); control characters by their escape or number alone, marks that combine on a dotted circle.
std::string readable(std::string_view character) {
  const uint32_t c = utf8::peek_next(character.begin(), character.end());
  std::string number = hex("U+%04X", c);
  const auto in = [c](uint32_t low, uint32_t high) { return low <= c && c <= high; };
  if (c == '\n') return text("'\\n' (", number, ")");
  if (c == '\r') return text("'\\r' (", number, ")");
  if (c == '\t') return text("'\\t' (", number, ")");
  const bool invisible = in(0, 0x1F) || in(0x7F, 0xA0) || c == 0xAD || in(0x2000, 0x200F) || in(0x2028, 0x202F) ||
                         in(0x205F, 0x206F) || c == 0x3000 || in(0xE000, 0xF8FF) || in(0xFE00, 0xFE0F) || c == 0xFEFF ||
                         in(0xFFF0, 0xFFFB) || in(0xE0000, 0x10FFFF);
  if (invisible) return number;
  const bool combines =
      in(0x300, 0x36F) || in(0x1AB0, 0x1AFF) || in(0x1DC0, 0x1DFF) || in(0x20D0, 0x20FF) || in(0xFE20, 0xFE2F);
  return text("'", combines ? "\u25CC" : "", character, "' (", number, ")");
}

// Bytes of the run at the start of `s` whose characters are all white space, or all are not.
size_t run_length(std::string_view s, bool white) {
  const char *p = s.data(), *const end = p + s.size();
  while (p < end) {
    const char* next = p;
    if (is_white(utf8::unchecked::next(next)) != white) break;
    p = next;
  }
  return size_t(p - s.data());
}

// Takes the first token off `rest`; empty if there is none. REQUIRES: rest is UTF-8, unless kind is kByte.
std::string_view take_token(Tokenizer::Kind kind, std::string_view& rest) {
  size_t length = std::min<size_t>(rest.size(), 1);  // of a byte
  if (kind == Tokenizer::Kind::kWord) {
    rest.remove_prefix(run_length(rest, true));
    length = run_length(rest, false);
  } else if (kind == Tokenizer::Kind::kChar && length > 0) {
    const char* next = rest.data();
    utf8::unchecked::next(next);
    length = size_t(next - rest.data());
  }
  const std::string_view token = rest.substr(0, length);
  rest.remove_prefix(length);
  return token;
}

// How the vocabulary shows a token, and back; the second is empty for what shows no token of that kind.
std::string shown(Tokenizer::Kind kind, std::string_view token) {
  const bool bare = kind != Tokenizer::Kind::kByte || byte_at(token, 0) < 0x80;
  return bare ? std::string(token) : hex("<0x%02X>", byte_at(token, 0));
}
std::string meant(Tokenizer::Kind kind, const std::string& name) {
  if (kind == Tokenizer::Kind::kByte && name.size() == 6)
    for (uint32_t b = 0x80; b < 0x100; ++b)
      if (hex("<0x%02X>", b) == name) return std::string(1, char(b));
  std::string_view rest = name;
  const std::string_view token = take_token(kind, rest);
  return token.size() == name.size() ? name : std::string();
}

// A token in a message, with nothing that a terminal would obey.
std::string named(Tokenizer::Kind kind, std::string_view token) {
  if (kind == Tokenizer::Kind::kChar) return readable(token);
  if (kind == Tokenizer::Kind::kByte) return hex("0x%02X", byte_at(token, 0));
  std::string word;
  for (auto i = token.begin(); i != token.end() && word.size() < 60;) {
    const auto begin = i;
    const bool control = utf8::unchecked::next(i) < 0x20 || *begin == 0x7F;
    word += control ? "\uFFFD" : std::string(begin, i);
  }
  return "'" + word + "'";
}

struct KindNames {
  const char *kind, *unit;
};
const KindNames& names_of(Tokenizer::Kind kind) {
  static constexpr KindNames names[] = {{"char", "character"}, {"byte", "byte"}, {"word", "word"}};
  return names[size_t(kind)];
}

}  // namespace

bool is_white(uint32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

void require_utf8(std::string_view text, const std::string& file) { check_utf8(text, &file); }

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  utf8::replace_invalid(bytes.begin(), bytes.end(), std::back_inserter(out));
  return out;
}

int64_t count_characters(std::string_view text, size_t from, size_t to) {
  int64_t n = 0;
  to = std::min(to, text.size());
  for (size_t i = 0; i < to;) {
    n += i >= from;
    const std::string_view next = text.substr(i, 4);
    size_t length = 1;
    while (length <= next.size() && !utf8::is_valid(next.begin(), next.begin() + long(length))) ++length;
    i += length <= next.size() ? length : 1;
  }
  return n;
}

size_t complete_length(std::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(bytes.size(), 3); ++back) {
    const unsigned b = byte_at(bytes, bytes.size() - back);
    if ((b & 0xC0) == 0x80) continue;
    const size_t length = b < 0xC0 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : b < 0xF8 ? 4 : 1;
    return length > back ? bytes.size() - back : bytes.size();
  }
  return bytes.size();
}

Tokenizer::Kind Tokenizer::parse_kind(std::string_view name) {
  for (Kind kind : {Kind::kChar, Kind::kByte, Kind::kWord})
    if (name == names_of(kind).kind) return kind;
  throw DataError(text("unknown tokenizer '", name, "'; there are: char, byte, word"));
}

const char* Tokenizer::kind_name() const { return names_of(kind_).kind; }
const char* Tokenizer::unit() const { return names_of(kind_).unit; }

Tokenizer::Tokenizer(Kind kind, std::vector<std::string> vocab) : kind_(kind), vocab_(std::move(vocab)) {
  if (vocab_.back() == kEndMark) end_id_ = size() - 1;
  for (int32_t id = 0; id < size(); ++id) {
    pieces_.push_back(id == end_id_ ? std::string() : meant(kind, vocab_[size_t(id)]));
    if (id != end_id_) ids_.emplace(pieces_.back(), id);
  }
}

// What the vocabulary shows of the tokens that occur, each once and sorted.
std::vector<std::string> Tokenizer::tokens_of(Kind kind, std::span<const std::string_view> texts) {
  std::unordered_set<std::string_view> tokens;
  for (std::string_view rest : texts) {
    if (kind != Kind::kByte) check_utf8(rest, nullptr);
    for (std::string_view token; !(token = take_token(kind, rest)).empty();) tokens.insert(token);
  }
  if (tokens.empty()) throw DataError("the text is empty: there is nothing to make a vocabulary of");
  std::vector<std::string_view> sorted(tokens.begin(), tokens.end());
  std::sort(sorted.begin(), sorted.end());  // by bytes, which for UTF-8 is the order of code points
  std::vector<std::string> vocab;
  vocab.reserve(sorted.size());
  for (std::string_view token : sorted) vocab.push_back(shown(kind, token));
  return vocab;
}

Tokenizer Tokenizer::from_text(Kind kind, std::string_view text) {
  return Tokenizer(kind, tokens_of(kind, {&text, 1}));
}

Tokenizer Tokenizer::from_lines(Kind kind, std::span<const std::string_view> lines) {
  std::vector<std::string> vocab = tokens_of(kind, lines);
  if (std::find(vocab.begin(), vocab.end(), kEndMark) != vocab.end())
    throw DataError(text("the text holds the word ", kEndMark, ", which ends a line in the vocabulary"));
  vocab.push_back(kEndMark);
  return Tokenizer(kind, std::move(vocab));
}

Tokenizer Tokenizer::from_vocab(Kind kind, std::vector<std::string> vocab) {
  if (vocab.empty()) throw DataError("the vocabulary is empty");
  std::unordered_map<std::string_view, size_t> seen;
  for (size_t id = 0; id < vocab.size(); ++id) {
    const std::string& token = vocab[id];
    if (const size_t bad = find_bad_byte(token);
        bad < token.size() && (kind != Kind::kByte || token != std::string(1, '\0')))
      throw DataError(text("token ", id, " of the vocabulary is not text in UTF-8: its byte ", bad, " is ",
                           hex("0x%02X", byte_at(token, bad)), ", ", complaint(std::string_view(token).substr(bad))));
    const bool end = id + 1 == vocab.size() && token == kEndMark;
    if (!end && (meant(kind, token).empty() || token == kEndMark))
      throw DataError(text("token ", id, " of the vocabulary is \"", token, "\"; a vocabulary of ", names_of(kind).unit,
                           "s holds one ", names_of(kind).unit, " in each, and at most ", kEndMark, " as the last"));
    if (const auto [first, fresh] = seen.emplace(token, id); !fresh)
      throw DataError(text("tokens ", first->second, " and ", id,
                           " of the vocabulary are the same: ", end ? kEndMark : named(kind, meant(kind, token))));
  }
  return Tokenizer(kind, std::move(vocab));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  if (kind_ != Kind::kByte) check_utf8(text, nullptr);
  std::vector<int32_t> ids;
  if (kind_ != Kind::kWord) ids.reserve(text.size());  // at least the number of tokens
  for (std::string_view token; !(token = take_token(kind_, text)).empty();) {
    const auto found = ids_.find(token);
    if (found == ids_.end())
      throw DataError(gradus::text("the ", unit(), " ", named(kind_, token), " at position ", ids.size() + 1,
                                   " is not in the vocabulary of ", ids_.size(), " ", unit(),
                                   ids_.size() == 1 ? "" : "s"));
    ids.push_back(found->second);
  }
  return ids;
}

size_t Tokenizer::bytes_of(std::string_view text, int64_t n) const {
  std::string_view rest = text;
  for (int64_t i = 0; i < n; ++i) take_token(kind_, rest);
  return text.size() - rest.size();
}

std::string Tokenizer::decode(std::span<const int32_t> ids, Loc where) const {
  std::string out;
  for (int32_t id : ids) {
    token(id, where);  // or it throws
    if (id == end_id_) continue;
    if (!out.empty()) out += separator();
    out += pieces_[size_t(id)];
  }
  return out;
}

const std::string& Tokenizer::token(int32_t id, Loc where) const {
  require(id >= 0 && id < size(), "token", where, "id ", id, " is outside the vocabulary of ", size(), " tokens");
  return vocab_[size_t(id)];
}

}  // namespace gradus
