// Tokenizer: text to ids and back. A vocabulary is a list of token texts, index = id, as the checkpoint stores it.
//
//   Tokenizer t = Tokenizer::from_text(Tokenizer::Kind::kChar, corpus);
//   std::vector<int32_t> ids = t.encode("the heron");
//   t.decode(ids);                                     // "the heron"
//
// The kinds differ in how a text is cut into tokens and how one token is shown (tokenizer.cpp, take_token and the
// functions beside it); everything else works on the vocabulary alone.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/error.h"

namespace gradus {

// Throws DataError where `text` is not UTF-8 or holds a NUL byte: file, line, column (in characters), byte offset, the
// byte, what is wrong with it and, where the bytes look like GB18030, Latin-1 or UTF-16, the iconv line that converts
// the file. Lines and columns count from 1, byte offsets from 0. A byte order mark at the start is accepted (read_text
// of models/text/corpus.h drops it) and is not counted in the column. NUL is legal UTF-8 but occurs in no text that
// anybody wrote: it means that the file is something else.
void require_utf8(std::string_view text, const std::string& file);

// `bytes` with U+FFFD for whatever is not UTF-8.
std::string valid_utf8(std::string_view bytes);
bool is_white(uint32_t code_point);  // Unicode's White_Space
// How many code points of `text` begin in its bytes [from, to). A byte that is part of none counts as one.
int64_t count_characters(std::string_view text, size_t from = 0, size_t to = std::string_view::npos);
// Length of `bytes` without a character at the end that more bytes could complete.
size_t complete_length(std::string_view bytes);

class Tokenizer {
 public:
  // kChar: a token is one UTF-8 code point, exactly as it stands: line ends are kept, nothing is composed or folded.
  // kByte: a token is one byte, of any text or file. The vocabulary shows a byte beyond ASCII as <0xE5>.
  // kWord: a token is a run of characters between white space (Unicode's); the white space itself is not kept.
  enum class Kind { kChar, kByte, kWord };
  // The kind of that name ("char", "byte", "word"); DataError with the list of names for any other.
  static Kind parse_kind(std::string_view name);

  // In lines mode the last entry of the vocabulary: the id that begins and ends a sequence. encode never makes it,
  // whatever the text says, and decode writes nothing for it.
  static constexpr const char* kEndMark = "<|endoftext|>";

  // The tokens that occur in `text`, each once, in the order of their code points. DataError for a text without tokens
  // and as require_utf8 (not for kByte).
  static Tokenizer from_text(Kind kind, std::string_view text);
  // The same of many lines, with the end mark behind their tokens. DataError also where the mark itself is a token.
  static Tokenizer from_lines(Kind kind, std::span<const std::string_view> lines);
  // The vocabulary of a checkpoint. DataError if it is empty, has a token twice, or one that is not UTF-8 or not of
  // this kind.
  static Tokenizer from_vocab(Kind kind, std::vector<std::string> vocab);

  // DataError names the first token that is not in the vocabulary and its position (in tokens, from 1), or the first
  // byte that is not UTF-8.
  std::vector<int32_t> encode(std::string_view text) const;
  // How many bytes of `text` its first n tokens take, with the white space before words. REQUIRES: as encode.
  size_t bytes_of(std::string_view text, int64_t n) const;
  // The texts of the tokens, one after the other, words with one space between. Of bytes it need not be UTF-8, since a
  // character may lack some: see valid_utf8. ShapeError for an id that is not in [0, size()).
  std::string decode(std::span<const int32_t> ids, Loc where = Loc::here()) const;
  // How the vocabulary shows one token, the end mark too. ShapeError as decode.
  const std::string& token(int32_t id, Loc where = Loc::here()) const;
  const char* separator() const { return kind_ == Kind::kWord ? " " : ""; }  // what decode writes between two tokens

  Kind kind() const { return kind_; }
  const char* kind_name() const;  // "char"
  const char* unit() const;       // "character"
  int32_t size() const { return int32_t(vocab_.size()); }
  const std::vector<std::string>& vocab() const { return vocab_; }
  int32_t end_id() const { return end_id_; }  // of the end mark; -1 in a vocabulary without one

 private:
  struct Hash {
    using is_transparent = void;  // looked up by string_view
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };

  Tokenizer(Kind kind, std::vector<std::string> vocab);
  static std::vector<std::string> tokens_of(Kind kind, std::span<const std::string_view> texts);

  Kind kind_;
  std::vector<std::string> vocab_;
  std::vector<std::string> pieces_;                                      // what decode writes for each
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;  // of all tokens but the end mark
  int32_t end_id_ = -1;
};

}  // namespace gradus
