#include "models/text/cutters.h"

#include "models/table.h"
#include "models/text/utf8.h"

namespace gradus {

std::string Cutter::meant(const std::string& shown) const {
  std::string_view rest = shown;
  return take(rest).size() == shown.size() ? shown : std::string();
}

namespace {

std::string_view take_bytes(std::string_view& rest, size_t n) {
  const std::string_view token = rest.substr(0, n);
  rest.remove_prefix(token.size());
  return token;
}

// A token is one code point, exactly as it stands: line ends are kept, nothing is composed or folded.
class CharCutter final : public Cutter {
 public:
  CharCutter() : Cutter({.name = "char", .unit = "character", .any_bytes = false, .keeps_white = true}) {}
  std::string_view take(std::string_view& rest) const override {
    return take_bytes(rest, rest.empty() ? 0 : first_character(rest).bytes);
  }
  std::string named(std::string_view token) const override { return readable(token); }
};

// A token is one byte, of any text or file. The vocabulary shows a byte beyond ASCII as <0xE5>.
class ByteCutter final : public Cutter {
 public:
  ByteCutter() : Cutter({.name = "byte", .unit = "byte", .any_bytes = true, .keeps_white = true}) {}
  std::string_view take(std::string_view& rest) const override { return take_bytes(rest, 1); }
  std::string show(std::string_view token) const override {
    return is_ascii(token[0]) ? std::string(token) : "<" + hex_byte(token[0]) + ">";
  }
  std::string meant(const std::string& shown) const override {
    if (shown.size() == 6)
      for (int b = 0x80; b < 0x100; ++b)
        if (std::string byte(1, char(b)); show(byte) == shown) return byte;
    return shown.size() == 1 && is_ascii(shown[0]) ? shown : std::string();
  }
  std::string named(std::string_view token) const override { return hex_byte(token[0]); }

 private:
  static bool is_ascii(char byte) { return (byte & 0x80) == 0; }
};

// A token is a run of characters between white space; the white space itself is not kept.
class WordCutter final : public Cutter {
 public:
  WordCutter() : Cutter({.name = "word", .unit = "word", .any_bytes = false, .keeps_white = false}) {}
  std::string_view take(std::string_view& rest) const override {
    take_bytes(rest, run_length(rest, true));
    return take_bytes(rest, run_length(rest, false));
  }
  std::string named(std::string_view token) const override { return "'" + one_line(token, 60) + "'"; }

 private:
  // Bytes of the run at the start of `s` whose characters are all white space, or all are not.
  static size_t run_length(std::string_view s, bool white) {
    size_t n = 0;
    while (n < s.size()) {
      const Character c = first_character(s.substr(n));
      if (is_white(c.code) != white) break;
      n += c.bytes;
    }
    return n;
  }
};

}  // namespace

std::vector<const Cutter*> cutters() {
  static const CharCutter chars;
  static const ByteCutter bytes;
  static const WordCutter words;
  return {&chars, &bytes, &words};
}

std::vector<std::string> cutter_names() {
  std::vector<std::string> names;
  for (const Cutter* cutter : cutters()) names.push_back(cutter->name);
  return names;
}

const Cutter& find_cutter(std::string_view name) {
  for (const Cutter* cutter : cutters())
    if (cutter->name == name) return *cutter;
  throw_unknown("tokenizer", name, cutter_names());
}

}  // namespace gradus
