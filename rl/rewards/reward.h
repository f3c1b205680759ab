// Reward: the score of a generated sequence, given as text. A term is `[WEIGHT*]NAME[:ARGUMENT]`, and terms add up:
//
//   const Reward reward({"contains:cat", "0.1*length:12", "-2*blocklist:words.txt"}, run.tokenizer);
//   std::vector<double> r = reward.score(sequences);
//
// rl/rewards/terms.h says what each name computes.
#pragma once

#include <vector>

#include "rl/rewards/terms.h"
#include "rl/sequences.h"

namespace gradus {

class Reward {
 public:
  // UsageError (exit 2) for an unknown name, with the names that there are, a weight that is not a finite number, an
  // argument that is missing, not wanted or means nothing, a term that is not UTF-8, which no run could store;
  // DataError (exit 4) for a file that cannot be used.
  Reward(const std::vector<std::string>& terms, const Tokenizer& tokenizer);

  // Σ weight · term of every sequence; each a finite number, else DataError with the term and the text. A term of
  // weight 0 is computed all the same. May be called from several threads at once.
  std::vector<double> score(std::span<const Generated> sequences) const;
  double operator()(const Generated& sequence) const { return score({&sequence, 1})[0]; }

  // "contains:S | count:S | ...", for --help.
  static std::string names();

  // Whether a term may be paid draw by draw (rl/pay.h): it means something of the beginning of a text, and is quickly
  // asked of every one. UsageError as the constructor.
  static bool is_paid_by_step(const std::string& term);
  static std::vector<std::string> paid_by_step();  // the names of those that may

  // Why the term is the same for every text that the tokenizer can make, in a sentence; empty where that cannot be
  // seen.
  static std::string why_constant(const std::string& term, const Tokenizer& tokenizer);

  // What a term opens or starts when it is made.
  enum class Opens { kNothing, kFile, kRun, kProgram };
  struct Source {
    Opens opens;
    std::string name;  // of the file or run, or the program
  };
  static Source source_of(const std::string& term);  // UsageError as the constructor

 private:
  struct Term {
    std::string spec;
    double weight;
    Scorer score;
  };
  std::vector<Term> terms_;
};

// The reward for who has sequences of tokens: of the text without prompt and end mark; prompts[p] is the text of prompt
// p. Refers to the reward and the tokenizer.
RewardFunction text_reward(const Reward& reward, const Tokenizer& tokenizer, std::vector<std::string> prompts);

}  // namespace gradus
