#include "models/grammar/network.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "engine/error.h"
#include "engine/long_loop.h"
#include "models/text/utf8.h"

namespace gradus {
namespace {

using Rules = std::vector<GrammarRule>;
using Symbol = GrammarRule::Symbol;
constexpr size_t kMaxGroup = 1000;  // rules that use each other: their equations are solved densely

[[noreturn]] void refuse(const std::string& file, const GrammarRule& rule, const std::string& what) {
  throw DataError(text(file, ": line ", rule.line, ": rule ", rule.name, " ", what));
}

bool contains(const std::vector<int32_t>& list, int32_t x) {
  return std::find(list.begin(), list.end(), x) != list.end();
}

}  // namespace

std::vector<std::vector<int32_t>> strong_components(const std::vector<std::vector<int32_t>>& edges) {
  struct Frame {
    int32_t node;
    size_t next;
  };
  const size_t n = edges.size();
  std::vector<int32_t> index(n, -1), low(n, 0), path;
  std::vector<char> on_path(n, 0);
  std::vector<std::vector<int32_t>> groups;
  std::vector<Frame> frames;
  int32_t count = 0;
  for (size_t start = 0; start < n; ++start) {
    if (index[start] >= 0) continue;
    frames.push_back({int32_t(start), 0});
    while (!frames.empty()) {
      const size_t v = size_t(frames.back().node);
      if (frames.back().next == 0) {
        index[v] = low[v] = count++;
        path.push_back(int32_t(v));
        on_path[v] = 1;
      }
      if (frames.back().next < edges[v].size()) {
        const size_t w = size_t(edges[v][frames.back().next++]);
        if (index[w] < 0)
          frames.push_back({int32_t(w), 0});
        else if (on_path[w])
          low[v] = std::min(low[v], index[w]);
        continue;
      }
      if (low[v] == index[v]) {
        groups.emplace_back();
        do {
          groups.back().push_back(path.back());
          on_path[size_t(path.back())] = 0;
          path.pop_back();
        } while (groups.back().back() != int32_t(v));
      }
      frames.pop_back();
      if (!frames.empty()) {
        const size_t parent = size_t(frames.back().node);
        low[parent] = std::min(low[parent], low[v]);
      }
    }
  }
  return groups;
}

GrammarNetwork::GrammarNetwork(const Rules& rules, const std::string& file) {
  build_tries(rules);
  find_groups(rules, file);
  find_means(rules, file);
  find_empty(rules, file);
  find_spaces(rules);
}

void GrammarNetwork::build_tries(const Rules& rules) {
  std::unordered_map<uint64_t, int32_t> child;  // (node, byte or 256 + rule) → node
  const auto step = [&](int32_t at, int32_t symbol) {
    const auto [place, is_new] = child.try_emplace(pair_of(at, symbol), int32_t(nodes.size()));
    if (is_new) {
      Node& node = nodes[size_t(at)];
      if (symbol < 256)
        node.bytes.emplace_back(static_cast<unsigned char>(symbol), place->second);
      else
        node.calls.push_back({symbol - 256, place->second});
      const int32_t rule = node.rule;
      nodes.push_back({rule, {}, {}});
    }
    return place->second;
  };
  for (size_t r = 0; r < rules.size(); ++r) {
    root.push_back(int32_t(nodes.size()));
    nodes.push_back({int32_t(r), {}, {}});
    for (const auto& alternative : rules[r].alternatives) {
      int32_t at = root.back();
      for (const Symbol& symbol : alternative.symbols) {
        if (symbol.rule >= 0) at = step(at, 256 + symbol.rule);
        for (const char c : symbol.text) at = step(at, static_cast<unsigned char>(c));
      }
      nodes[size_t(at)].end += alternative.probability;
    }
  }
}

void GrammarNetwork::find_groups(const Rules& rules, const std::string& file) {
  std::vector<std::vector<int32_t>> uses(rules.size());
  for (const Node& node : nodes)
    for (const Call& call : node.calls) uses[size_t(node.rule)].push_back(call.rule);
  groups = strong_components(uses);
  std::vector<char> ends(rules.size(), 0);  // derives some text
  for (const std::vector<int32_t>& group : groups) {
    const int32_t first = *std::min_element(group.begin(), group.end());
    recursive.push_back(group.size() > 1 || contains(uses[size_t(first)], first));
    if (group.size() > kMaxGroup)
      refuse(file, rules[size_t(first)],
             text("is one of ", group.size(), " that use each other; at most ", kMaxGroup, " may"));
    const auto can_end = [&](const GrammarRule::Alternative& alternative) {
      return std::all_of(alternative.symbols.begin(), alternative.symbols.end(),
                         [&](const Symbol& s) { return s.rule < 0 || ends[size_t(s.rule)]; });
    };
    settle(group, [&](size_t r) {
      const auto& alternatives = rules[r].alternatives;
      if (ends[r] || std::none_of(alternatives.begin(), alternatives.end(), can_end)) return false;
      ends[r] = 1;
      return true;
    });
    for (const int32_t r : group)
      if (!ends[size_t(r)])
        refuse(file, rules[size_t(r)], "never ends: it needs an alternative that does not lead back to it");
  }
}

// P(empty) is the least solution of e = Σ p Π e, found by iteration from 0; it converges since every rule is used only
// finitely often. Then: which rule turns into which.
void GrammarNetwork::find_empty(const Rules& rules, const std::string& file) {
  empty.assign(rules.size(), 0);
  for (size_t g = 0; g < groups.size(); ++g) {
    size_t work = 1;  // of a sweep
    for (const int32_t r : groups[g])
      for (const auto& alternative : rules[size_t(r)].alternatives) work += 1 + alternative.symbols.size();
    const size_t sweeps = recursive[g] ? std::max<size_t>(1000, 200'000'000 / work) : 1;
    bool changed = true;
    for (size_t sweep = 0; changed && sweep < sweeps; ++sweep) {
      changed = false;
      for (const int32_t r : groups[g]) {
        double sum = 0;
        for (const auto& alternative : rules[size_t(r)].alternatives) {
          double p = alternative.probability;
          for (const Symbol& s : alternative.symbols) p *= s.rule < 0 ? 0 : empty[size_t(s.rule)];
          sum += p;
        }
        changed = changed || sum > empty[size_t(r)];
        empty[size_t(r)] = std::max(empty[size_t(r)], sum);
      }
    }
  }
  std::vector<std::vector<int32_t>> turns(rules.size());
  for (size_t r = 0; r < rules.size(); ++r)
    for (const auto& alternative : rules[r].alternatives) {
      const auto& symbols = alternative.symbols;
      const auto writes = [&](const Symbol& s) { return s.rule < 0 || empty[size_t(s.rule)] == 0; };
      const auto writing = std::count_if(symbols.begin(), symbols.end(), writes);
      for (const Symbol& s : symbols)
        if (s.rule >= 0 && (writing == 0 || (writing == 1 && writes(s)))) turns[r].push_back(s.rule);
    }
  rank.assign(rules.size(), 0);
  int32_t count = 0;
  for (const std::vector<int32_t>& group : strong_components(turns)) {
    const int32_t r = *std::min_element(group.begin(), group.end());
    if (group.size() > 1 || contains(turns[size_t(r)], r))
      refuse(
          file, rules[size_t(r)],
          text("can derive itself, {", rules[size_t(r)].name, "}, without producing text; leave that alternative out"));
    rank[size_t(r)] = count++;
  }
}

// x = own + M x for every mean at once, M[r][s] the expected uses of s in one alternative of r, a group at a time.
// I − M has an inverse without negative elements, that is, all expectations are finite, exactly if elimination without
// exchanging rows meets only positive pivots (nonsingular M-matrices: Berman and Plemmons 1994, ch. 6, (E17)).
void GrammarNetwork::find_means(const Rules& rules, const std::string& file) {
  using Row = std::vector<double>;
  std::vector<double> own_entropy(rules.size(), 0);
  for (const Node& node : nodes)
    if (node.end > 0) own_entropy[size_t(node.rule)] -= node.end * std::log(node.end);
  means.resize(rules.size());
  std::vector<int32_t> place(rules.size(), -1);  // in the group that is being solved
  const LongLoop loop("solving groups of rules", int64_t(groups.size()));
  for (const std::vector<int32_t>& group : groups) {
    loop.at(&group - groups.data());
    const size_t n = group.size();
    for (size_t i = 0; i < n; ++i) place[size_t(group[i])] = int32_t(i);
    std::vector<Row> a(n, Row(n + kMeans, 0));  // I − M, and the right-hand sides
    for (size_t i = 0; i < n; ++i) {
      const size_t r = size_t(group[i]);
      Row& row = a[i];
      row[i] += 1;
      row[n + kSteps] = 1;
      row[n + kEntropy] = own_entropy[r];
      for (const auto& [p, symbols] : rules[r].alternatives)
        for (const Symbol& s : symbols) {
          if (s.rule >= 0 && place[size_t(s.rule)] >= 0) {
            row[size_t(place[size_t(s.rule)])] -= p;
            continue;
          }
          const Means m = s.rule >= 0 ? means[size_t(s.rule)]
                                      : Means{0, 0, double(count_characters(s.text)), double(s.text.size()),
                                              double(std::count(s.text.begin(), s.text.end(), ' '))};
          for (size_t k = 0; k < kMeans; ++k) row[n + k] += p * m[k];
        }
    }
    for (size_t k = 0; k < n; ++k) {
      if (!(a[k][k] > 1e-9))
        refuse(
            file, rules[size_t(group[k])],
            "has infinite expected length: one use of it leads to at least one more on average; give the alternatives "
            "that end more weight");
      for (size_t i = 0; i < n; ++i) {
        const double factor = i == k ? 0 : a[i][k] / a[k][k];
        if (factor == 0) continue;
        for (size_t j = k; j < n + kMeans; ++j) a[i][j] -= factor * a[k][j];
      }
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < kMeans; ++k) means[size_t(group[i])][k] = a[i][n + k] / a[i][i];
      place[size_t(group[i])] = -1;
    }
  }
  if (!(means[0][kSteps] <= Grammar::kMaxMeanCharacters && means[0][kBytes] <= Grammar::kMaxMeanCharacters))
    refuse(file, rules[0],
           text("has lines of ", means[0][kBytes], " bytes in ", means[0][kSteps], " steps on average; at most ",
                int64_t(Grammar::kMaxMeanCharacters), " are allowed"));
}

// Which rules can begin or end with white space, and whether two spaces can meet anywhere.
void GrammarNetwork::find_spaces(const Rules& rules) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  std::vector<char> begins(rules.size(), 0), ends(rules.size(), 0);
  const auto reaches = [&](const Symbol& s, bool front) -> bool {
    return s.rule < 0 ? is_space(front ? s.text.front() : s.text.back()) : (front ? begins : ends)[size_t(s.rule)];
  };
  const auto can_vanish = [&](const Symbol& s) { return s.rule >= 0 && empty[size_t(s.rule)] > 0; };
  bool meet = false;
  const auto look = [&](size_t r) {  // at one rule, given what is known of the rules that it uses
    bool changed = false;
    for (const auto& alternative : rules[r].alternatives) {
      bool before = true, space_before = false;  // everything so far can vanish; what stands before can end in a space
      for (const Symbol& s : alternative.symbols) {
        const bool front = reaches(s, true), back = reaches(s, false);
        meet = meet || (space_before && front);
        for (size_t i = 0; i < s.text.size(); ++i)
          meet = meet || (is_space(s.text[i]) && (s.text[i] != ' ' || (i > 0 && is_space(s.text[i - 1]))));
        if (before && front && !begins[r]) begins[r] = changed = true;
        before = before && can_vanish(s);
        space_before = back || (space_before && can_vanish(s));
      }
      if (space_before && !ends[r]) ends[r] = changed = true;
    }
    return changed;
  };
  for (const std::vector<int32_t>& group : groups) settle(group, look);
  single_spaces = !meet && !begins[0] && !ends[0] && empty[0] == 0;
}

}  // namespace gradus
