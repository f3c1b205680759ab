// Small worlds and the models that live in them, for the tests of rl/.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/rng.h"
#include "models/language_model.h"
#include "models/run/config.h"
#include "rl/exact_gradient.h"
#include "rl/worlds/exact.h"

namespace gradus::testing {

constexpr int32_t kEnd = 3;  // the last of four tokens

// Sequences of tokens 0, 1, 2, ended by kEnd or cut after `max_tokens` draws.
inline World ended_world(int64_t max_tokens, double temperature = 1) {
  return {.prompt = {kEnd}, .end_id = kEnd, .max_tokens = max_tokens, .temperature = temperature};
}

inline Config small_config(const std::string& family) {
  Config c;
  c.model = family;
  c.layers = 1;
  c.heads = 2;
  c.embd = 4;
  c.hidden = 4;
  c.context = 8;
  c.resolve(1);
  return c;
}

// A model with every number of its parameters drawn from N(0, deviation²): far from uniform, far from any other seed's.
inline std::unique_ptr<LanguageModel> random_model(const Config& config, int64_t vocabulary, uint64_t seed,
                                                   double deviation = 0.7) {
  auto model = make_model(config, vocabulary);
  const Rng rng(seed, Stream::kTest);
  const std::span<real> w = model->params().edit();
  for (int64_t i = 0; i < model->params().size(); ++i) w[size_t(i)] += real(deviation * rng.normal(i));
  return model;
}
inline std::unique_ptr<LanguageModel> random_model(const std::string& family, uint64_t seed) {
  return random_model(small_config(family), kEnd + 1, seed);
}

// Rewards in [-1, 1) without meaning, always the same.
inline std::vector<double> random_rewards(int64_t n, uint64_t seed) {
  const Rng rng = Rng(seed, Stream::kTest).at(1);
  std::vector<double> r;
  for (int64_t i = 0; i < n; ++i) r.push_back(2 * rng.uniform(i) - 1);
  return r;
}

// Σ_x weight(x) ∇ log π(x), the weights constants, by one pass over all sequences.
inline std::vector<double> weighted_score(const LanguageModel& policy, const World& world, const Sequences& sequences,
                                          std::span<const double> weight, Shards& shards) {
  PaddedBatch batch;
  batch.fill(world.prompt, sequences);
  TeacherForcing pass(policy, shards);
  pass.forward(batch, world.temperature);
  const auto g = pass.backward({.log_pi = on_every_draw(batch, weight)});
  return {g.begin(), g.end()};
}

// TuneConfig by the names of its members, which a struct with a base does not take.
struct Tuning {
  std::string algorithm = "reinforce", baseline = "leave-one-out", divergence = "reverse-kl", proposal = "policy";
  bool reward_to_go = false;
  double kl_coef = 0.1, kl_target = 0, kl_horizon = 1000, entropy_coef = 0;
  int64_t replay = 0, batch = 64, epochs = 1, minibatches = 1;
  double value_lr = 1e-2;
  int64_t seed = 1;
  operator TuneConfig() const {
    TuneConfig c;
    c.algorithm = algorithm, c.baseline = baseline, c.reward_to_go = reward_to_go;
    c.divergence = divergence, c.proposal = proposal;
    c.kl_coef = kl_coef, c.kl_target = kl_target, c.kl_horizon = kl_horizon, c.entropy_coef = entropy_coef;
    c.replay = replay, c.batch = batch, c.epochs = epochs, c.minibatches = minibatches;
    c.value_lr = value_lr, c.seed = seed;
    return c;
  }
};

// Policy, prior and reward of a world, with all that follows from enumerating it.
struct KnownWorld {
  World world;
  std::unique_ptr<LanguageModel> policy, prior;
  Enumeration all;
  std::vector<double> reward;

  KnownWorld(const std::string& family, uint64_t seed, World w)
      : KnownWorld(random_model(family, seed), random_model(family, seed + 1000), std::move(w), seed) {}
  KnownWorld(std::unique_ptr<LanguageModel> pi, std::unique_ptr<LanguageModel> q, World w, uint64_t seed)
      : world(std::move(w)), policy(std::move(pi)), prior(std::move(q)), all{Sequences(-1), {}} {
    refresh();
    reward = random_rewards(all.sequences.size(), seed);
  }
  // After a change of the policy's parameters.
  void refresh() {
    const LanguageModel* const both[] = {policy.get(), prior.get()};
    all = enumerate(both, world);
  }
  const std::vector<double>& log_pi() const { return all.log_prob[0]; }
  const std::vector<double>& log_q() const { return all.log_prob[1]; }
  Objective objective(double beta) const { return exact_objective(log_pi(), log_q(), reward, beta); }
  // ∇J, as REINFORCE makes it.
  std::vector<double> gradient(double beta, Shards& shards,
                               const TuneConfig& options = Tuning{.baseline = "none"}) const {
    return exact_gradient(*make_method(options), *policy, *prior, world, all.sequences, log_pi(), reward, beta, shards);
  }
};

// A method whose weights of log π are weights(experience, scores).
template <class F>
struct MethodOf : Method {
  F weights;
  explicit MethodOf(F f) : weights(std::move(f)) {}
  void prepare(Experience&, double) override {}
  Weights weigh(const Experience& e, const Scores& now) const override { return {.log_pi = weights(e, now)}; }
};
// Its exact mean.
template <class F>
std::vector<double> exact_mean(const KnownWorld& w, F weights) {
  Shards shards(2, 1);
  MethodOf method(std::move(weights));
  return exact_gradient(method, *w.policy, *w.prior, w.world, w.all.sequences, w.log_pi(), w.reward, 0, shards);
}

inline double norm(std::span<const double> x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

}  // namespace gradus::testing
