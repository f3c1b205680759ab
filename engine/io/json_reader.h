// JsonReader: JSON that comes from outside, value by value and without a tree. It is the one reader of such text, and
// a strict one: RFC 8259 in valid UTF-8, at most kMaxDepth levels deep. It allocates nothing but the texts it returns.
//
//   JsonReader in(R"({"a":[1,2]})");
//   in.open('{');
//   while (in.more('}')) {
//     const std::string name = in.key();
//     in.open('[');
//     while (in.more(']')) use(in.number());
//   }
//   in.end();
#pragma once

#include <string>
#include <string_view>

#include "engine/error.h"

namespace gradus {

// What is wrong with a JSON text or with the type of a value, without the name of the file.
struct JsonError : DataError {
  using DataError::DataError;
};

// Text from outside, as it may stand in a message on a terminal: in quotes, short, with ? for every is_order().
// REQUIRES: valid UTF-8.
std::string in_quotes(std::string_view s);

// Every call throws JsonError, with the place, where the text is not JSON or the next value is of another kind.
class JsonReader {
 public:
  static constexpr int kMaxDepth = 64;

  explicit JsonReader(std::string_view text);

  // The first character of the next value: { [ " t f n - or a digit. Takes nothing.
  char peek();
  // A list or an object: open('['), then a value after each more(']') that is true; of an object key() comes first.
  void open(char bracket);
  bool more(char closing);
  std::string key();
  std::string text();
  std::string_view number();         // its characters
  void word(std::string_view word);  // true, false or null
  void end();                        // there is nothing behind

  size_t offset() const { return at_; }  // bytes read so far
  // JsonError: "WHAT (line 2, column 5)", the place read last.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  [[noreturn]] void not_json() const;
  bool here(char c) const { return at_ < text_.size() && text_[at_] == c; }
  void take(char c);
  void skip_white();
  void digits();
  unsigned hex4();
  std::string unescaped(size_t end);

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  bool first_ = false;  // a list or an object has just been opened
};

}  // namespace gradus
