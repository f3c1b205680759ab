// rl/tune_config and rewards/reward: options as JSON and back, and texts for a Reward.
#include <doctest/doctest.h>

#include "rl/methods/baselines.h"
#include "rl/methods/method.h"
#include "rl/rewards/reward.h"
#include "rl/tune_config.h"
#include "tests/exact_worlds.h"

namespace {

using namespace gradus;
using testing::Tuning;

TEST_SUITE_BEGIN("tune_config");

TuneConfig changed() {
  TuneConfig c;
  c.reward = {"contains:cat", "0.1*length:3"};
  c.baseline = "value";
  c.reward_to_go = true;
  c.kl_coef = 0.1 + 0.2;  // a number that must come back to the last bit
  c.kl_target = 3;
  c.replay = 2;
  c.shards = 3;
  return c;
}

TEST_CASE("options come back from JSON as they were") {
  const TuneConfig c = changed(), again = tune_config_from_json(to_json(c), "a file");
  CHECK(to_json(again) == to_json(c));
  CHECK(again.reward == c.reward);
  CHECK(again.kl_coef == c.kl_coef);
  CHECK(to_json(c) != to_json(TuneConfig{}));
}

TEST_CASE("what JSON must not say is named, with the file") {
  const auto wrong = [](const std::string& from, const std::string& to) {
    std::string json = to_json(changed());
    const size_t at = json.find(from);
    REQUIRE(at != std::string::npos);
    json.replace(at, from.size(), to);
    try {
      tune_config_from_json(json, "a file");
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(wrong("\"batch\":64,", "") == "a file: the configuration lacks 'batch'");
  CHECK(wrong("\"batch\":64", "\"batch\":0").find("'batch' in the configuration is 0") != std::string::npos);
  CHECK(wrong("\"value\"", "\"best\"").find("one of leave-one-out, none, moving, value") != std::string::npos);
  CHECK(wrong("[\"contains:cat\",", "[1,").find("a list of texts") != std::string::npos);
  CHECK(wrong("{", "{\"new\":1,").find("does not know") != std::string::npos);
  CHECK_THROWS_AS(tune_config_from_json("[]", "a file"), DataError);
}

TEST_CASE("zeros stand for what the machine and other options say; what does not fit is refused") {
  TuneConfig c;
  c.batch = 3;
  c.steps = 70;
  resolve(c, 8);
  CHECK(c.shards == 3);
  CHECK(c.decay_steps == 70);
  c.batch = 1;
  CHECK_THROWS_AS(resolve(c, 8), DataError);
  c.baseline = "none";
  resolve(c, 8);
  c.kl_target = 1;
  resolve(c, 8);
  c.kl_coef = 0;
  CHECK_THROWS_AS(resolve(c, 8), DataError);
  c.kl_coef = 1;
  c.kl_horizon = 0.2;  // of a batch of 1
  CHECK_THROWS_AS(resolve(c, 8), DataError);
  c.kl_target = 0;
  resolve(c, 8);
  c.minibatches = 2;  // of a batch of 1
  CHECK_THROWS_AS(resolve(c, 8), DataError);
  c.minibatches = 1;
  c.min_lr = 1;
  CHECK_THROWS_AS(resolve(c, 8), DataError);
}

TEST_CASE("a word of no table is an error that lists the known ones") {
  CHECK_THROWS_WITH_AS(
      make_method(Tuning{.algorithm = "best"}),
      "there is no algorithm 'best'; it must be one of reinforce, f-dpg, grpo, ppo, actor-critic, q, soft-q, dqn, dpo",
      DataError);
  CHECK_THROWS_WITH_AS(make_method(Tuning{.baseline = "best"}),
                       "there is no baseline 'best'; it must be one of leave-one-out, none, moving, value", DataError);
  for (const std::string& baseline : baseline_names()) {
    CHECK(make_method(Tuning{.baseline = baseline})->needs().value == baseline_named(baseline).needs_value);
    CHECK(!make_method(Tuning{.algorithm = "f-dpg", .baseline = baseline})->needs().value);
  }
}

TEST_CASE("the baseline, the reward to go and the entropy bonus mean something to REINFORCE alone") {
  TuneConfig c;
  const std::vector<Option> rows = options(c);
  const std::vector<std::string> given{"baseline", "reward_to_go", "entropy_coef", "kl_coef"};
  CHECK(without_meaning(rows, given).empty());
  c.algorithm = "f-dpg";
  CHECK(without_meaning(rows, given) ==
        "--baseline, --reward-to-go, --entropy-coef have no meaning for --algorithm f-dpg");
}

TEST_CASE("one epoch of the whole batch is not written, so that runs of before there were epochs read the same") {
  TuneConfig c = changed();
  CHECK(to_json(c).find("epochs") == std::string::npos);
  CHECK(to_json(c).find("minibatches") == std::string::npos);
  c.epochs = 4;
  c.minibatches = 2;
  const TuneConfig again = tune_config_from_json(to_json(c), "a file");
  CHECK(again.epochs == 4);
  CHECK(again.minibatches == 2);
}

TEST_CASE("a reward sees texts without the end mark, and each its own prompt") {
  const std::string_view lines[] = {"the cat", "a dog"};
  const Tokenizer tokenizer = Tokenizer::from_lines("word", lines);
  const auto id = [&](const char* word) { return tokenizer.encode(word)[0]; };
  Sequences s(tokenizer.end_id());
  s.add(std::vector<int32_t>{id("the"), id("cat"), tokenizer.end_id()});
  s.add(std::vector<int32_t>{id("the"), id("cat")});
  s.add(std::vector<int32_t>{tokenizer.end_id()});
  const std::vector<int32_t> of{0, 1, 0};
  const Reward relevance({"relevance"}, tokenizer), mixed({"length:0", "10*end"}, tokenizer);
  CHECK(text_reward(relevance, tokenizer, {"the", "cat the"})(s, of) == std::vector<double>{0.5, 1, 0});
  CHECK(text_reward(mixed, tokenizer, {"", ""})(s, of) == std::vector<double>{8, -2, 10});
}

TEST_SUITE_END();

}  // namespace
