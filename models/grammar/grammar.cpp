#include "models/grammar/grammar.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "engine/error.h"
#include "engine/long_loop.h"
#include "models/grammar/network.h"

namespace gradus {
namespace {

// Texts drawn where the entropy is estimated: this many, fewer if they grow long.
constexpr int64_t kSamples = 4096, kLeastSamples = 100, kSampledBytes = 400'000;
constexpr size_t kMaxEnumerated = 100'000, kMaxEnumeratedBytes = size_t(64) << 20;
constexpr size_t kMaxEnumeratedWork = 2'000'000'000;  // bytes of text made on the way
constexpr int64_t kMaxDerived = int64_t(1) << 24;
// Steps of Earley's algorithm for one text, and for all texts of an estimate.
constexpr int64_t kMaxInside = 10'000'000, kMaxEstimate = 5'000'000;

}  // namespace

std::string Grammar::derive(const Rng& rng) const {
  struct Place {
    const GrammarRule::Alternative* alternative;
    size_t next;
  };
  std::string out;
  std::vector<Place> stack;
  int64_t choices = 0;
  const auto choose = [&](int32_t r) {
    const GrammarRule& rule = (*rules_)[size_t(r)];
    const auto k = std::upper_bound(rule.cumulative.begin(), rule.cumulative.end(), rng.uniform(choices++));
    stack.push_back({&rule.alternatives[size_t(k - rule.cumulative.begin())], 0});
  };
  for (choose(0); !stack.empty();) {
    Place& at = stack.back();
    if (at.next == at.alternative->symbols.size()) {
      stack.pop_back();
      continue;
    }
    const auto& symbol = at.alternative->symbols[at.next++];
    out += symbol.text;
    if (symbol.rule >= 0) choose(symbol.rule);
    if (int64_t(out.size()) > kMaxDerived || choices > kMaxDerived)
      throw DataError(text("a line of the grammar has more than ", kMaxDerived,
                           " bytes or steps; give the alternatives that end more weight"));
  }
  return out;
}

// Earley's algorithm (1970) over the tries, with the inside probabilities of Stolcke (1995, "An efficient probabilistic
// context-free parsing algorithm that computes prefix probabilities"). An item (node, origin) in column j says: the
// rule of the node, begun at `origin`, can have written text[origin, j) on its way to the node, with this weight. Rules
// that derive the empty text are stepped over at once, with that probability, so that every completion spans at least a
// byte; the completions of a column are taken with the latest origin first and, from one origin, rules before those
// that can turn into them, so that each is whole when it is used. Returns ln P, or nothing if there is no derivation;
// `steps` grows by the items that were added.
std::optional<double> Grammar::inside(std::string_view words, int64_t& steps) const {
  const GrammarNetwork& net = *network_;
  struct Item {
    int32_t node, origin;
    double weight;
  };
  struct Column {
    std::vector<Item> items;
    std::unordered_map<uint64_t, size_t> place;                                    // (node, origin) → item
    std::unordered_map<int32_t, std::vector<std::pair<size_t, int32_t>>> waiting;  // rule → (item, node behind it)
    std::map<std::pair<int32_t, int32_t>, std::pair<int32_t, double>> complete;    // (−origin, rank) → rule, weight
  };
  const int32_t n = int32_t(words.size());
  // Every byte counts e^unit, so that a long text of ordinary probability neither underflows nor overflows.
  const double bytes = net.means[0][GrammarNetwork::kBytes];
  const double unit = std::min(50.0, bytes > 0 ? net.means[0][GrammarNetwork::kEntropy] / bytes : 0);
  const double scale = std::exp(unit);
  std::vector<Column> columns(size_t(n) + 1);

  const int64_t last_step = steps + kMaxInside;
  std::vector<Item> todo;
  const auto add = [&](int32_t j, Item first) {
    Column& column = columns[size_t(j)];
    todo.push_back(first);
    while (!todo.empty()) {
      if (++steps > last_step)
        throw DataError(text("a text of ", n, " bytes has too many derivations: summing them takes more than ",
                             kMaxInside, " steps; shorten the texts, or leave fewer ways to write the same text"));
      const Item item = todo.back();
      todo.pop_back();
      const GrammarNetwork::Node& node = net.nodes[size_t(item.node)];
      const auto [place, is_new] = column.place.try_emplace(pair_of(item.node, item.origin), column.items.size());
      const size_t index = place->second;
      if (is_new) column.items.push_back({item.node, item.origin, 0});
      column.items[index].weight += item.weight;
      if (node.end > 0 && item.origin < j) {
        auto& done = column.complete[{-item.origin, net.rank[size_t(node.rule)]}];
        done = {node.rule, done.second + item.weight * node.end};
      }
      for (const auto& [rule, next] : node.calls) {
        const double empty = net.empty[size_t(rule)];
        if (empty > 0) todo.push_back({next, item.origin, item.weight * empty});
        if (!is_new) continue;
        auto& waiting = column.waiting[rule];
        const int32_t root = net.root[size_t(rule)];
        if (waiting.empty() && !column.place.count(pair_of(root, j))) todo.push_back({root, j, 1});
        waiting.emplace_back(index, next);
      }
    }
  };

  std::optional<double> result;
  if (n == 0 && net.empty[0] > 0) result = std::log(net.empty[0]);
  add(0, {net.root[0], 0, 1});
  for (int32_t j = 0; j <= n; ++j) {
    Column& column = columns[size_t(j)];
    while (!column.complete.empty()) {
      const auto [place, done] = *column.complete.begin();
      column.complete.erase(column.complete.begin());
      const auto [rule, weight] = done;
      const int32_t origin = -place.first;
      if (j == n && origin == 0 && rule == 0) result = std::log(weight) - unit * n;
      const auto waiting = columns[size_t(origin)].waiting.find(rule);
      if (waiting == columns[size_t(origin)].waiting.end()) continue;
      for (const auto& [item, next] : waiting->second) {
        const Item& before = columns[size_t(origin)].items[item];
        add(j, {next, before.origin, before.weight * weight});
      }
    }
    for (size_t i = 0; j < n && i < column.items.size(); ++i)
      for (const auto& [byte, next] : net.nodes[size_t(column.items[i].node)].bytes)
        if (byte == static_cast<unsigned char>(words[size_t(j)]))
          add(j + 1, {next, column.items[i].origin, column.items[i].weight * scale});
    column.place.clear();
  }
  return result;
}

bool Grammar::generates(std::string_view words) const {
  int64_t steps = 0;
  return inside(words, steps).has_value();
}

double Grammar::log_probability(std::string_view words) const {
  int64_t steps = 0;
  return inside(words, steps).value_or(-std::numeric_limits<double>::infinity());
}

std::optional<std::map<std::string, double>> Grammar::enumerate(size_t limit) const {
  using Language = std::map<std::string, double>;
  std::vector<Language> languages(rules_->size());
  size_t bytes = 0, work = 0;
  const auto add = [&](Language& to, const std::string& words, double p) {
    const auto [place, is_new] = to.try_emplace(words, 0);
    place->second += p;
    bytes += is_new ? words.size() : 0;
    work += words.size() + 1;
    return to.size() <= limit && bytes <= kMaxEnumeratedBytes && work <= kMaxEnumeratedWork;
  };
  const LongLoop loop("listing texts of rules", int64_t(network_->groups.size()));
  for (size_t g = 0; g < network_->groups.size(); ++g) {
    loop.at(int64_t(g));
    const size_t r = size_t(network_->groups[g][0]);
    if (network_->recursive[g]) return {};
    for (const auto& alternative : (*rules_)[r].alternatives) {
      Language texts{{"", alternative.probability}};
      for (const auto& s : alternative.symbols) {
        Language longer;
        for (const auto& [front, p] : texts) {
          if (s.rule < 0) {
            if (!add(longer, front + s.text, p)) return {};
            continue;
          }
          for (const auto& [back, q] : languages[size_t(s.rule)])
            if (!add(longer, front + back, p * q)) return {};
        }
        texts = std::move(longer);
      }
      for (const auto& [words, p] : texts)
        if (!add(languages[r], words, p)) return {};
    }
    if (r == 0) return std::move(languages[0]);
  }
  return {};
}

LineEntropy Grammar::entropy(const Rng& rng) const {
  const double upper = network_->means[0][GrammarNetwork::kEntropy];
  const Ambiguity proof = ambiguity();
  if (proof.verdict == Ambiguity::Verdict::kUnambiguous) return {upper, true, 0, upper, proof.why};
  if (const auto language = enumerate(kMaxEnumerated)) {
    double nats = 0;
    for (const auto& [words, p] : *language) nats -= p * std::log(p);
    return {nats, true, 0, upper, text("summed over its ", language->size(), " texts")};
  }
  double sum = 0, squares = 0;
  int64_t n = 0, bytes = 0, steps = 0;
  const LongLoop loop("estimating the entropy, lines", kSamples);
  for (; n < kSamples && (n < kLeastSamples || (bytes < kSampledBytes && steps < kMaxEstimate)); ++n) {
    loop.at(n);
    const std::string words = derive(rng.at(n));
    const double surprise = -inside(words, steps).value();
    if (steps > kMaxEstimate && n + 1 < kLeastSamples)
      throw DataError(text("its entropy is not known exactly (", proof.why, "), and ", kMaxEstimate,
                           " steps of an estimate were not enough for ", n + 1, " lines; make them shorter than ",
                           mean_bytes(), " bytes on average, or leave fewer ways to write the same text"));
    bytes += int64_t(words.size());
    sum += surprise;
    squares += surprise * surprise;
  }
  const double mean = sum / double(n), variance = std::max(0.0, squares / double(n) - mean * mean);
  return {mean, false, std::sqrt(variance / double(n - 1)), upper,
          text("mean of -ln P over ", n, " lines; ", proof.why)};
}

double Grammar::mean_characters() const { return network_->means[0][GrammarNetwork::kCharacters]; }
double Grammar::mean_bytes() const { return network_->means[0][GrammarNetwork::kBytes]; }
std::optional<double> Grammar::mean_words() const {
  if (!network_->single_spaces) return {};
  return network_->means[0][GrammarNetwork::kSpaces] + 1;
}

}  // namespace gradus
