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
  std::vector<std::vector<int32_t>> nodes_of(net.root.size());
  for (size_t i = 0; i < net.nodes.size(); ++i) nodes_of[size_t(net.nodes[i].rule)].push_back(int32_t(i));
  const auto look_ahead = [&](int32_t r) {
    for (size_t k = nodes_of[size_t(r)].size(); k-- > 0;) {  // children stand after their parents
      const size_t i = size_t(nodes_of[size_t(r)][k]);
      for (const auto& [byte, next] : net.nodes[i].bytes) ahead[i].set(byte);
      for (const auto& [rule, next] : net.nodes[i].calls) {
        ahead[i] |= first[size_t(rule)];
        if (net.empty[size_t(rule)] > 0) ahead[i] |= ahead[size_t(next)];
      }
    }
    const Bytes before = first[size_t(r)];
    first[size_t(r)] = ahead[size_t(net.root[size_t(r)])];
    return first[size_t(r)] != before;
  };
  std::vector<char> vanishes(net.nodes.size(), 0);  // from the node the rule can end without a byte
  for (size_t i = net.nodes.size(); i-- > 0;) {
    vanishes[i] = net.nodes[i].end > 0;
    for (const auto& [rule, next] : net.nodes[i].calls)
      if (net.empty[size_t(rule)] > 0 && vanishes[size_t(next)]) vanishes[i] = 1;
  }
  const auto pass_on = [&](int32_t r) {  // what follows the rules that r uses
    bool changed = false;
    for (const int32_t i : nodes_of[size_t(r)])
      for (const auto& [rule, next] : net.nodes[size_t(i)].calls) {
        Bytes& f = follow[size_t(rule)];
        const Bytes before = f;
        f |= ahead[size_t(next)];
        if (vanishes[size_t(next)]) f |= follow[size_t(r)];
        changed = changed || f != before;
      }
    return changed;
  };
  const auto settle = [&](const std::vector<int32_t>& group, const auto& visit) {
    for (bool changed = true; changed;) {
      changed = false;
      for (const int32_t r : group) changed = visit(r) || changed;
    }
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
    stacks_.push_back({-1, -1});  // 0: nothing to return to
    states_.push_back({-1, 0});   // 0: the text is finished
    arrivals_.emplace_back();
  }

  Grammar::Ambiguity run() {
    using Verdict = Grammar::Ambiguity::Verdict;
    const int32_t start = arrive(net_.root[0], 0);
    const std::string alone = "no two derivations write the same text";
    meet(start, start, true, -1, 0);
    for (size_t i = 0; i < pairs_.size() && !stop(); ++i) {
      const Pair pair = pairs_[i];
      if (pair.a == 0 || pair.b == 0) continue;
      const State a = states_[size_t(pair.a)], b = states_[size_t(pair.b)];
      for (const auto& [byte, next_a] : net_.nodes[size_t(a.node)].bytes)
        for (const auto& [byte_b, next_b] : net_.nodes[size_t(b.node)].bytes)
          if (count_work() && byte == byte_b && !stop())
            meet(arrive(next_a, a.stack), arrive(next_b, b.stack), pair.a == pair.b, int32_t(i), byte);
    }
    if (ambiguous_)
      return {Verdict::kAmbiguous, text("ambiguous: a text that begins with \"", witness_, "\" has two derivations")};
    if (exhausted_) return {Verdict::kUnknown, "the search for a text with two derivations was given up"};
    return {Verdict::kUnambiguous, text(alone, " (", pairs_.size(), " pairs searched)")};
  }

 private:
  static constexpr size_t kMaxStates = 300'000, kMaxPairs = 2'000'000, kMaxArrivals = 10'000;
  static constexpr size_t kMaxWork = 50'000'000;  // turns of the inner loops, which need not find anything new
  struct State {
    int32_t node, stack;
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
    const auto [place, is_new] = stack_of_.try_emplace(uint64_t(node) << 32 | uint32_t(stack), int32_t(stacks_.size()));
    if (is_new) stacks_.push_back({node, stack});
    return place->second;
  }

  int32_t arrive(int32_t node, int32_t stack) {
    const auto [place, is_new] =
        arrival_of_.try_emplace(uint64_t(node) << 32 | uint32_t(stack), int32_t(arrivals_.size()));
    if (!is_new) return place->second;
    const int32_t number = place->second;
    Arrival arrival;
    std::vector<State> todo{{node, stack}};
    std::unordered_set<int32_t> seen;
    size_t steps = 0;
    while (!todo.empty() && count_work()) {
      const State at = todo.back();
      todo.pop_back();
      exhausted_ = ++steps > kMaxArrivals || states_.size() > kMaxStates || stacks_.size() > kMaxStates;
      const auto reach = [&](int32_t state) {
        if (seen.insert(state).second)
          arrival.states.push_back(state);
        else
          arrival.twice = true;
      };
      const Node& n = net_.nodes[size_t(at.node)];
      if (!n.bytes.empty()) {
        const auto [found, fresh] =
            state_of_.try_emplace(uint64_t(at.node) << 32 | uint32_t(at.stack), int32_t(states_.size()));
        if (fresh) states_.push_back(at);
        reach(found->second);
      }
      for (const auto& [rule, next] : n.calls) todo.push_back({net_.root[size_t(rule)], push(next, at.stack)});
      if (n.end > 0 && at.stack == 0) reach(0);
      if (n.end > 0 && at.stack != 0) todo.push_back(stacks_[size_t(at.stack)]);
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
        if (!pair_seen_.insert(uint64_t(std::min(s, t)) << 32 | uint32_t(std::max(s, t))).second) continue;
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
  std::vector<State> stacks_, states_;  // a stack: its top node and the stack below it
  std::vector<Arrival> arrivals_;
  std::unordered_map<uint64_t, int32_t> stack_of_, state_of_, arrival_of_;
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
