// Reward: the score of a generated sequence, given as text. A term is `[WEIGHT*]NAME[:ARGUMENT]`, and terms add up:
//
//   const Reward reward({"contains:cat", "0.1*length:12", "-2*blocklist:words.txt"}, run.tokenizer);
//   std::vector<double> r = reward.score(sequences);
//
// rl/rewards/terms.h says what each name computes.
#pragma once

#include <optional>
#include <vector>

#include "engine/comm.h"
#include "models/text/pairs.h"
#include "rl/rewards/terms.h"
#include "rl/sequences.h"

namespace gradus {

class Reward {
 public:
  // UsageError (exit 2) for an unknown name, with the names that there are, a weight that is not a finite number, an
  // argument that is missing, not wanted or means nothing, a term that is not UTF-8, which no run could store;
  // DataError (exit 4) for a file that cannot be used. Of several ranks, which must outlive it, rank 0 alone opens,
  // starts and computes, and the others get its numbers.
  Reward(const std::vector<std::string>& terms, const Tokenizer& tokenizer, Comm& ranks = one_rank());

  // Σ weight · term of every sequence; each a finite number, else DataError with the term and the text. A term of
  // weight 0 is computed all the same. May be called from several threads at once, where there is one rank.
  std::vector<double> score(std::span<const Generated> sequences) const;
  double operator()(const Generated& sequence) const { return score({&sequence, 1})[0]; }

  // "contains:S | count:S | ...", for --help.
  static std::string names();
  // {"contains:S", "1 if S occurs in the text, else 0"}, ...
  static std::vector<std::pair<std::string, std::string>> meanings();

  // Whether a term may be paid draw by draw (rl/pay.h): it means something of the beginning of a text, and is quickly
  // asked of every one. UsageError as the constructor.
  static bool is_paid_by_step(const std::string& term);
  static std::vector<std::string> paid_by_step();  // the names of those that may

  // Whether the term compares a text with the references of its prompt; without any, score() throws UsageError.
  static bool needs_reference(const std::string& term);

  // Why the term is the same for every text that the tokenizer can make, in a sentence; empty where that cannot be
  // seen.
  static std::string why_constant(const std::string& term, const Tokenizer& tokenizer);

  // The value of a term for many texts together, where that is another number than the mean; else none.
  static std::optional<double> over_all(const std::string& term, std::span<const Generated> sequences);

  // What a term opens or starts when it is made.
  enum class Opens { kNothing, kFile, kRun, kProgram };
  struct Source {
    Opens opens;
    std::string name;  // of the file or run, or the program
  };
  static Source source_of(const std::string& term);  // UsageError as the constructor

  // The largest value of a term, where it can be a hard constraint: the texts that have it are allowed. Programs and
  // tables are to say 1 of them. UsageError for a term that may grow without end, and for one with a weight.
  static double largest(const std::string& term);

 private:
  std::vector<double> sum_of_terms(std::span<const Generated> sequences) const;

  struct Term {
    std::string spec;
    double weight;
    Scorer score;
    bool is_relative;
  };
  std::vector<Term> terms_;  // of rank 0
  Comm& ranks_;
};

// Sequences of tokens as a reward sees them: texts without prompt and end mark, beside prompts and references.
class GeneratedTexts {
 public:
  // DataError for a reference with a token that the tokenizer, to which this refers, does not know.
  GeneratedTexts(const Tokenizer& tokenizer, std::vector<Prompt> prompts);
  // Sequences first .. end - 1, of which i belongs to prompt[i]. They look into the sequences and into `texts`, which
  // gets their texts.
  std::vector<Generated> of(const Sequences& sequences, std::span<const int32_t> prompt, int64_t first, int64_t end,
                            std::vector<std::string>& texts) const;

 private:
  const Tokenizer& tokenizer_;
  std::vector<Prompt> prompts_;
  std::vector<std::vector<std::vector<int32_t>>> references_;  // of each prompt, as tokens
};

// The reward for who has sequences of tokens; prompts[p] is prompt p. Refers to the reward and the tokenizer. DataError
// as GeneratedTexts.
RewardFunction text_reward(const Reward& reward, const Tokenizer& tokenizer, std::vector<Prompt> prompts);

}  // namespace gradus
