// rl/worlds: every sequence is listed once, with the log-probability that the model gives it; the posterior
// is the best policy; the gradient is the derivative of the enumerated J.
#include <doctest/doctest.h>

#include <algorithm>

#include "models/run/config.h"
#include "rl/tables/posterior.h"
#include "tests/exact_worlds.h"
#include "tests/near.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-12 : 1e-5;
const std::vector<std::string> kFamilies{"lstm", "nnlm", "transformer"};

std::vector<std::vector<int32_t>> sorted(const Sequences& sequences) {
  std::vector<std::vector<int32_t>> list;
  for (int64_t i = 0; i < sequences.size(); ++i)
    list.emplace_back(sequences.draws(i).begin(), sequences.draws(i).end());
  std::sort(list.begin(), list.end());
  return list;
}

TEST_SUITE_BEGIN("exact");

TEST_CASE("enumeration meets every sequence once") {
  for (const std::string& family : kFamilies) {
    const auto model = random_model(family, 1);
    const Enumeration ended = enumerate(*model, ended_world(3));
    // 1 of no text, 3 of one token, 9 + 27 of two and three: the last are cut.
    std::vector<std::vector<int32_t>> wanted{{kEnd}};
    for (int32_t a = 0; a < 3; ++a) {
      wanted.push_back({a, kEnd});
      for (int32_t b = 0; b < 3; ++b) {
        wanted.push_back({a, b, kEnd});
        for (int32_t c = 0; c < 3; ++c) wanted.push_back({a, b, c});
      }
    }
    std::sort(wanted.begin(), wanted.end());
    CHECK(sorted(ended.sequences) == wanted);
    CHECK(full_size(ended_world(3), 4) == int64_t(wanted.size()));
    CHECK(near(ended.total_probability(), 1.0) <= kClose);
    for (int64_t i = 0; i < ended.sequences.size(); ++i) {
      const auto draws = ended.sequences.draws(i);
      CHECK(ended.sequences.ended(i) == (draws.back() == kEnd));
      CHECK(ended.sequences.text(i).size() == draws.size() - size_t(draws.back() == kEnd));
    }
    // No end mark, a prompt of two tokens: 4³ sequences of three draws.
    const World stream{.prompt = {2, 0}, .end_id = -1, .max_tokens = 3};
    const Enumeration all = enumerate(*model, stream);
    CHECK(all.sequences.size() == 64);
    CHECK(full_size(stream, 4) == 64);
    const auto list = sorted(all.sequences);
    CHECK(std::adjacent_find(list.begin(), list.end()) == list.end());
    CHECK(near(all.total_probability(), 1.0) <= kClose);
  }
}

TEST_CASE("KL between two nearly equal models is never below 0, and what a small difference makes of it") {
  const auto q = random_model("lstm", 4);
  const World world = ended_world(3);
  for (const double step : {1e-3, 1e-6, 1e-9, 1e-12}) {
    const auto policy = clone(*q);
    const Rng rng(5, Stream::kTest);
    for (int64_t i = 0; i < policy->params().size(); ++i)
      policy->params().edit()[size_t(i)] += real(step * rng.normal(i));
    const LanguageModel* const both[] = {policy.get(), q.get()};
    const Enumeration all = enumerate(both, world);
    const std::vector<double> zero(size_t(all.sequences.size()), 0.0);
    const double ab = exact_objective(all.log_prob[0], all.log_prob[1], zero, 1).kl,
                 ba = exact_objective(all.log_prob[1], all.log_prob[0], zero, 1).kl;
    INFO("step ", step, ": ", ab, " and ", ba);
    CHECK((ab >= 0 && ba >= 0));
    CHECK(kl(Table::of_logs(all.log_prob[0]), Table::of_logs(all.log_prob[1])) == doctest::Approx(ab).epsilon(1e-9));
    double squares = 0;  // KL is half the mean square of the log ratio, to the third order
    for (size_t i = 0; i < zero.size(); ++i)
      squares += std::exp(all.log_prob[0][i]) * std::pow(all.log_prob[0][i] - all.log_prob[1][i], 2);
    if (kDouble && step > 1e-10) CHECK(ab == doctest::Approx(squares / 2).epsilon(1e-5 + 10 * step));
    CHECK(ab <= squares / 2 + 1e-3 * step);
  }
}

TEST_CASE("enumerated log-probabilities are those of a teacher-forced pass, at any temperature and prompt") {
  for (const std::string& family : kFamilies)
    for (const double temperature : {1.0, 0.5}) {
      const auto model = random_model(family, 2), other = random_model(family, 3);
      World world = ended_world(4, temperature);
      world.prompt = {kEnd, 1, 0};
      const LanguageModel* const both[] = {model.get(), other.get()};
      const Enumeration all = enumerate(both, world);
      PaddedBatch batch;
      batch.fill(world.prompt, all.sequences);
      Shards shards(3, 1);
      for (size_t m = 0; m < 2; ++m) {
        shards.begin({}, batch.B);
        const auto forced = sum_over_draws(batch, token_log_probs(*both[m], shards, batch, temperature));
        CHECK(near(forced, all.log_prob[m]).absolute <= (kDouble ? 1e-12 : 2e-5));
      }
    }
}

TEST_CASE("a walk in many small chunks gives what a teacher-forced pass gives") {
  // A wide state makes the chunks small: some 60 prefixes at a time among up to 3^7.
  Config wide = small_config("transformer");
  wide.context = 64;
  wide.embd = 64;
  const auto model = random_model(wide, kEnd + 1, 4, 0.1);
  const World world = ended_world(8);
  const Enumeration all = enumerate(*model, world);
  CHECK(all.sequences.size() == full_size(world, 4));
  CHECK(near(all.total_probability(), 1.0) <= kClose);
  const auto list = sorted(all.sequences);
  CHECK(std::adjacent_find(list.begin(), list.end()) == list.end());
  Sequences some(world.end_id);  // from every part of the walk
  for (int64_t i = 0; i < all.sequences.size(); i += 7) some.add(all.sequences.draws(i));
  PaddedBatch batch;
  batch.fill(world.prompt, some);
  Shards shards(8, 1);
  shards.begin({}, batch.B);
  const auto forced = sum_over_draws(batch, token_log_probs(*model, shards, batch, 1));
  for (size_t k = 0; k < forced.size(); ++k)
    CHECK(std::fabs(forced[k] - all.log_prob[0][7 * k]) <= (kDouble ? 1e-12 : 1e-4));
}

TEST_CASE("a world too large is refused with what would be right") {
  const auto model = random_model("lstm", 5);
  CHECK_THROWS_WITH_AS(enumerate(*model, ended_world(9), 1000),
                       "this world has more than 1000 sequences of at most 9 tokens, too many to enumerate: with a "
                       "vocabulary of 4 max_tokens 5 fits",
                       DataError);
  CHECK(enumerate(*model, ended_world(5), 1000).sequences.size() == 364);
  // Before the walk, which would never end, and before its memory is taken.
  CHECK_THROWS_AS(enumerate(*model, ended_world(1'000'000)), WorldTooLarge);
  CHECK_THROWS_AS(enumerate(*model, ended_world(30)), WorldTooLarge);
  ModelOptions two;
  two.model = "rnn";
  two.embd = two.hidden = 2;
  two.layers = 1;
  World chain{{1}, 1, 20'000, 1};  // one word and the end: 20,001 sequences, but 200 million draws
  CHECK_THROWS_WITH_AS(
      enumerate(*make_model(two, 2), chain),
      "this world has more than 100000000 draws in all its sequences of at most 20000 tokens, too many "
      "to enumerate: with a vocabulary of 2 max_tokens 14140 fits",
      WorldTooLarge);
  chain.max_tokens = 300;
  CHECK(enumerate(*make_model(two, 2), chain).sequences.size() == 301);
  CHECK(full_size(ended_world(60), 100) == kMaxSequences + 1);
  CHECK_THROWS_AS(enumerate(*model, ended_world(0)), ShapeError);
  CHECK_THROWS_AS(enumerate(*model, ended_world(2, 0)), ShapeError);
}

TEST_CASE("a policy that is not a number is a divergence") {
  const auto model = random_model("lstm", 6);
  model->params().edit()[0] = real(NAN);
  CHECK_THROWS_AS(enumerate(*model, ended_world(3)), DivergedError);
}

TEST_CASE("J* - J(pi) = beta KL(pi, posterior) for every policy, prior, reward and beta") {
  for (const std::string& family : kFamilies)
    for (uint64_t seed = 10; seed < 20; ++seed) {
      const KnownWorld w(family, seed, ended_world(4, seed % 2 ? 1 : 0.7));
      const double beta = 0.05 * double(seed - 9);
      const Posterior best = posterior(Table::of_logs(w.log_q()), w.reward, beta);
      double best_kl = 0, total = 0;
      for (size_t i = 0; i < w.reward.size(); ++i) {
        best_kl += std::exp(w.log_pi()[i]) * (w.log_pi()[i] - best.table.log_p[i]);
        total += best.table.p[i];
      }
      CHECK(near(total, 1.0) <= kClose);
      CHECK(near(best.j_star - w.objective(beta).objective, beta * best_kl) <= (kDouble ? 1e-9 : 1e-4));
      CHECK(near(exact_objective(best.table.log_p, w.log_q(), w.reward, beta).objective, best.j_star) <= 1e-9);
    }
}

// J by enumeration as a function of the policy's parameters: central differences in 4 points, at every parameter.
TEST_CASE("the exact gradient is the derivative of the enumerated J" * doctest::skip(!kDouble)) {
  for (const std::string& family : kFamilies)
    for (const double temperature : {1.0, 0.7}) {
      KnownWorld w(family, 30, ended_world(3, temperature));
      const double beta = 0.3, h = 1e-3;
      Shards shards(2, 1);
      const std::vector<double> g = w.gradient(beta, shards);
      const double scale = std::max(1.0, norm(g));
      CHECK(norm(g) > 1e-2);
      double worst = 0;
      for (size_t k = 0; k < g.size(); ++k) {
        const real before = w.policy->params().data()[k];
        const auto at = [&](double step) {
          w.policy->params().edit()[k] = real(double(before) + step);
          w.refresh();
          return w.objective(beta).objective;
        };
        const double numeric = (-at(2 * h) + 8 * at(h) - 8 * at(-h) + at(-2 * h)) / (12 * h);
        w.policy->params().edit()[k] = before;
        worst = std::max(worst, std::fabs(numeric - g[k]) / scale);
      }
      CHECK(worst <= 1e-8);
    }
}

// log π of every sequence, [N], on the current tape, to differentiate J as it is written.
Tensor sequence_log_probs(const LanguageModel& policy, const KnownWorld& w, PaddedBatch& batch) {
  batch.fill(w.world.prompt, w.all.sequences);
  const Tensor losses =
      softmax_cross_entropy(policy.logits(batch.inputs, batch.B, batch.T), batch.targets).reshape({batch.B, batch.T});
  return scale(row_means(losses), -double(batch.T));
}

std::vector<real> as_reals(std::span<const double> x) { return {x.begin(), x.end()}; }

TEST_CASE("the exact gradient is what backpropagation through J itself gives") {
  for (const std::string& family : kFamilies) {
    const KnownWorld w(family, 40, ended_world(6));
    const double beta = 0.4;
    CHECK(w.all.sequences.size() * 7 > kChunkSlots);  // more than one chunk
    Shards shards(3, 2);
    const std::vector<double> g = w.gradient(beta, shards);
    Tape tape;
    const Tape::Use use(tape);
    PaddedBatch batch;
    const Tensor log_pi = sequence_log_probs(*w.policy, w, batch);
    const Tensor value = add(constant(log_pi.shape(), as_reals(w.reward)),
                             scale(sub(log_pi, constant(log_pi.shape(), as_reals(w.log_q()))), -beta));
    tape.backward(sum(mul(exp(log_pi), value)));
    CHECK(near(g, tape.gradient(w.policy->params().array()), 1) <= kClose);
  }
}

TEST_SUITE_END();

}  // namespace
