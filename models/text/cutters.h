// Cutters: how a text is cut into tokens and how one token is shown, an object for each --tokenizer. To add one, write
// its class in cutters.cpp and add it to the list there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gradus {

struct CutterTraits {
  const char* name;  // "char", as --tokenizer has it
  const char* unit;  // "character"
  bool any_bytes;    // cuts whatever a file holds; else only UTF-8
  // Whether tokens contain white space. If not, it separates them: a text needs --lines, and decode writes one space
  // between tokens.
  bool keeps_white;
};

class Cutter : public CutterTraits {
 public:
  explicit Cutter(const CutterTraits& traits) : CutterTraits(traits) {}
  virtual ~Cutter() = default;

  // Takes the first token off `rest`; empty if there is none. REQUIRES: UTF-8, unless it cuts any bytes.
  virtual std::string_view take(std::string_view& rest) const = 0;
  // How the vocabulary shows a token, as UTF-8, and back: `meant` is empty for what shows no token of this kind.
  virtual std::string show(std::string_view token) const { return std::string(token); }
  virtual std::string meant(const std::string& shown) const;
  // A token in a message, with nothing that a terminal would obey.
  virtual std::string named(std::string_view token) const = 0;
};

std::vector<const Cutter*> cutters();  // all of them, the default first
std::vector<std::string> cutter_names();
const Cutter& find_cutter(std::string_view name);  // DataError, which lists the names, for any other

}  // namespace gradus
