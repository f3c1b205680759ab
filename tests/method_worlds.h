// Worlds in which a method is asked for its gradient, and that gradient made by hand, for the tests of rl/methods.
#pragma once

#include "rl/methods/returns.h"
#include "rl/pay.h"
#include "rl/worlds/values.h"
#include "tests/near.h"
#include "tests/tuned_worlds.h"

#include "tests/line_world.h"

namespace gradus::testing {

// Rewards in [-1, 1) without meaning, of the beginning of a text as well; the same for the same draws.
inline std::vector<double> reward_of_beginnings(const Sequences& s, std::span<const int32_t> prompt) {
  std::vector<double> r;
  for (int64_t i = 0; i < s.size(); ++i) {
    int64_t code = 1 + 5 * prompt[size_t(i)];
    for (const int32_t token : s.draws(i)) code = 5 * code + token;
    r.push_back(2 * Rng(99, Stream::kTest).at(code).uniform(0) - 1);
  }
  return r;
}

struct MethodWorld : KnownWorld {
  RewardFunction whole = reward_of_beginnings, by_step = paid_by_step(reward_of_beginnings);
  mutable Shards shards{2, 1};
  PaddedBatch batch;                                    // of all sequences
  std::vector<double> log_pi_of_draws, log_q_of_draws;  // [B,T]

  MethodWorld(const std::string& family, uint64_t seed, World w = ended_world(3))
      : MethodWorld(random_model(family, seed), random_model(family, seed + 1000), std::move(w)) {}
  MethodWorld(std::unique_ptr<LanguageModel> pi, std::unique_ptr<LanguageModel> q, World w)
      : KnownWorld(std::move(pi), std::move(q), std::move(w), 1) {
    reward = whole(all.sequences, prompts());
    score();
  }
  std::vector<int32_t> prompts() const { return std::vector<int32_t>(size_t(all.sequences.size()), 0); }
  void score() {
    refresh();
    batch.fill(world.prompt, all.sequences);
    shards.begin({}, batch.B);
    log_pi_of_draws = token_log_probs(*policy, shards, batch, world.temperature);
    log_q_of_draws = token_log_probs(*prior, shards, batch, world.temperature);
  }
  std::vector<double> paid(bool step) const { return step ? by_step(all.sequences, prompts()) : reward; }

  // f(i, t) of every draw: i its slot, t its number in its sequence, from the last to the first.
  template <class F>
  void for_draws(F f) const {
    for (int64_t b = 0; b < batch.B; ++b)
      for (int64_t t = batch.end_slot(b) - 1; t >= batch.first_slot(b); --t) f(b, size_t(b * batch.T + t), t);
  }
  // Σ_x π(x) Σ_t weight ∇ log π, weight [B,T] of all sequences, and one on the KL of rows.
  std::vector<double> by_hand(std::vector<double> weight, std::vector<double> of_rows = {}) const {
    TeacherForcing pass(*policy, shards, {.kl = !of_rows.empty()}, prior.get());
    pass.forward(batch, world.temperature);
    for (size_t i = 0; i < weight.size(); ++i) weight[i] *= std::exp(log_pi()[i / size_t(batch.T)]);
    for (size_t i = 0; i < of_rows.size(); ++i) of_rows[i] *= std::exp(log_pi()[i / size_t(batch.T)]);
    const auto g = pass.backward({.log_pi = weight, .kl = of_rows});
    return {g.begin(), g.end()};
  }
  // What a critic without sense says before each draw, the same behind the same prefix.
  RewardFunction critic() const {
    return [](const Sequences& s, std::span<const int32_t>) {
      std::vector<double> v;
      for (int64_t i = 0; i < s.size(); ++i) {
        int64_t code = 7;
        for (const int32_t token : s.draws(i)) {
          v.push_back(Rng(98, Stream::kTest).at(code).uniform(0));
          code = 5 * code + token;
        }
      }
      return v;
    };
  }
  std::vector<double> exact(Method& method, double beta, bool step, int64_t group = 1,
                            const RewardFunction& value = {}) const {
    return exact_gradient(method, *policy, *prior, world, all.sequences, log_pi(), paid(step), beta, shards, group,
                          value ? value(all.sequences, prompts()) : std::vector<double>());
  }
  EstimatedGradient sampled(Method& method, TuneConfig o, double beta, bool step, int64_t samples,
                            const RewardFunction& value = {}) const {
    o.kl_coef = beta;
    return estimate_gradient(method, *policy, *prior, world, step ? by_step : whole, o, samples, 2, value);
  }
  std::vector<double> of_j(double beta) const { return gradient(beta, shards); }
};

// A world whose posterior a small LSTM comes near to in a second.
struct EasyWorld {
  std::unique_ptr<LanguageModel> prior;
  World world = ended_world(3);
  RewardFunction reward;
  explicit EasyWorld(uint64_t seed) : prior(random_model("lstm", seed)) {
    const gradus::Enumeration all = gradus::enumerate(*prior, world);
    reward = table_reward(all.sequences, random_rewards(all.sequences.size(), seed));
  }
};

// The largest |z| of a sampled mean, over all coordinates.
inline double largest_z(const EstimatedGradient& e, std::span<const double> wanted) {
  double worst = 0;
  for (size_t k = 0; k < wanted.size(); ++k)
    if (const double off = std::fabs(e.mean[k] - wanted[k]); off > (kDouble ? 1e-10 : 1e-5))
      worst = std::max(worst, off / std::sqrt(e.variance[k] / double(e.samples)));
  return worst;
}

// The documents' "the cat", "the dog", "a cat", "a dog" so many times each, as a table; a cat is worth 1.
struct FourSentences : KnownWorld {
  LineWorld lines;
  FourSentences() : FourSentences(text({5, 2, 1, 2}), text({4, 3, 2, 1})) {}
  static std::string text(const std::vector<int>& times) {
    const char* const sentences[] = {"the cat\n", "the dog\n", "a cat\n", "a dog\n"};
    std::string all;
    for (size_t i = 0; i < 4; ++i)
      for (int n = 0; n < times[i]; ++n) all += sentences[i];
    return all;
  }
  FourSentences(const std::string& pi, const std::string& q)
      : KnownWorld(LineWorld(pi, "word").model("tabular"), LineWorld(q, "word").model("tabular"),
                   {.prompt = {4}, .end_id = 4, .max_tokens = 3}, 1),
        lines(q, "word") {
    reward = cat(lines)(all.sequences, {});
  }
  static RewardFunction cat(const LineWorld& world) {
    const int32_t token = world.ids("the cat")[1];
    return [token](const Sequences& s, std::span<const int32_t>) {
      std::vector<double> r;
      for (int64_t i = 0; i < s.size(); ++i) r.push_back(std::ranges::count(s.draws(i), token) > 0 ? 1 : 0);
      return r;
    };
  }
  // The node of a prefix of words.
  int64_t node(const PrefixTree& tree, const std::string& words) const {
    int64_t at = 0;
    for (const int32_t token : lines.ids(words))
      for (int64_t k = tree.nodes[size_t(at)].first_edge; k < tree.nodes[size_t(at)].end_edge; ++k)
        if (tree.edges[size_t(k)].token == token) {
          at = tree.edges[size_t(k)].child;
          break;
        }
    return at;
  }
};

}  // namespace gradus::testing
