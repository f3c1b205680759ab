// The rewards by name: what each makes of a generated sequence. rl/rewards/reward.h adds them up.
//
// A maker takes what stands behind the colon and the tokenizer of the run, reads files once, and returns a Scorer.
// UsageError for an argument that means nothing, DataError for a file that cannot be used.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.h"

namespace gradus {

class LanguageModel;

// One generated sequence as a reward sees it; owns nothing. No prompt and no end mark in text and tokens.
struct Generated {
  std::string_view text;
  std::span<const int32_t> tokens;
  bool ended = false;            // by the end mark; else it was cut
  std::string_view prompt = {};  // its text, for `relevance`
};

// scores[i] of sequences[i]. May be called from several threads at once.
using Scorer = std::function<void(std::span<const Generated> sequences, std::span<double> scores)>;

namespace reward {

// Of the text. An occurrence is one of bytes, which in UTF-8 is one of characters.
Scorer contains(const std::string& s, const Tokenizer&);    // 1 if s occurs, else 0
Scorer count(const std::string& s, const Tokenizer&);       // occurrences, from the left, that do not overlap
Scorer grammar(const std::string& file, const Tokenizer&);  // 1 if the grammar generates it whole, else 0
// Of the tokens.
Scorer length(const std::string& n, const Tokenizer&);    // −|T − n|
Scorer end(const std::string&, const Tokenizer&);         // 1 if ended, else 0
Scorer distinct(const std::string& n, const Tokenizer&);  // different n-grams / n-grams; 0 where there are none
// Share of the positions of s that the sequence fills with the same token; what follows the last one is not looked at.
Scorer similarity(const std::string& s, const Tokenizer& tokenizer);
// Of the words (models/text/words.h).
Scorer relevance(const std::string&, const Tokenizer& tokenizer);  // share that occur in the prompt; 0 without words
// −1 if an entry of the file occurs, else 0. An entry is a line; one of several words must occur as these words in a
// row. Empty lines are skipped.
Scorer blocklist(const std::string& file, const Tokenizer& tokenizer);
// Sum of the scores of the words / number of words; 0 without words. Lines of the file: WORD, a tab, a number.
Scorer lexicon(const std::string& file, const Tokenizer& tokenizer);
// {"rewards":{TEXT: number, ...}, "default": number}: the number of the text, else the default (0 where it is left
// out).
Scorer table(const std::string& file, const Tokenizer&);
// ln p(text) of the model of a run, summed over its tokens, in nats. The text is cut into the tokens of that run and
// read from its own beginning (the end mark with --lines, else the token that its samples start from); the end mark is
// scored where the sequence ended and the run has one. A text with a character that the run does not know is a
// DataError, and so is, as every reward that is not finite, one that the run holds impossible.
Scorer fluency(const std::string& run, const Tokenizer&);

}  // namespace reward

// sums[i] = Σ_t ln p(sequences[i][t] | start, sequences[i][<t]): natural log, in double, over the model's incremental
// path, so that sequences longer than the context are scored by the rule of sampling. 0 for an empty sequence.
void log_probabilities(const LanguageModel& model, int32_t start, std::span<const std::vector<int32_t>> sequences,
                       std::span<double> sums);

// Share of the positions of `target` where `tokens` agrees: (1/m) Σ_{t<m} 1[t < T and tokens_t = target_t].
// ShapeError for an empty target, which has no positions to share.
double similarity(std::span<const int32_t> tokens, std::span<const int32_t> target, Loc where = Loc::here());

// The whole of `s` as a finite number, as strtod reads it in the C locale; false where it is none.
bool parse_number(std::string_view s, double& value);

}  // namespace gradus
