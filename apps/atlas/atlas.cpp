// gradus atlas: every divergence to two targets in a world small enough to list, by exact gradients and from samples.
#include "apps/atlas/atlas.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "apps/exact.h"
#include "apps/features.h"
#include "apps/format.h"
#include "apps/run.h"
#include "engine/io/file.h"
#include "engine/io/json_number.h"
#include "engine/long_loop.h"
#include "models/families.h"
#include "models/memory.h"
#include "models/text/utf8.h"
#include "rl/exact_gradient.h"
#include "rl/rewards/reward.h"
#include "rl/tables/posterior.h"
#include "rl/tuner.h"
#include "rl/worlds/known_worlds.h"

namespace gradus {
namespace {

constexpr int64_t kMostSequences = 10'000;
constexpr int64_t kPoints = 120;  // of a curve, or one for each step
constexpr const char* kAlpha = "alpha:0.5";

std::vector<std::string> all_divergences() {
  std::vector<std::string> names;
  for (const Divergence& d : divergences()) names.push_back(d.name);
  names.emplace_back(kAlpha);
  return names;
}

// A target, and all that a descent to it needs. Policies are clones of the prior.
struct Ground {
  const LanguageModel& prior;
  World world;
  TuneConfig options;
  RewardFunction reward;
  Features features;  // of moments, else empty
  KnownWorlds known;
  Shards& shards;
  const LongLoop& loop;
  int64_t& done;  // steps of all descents

  const KnownWorlds::Known& texts() const { return known.worlds()[0]; }
};

// A descent of one policy, whose update(step) makes one step and returns the norm of its gradient; `rate` is the option
// that says how long the step is.
template <class Update>
AtlasCurve follow(Ground& g, const Divergence& f, const LanguageModel& policy, const std::vector<int64_t>& points,
                  const char* rate, Update update) {
  AtlasCurve curve;
  size_t next = 0;
  for (int64_t step = 0;; ++step) {
    g.loop.at(g.done++);
    const Truth truth = g.known.of(policy, g.options.beta());
    if (!(*truth.kl_to_posterior < kArrived))
      curve.arrival.reset();
    else if (!curve.arrival)
      curve.arrival = step;
    if (step == points[next]) {
      const Table pi = Table::of_logs(g.texts().log_pi), p = Table::of_logs(g.texts().log_posterior);
      const double at[] = {*truth.kl_to_posterior, *truth.kl_from_posterior, f_divergence(f, pi, p)};
      for (size_t m = 0; m < curve.at.size(); ++m) curve.at[m].push_back(at[m]);
      ++next;
    }
    if (step == g.options.steps) return curve;
    if (!std::isfinite(update(step + 1)))
      throw DivergedError(text("the gradient of ", f.name, " to the target ", g.options.target,
                               " is not finite in step ", step + 1, "; ",
                               step > 0 ? text("try a smaller ", rate) : remedy_of_target(g.options)));
  }
}

Schedule schedule_of(const TuneConfig& c) { return {c.lr, c.min_lr, c.warmup, c.decay_steps}; }

// Z is known, and the gradient is the mean over all texts. A rate of 0: the steps are those of the optimiser.
AtlasCurve descend_exactly(Ground& g, const TuneConfig& options, double rate, const std::vector<int64_t>& points) {
  const std::unique_ptr<LanguageModel> policy = clone(g.prior);
  const std::unique_ptr<Method> method = make_method(options, {.policy = policy.get(), .prior = &g.prior});
  const double log_z = posterior(Table::of_logs(g.texts().log_q), g.texts().reward, options.beta()).log_z;
  method->restore(std::vector<NamedNumbers>{{"normalisers", {log_z, 1, 0}}});
  AdamW optimizer = tuning_optimizer(*policy);
  return follow(g, divergence_named(options.divergence), *policy, points, rate > 0 ? "--rate" : "--lr",
                [&](int64_t step) {
                  std::vector<real> descent;
                  for (const double x : exact_gradient(*method, *policy, g.prior, g.world, g.texts().sequences,
                                                       g.texts().log_pi, g.texts().reward, options.beta(), g.shards))
                    descent.push_back(real(-x));
                  const double norm = gradient_norm(descent);
                  const double factor = clip_factor(norm, options.clip);
                  if (rate > 0)
                    sgd_step(policy->params(), descent, rate, factor);
                  else
                    optimizer.step(policy->params(), descent, schedule_of(options).at(step), factor);
                  return norm;
                });
}

// As `gradus tune` does it.
AtlasCurve descend_from_samples(Ground& g, const TuneConfig& options, const std::vector<int64_t>& points) {
  const std::unique_ptr<LanguageModel> policy = clone(g.prior);
  Tuner tuner(*policy, g.prior, {g.world.prompt}, g.world, g.reward, options, g.shards, g.features);
  AdamW optimizer = tuning_optimizer(*policy);
  AtlasCurve curve = follow(g, divergence_named(options.divergence), *policy, points, "--lr", [&](int64_t step) {
    return tuner.step(step, optimizer, schedule_of(options).at(step), options.clip);
  });
  curve.seed = options.seed;
  return curve;
}

AtlasTarget explore(Ground& g, const AtlasCommand& command, const std::vector<int64_t>& points) {
  const Table q = Table::of_logs(g.texts().log_q);
  Posterior p = posterior(q, g.texts().reward, g.options.beta());
  AtlasTarget target{.name = g.options.target,
                     .aim = aim_of(g.options),
                     .lambda = g.features.lambda,
                     .log_z = p.log_z,
                     .kl = kl(p.table, q),
                     .log_p = p.table.log_p};
  for (const std::string& divergence : all_divergences()) {
    TuneConfig options = g.options;
    options.divergence = divergence;
    AtlasDescent descent{.divergence = divergence,
                         .plain = descend_exactly(g, options, command.rate, points),
                         .exact = descend_exactly(g, options, 0, points)};
    for (int64_t k = 0; k < command.seeds; ++k, ++options.seed)
      descent.sampled.push_back(descend_from_samples(g, options, points));
    target.descents.push_back(std::move(descent));
  }
  return target;
}

// The options of the descents to one target, whatever the divergence.
TuneConfig options_of(const AtlasCommand& command, const char* target) {
  TuneConfig options = command.tuning;
  options.target = target;
  options.algorithm = "f-dpg";
  options.max_tokens = command.max_tokens;
  options.temperature = command.temperature;
  options.seed = command.common.seed;
  resolve_options(options, cores());
  return options;
}

// Before the first step, after the last, and about kPoints in all.
std::vector<int64_t> points_of(int64_t steps) {
  std::vector<int64_t> points;
  const int64_t stride = (steps + kPoints - 1) / kPoints;
  for (int64_t step = 0; step < steps; step += stride) points.push_back(step);
  points.push_back(steps);
  return points;
}

Atlas make_atlas(const AtlasCommand& command) {
  note_action_values({command.run}, command.common);
  const Checkpoint run = load_checkpoint(command.run);
  run.require_one_model("atlas");
  if (run.model->params().size() == 0)
    throw DataError(
        text(run.path, ": a model of the family ", run.config.model, " has no parameters, so it cannot descend"));
  const World world{run.beginning(command.prompt), run.tokenizer.end_id(), command.max_tokens, command.temperature};
  run.require_one_window(int64_t(world.prompt.size()), world.max_tokens);
  const TuneConfig rl = options_of(command, "rl"), gdc = options_of(command, "gdc");
  const Reward terms(rl.reward, run.tokenizer);
  NamedFeatures named(gdc.feature, {}, run.tokenizer, {run.prompt(command.prompt)});
  const RewardFunction reward = text_reward(terms, run.tokenizer, {run.prompt(command.prompt)});
  KnownWorlds rewarded(*run.model, {world.prompt}, world, reward, kMostSequences);
  const KnownWorlds::Known& texts = rewarded.worlds()[0];
  fit_listed(named.features, std::vector<Enumeration>{{texts.sequences, {texts.log_q}}});
  KnownWorlds constrained(*run.model, {world.prompt}, world, named.features.reward(), kMostSequences);

  Atlas atlas{
      .run = command.run, .options = rl, .rate = command.rate, .steps = points_of(rl.steps), .log_q = texts.log_q};
  for (int64_t i = 0; i < texts.sequences.size(); ++i)
    atlas.texts.push_back(valid_utf8(run.tokenizer.decode(texts.sequences.text(i))));
  Shards shards(int(rl.shards), threads_for(command.common, rl.shards));
  require_memory(Tuner(*clone(*run.model), *run.model, {world.prompt}, world, reward, rl, shards)
                     .step_bytes(int64_t(world.prompt.size())),
                 text("a step with --batch ", rl.batch), "use a smaller --batch or --max-tokens");
  int64_t done = 0;
  const LongLoop loop("descending, steps",
                      2 * int64_t(all_divergences().size()) * (2 + command.seeds) * (rl.steps + 1));
  Ground grounds[] = {{*run.model, world, rl, reward, {}, std::move(rewarded), shards, loop, done},
                      {*run.model, world, gdc, {}, named.features, std::move(constrained), shards, loop, done}};
  for (Ground& g : grounds) atlas.targets.push_back(explore(g, command, atlas.steps));
  return atlas;
}

std::string step_or_none(const std::optional<int64_t>& step) { return step ? grouped(*step) : "-"; }

void print(const Atlas& atlas) {
  for (const AtlasTarget& t : atlas.targets) {
    std::printf("--target %s, %s: KL(target, prior) %s nats, log Z %s\n", t.name.c_str(), one_line(t.aim, 80).c_str(),
                significant(t.kl, 6).c_str(), significant(t.log_z, 6).c_str());
    for (const double x : t.lambda) std::printf("  Λ %s\n", significant(x, 6).c_str());
    std::printf("  %-13s %32s   %32s\n  %-13s", "", "arrives at step", "ends at, nats", "divergence");
    for (const char* gap : {"", "  "}) std::printf("%s %10s %10s %10s", gap, "plain", "exact", "sampled");
    std::printf("\n");
    for (const AtlasDescent& d : t.descents)
      std::printf("  %-13s %10s %10s %10s   %10s %10s %10s\n", d.divergence.c_str(),
                  step_or_none(d.plain.arrival).c_str(), step_or_none(d.exact.arrival).c_str(),
                  step_or_none(last_arrival(d)).c_str(), significant(d.plain.end(), 3).c_str(),
                  significant(d.exact.end(), 3).c_str(), significant(farthest_end(d), 3).c_str());
  }
  std::printf("A policy has arrived when KL(policy, target) stays below %g nats. Sampled: the last of %zu seeds.\n",
              kArrived, atlas.targets[0].descents[0].sampled.size());
}

}  // namespace

double farthest_end(const AtlasDescent& d) {
  double most = 0;
  for (const AtlasCurve& c : d.sampled) most = std::max(most, c.end());
  return most;
}
std::optional<int64_t> last_arrival(const AtlasDescent& d) {
  int64_t last = 0;
  for (const AtlasCurve& c : d.sampled) {
    if (!c.arrival) return {};
    last = std::max(last, *c.arrival);
  }
  return last;
}

static Json to_json(const AtlasCurve& c) {
  Json json = Json::object();
  if (c.seed) json["seed"] = *c.seed;
  for (size_t m = 0; m < kMeasures.size(); ++m) json[kMeasures[m].field] = json_numbers(c.at[m]);
  json["arrival"] = c.arrival ? Json(*c.arrival) : Json();
  return json;
}

Json to_json(const Atlas& atlas) {
  Json json{{"steps", atlas.steps}, {"sequences", Json::array()}, {"targets", Json::array()}};
  for (size_t i = 0; i < atlas.texts.size(); ++i) {
    Json sequence{{"text", atlas.texts[i]}, {"log_prior", json_number(atlas.log_q[i])}};
    for (const AtlasTarget& t : atlas.targets) sequence["log_" + t.name] = json_number(t.log_p[i]);
    json["sequences"].push_back(std::move(sequence));
  }
  for (const AtlasTarget& t : atlas.targets) {
    Json target{{"target", t.name}, {"log_z", t.log_z}, {"kl", t.kl}, {"descents", Json::array()}};
    if (!t.lambda.empty()) target["lambda"] = t.lambda;
    for (const AtlasDescent& d : t.descents) {
      Json descent{{"divergence", d.divergence},
                   {"plain", to_json(d.plain)},
                   {"exact", to_json(d.exact)},
                   {"sampled", Json::array()}};
      for (const AtlasCurve& c : d.sampled) descent["sampled"].push_back(to_json(c));
      target["descents"].push_back(std::move(descent));
    }
    json["targets"].push_back(std::move(target));
  }
  return json;
}

int atlas(const AtlasCommand& command) {
  const Atlas atlas = make_atlas(command);
  if (!command.html.empty()) write_file_atomically(command.html, page_of(atlas));
  if (command.common.json) return print_json(to_json(atlas));
  print(atlas);
  return kDone;
}

}  // namespace gradus
