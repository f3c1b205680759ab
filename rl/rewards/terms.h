// The terms of a reward. A term is a maker function in a file of this folder, whose comment says what it computes, and
// a row of the table in rl/rewards/reward.cpp, which adds the terms up.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.h"

namespace gradus {

// One generated sequence as a reward sees it; owns nothing. No prompt and no end mark in text and tokens.
struct Generated {
  std::string_view text;
  std::span<const int32_t> tokens;
  bool ended = false;                                     // by the end mark; else it was cut
  std::string_view prompt = {};                           // its text, for `relevance`
  std::span<const std::vector<int32_t>> references = {};  // the texts that are wanted, where the prompt has some
  bool is_reply = false;                                  // to the prompt, in a run of --pairs; else it goes on from it
};

// scores[i] of sequences[i]. May be called from several threads at once.
using Scorer = std::function<void(std::span<const Generated> sequences, std::span<double> scores)>;

namespace reward {
// Takes the argument behind the colon and the tokenizer of the run, and reads files once. UsageError for an argument
// without a meaning, DataError for a file that cannot be used.
using Maker = Scorer(const std::string& argument, const Tokenizer& tokenizer);
// Of many texts together, where that is another number than the mean of their scores.
using OverAll = double(std::span<const Generated> sequences);
// Why the term is the same for every text that the tokenizer can make; empty where that cannot be seen.
using WhyConstant = std::string(const std::string& argument, const Tokenizer& tokenizer);
}  // namespace reward

// Share of the positions of `target` where `tokens` agrees: (1/m) Σ_{t<m} 1[t < T and tokens_t = target_t].
// ShapeError for an empty target, which has no positions to share.
double similarity(std::span<const int32_t> tokens, std::span<const int32_t> target, Loc where = Loc::here());

// The whole of `s` as a finite number, as strtod reads it in the C locale; false if it is not one.
bool parse_number(std::string_view s, double& value);

}  // namespace gradus
