// gradus kl: compares the two tables of a file; without a file prints the worked numbers (numbers.txt) or the lesson
// (lesson.txt).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <tuple>
#include <unordered_map>

#include "apps/commands.h"
#include "apps/embedded.h"
#include "apps/format.h"
#include "apps/kl/pages.h"
#include "apps/next_command.h"
#include "engine/io/json.h"
#include "engine/io/json_number.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"
#include "rl/tables/divergence.h"

namespace gradus {

namespace {

// Two tables over the same names, in the order of their first mention.
struct TwoTables {
  std::vector<std::string> names;
  Table p, q;
};

Json parse(const std::string& path) {
  const std::string content = read_text(path, kMostListed);
  try {
    return Json::parse(content);
  } catch (const DataError& error) {
    throw DataError(text(path, ": ", error.what()));
  }
}

TwoTables read_pair(const std::string& path) {
  const Json file = parse(path);
  if (!file.is_object()) throw DataError(path + ": must be an object {\"p\":{name: probability, ...},\"q\":{...}}");
  TwoTables pair;
  std::unordered_map<std::string, size_t> place;
  std::vector<double> probabilities[2];
  for (int side = 0; side < 2; ++side) {
    const char* const key = side == 0 ? "p" : "q";
    const auto table = file.find(key);
    if (table == file.end())
      throw DataError(text(path, ": has no \"", key, "\", which must be an object {name: probability, ...}"));
    if (!table->is_object() || table->empty())
      throw DataError(text(path, ": \"", key, "\" must be an object with at least one name: probability"));
    Sum sum;
    for (const auto& [name, value] : table->items()) {
      const std::string entry = text(path, ": ", key, "[\"", one_line(name, 60), "\"]");
      if (!value.is_number()) throw DataError(text(entry, " is ", one_line(value.dump(), 40), ", must be a number"));
      const double probability = value.get<double>();
      if (!(probability >= 0 && std::isfinite(probability)))
        throw DataError(text(entry, " is ", probability, ", must be a probability, from 0 to 1"));
      sum += probability;
      const auto [at, is_new] = place.try_emplace(name, pair.names.size());
      if (is_new) pair.names.push_back(name);
      for (auto& column : probabilities) column.resize(pair.names.size());
      probabilities[side][at->second] = probability;
    }
    if (!(std::fabs(sum - 1) <= 1e-6))
      throw DataError(text(path, ": \"", key, "\" sums to ", digits(sum, 9), ", must sum to 1 within 1e-6"));
    for (double& x : probabilities[side]) x /= sum;  // or a rounded table would have a KL below 0
  }
  pair.p = Table::of(std::move(probabilities[0]));
  pair.q = Table::of(std::move(probabilities[1]));
  return pair;
}

Json to_json(const Comparison& c) {
  Json nats, bits;
  c.for_each([&](const char* name, double value, bool information) {
    nats[name] = json_number(value);
    bits[name] = json_number(information ? value / kLog2 : value);
  });
  nats["bits"] = bits;
  return nats;
}

void print_pair(const TwoTables& pair, const Comparison& c) {
  constexpr size_t kMostRows = 20;
  int64_t width = 4;
  for (const std::string& name : pair.names) width = std::clamp<int64_t>(count_characters(name), width, 40);
  std::printf("%s  %10s  %10s  %14s\n", left("", width).c_str(), "p", "q", "p log(p/q)");
  const std::vector<double> u = log_ratios(pair.p, pair.q);
  for (size_t i = 0; i < std::min(kMostRows, u.size()); ++i)
    std::printf("%s  %10s  %10s  %14s\n", left(one_line(pair.names[i], 40), width).c_str(),
                fixed(pair.p.p[i], 6).c_str(), fixed(pair.q.p[i], 6).c_str(),
                pair.p.p[i] == 0 ? "0" : digits(pair.p.p[i] * u[i], 10).c_str());
  if (u.size() > kMostRows) std::printf("... and %zu more\n", u.size() - kMostRows);
  const std::map<std::string, const char*> formulas{
      {"kl_ab", "KL(p‖q) = Σ p log(p/q)"},         {"kl_ba", "KL(q‖p) = Σ q log(q/p)"},
      {"js", "JS, halved: ½ KL(p‖m) + ½ KL(q‖m)"}, {"tv", "total variation ½ Σ |p−q|"},
      {"chi2_ab", "χ²(p‖q) = Σ (p−q)²/q"},         {"chi2_ba", "χ²(q‖p) = Σ (p−q)²/p"},
      {"hellinger2", "Hellinger², ½ Σ (√p−√q)²"},  {"entropy_a", "H(p) = −Σ p log p"},
      {"entropy_b", "H(q) = −Σ q log q"},          {"cross_entropy_ab", "H(p,q) = −Σ p log q"}};
  std::printf("\n%s  %20s  %20s\n", left("", 36).c_str(), "nats", "bits");
  c.for_each([&](const char* name, double value, bool information) {
    std::printf("%s  %20s  %20s\n", left(formulas.at(name), 36).c_str(), digits(value, 15).c_str(),
                information ? digits(value / kLog2, 15).c_str() : "no unit");
  });
  for (const auto& [a, b, ratio] : {std::tuple{"p", "q", INFINITY}, {"q", "p", -INFINITY}}) {
    const auto only = std::find(u.begin(), u.end(), ratio);
    if (only != u.end())
      std::printf("\nKL(%s‖%s) is infinite: %s gives \"%s\" a probability, %s gives it none.\n", a, b, a,
                  one_line(pair.names[size_t(only - u.begin())], 60).c_str(), b);
  }
}

}  // namespace

int kl(const KlCommand& command) {
  const bool json = command.common.json;
  if (command.lesson && command.section) throw UsageError("--section belongs to the worked numbers, not to --lesson");
  if (!command.file.empty()) {
    if (command.lesson) throw UsageError("--lesson takes no file: " + proposed({"kl", "--lesson"}));
    if (command.section) throw UsageError("--section takes no file: " + proposed({"kl", "--section", "N"}));
    const TwoTables pair = read_pair(command.file);
    const Comparison c = compare(pair.p, pair.q);
    if (json)
      std::printf("%s\n", to_json(c).dump().c_str());
    else
      print_pair(pair, c);
    return kDone;
  }
  const WorkedNumbers numbers = worked_numbers();
  if (json) {
    if (command.lesson)
      throw UsageError("--lesson is a page to read; " + proposed({"kl", "--json"}) + " gives its numbers");
    if (command.section)
      throw UsageError("--section is a page to read; " + proposed({"kl", "--json"}) + " gives all numbers");
    Json all;
    for (const WorkedNumbers::Entry& entry : numbers.entries())
      all[entry.name] = entry.values.size() == 1 ? json_number(entry.values[0]) : json_numbers(entry.values);
    std::printf("%s\n", all.dump().c_str());
    return kDone;
  }
  const char* const page = command.lesson ? apps_kl_lesson_txt : apps_kl_numbers_txt;
  std::fputs(page_text(page, numbers, command.section).c_str(), stdout);
  return kDone;
}

}  // namespace gradus
