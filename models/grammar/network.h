// A grammar prepared for its algorithms: each rule as a trie of its alternatives, and the mean size of what
// each rule derives. Alternatives with a common beginning share it and equal alternatives are merged, so a derivation
// is a path through the tries that descends at every use of a rule, and its choices are the branches of the tries.
#pragma once

#include <array>
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
  // Means over the texts of one rule. Steps are rules used, itself included.
  enum Mean { kSteps, kEntropy, kCharacters, kBytes, kSpaces, kMeans };
  using Means = std::array<double, kMeans>;

  // Throws DataError as Grammar::parse for rules without an end or with a detour.
  GrammarNetwork(const std::vector<GrammarRule>& rules, const std::string& file);

  std::vector<Node> nodes;    // a child comes after its parent
  std::vector<int32_t> root;  // node of each rule
  // Rules that use each other. A group comes after those that it uses; after that of rule 0 come only rules that no
  // text needs.
  std::vector<std::vector<int32_t>> groups;
  std::vector<char> recursive;  // for each group
  std::vector<double> empty;    // probability that the rule derives the empty text
  std::vector<int32_t> rank;    // a rule that can turn into another, writing nothing else, has a greater one
  std::vector<Means> means;
  bool single_spaces = false;  // every text of rule 0 is words with one space between them

 private:
  void build_tries(const std::vector<GrammarRule>& rules);
  void find_groups(const std::vector<GrammarRule>& rules, const std::string& file);
  void find_empty(const std::vector<GrammarRule>& rules, const std::string& file);
  void find_means(const std::vector<GrammarRule>& rules, const std::string& file);
  void find_spaces(const std::vector<GrammarRule>& rules);
};

// Visits the rules of a group again and again, until no visit changes anything.
template <class Visit>
void settle(const std::vector<int32_t>& group, const Visit& visit) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const int32_t r : group) changed = visit(size_t(r)) || changed;
  }
}

// One number for two: a key of a table.
inline uint64_t pair_of(int32_t a, int32_t b) { return uint64_t(a) << 32 | uint32_t(b); }

// Groups of nodes that reach each other along `edges`, each group after those that it reaches, what node 0 reaches
// first (Tarjan 1972, without recursion).
std::vector<std::vector<int32_t>> strong_components(const std::vector<std::vector<int32_t>>& edges);

}  // namespace gradus
