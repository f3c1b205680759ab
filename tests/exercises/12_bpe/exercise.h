// Byte-pair encoding (Gage 1994; Sennrich, Haddow, Birch 2016) on bytes, as GPT-2 does it, without its splitting of
// words.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace gradus::lesson {

// Tokens 0..255 are the bytes. Merge number i makes token 256 + i out of `left` followed by `right`.
struct Merge {
  int left, right;
};

// Up to `most` merges that shorten the text, each the best at its time.
std::vector<Merge> train_bpe(std::string_view text, int most);

}  // namespace gradus::lesson
