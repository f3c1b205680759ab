// gradus compare: divergences between two runs over whole sequences, estimated from samples of both where the world is
// too large to list. With u = log a − log b:
//
//   KL(a‖b) = E_a[u]   JS = ½ E_a[log 2a/(a+b)] + ½ E_b[log 2b/(a+b)]   TV = E_a[(1 − b/a)⁺]   H² = 1 − E_a[√(b/a)]
//
// of which TV and H² are means over samples of both. χ²(a‖b) = E_a[a/b] − 1 may have a heavy tail that no sample shows.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/commands.h"
#include "apps/format.h"
#include "engine/io/json_number.h"
#include "engine/long_loop.h"
#include "models/run/checkpoint.h"
#include "models/text/utf8.h"
#include "rl/rollout.h"
#include "rl/tables/running_moments.h"
#include "rl/teacher_forcing.h"

namespace gradus {
namespace {

constexpr int64_t kChunk = 256;  // sequences at once
constexpr int kShards = 4;

struct Figure {
  const char* name;
  double value, error;
};

// u of command.samples sequences that a drew, or b.
std::vector<double> log_ratios(const CompareCommand& command, const Checkpoint& a, const Checkpoint& b,
                               const World& world, bool drawn_by_b) {
  std::vector<double> u;
  const uint64_t seed = uint64_t(command.common.seed);
  const std::vector<std::vector<int32_t>> prompts{world.prompt};
  Shards shards(kShards, threads_for(command.common, kShards));
  const LongLoop loop("sampling both runs, sequences", 2 * command.samples);
  for (int64_t first = 0; first < command.samples; first += kChunk) {
    loop.at(first + (drawn_by_b ? command.samples : 0));
    const int64_t count = std::min(kChunk, command.samples - first);
    const std::vector<int32_t> of(size_t(count), 0);
    shards.begin({.seed = seed, .step = drawn_by_b}, count);
    const Rng rng(seed, Stream::kSample, 2 * (first / kChunk) + drawn_by_b);
    const Sequences drawn = roll_out(*(drawn_by_b ? b : a).model, world, prompts, of, rng, shards).sequences;
    PaddedBatch batch;
    batch.fill(prompts, of, drawn);
    const auto log_prob = [&](const Checkpoint& run) {
      return sum_over_draws(batch, token_log_probs(*run.model, shards, batch, world.temperature));
    };
    const std::vector<double> log_a = log_prob(a), log_b = log_prob(b);
    for (size_t i = 0; i < log_a.size(); ++i) u.push_back(log_a[i] - log_b[i]);
  }
  return u;
}

// log 2a/(a+b) = log 2 − log(1 + b/a).
double log_share(double u) { return std::log(2.0) - (u > 0 ? std::log1p(std::exp(-u)) : std::log1p(std::exp(u)) - u); }

// The mean of f over a sample and its standard error.
template <class F>
Figure mean_of(const char* name, const std::vector<double>& a, F f) {
  RunningMoments m;
  for (const double u : a) {
    if (std::isinf(f(u))) return {name, f(u), std::nan("")};  // the other excludes it
    m.add(f(u));
  }
  return {name, m.mean()[0], std::sqrt(m.variance()[0] / double(m.count()))};
}
Figure halves(const char* name, const Figure& a, const Figure& b) {
  return {name, (a.value + b.value) / 2, std::hypot(a.error, b.error) / 2};
}

}  // namespace

int compare_runs(const CompareCommand& command) {
  const Checkpoint a = load_checkpoint(command.run), b = load_beside(command.other, a);
  const World world{a.beginning(command.prompt), a.tokenizer.end_id(), command.max_tokens, command.temperature};
  for (const Checkpoint* run : {&a, &b}) run->require_one_window(int64_t(world.prompt.size()), world.max_tokens);
  const std::vector<double> of_a = log_ratios(command, a, b, world, false);
  std::vector<double> of_b = log_ratios(command, a, b, world, true);
  for (double& u : of_b) u = -u;  // log b − log a
  const auto tv = [](double u) { return u > 0 ? -std::expm1(-u) : 0; };
  const auto hellinger = [](double u) { return -std::expm1(-u / 2); };
  const auto chi2 = [](double u) { return std::expm1(u); };
  const auto kl = [](double u) { return u; };
  const std::vector<Figure> figures{
      mean_of("kl_ab", of_a, kl),
      mean_of("kl_ba", of_b, kl),
      halves("js", mean_of("", of_a, log_share), mean_of("", of_b, log_share)),
      halves("tv", mean_of("", of_a, tv), mean_of("", of_b, tv)),
      mean_of("chi2_ab", of_a, chi2),
      mean_of("chi2_ba", of_b, chi2),
      halves("hellinger2", mean_of("", of_a, hellinger), mean_of("", of_b, hellinger)),
  };
  if (command.common.json) {
    Json json = Json::object();
    for (const Figure& f : figures) {
      json[f.name] = json_number(f.value);
      json[std::string(f.name) + "_stderr"] = json_number(f.error);
    }
    json["samples"] = command.samples;
    std::printf("%s\n", json.dump().c_str());
    return kDone;
  }
  std::printf("a = %s, b = %s: whole sequences, in nats, from %s samples of each\n", one_line(command.run, 80).c_str(),
              one_line(command.other, 80).c_str(), grouped(command.samples).c_str());
  for (const Figure& f : figures)
    std::printf("%-12s %14s   ± %s\n", f.name, fixed(f.value, 6).c_str(), fixed(f.error, 6).c_str());
  return kDone;
}

}  // namespace gradus
