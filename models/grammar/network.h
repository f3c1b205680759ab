// A grammar prepared for its algorithms: each rule as a trie of its alternatives, and the mean size of what
// each rule derives. Alternatives with a common beginning share it and equal alternatives are merged, so a derivation
// is a path through the tries that descends at every use of a rule, and its choices are the branches of the tries.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/grammar/grammar.h"

namespace gradus {

struct GrammarNetwork {
  struct Call {
    int32_t rule, next;  // a use of the rule leads to node `next`
  };
  struct Node {
    int32_t rule;  // in whose trie it is
    std::vector<std::pair<unsigned char, int32_t>> bytes;
    std::vector<Call> calls;
    double end = 0;  // probability of the alternative that ends here
  };
  // Means over the texts of one rule.
  struct Means {
    double steps = 0;  // rules used, itself included
    double entropy = 0, characters = 0, bytes = 0, spaces = 0;
  };

  // Throws DataError as Grammar::parse for rules without an end or with a detour.
  GrammarNetwork(const std::vector<GrammarRule>& rules, const std::string& file);

  std::vector<Node> nodes;                   // a child comes after its parent
  std::vector<int32_t> root;                 // node of each rule
  std::vector<std::vector<int32_t>> groups;  // rules that use each other; a group comes after those that it uses
  std::vector<char> recursive;               // for each group
  std::vector<double> empty;                 // probability that the rule derives the empty text
  std::vector<int32_t> rank;  // a rule that can turn into another, writing nothing else, has a greater one
  std::vector<Means> means;
  bool single_spaces = false;  // every text of rule 0 is words with one space between them

 private:
  void build_tries(const std::vector<GrammarRule>& rules);
  void find_groups(const std::vector<GrammarRule>& rules, const std::string& file);
  void find_empty(const std::vector<GrammarRule>& rules, const std::string& file);
  void find_means(const std::vector<GrammarRule>& rules, const std::string& file);
  void find_spaces(const std::vector<GrammarRule>& rules);
};

// Groups of nodes that reach each other along `edges`, each group after those that it reaches (Tarjan 1972, without
// recursion).
std::vector<std::vector<int32_t>> strong_components(const std::vector<std::vector<int32_t>>& edges);

}  // namespace gradus
