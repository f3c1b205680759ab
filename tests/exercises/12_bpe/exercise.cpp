// Exercise 12: train a byte-level BPE tokenizer.
//
// The text begins as a list of bytes, 0..255. Then, at most `most` times:
//   1. count every pair of neighbours (all of them: "aaa" holds the pair a a twice);
//   2. take the most frequent; of equals, that with the smaller left token, then the smaller right one;
//   3. if it occurs only once, stop;
//   4. from left to right replace each occurrence by the new token 256, 257, ...; "aaa" becomes 256 a.
#include "tests/exercises/12_bpe/exercise.h"

namespace gradus::lesson {

std::vector<Merge> train_bpe(std::string_view text, int most) {
  // Write here.
  return {};
}

}  // namespace gradus::lesson
