// Preferences: choices between two texts behind a prompt, as a file and as tokens.
//
//   PROMPT, a tab, CHOSEN, a tab, REJECTED      (the prompt may be empty: the texts stand alone)
#pragma once

#include "engine/rng.h"
#include "models/run/checkpoint.h"
#include "rl/sequences.h"

namespace gradus {

struct Preference {
  std::string prompt, chosen, rejected;
  std::string place = {};  // its file and line, for messages
};

// All choices of several files, one after the other. DataError, with the line, for one of another form, and for two
// texts that are equal, between which there is no choice.
std::vector<Preference> read_preferences(const std::vector<std::string>& files);
// As one line of such a file. DataError for a text with a tab or a newline in it.
std::string preference_line(const Preference& p);

// The prompts of the choices, each once, in the order in which they come.
std::vector<std::string> prompts_of(const std::vector<Preference>& preferences);

// The same as tokens.
struct TokenPairs {
  std::vector<std::vector<int32_t>> prompts = {};  // what each begins with
  std::vector<int32_t> of = {};                    // the prompt of each pair
  Sequences sequences = Sequences(-1);             // of pair i the chosen one, 2i, and the rejected one, 2i + 1

  int64_t size() const { return std::ssize(of); }
};

// All of 0 .. size − 1, round after round, each in a random order of its own (Fisher and Yates).
class Rounds {
 public:
  // REQUIRES: size > 0.
  Rounds(int64_t size, uint64_t seed) : order_(size_t(size)), seed_(seed) {}
  int64_t at(int64_t place);  // a function of (size, seed, place); quick where places come in order

 private:
  std::vector<int64_t> order_;  // of all, in round_
  uint64_t seed_;
  int64_t round_ = -1;
};

// The choices as sequences that the run could have drawn in the world: a text of fewer than world.max_tokens tokens
// ends with the end mark, one of just as many was cut. DataError, with the line, where a text is longer, cannot be read
// by the run or has no end where there is no mark, or where prompt and text do not fit into its context.
TokenPairs tokens_of(const std::vector<Preference>& preferences, const Checkpoint& run, const World& world);

}  // namespace gradus
