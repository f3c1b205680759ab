// Tokens and their probabilities as a person and as JSON read them; shared by `gradus sample --top` and `gradus look`.
#pragma once

#include <span>
#include <string>

#include "engine/io/json.h"
#include "models/sampler.h"
#include "models/text/tokenizer.h"

namespace gradus {

// A token in quotes, of a long one the beginning, nothing in it that a terminal would obey: "a", "␊" for a newline;
// end, without quotes, for the end mark.
std::string shown_token(const Tokenizer& tokenizer, int32_t token);
// Columns of a terminal that a table needs for its tokens, with a space behind.
size_t columns_of_tokens(const Tokenizer& tokenizer);
// Filled up with spaces on the right to so many columns of a terminal, of which a wide character takes two.
std::string to_columns(const std::string& text, size_t columns);
// `"a" 0.412  "e" 0.213`: each with its probability, in lines of at most 80 columns, the first of which is behind
// `begin` columns and the others behind as many spaces.
std::string candidates_text(const Tokenizer& tokenizer, std::span<const Candidate> candidates, size_t begin);
// [{"text","probability"},...]
Json candidates_json(const Tokenizer& tokenizer, std::span<const Candidate> candidates);

}  // namespace gradus
