// Words of a text, as rewards count them: runs between white space (Unicode's) for the word tokenizer, maximal runs of
// letters for the others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.h"

namespace gradus {

enum class WordRule { kBetweenSpaces, kLetters };
WordRule word_rule(const Cutter& cutter);
inline WordRule word_rule(const Tokenizer& tokenizer) { return word_rule(tokenizer.cutter()); }

// The words of `text` in order, as windows into it. Nothing is folded: "The" and "the" are two words. A byte that
// is not UTF-8 is neither a letter nor white space. Under kLetters "don't" is two words, and so is a line of Chinese up
// to its punctuation one.
std::vector<std::string_view> words(std::string_view text, WordRule rule);

// "text" in quotes, escaped as in JSON and cut after about 60 columns: how messages show a generated text.
std::string shown(std::string_view text);

}  // namespace gradus
