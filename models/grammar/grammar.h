// Stochastic grammars: texts whose entropy is known, to compare a model's loss with. data/README.md describes the
// format of the files.
//
//   const Grammar grammar = Grammar::read("data/two_words.grammar");
//   grammar.derive(Rng(seed, Stream::kSample).at(0));   // "the cat"
//   grammar.log_probability("the cat");                 // ln 0.4
//   grammar.entropy(rng).nats;                          // 1.27985422583367, exact
//
// A text is one line, without its end. Lengths are in characters (UTF-8 code points), entropies in nats.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/rng.h"

namespace gradus {

struct GrammarRule {
  struct Symbol {
    int32_t rule = -1;  // a use of this rule; -1: `text` itself
    std::string text;   // not empty where rule is -1
  };
  struct Alternative {
    double probability;
    std::vector<Symbol> symbols;  // none: the empty text
  };
  std::string name;
  int64_t line;  // of the file, from 1
  std::vector<Alternative> alternatives;
  std::vector<double> cumulative;  // sums of the probabilities, the last one 1
};

// The entropy of one line.
struct LineEntropy {
  double nats;
  bool exact;
  double standard_error;  // of `nats`; 0 where it is exact
  double upper_bound;     // entropy of the derivation of a line: exact, and equal to `nats` if no text has two
  std::string how;        // why it is exact, or how it was estimated
};

struct GrammarNetwork;  // the rules as tries: models/grammar/network.h

class Grammar {
 public:
  // Texts end: a grammar in which the expected length of a line is not finite, or above this, is refused.
  static constexpr double kMaxMeanCharacters = 1e6;

  // The grammar that `text` describes; messages call it `file`. DataError "FILE: line N: ..." for what is not
  // of the format, for a name without a rule, for a rule that never ends, ends only after infinitely many uses on the
  // average, or turns into itself without writing anything.
  static Grammar parse(std::string_view text, const std::string& file);
  static Grammar read(const std::string& path);  // DataError as read_text (models/text/corpus.h) too

  // The rules; the first is where a text begins.
  const std::vector<GrammarRule>& rules() const { return *rules_; }

  // One text drawn by the numbers 0, 1, ... of rng.uniform. DataError if it has more than 2^24 bytes or steps.
  std::string derive(const Rng& rng) const;

  // Is `text` one that the grammar derives? With Earley's algorithm: any grammar, at most cubic in the length, and
  // DataError where it takes more than 10^7 steps.
  bool generates(std::string_view text) const;
  // ln of its probability, summed over its derivations; -infinity if it has none.
  double log_probability(std::string_view text) const;

  // Every text with its probability, in the order of its bytes, or nothing if they are infinitely many, more than
  // `limit` (also on the way, for one rule), or more than 64 MB.
  std::optional<std::map<std::string, double>> enumerate(size_t limit) const;

  // The entropy of a line: exact if the derivations of a line are one for each text, which is proven (see `ambiguity`)
  // or where the texts can be enumerated (at most 10^5); then the linear equations H = Σ p (−ln p) + Σ (expected uses)
  // H are solved. Else the mean of −ln P(text) over texts drawn with `rng` at(0), at(1), ...: unbiased. DataError where
  // that takes more than 5·10^6 steps for the first hundred; beyond that it stops.
  LineEntropy entropy(const Rng& rng) const;

  // Has a text two derivations? kUnambiguous and kAmbiguous are proven, kUnknown means that the search was too long.
  struct Ambiguity {
    enum class Verdict { kUnambiguous, kAmbiguous, kUnknown } verdict;
    std::string why;  // the proof in words; for kAmbiguous with the beginning of such a text
  };
  Ambiguity ambiguity() const;

  // Expected length of a line, exact.
  double mean_characters() const;
  double mean_bytes() const;
  // Expected number of words; nothing unless every text is words with single spaces between them, so that the words
  // say as much as the line.
  std::optional<double> mean_words() const;

 private:
  Grammar() = default;
  std::optional<double> inside(std::string_view text, int64_t& steps) const;

  std::shared_ptr<const std::vector<GrammarRule>> rules_;
  std::shared_ptr<const GrammarNetwork> network_;
};

}  // namespace gradus
