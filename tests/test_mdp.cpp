// tests/mdp.h: states that stay as they were, the two ways in which a walk ends, and rewards that add up to the reward
// of the text, with the published listing that does not beside them.
#include "tests/mdp.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/rng.h"
#include "rl/rewards/reward.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using Pay = TokenMdp::Pay;
using Ids = std::vector<int32_t>;

// a = 0, b = 1, c = 2 and, with a mark, the end = 3.
const Tokenizer& letters(bool with_end) {
  static const Tokenizer with = Tokenizer::from_vocab("char", {"a", "b", "c", Tokenizer::kEndMark});
  static const Tokenizer without = Tokenizer::from_vocab("char", {"a", "b", "c"});
  return with_end ? with : without;
}
constexpr int32_t kEnd = 3;

double number_of_tokens(const Generated& g) { return double(g.tokens.size()); }

std::vector<double> rewards_of(const TokenMdp& mdp, const Ids& actions, TokenMdp::State state) {
  std::vector<double> rewards;
  for (int32_t a : actions) {
    auto [next, r] = mdp.step(state, a);
    rewards.push_back(r);
    state = std::move(next);
  }
  return rewards;
}
double sum(const std::vector<double>& x) {
  double s = 0;
  for (double v : x) s += v;
  return s;
}

}  // namespace

TEST_SUITE_BEGIN("mdp");

TEST_CASE("a step makes a new state and leaves the old one as it was") {
  const TokenMdp mdp(letters(true), 5, Pay::kTerminal, number_of_tokens);
  const TokenMdp::State start = mdp.reset({2, 1});
  CHECK(start.prompt() == Ids{2, 1});
  CHECK(start.tokens().empty());
  CHECK_FALSE(start.done());
  const TokenMdp::State a = mdp.step(start, 0).state, ab = mdp.step(a, 1).state, ac = mdp.step(a, 2).state;
  CHECK(start.tokens().empty());
  CHECK(a.tokens() == Ids{0});
  CHECK(ab.tokens() == Ids{0, 1});
  CHECK(ac.tokens() == Ids{0, 2});  // two futures of one state
  CHECK(ac.prompt() == Ids{2, 1});
  CHECK(mdp.reset({}).tokens().empty());
}

TEST_CASE("the end mark ends, the limit cuts, and they are told apart") {
  const TokenMdp mdp(letters(true), 2, Pay::kTerminal, number_of_tokens);
  const TokenMdp::State a = mdp.step(mdp.reset({}), 0).state;
  CHECK_FALSE(a.done());
  const TokenMdp::State ended = mdp.step(a, kEnd).state;  // the second draw, which counts and needs no third
  CHECK(ended.ended());
  CHECK_FALSE(ended.cut());
  CHECK(ended.tokens() == Ids{0});
  const TokenMdp::State cut = mdp.step(a, 1).state;
  CHECK(cut.cut());
  CHECK_FALSE(cut.ended());
  CHECK(cut.tokens() == Ids{0, 1});
  CHECK((ended.done() && cut.done()));
  const TokenMdp endless(letters(false), 1, Pay::kTerminal, number_of_tokens);
  CHECK(endless.step(endless.reset({}), 2).state.cut());
}

TEST_CASE("a step after the end and a token that there is not are refused") {
  const TokenMdp mdp(letters(true), 2, Pay::kTerminal, number_of_tokens);
  const TokenMdp::State start = mdp.reset({}), ended = mdp.step(start, kEnd).state,
                        cut = mdp.step(mdp.step(start, 0).state, 0).state;
  CHECK(has(complaint<ShapeError>([&] { mdp.step(ended, 0); }), "it has drawn the end mark"));
  CHECK(has(complaint<ShapeError>([&] { mdp.step(cut, kEnd); }), "it was cut off"));
  CHECK(has(complaint<ShapeError>([&] { mdp.step(start, 4); }), "token 4 is outside the vocabulary of 4"));
  CHECK(has(complaint<ShapeError>([&] { mdp.step(start, -1); }), "token -1 is outside"));
  CHECK(has(complaint<ShapeError>([&] { mdp.reset({0, 4}); }), "prompt[1] is 4"));
  CHECK(has(complaint<ShapeError>([&] { TokenMdp(letters(true), 0, Pay::kTerminal, number_of_tokens); }),
            "max_tokens is 0"));
}

TEST_CASE("the reward sees text, tokens, end and prompt") {
  Generated last;
  std::string words, prompt;
  const TokenMdp mdp(letters(true), 4, Pay::kTerminal, [&](const Generated& g) {
    words = g.text;
    prompt = g.prompt;
    last = g;
    return double(g.tokens.size());
  });
  CHECK(rewards_of(mdp, {0, 1, kEnd}, mdp.reset({2})) == std::vector<double>{0, 0, 2});
  CHECK(words == "ab");
  CHECK(prompt == "c");
  CHECK(last.ended);
  CHECK(rewards_of(mdp, {0, 1, 0, 0}, mdp.reset({2})) == std::vector<double>{0, 0, 0, 4});
  CHECK_FALSE(last.ended);
}

TEST_CASE("an empty text is worth what the reward says of it") {
  const auto one = [](const Generated& g) { return g.tokens.empty() && g.ended ? 1.0 : 0.0; };
  for (Pay pay : {Pay::kTerminal, Pay::kPerStep}) {
    const TokenMdp mdp(letters(true), 3, pay, one);
    CHECK(rewards_of(mdp, {kEnd}, mdp.reset({})) == std::vector<double>{1});
    const Reward similar({"similarity:abc"}, letters(true));
    const TokenMdp towards(letters(true), 3, pay, similar);
    CHECK(rewards_of(towards, {kEnd}, towards.reset({})) == std::vector<double>{0});
  }
  // A target without positions is refused before any walk: there is nothing to divide by.
  CHECK(has(complaint<UsageError>([] { Reward({"similarity:"}, letters(true)); }), "needs an argument"));
}

// The LMEnvironment of the articles that `gradus kl` lists pays, at each step, the similarity so far. Targets of three
// tokens, hits and misses; the numbers are worked out by hand.
TEST_CASE("per-step similarity telescopes to R; the listing's pays early hits again") {
  const Ids target{0, 0, 0};
  const auto similar = [&](const Generated& g) { return similarity(g.tokens, target); };
  const TokenMdp terminal(letters(false), 3, Pay::kTerminal, similar),
      per_step(letters(false), 3, Pay::kPerStep, similar);
  struct {
    Ids hits;
    double listing, R;
  } rows[] = {
      {{1, 0, 0}, 1.0, 1.0 / 3}, {{0, 0, 1}, 1.0 / 3, 1.0 / 3}, {{1, 0, 1}, 4.0 / 3, 2.0 / 3}, {{1, 1, 1}, 2.0, 1.0}};
  for (const auto& row : rows) {
    CAPTURE(row.listing);
    Ids actions;
    for (int32_t hit : row.hits) actions.push_back(1 - hit);
    double listing = 0;
    TokenMdp::State state = per_step.reset({});
    for (int32_t a : actions) {
      state = per_step.step(state, a).state;
      listing += similarity(state.tokens(), target);
    }
    CHECK(std::fabs(listing - row.listing) <= 1e-12);
    CHECK(sum(rewards_of(terminal, actions, terminal.reset({}))) == row.R);
    const std::vector<double> r = rewards_of(per_step, actions, per_step.reset({}));
    CHECK(std::fabs(sum(r) - row.R) <= 1e-15);
    for (size_t t = 0; t < 3; ++t) CHECK(std::fabs(r[t] - row.hits[t] / 3.0) <= 1e-15);  // 1[hit]/m: W7
  }
}

TEST_CASE("both ways of paying sum to R for every string, whatever the reward, and from a prompt") {
  const Reward reward(
      {"contains:ab", "0.3*count:ca", "-0.7*length:2", "2*end", "relevance", "distinct:2", "similarity:cab"},
      letters(true));
  const TokenMdp terminal(letters(true), 4, Pay::kTerminal, reward), per_step(letters(true), 4, Pay::kPerStep, reward);
  int64_t walks = 0;
  double differ = 0;
  const auto walk = [&](auto& self, Ids& actions, const TokenMdp::State& a, const TokenMdp::State& b, double paid_a,
                        double paid_b) -> void {
    if (a.done()) {
      ++walks;
      const std::string text = letters(true).decode(a.tokens());
      const double R = reward({text, a.tokens(), a.ended(), "ca"});
      CHECK(paid_a == R);
      CHECK(std::fabs(paid_b - R) <= 1e-14);
      CHECK(b.done());
      return;
    }
    for (int32_t token = 0; token < 4; ++token) {
      const auto [next_a, r_a] = terminal.step(a, token);
      const auto [next_b, r_b] = per_step.step(b, token);
      if (!next_a.done()) CHECK(r_a == 0);
      differ += std::fabs(r_a - r_b);
      actions.push_back(token);
      self(self, actions, next_a, next_b, paid_a + r_a, paid_b + r_b);
      actions.pop_back();
    }
  };
  Ids actions;
  walk(walk, actions, terminal.reset({2, 0}), per_step.reset({2, 0}), 0, 0);
  CHECK(walks == 1 + 3 + 9 + 27 * 4);  // ended after 0, 1, 2 letters; after 3 ended or cut
  CHECK(differ > 1);                   // the two do pay at different times
}

TEST_CASE("returns are the discounted sums from each step on") {
  const double r[] = {1, 2, 4};
  CHECK(returns(r) == std::vector<double>{7, 6, 4});
  CHECK(returns(r, 0.5) == std::vector<double>{3, 4, 4});
  CHECK(returns(r, 0) == std::vector<double>{1, 2, 4});
  CHECK(returns({}).empty());
  // Paid per step, what is still to come from t on is R(y) − R(y_<t): a reward-to-go that forgets what is past.
  const TokenMdp mdp(letters(false), 3, Pay::kPerStep, number_of_tokens);
  CHECK(returns(rewards_of(mdp, {0, 1, 2}, mdp.reset({}))) == std::vector<double>{3, 2, 1});
}

// Mission-map T2: J = E[G_0] over sampled walks is Σ p(y) R(y). A uniform policy on {a, b, c, end}, 20,000 walks, seed
// fixed; |z| ≤ 4 is missed by a right program once in 15,800.
TEST_CASE("the mean return of sampled walks is the enumerated one") {
  const Reward reward({"contains:ab", "end"}, letters(true));
  const TokenMdp mdp(letters(true), 3, Pay::kPerStep, reward);
  double J = 0;
  const auto enumerate = [&](auto& self, const TokenMdp::State& s, double p) -> void {
    if (s.done()) {
      J += p * reward({letters(true).decode(s.tokens()), s.tokens(), s.ended()});
      return;
    }
    for (int32_t token = 0; token < 4; ++token) self(self, mdp.step(s, token).state, p / 4);
  };
  enumerate(enumerate, mdp.reset({}), 1);
  const int64_t n = 20'000;
  double mean = 0, square = 0;
  const Rng rng(3, Stream::kTest);
  for (int64_t i = 0; i < n; ++i) {
    TokenMdp::State s = mdp.reset({});
    std::vector<double> rewards;
    for (int64_t t = 0; !s.done(); ++t) {
      auto [next, r] = mdp.step(s, int32_t(rng.at(i).below(t, 4)));
      rewards.push_back(r);
      s = std::move(next);
    }
    const double G = returns(rewards)[0];
    mean += G / double(n);
    square += G * G / double(n);
  }
  CHECK(std::fabs(mean - J) / std::sqrt((square - mean * mean) / double(n)) <= 4);
}

TEST_SUITE_END();
