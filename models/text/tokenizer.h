// Tokenizer: text to ids and back. A vocabulary is a list of token texts, index = id, as the checkpoint stores it; how
// a text is cut into tokens and how one is shown is decided by its cutter (models/text/cutters.h).
//
//   Tokenizer t = Tokenizer::from_text("char", corpus);
//   std::vector<int32_t> ids = t.encode("the heron");
//   t.decode(ids);                                     // "the heron"
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/error.h"
#include "models/text/cutters.h"

namespace gradus {

class Tokenizer {
 public:
  // In lines mode the last entry of the vocabulary: the id that begins and ends a sequence. encode never makes it,
  // whatever the text says, and decode writes nothing for it.
  static constexpr const char* kEndMark = "<|endoftext|>";

  // The tokens that occur in `text`, each once, in the order of their code points; `cutter` is a name, such as "char".
  // DataError for an unknown cutter, a text without tokens, and as require_utf8 (not for bytes).
  static Tokenizer from_text(std::string_view cutter, std::string_view text);
  // The same of many lines, with the end mark behind their tokens. DataError also where the mark itself is a token.
  static Tokenizer from_lines(std::string_view cutter, std::span<const std::string_view> lines);
  // The vocabulary of a checkpoint. DataError if it is empty, has a token twice, or one that is not UTF-8 or not of
  // this kind.
  static Tokenizer from_vocab(std::string_view cutter, std::vector<std::string> vocab);

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
  const char* separator() const { return cutter_->keeps_white ? "" : " "; }  // what decode writes between two tokens

  const Cutter& cutter() const { return *cutter_; }
  int32_t size() const { return int32_t(vocab_.size()); }
  const std::vector<std::string>& vocab() const { return vocab_; }
  int32_t end_id() const { return end_id_; }  // of the end mark; -1 in a vocabulary without one

 private:
  struct Hash {
    using is_transparent = void;  // looked up by string_view
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };

  Tokenizer(const Cutter& cutter, std::vector<std::string> vocab);

  const Cutter* cutter_;
  std::vector<std::string> vocab_;
  std::vector<std::string> pieces_;                                      // what decode writes for each
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;  // of all tokens but the end mark
  int32_t end_id_ = -1;
};

}  // namespace gradus
