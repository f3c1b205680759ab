// Fine-tuning on a table: the trajectory that the articles that `gradus kl` lists give in numbers, the controller on
// their example, every named reward on its own posterior.
#include <doctest/doctest.h>

#include "engine/optim.h"
#include "rl/rewards/reward.h"
#include "rl/tables/posterior.h"
#include "rl/worlds/known_worlds.h"
#include "tests/tuned_worlds.h"

#include "tests/line_world.h"
#include "tests/near.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("tuning");

// The documents' four sentences as four words of a table (0.4, 0.3, 0.2, 0.1), reward 1 for a cat, step 1: the numbers
// of rl/tables/posterior.h's ascend(), which the worked examples hold to 40 digits.
TEST_CASE("exact ascent of a tabular policy follows the trajectory of four logits, to 1e-9") {
  if (sizeof(real) < sizeof(double)) return;
  const LineWorld lines("thecat\nthecat\nthecat\nthecat\nthedog\nthedog\nthedog\nacat\nacat\nadog\n", "word");
  const auto prior = lines.model("tabular"), policy = lines.model("tabular");
  const World world{{lines.end_id()}, lines.end_id(), 2, 1};
  const LanguageModel* const both[] = {policy.get(), prior.get()};
  gradus::Enumeration all = gradus::enumerate(both, world);
  REQUIRE(all.sequences.size() == 4);
  std::vector<double> r;
  for (int64_t i = 0; i < 4; ++i) r.push_back(lines.tokenizer.decode(all.sequences.text(i)).ends_with("cat"));
  const Table q = Table::of_logs(all.log_prob[1]);
  Shards shards(1, 1);
  const std::unique_ptr<Method> method = make_method(Tuning{.baseline = "none"});
  for (const double beta : {0.0, 0.1, 0.5}) {
    policy->params().copy_from(prior->params());
    const int steps[] = {1, 10, 100, 1000};
    const std::vector<Table> wanted = ascend(q, r, beta, 1, steps);
    for (int n = 0, k = 0; n <= 1000; ++n) {
      all = gradus::enumerate(both, world);
      if (n == steps[k]) CHECK(near(all.log_prob[0], wanted[size_t(k++)].log_p) <= 1e-9);
      if (k == 4) break;
      std::vector<real> g;
      for (const double x :
           exact_gradient(*method, *policy, *prior, world, all.sequences, all.log_prob[0], r, beta, shards))
        g.push_back(real(-x));
      sgd_step(policy->params(), g, 1);
    }
    const Objective j = exact_objective(all.log_prob[0], all.log_prob[1], r, beta);
    if (beta == 0.0) CHECK(j.entropy == doctest::Approx(0.06719275544403).epsilon(1e-9));
    if (beta == 0.1) CHECK(j.entropy == doctest::Approx(0.6499887640796).epsilon(1e-9));
    if (beta == 0.5) CHECK(j.kl == doctest::Approx(0.2589290575767).epsilon(1e-9));
  }
}

// Fine-tunes a table over lines of one to three words from samples.
TEST_CASE("every named reward, and a sum of two, leads to its own posterior") {
  const LineWorld lines("the cat\nthe cat\nthe dog\na cat\na\nthe the cat\na dog dog\n", "word");
  const auto prior = lines.model("tabular");
  const World world{{lines.end_id()}, lines.end_id(), 4, 1};
  const Folder folder;
  const double beta = 0.5;
  for (const std::vector<std::string>& names : std::vector<std::vector<std::string>>{
           {"contains:cat"},
           {"count:the"},
           {"length:1"},
           {"grammar:data/two_words.grammar"},
           {"blocklist:" + folder.file("blocked", "dog\n")},
           {"lexicon:" + folder.file("lexicon", "cat\t1\ndog\t-1\n")},
           {"similarity:the dog"},
           {"distinct:1"},
           {"table:" + folder.file("table.json", R"({"rewards":{"a cat":1},"default":0})")},
           {"0.5*contains:dog", "-0.3*length:2"}}) {
    INFO(names[0]);
    const auto policy = lines.model("tabular");
    const Reward reward(names, lines.tokenizer);
    const RewardFunction scorer = text_reward(reward, lines.tokenizer, {""});
    KnownWorlds known(*prior, {world.prompt}, world, scorer, 100);
    Shards shards(2, 1);
    Tuner tuner(*policy, *prior, {world.prompt}, world, scorer, Tuning{.kl_coef = beta}, shards);
    CHECK(*known.of(*policy, beta).kl_to_posterior > 1e-3);
    AdamW optimizer(policy->params(), {.weight_decay = 0});
    const Schedule schedule{0.1, 0, 0, 300};
    for (int64_t step = 1; step <= 300; ++step) {
      tuner.step(step, optimizer, schedule.at(step));
    }
    CHECK(*known.of(*policy, beta).kl_to_posterior < 1e-4);
  }
}

TEST_CASE("a KL that is infinite says so") {
  const LineWorld lines("a b\nb a\n", "word");  // the table excludes what else an LSTM says
  const auto prior = lines.model("tabular"), policy = lines.model("lstm");
  const World world{{lines.end_id()}, lines.end_id(), 3, 1};
  const auto zero = [](const Sequences& s, std::span<const int32_t>) {
    return std::vector<double>(size_t(s.size()), 0.0);
  };
  Shards shards(2, 1);
  Tuner without(*policy, *prior, {world.prompt}, world, zero, Tuning{.baseline = "none", .kl_coef = 0, .batch = 16},
                shards);
  without.gradient(1);
  CHECK(without.metrics().kl == INFINITY);
  CHECK(without.metrics().objective == 0);
  Tuner with(*policy, *prior, {world.prompt}, world, zero, Tuning{.baseline = "none", .kl_coef = 0.1, .batch = 16},
             shards);
  CHECK_THROWS_AS(with.gradient(1), DataError);
}

TEST_SUITE_END();

}  // namespace
