#include "rl/rollout.h"

#include <algorithm>
#include <numeric>

#include "models/sampler.h"

namespace gradus {
namespace {

struct Drawn {
  std::vector<std::vector<int32_t>> draws;
  std::vector<double> log_prob;
};

// Sequence b continues prompts[of[b]] and is sequence first + b to the random numbers. All read their prompts side by
// side, a token at a time; a row begins to draw where its own prompt ends. On the current tape.
Drawn draw(const LanguageModel& policy, const World& world, std::span<const std::vector<int32_t>> prompts,
           std::span<const int32_t> of, const Rng& rng, int64_t first) {
  Tape& tape = Tape::current(Loc::here());
  const size_t V = size_t(policy.vocabulary());
  Drawn out{std::vector<std::vector<int32_t>>(of.size()), std::vector<double>(of.size(), 0.0)};
  State state = policy.start(int64_t(of.size()));
  std::vector<int64_t> row(of.size()), open;  // the sequence of each row; rows that go on
  std::iota(row.begin(), row.end(), 0);
  std::vector<int32_t> token, order(V);
  for (const int32_t p : of) token.push_back(prompts[size_t(p)].at(0));
  std::vector<double> p(V), log_p(V);
  for (size_t t = 1; !row.empty(); ++t) {
    const Tape::Mark mark(tape);
    const Tensor logits = policy.next(state, token);
    open.clear();
    for (size_t r = 0; r < row.size(); ++r) {
      const size_t b = size_t(row[r]);
      const std::vector<int32_t>& prompt = prompts[size_t(of[b])];
      std::vector<int32_t>& draws = out.draws[b];
      if (t < prompt.size()) {
        token[r] = prompt[t];
      } else if (int64_t(draws.size()) < world.max_tokens && (draws.empty() || draws.back() != world.end_id)) {
        sampling_distribution(logits.span().subspan(r * V, V), {world.temperature, 0, 1}, log_p, p, order);
        token[r] = int32_t(categorical(p, rng.at(first + int64_t(b)).uniform(int64_t(draws.size()))));
        draws.push_back(token[r]);
        out.log_prob[b] += log_p[size_t(token[r])];
      }
      if (int64_t(draws.size()) < world.max_tokens && (draws.empty() || draws.back() != world.end_id))
        open.push_back(int64_t(r));
    }
    if (4 * open.size() > 3 * row.size()) continue;  // leaving out a few rows would cost more than it saves
    state.select(open);
    for (size_t i = 0; i < open.size(); ++i) {
      row[i] = row[size_t(open[i])];
      token[i] = token[size_t(open[i])];
    }
    row.resize(open.size());
    token.resize(open.size());
  }
  return out;
}

}  // namespace

Rollouts roll_out(const LanguageModel& policy, const World& world, const Rng& rng, int64_t first, int64_t count) {
  Tape tape;
  const Tape::Use use(tape);
  const std::vector<int32_t> of(size_t(count), 0);
  Drawn drawn = draw(policy, world, {&world.prompt, 1}, of, rng, first);
  Rollouts r{Sequences(world.end_id), std::move(drawn.log_prob)};
  for (const auto& d : drawn.draws) r.sequences.add(d);
  return r;
}

Rollouts roll_out(const LanguageModel& policy, const World& world, std::span<const std::vector<int32_t>> prompts,
                  std::span<const int32_t> of, const Rng& rng, Shards& shards) {
  std::vector<Drawn> drawn(size_t(shards.size()));
  shards.each([&](int s) {
    const int64_t first = shards.first(s), count = shards.count(s);
    drawn[size_t(s)] = draw(policy, world, prompts, of.subspan(size_t(first), size_t(count)), rng, first);
  });
  Rollouts r{Sequences(world.end_id), {}};
  for (const Drawn& part : drawn) {
    for (const auto& d : part.draws) r.sequences.add(d);
    r.log_prob.insert(r.log_prob.end(), part.log_prob.begin(), part.log_prob.end());
  }
  return r;
}

}  // namespace gradus
