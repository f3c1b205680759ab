#include "tests/soft_bellman.h"

#include <algorithm>
#include <cmath>

#include "models/sampler.h"
#include "rl/tables/divergence.h"
#include "rl/worlds/enumerate.h"

namespace gradus {

std::vector<double> bigram_table(const LanguageModel& model, double temperature) {
  const size_t V = size_t(model.vocabulary());
  Tape tape;
  const Tape::Use use(tape);
  std::vector<int32_t> tokens(V);
  for (size_t a = 0; a < V; ++a) tokens[a] = int32_t(a);
  std::vector<double> log_q(V * V), log_p(V);
  // The rows after one more token for each of the V prefixes in `state`.
  const auto visit = [&](State& state, auto&& row_of) {
    const Tape::Mark mark(tape);
    const Tensor logits = model.next(state, tokens);
    for (size_t a = 0; a < V; ++a) {
      const std::span<const real> z = logits.span().subspan(a * V, V);
      log_distribution(z, temperature, log_p);
      for (size_t b = 0; b < V; ++b) row_of(a, b, log_p[b]);
    }
  };
  State state = model.start(int64_t(V));
  visit(state, [&](size_t a, size_t b, double x) { log_q[a * V + b] = x; });
  const std::vector<int64_t> rotate = [&] {  // so that every token meets every other in front of it
    std::vector<int64_t> r(V);
    for (size_t a = 0; a < V; ++a) r[a] = int64_t((a + 1) % V);
    return r;
  }();
  for (size_t shift = 0; shift < V; ++shift) {
    State before = state;  // row a has read token a + shift
    visit(before, [&](size_t a, size_t b, double x) {
      if (const double here = std::exp(log_q[a * V + b]); std::fabs(std::exp(x) - here) > 1e-6)
        throw DataError(
            text("the model is not a bigram model: what follows token ", a,
                 " depends on the tokens before it; the recursion needs a reward that sees a single token"));
    });
    state.select(rotate);
  }
  return log_q;
}

static double value_behind(const World& world, std::span<const double> next, size_t b) {
  return int64_t(b) == world.end_id ? 0 : next[b];
}

SoftValues soft_values(std::span<const double> log_q, std::span<const double> reward, const World& world,
                       double kl_coef) {
  const size_t V = reward.size();
  require(kl_coef > 0, "soft_values", Loc::here(), "the coefficient of the KL is ", kl_coef, ", it must be positive");
  require(log_q.size() == V * V, "soft_values", Loc::here(), log_q.size(), " log-probabilities for a vocabulary of ",
          V);
  SoftValues s{world.max_tokens, int64_t(V), std::vector<double>(size_t(world.max_tokens + 1) * V, 0.0), 0};
  std::vector<double> x(V);
  for (int64_t t = world.max_tokens - 1; t >= 0; --t) {
    const std::span<const double> next = std::span(s.value).subspan(size_t(t + 1) * V, V);
    for (size_t a = 0; a < V; ++a) {
      for (size_t b = 0; b < V; ++b) x[b] = log_q[a * V + b] + (reward[b] + value_behind(world, next, b)) / kl_coef;
      s.value[size_t(t) * V + a] = kl_coef * log_sum_exp(x);
    }
  }
  s.j_star = s.at(0, world.prompt.back());
  return s;
}

double log_optimal(const SoftValues& values, std::span<const double> log_q, std::span<const double> reward,
                   const World& world, double kl_coef, int64_t t, int32_t a, int32_t b) {
  const double behind = b == world.end_id ? 0 : values.at(t + 1, b);
  return log_q[size_t(a * values.vocabulary + b)] + (reward[size_t(b)] + behind - values.at(t, a)) / kl_coef;
}

double bigram_objective(std::span<const double> log_pi, std::span<const double> log_q, std::span<const double> reward,
                        const World& world, double kl_coef) {
  const size_t V = reward.size();
  std::vector<double> next(V, 0.0), now(V);
  for (int64_t t = 0; t < world.max_tokens; ++t) {
    for (size_t a = 0; a < V; ++a) {
      now[a] = 0;
      for (size_t b = 0; b < V; ++b) {
        const double l = log_pi[a * V + b];
        if (l == kImpossible) continue;
        const double kl = kl_coef > 0 ? kl_coef * (l - log_q[a * V + b]) : 0;
        now[a] += std::exp(l) * (reward[b] - kl + value_behind(world, next, b));
      }
    }
    next.swap(now);
  }
  return next[size_t(world.prompt.back())];
}

}  // namespace gradus
