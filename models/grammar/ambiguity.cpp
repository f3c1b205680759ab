// Does a grammar derive a text twice? Two ways to prove that it does not, or that it does.
#include <utf8.h>

#include <algorithm>
#include <bitset>
#include <unordered_map>
#include <unordered_set>

#include "engine/error.h"
#include "models/grammar/network.h"

namespace gradus {
namespace {

using Node = GrammarNetwork::Node;

// Does the next byte always say which way to go in the tries? (LL(1): Lewis and Stearns 1968.) Then no text has two
// derivations, whatever the recursion.
bool next_byte_decides(const GrammarNetwork& net) {
  using Bytes = std::bitset<257>;  // 256: the end of the line
  std::vector<Bytes> first(net.root.size()), follow(net.root.size()), ahead(net.nodes.size());
  // ahead[node]: what can come next at the node, without what follows its rule.
  const auto begin_of = [&](size_t r) { return r < net.root.size() ? size_t(net.root[r]) : net.nodes.size(); };
  const auto look_ahead = [&](size_t r) {
    for (size_t i = begin_of(r + 1); i-- > begin_of(r);) {  // children stand after their parents
      for (const auto& [byte, next] : net.nodes[i].bytes) ahead[i].set(byte);
      for (const auto& [rule, next] : net.nodes[i].calls) {
        ahead[i] |= first[size_t(rule)];
        if (net.empty[size_t(rule)] > 0) ahead[i] |= ahead[size_t(next)];
      }
    }
    const Bytes before = std::exchange(first[r], ahead[begin_of(r)]);
    return first[r] != before;
  };
  std::vector<char> vanishes(net.nodes.size(), 0);  // from the node the rule can end without a byte
  for (size_t i = net.nodes.size(); i-- > 0;) {
    vanishes[i] = net.nodes[i].end > 0;
    for (const auto& [rule, next] : net.nodes[i].calls)
      if (net.empty[size_t(rule)] > 0 && vanishes[size_t(next)]) vanishes[i] = 1;
  }
  const auto pass_on = [&](size_t r) {  // what follows the rules that r uses
    bool changed = false;
    for (size_t i = begin_of(r); i < begin_of(r + 1); ++i)
      for (const auto& [rule, next] : net.nodes[i].calls) {
        Bytes& f = follow[size_t(rule)];
        const Bytes before = f;
        f |= ahead[size_t(next)];
        if (vanishes[size_t(next)]) f |= follow[r];
        changed = changed || f != before;
      }
    return changed;
  };
  for (const auto& group : net.groups) settle(group, look_ahead);
  follow[0].set(256);
  for (auto group = net.groups.rbegin(); group != net.groups.rend(); ++group) settle(*group, pass_on);

  for (const Node& node : net.nodes) {
    Bytes seen;
    bool clash = false;
    const auto claim = [&](const Bytes& bytes) {
      clash = clash || (seen & bytes).any();
      seen |= bytes;
    };
    const Bytes& after = follow[size_t(node.rule)];
    for (const auto& [byte, next] : node.bytes) claim(Bytes().set(byte));
    for (const auto& [rule, next] : node.calls) {
      Bytes bytes = first[size_t(rule)];
      if (net.empty[size_t(rule)] > 0) bytes |= ahead[size_t(next)];
      if (net.empty[size_t(rule)] > 0 && vanishes[size_t(next)]) bytes |= after;
      claim(bytes);
    }
    if (node.end > 0) claim(after);
    if (clash) return false;
  }
  return true;
}

// All pairs of derivations that write the same, side by side, one byte at a time: two that part and come together again
// are two derivations of one text (Book, Even, Greibach and Ott 1971, for automata). The state of a derivation is the
// node where it reads its next byte, and a stack of nodes to return to; equal stacks are one. Finite grammars have
// finitely many states, and so have those that recur only at the end of an alternative, since nothing is left to return
// to. Where there are too many, the search gives up.
class PairSearch {
 public:
  explicit PairSearch(const GrammarNetwork& net) : net_(net) {
    stacks_.number({-1, -1});  // 0: nothing to return to
    states_.number({-1, 0});   // 0: the text is finished
    arrivals_.emplace_back();
  }

  Grammar::Ambiguity run() {
    using Verdict = Grammar::Ambiguity::Verdict;
    const int32_t start = arrive(net_.root[0], 0);
    meet(start, start, true, -1, 0);
    for (size_t i = 0; i < pairs_.size() && !stop(); ++i) {
      const Pair pair = pairs_[i];
      if (pair.a == 0 || pair.b == 0) continue;
      const State a = states_.list[size_t(pair.a)], b = states_.list[size_t(pair.b)];
      for (const auto& [byte, next_a] : net_.nodes[size_t(a.node)].bytes)
        for (const auto& [byte_b, next_b] : net_.nodes[size_t(b.node)].bytes)
          if (count_work() && byte == byte_b && !stop())
            meet(arrive(next_a, a.stack), arrive(next_b, b.stack), pair.a == pair.b, int32_t(i), byte);
    }
    if (ambiguous_)
      return {Verdict::kAmbiguous, text("ambiguous: a text that begins with \"", witness_, "\" has two derivations")};
    if (exhausted_) return {Verdict::kUnknown, "the search for a text with two derivations was given up"};
    return {Verdict::kUnambiguous, text("no two derivations write the same text (", pairs_.size(), " pairs searched)")};
  }

 private:
  static constexpr size_t kMaxStates = 300'000, kMaxPairs = 2'000'000, kMaxArrivals = 10'000;
  static constexpr size_t kMaxWork = 50'000'000;  // turns of the inner loops, which need not find anything new
  struct State {
    int32_t node, stack;
  };
  // States by number, each once.
  struct States {
    std::vector<State> list;
    std::unordered_map<uint64_t, int32_t> numbers;
    int32_t number(State s) {
      const auto [place, is_new] = numbers.try_emplace(pair_of(s.node, s.stack), int32_t(list.size()));
      if (is_new) list.push_back(s);
      return place->second;
    }
  };
  struct Pair {
    int32_t a, b;
    int32_t from;  // the pair before this one, -1 at the beginning
    unsigned char byte;
  };
  // Where a derivation can read next that has come to a node: a list of states, by its number.
  struct Arrival {
    std::vector<int32_t> states;
    bool twice = false;  // in two ways at the same
  };

  bool stop() const { return ambiguous_ || exhausted_; }
  bool count_work() {
    exhausted_ = exhausted_ || ++work_ > kMaxWork;
    return !exhausted_;
  }

  int32_t push(int32_t node, int32_t stack) {
    const Node& n = net_.nodes[size_t(node)];
    if (n.end > 0 && n.bytes.empty() && n.calls.empty()) return stack;  // nothing to do there
    return stacks_.number({node, stack});
  }

  int32_t arrive(int32_t node, int32_t stack) {
    const auto [place, is_new] = arrival_of_.try_emplace(pair_of(node, stack), int32_t(arrivals_.size()));
    if (!is_new) return place->second;
    const int32_t number = place->second;
    Arrival arrival;
    std::vector<State> todo{{node, stack}};
    std::unordered_set<int32_t> seen;
    size_t steps = 0;
    while (!todo.empty() && count_work()) {
      const State at = todo.back();
      todo.pop_back();
      exhausted_ = ++steps > kMaxArrivals || states_.list.size() > kMaxStates || stacks_.list.size() > kMaxStates;
      const auto reach = [&](int32_t state) {
        if (seen.insert(state).second)
          arrival.states.push_back(state);
        else
          arrival.twice = true;
      };
      const Node& n = net_.nodes[size_t(at.node)];
      if (!n.bytes.empty()) reach(states_.number(at));
      for (const auto& [rule, next] : n.calls) todo.push_back({net_.root[size_t(rule)], push(next, at.stack)});
      if (n.end > 0 && at.stack == 0) reach(0);
      if (n.end > 0 && at.stack != 0) todo.push_back(stacks_.list[size_t(at.stack)]);
    }
    arrivals_.push_back(std::move(arrival));
    return number;
  }

  // Both derivations have written `byte` behind pair `from` and go on at one of their arrivals.
  void meet(int32_t a, int32_t b, bool same, int32_t from, unsigned char byte) {
    const Arrival &x = arrivals_[size_t(a)], &y = arrivals_[size_t(b)];
    if (same && x.twice) return found(from, byte);
    for (const int32_t s : x.states)
      for (const int32_t t : y.states) {
        if (!count_work()) return;
        if (s == t && !same) return found(from, byte);
        if (same && s > t) continue;
        if (!pair_seen_.insert(pair_of(std::min(s, t), std::max(s, t))).second) continue;
        pairs_.push_back({s, t, from, byte});
        if (pairs_.size() > kMaxPairs) {
          exhausted_ = true;
          return;
        }
      }
  }

  void found(int32_t from, unsigned char byte) {
    ambiguous_ = true;
    if (from < 0) return;
    witness_ = char(byte);
    for (; pairs_[size_t(from)].from >= 0; from = pairs_[size_t(from)].from)
      witness_ += char(pairs_[size_t(from)].byte);
    std::reverse(witness_.begin(), witness_.end());
    witness_.erase(utf8::find_invalid(witness_.begin(), witness_.end()), witness_.end());  // half a character
  }

  const GrammarNetwork& net_;
  States stacks_, states_;  // a stack: its top node and the stack below it
  std::vector<Arrival> arrivals_;
  std::unordered_map<uint64_t, int32_t> arrival_of_;
  std::vector<Pair> pairs_;
  std::unordered_set<uint64_t> pair_seen_;
  std::string witness_;
  size_t work_ = 0;
  bool ambiguous_ = false, exhausted_ = false;
};

}  // namespace

Grammar::Ambiguity Grammar::ambiguity() const {
  if (next_byte_decides(*network_)) return {Ambiguity::Verdict::kUnambiguous, "the next byte decides every choice"};
  return PairSearch(*network_).run();
}

}  // namespace gradus
