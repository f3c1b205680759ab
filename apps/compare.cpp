// gradus compare: divergences between two runs over whole sequences, estimated from samples of both where the world is
// too large to list. Both samples together are one of the mixture m = (a + b)/2 (the balance heuristic, Veach and
// Guibas 1995), under which every divergence is a mean,
//
//   D(a, b) = E_m[ term(a/m, b/m) ],   a/m = 2 / (1 + b/a),   b/m = 2 − a/m
//
// with the term that the tables add up (rl/tables/divergence.h): f(u) − f'(1)(u − 1) in the place of f(u), so that no
// sample is negative and the linear part, which is 0 on average and most of the noise between runs that are near to
// each other, is gone. Ratios to m are at most 2, so that only χ², which grows as a/b, and KL, as log a/b, can have a
// heavy tail, by what one run hardly ever says of the other.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "apps/commands.h"
#include "apps/format.h"
#include "apps/run.h"
#include "engine/io/json_number.h"
#include "engine/long_loop.h"
#include "models/run/checkpoint.h"
#include "models/text/utf8.h"
#include "rl/rollout.h"
#include "rl/tables/divergence.h"
#include "rl/tables/running_moments.h"
#include "rl/teacher_forcing.h"

namespace gradus {
namespace {

constexpr int64_t kChunk = 256;  // sequences at once
constexpr int kShards = 4;

struct Figure {
  const char* name;
  double value;
  std::optional<double> error;  // none of an infinite one
};

// log a/m, the logarithm of 2/(1 + b/a), from u = log a − log b.
double log_share(double u) { return u > 0 ? kLog2 - std::log1p(std::exp(-u)) : kLog2 + u - std::log1p(std::exp(u)); }

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

// Its mean over both samples, and the standard error of that.
Figure mean_of(const char* name, const char* divergence, const std::vector<double>& of_a,
               const std::vector<double>& of_b) {
  const Divergence f = divergence_named(divergence);
  double value = 0, variance = 0;
  for (const std::vector<double>* sample : {&of_a, &of_b}) {
    RunningMoments m;
    for (const double u : *sample) {
      const double log_a = log_share(u), log_b = log_share(-u);
      const double x = f.term({.p = std::exp(log_a), .log_p = log_a, .t = std::exp(log_b), .log_t = log_b});
      if (std::isinf(x)) return {name, x, {}};  // the other run excludes it
      m.add(x);
    }
    value += m.mean()[0] / 2;
    variance += m.variance()[0] / double(m.count()) / 4;
  }
  return {name, value, std::sqrt(variance)};
}

}  // namespace

int compare_runs(const CompareCommand& command) {
  note_action_values({command.run, command.other}, command.common);
  const Checkpoint a = load_checkpoint(command.run), b = load_beside(command.other, a);
  const World world{a.beginning(command.prompt), a.tokenizer.end_id(), command.max_tokens, command.temperature};
  for (const Checkpoint* run : {&a, &b}) {
    note_burn_in(*run, command.common);
    run->require_one_window(int64_t(world.prompt.size()), world.max_tokens);
  }
  const std::vector<double> of_a = log_ratios(command, a, b, world, false);
  const std::vector<double> of_b = log_ratios(command, a, b, world, true);
  const std::vector<Figure> figures{
      mean_of("kl_ab", "reverse-kl", of_a, of_b),
      mean_of("kl_ba", "forward-kl", of_a, of_b),
      mean_of("js", "js", of_a, of_b),
      mean_of("tv", "tv", of_a, of_b),
      mean_of("chi2_ab", "chi2-reverse", of_a, of_b),
      mean_of("chi2_ba", "chi2", of_a, of_b),
      mean_of("hellinger2", "hellinger", of_a, of_b),
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
    std::printf("%-12s %14s%s\n", f.name, fixed(f.value, 6).c_str(),
                f.error ? ("   ± " + fixed(*f.error, 6)).c_str() : "   (one run excludes what the other says)");
  return kDone;
}

}  // namespace gradus
