// rl/pay: the reward of a text paid draw by draw is what a walk of the token-level decision process is paid, and sums
// to the reward; batches, exact gradients and replayed batches take either kind.
#include <doctest/doctest.h>

#include "rl/rewards/reward.h"
#include "tests/mdp.h"
#include "tests/method_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("pay");

TEST_CASE("paid by step, every text of a world gets what the walk of the decision process gets, behind any prompt") {
  const std::string lines[] = {"a", "b", "c"};
  const std::vector<std::string_view> views(std::begin(lines), std::end(lines));
  const Tokenizer letters = Tokenizer::from_lines("char", views);
  const int32_t end = letters.end_id();
  const Reward reward({"count:ca", "-0.7*length:2", "similarity:cab"}, letters);
  const auto model = random_model(small_config("lstm"), letters.size(), 1);
  const gradus::Enumeration all = gradus::enumerate(*model, {.prompt = {end}, .end_id = end, .max_tokens = 4});
  const RewardFunction whole = text_reward(reward, letters, {"", "ca"});
  for (const int32_t prompt : {0, 1}) {
    const std::vector<int32_t> of(size_t(all.sequences.size()), prompt);
    const std::vector<double> paid = paid_by_step(whole)(all.sequences, of), in_all = whole(all.sequences, of);
    REQUIRE(std::ssize(paid) == all.sequences.first(all.sequences.size()));
    CHECK(near(paid_in_all(all.sequences, paid), in_all, 1) <= 1e-14);
    CHECK(paid_in_all(all.sequences, in_all) == in_all);
    const TokenMdp mdp(letters, 4, TokenMdp::Pay::kPerStep, [&](const Generated& g) { return reward(g); });
    double early = 0;
    for (int64_t i = 0; i < all.sequences.size(); ++i) {
      TokenMdp::State s = mdp.reset(prompt == 0 ? std::vector<int32_t>() : letters.encode("ca"));
      for (size_t t = 0; t < all.sequences.draws(i).size(); ++t) {
        const auto [next, r] = mdp.step(s, all.sequences.draws(i)[t]);
        CHECK(std::fabs(r - paid[size_t(all.sequences.first(i)) + t]) <= 1e-14);
        if (!next.done()) early += std::fabs(r);
        s = next;
      }
      CHECK(s.done());
    }
    CHECK(early > 10);
  }
}

TEST_CASE("a batch takes one number a sequence, paid at the end, or one a draw; no other number of them") {
  Sequences s(kEnd);
  s.add(std::vector<int32_t>{0, 1, kEnd});
  s.add(std::vector<int32_t>{kEnd});
  PaddedBatch batch;
  batch.fill({2, kEnd}, s);
  CHECK(paid_on_draws(batch, std::vector<double>{5, 7}) == std::vector<double>{0, 0, 0, 5, 0, 7, 0, 0});
  CHECK(paid_on_draws(batch, std::vector<double>{1, 2, 3, 4}) == std::vector<double>{0, 1, 2, 3, 0, 4, 0, 0});
  CHECK_THROWS_WITH_AS(paid_on_draws(batch, std::vector<double>{1, 2, 3}), doctest::Contains("3 rewards for 2"),
                       ShapeError);
}

TEST_CASE("which rewards can be paid by step, and which can never change") {
  CHECK(Reward::paid_by_step() == std::vector<std::string>{"count", "length", "blocklist", "similarity", "table"});
  CHECK(Reward::is_paid_by_step("-2*count:a"));
  CHECK_FALSE(Reward::is_paid_by_step("contains:a"));
  const std::vector<std::string_view> lines{"the cat", "a dog"};
  const Tokenizer words = Tokenizer::from_lines("word", lines);
  CHECK(Reward::why_constant("contains:he c", words).empty());
  CHECK(Reward::why_constant("2*count:catz", words) == "the vocabulary has no \"z\"");
  CHECK(Reward::why_constant("contains:catö", words) == "the vocabulary has no \"ö\"");
  CHECK(Reward::why_constant("end", words).empty());
  const Tokenizer stream = Tokenizer::from_text("char", "abc\n");
  CHECK(Reward::why_constant("end", stream).find("no end mark") != std::string::npos);
  CHECK(Reward::why_constant("length:3", stream).find("no end mark") != std::string::npos);
  CHECK(Reward::why_constant("distinct:2", stream).empty());
}

TEST_CASE("replayed batches keep what each draw was paid") {
  const auto prior = random_model("lstm", 1);
  const TuneConfig o = Tuning{.replay = 2, .batch = 8};
  Shards shards(2, 1);
  const std::vector<std::vector<int32_t>> prompts{{kEnd}};
  RolloutSource source(prompts, ended_world(3), paid_by_step(reward_of_beginnings), o, shards),
      again(prompts, ended_world(3), paid_by_step(reward_of_beginnings), o, shards);
  for (int64_t step = 1; step <= 2; ++step) {
    for (Experience* e : source.draw(step, *prior)) e->log_mu = e->log_q = std::vector<double>(e->reward.size());
    source.remember();
  }
  std::vector<Experience> saved;
  for (const Experience* e : source.remembered()) saved.push_back(*e);
  REQUIRE(saved.size() == 2);
  again.restore(saved);
  double early = 0;
  for (size_t k = 0; k < 2; ++k) {
    const Experience &a = *source.remembered()[k], &b = *again.remembered()[k];
    CHECK(a.reward == b.reward);
    for (size_t i = 0; i < a.reward.size(); ++i) early += a.reward[i] != 0;
  }
  CHECK(early > 16);  // more than one draw a sequence
}

TEST_SUITE_END();

}  // namespace
