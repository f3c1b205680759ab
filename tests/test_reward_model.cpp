// A reward model: its gradient by differences, texts of mixed lengths, what it learns from choices (the true reward up
// to a constant), its file, and the reward `model:RUN`.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "models/families.h"
#include "rl/reward_model.h"
#include "rl/rewards/reward.h"
#include "tests/near.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using Ids = std::vector<int32_t>;

Checkpoint run_of(const std::string& family, int64_t seed = 1) {
  Config config;
  config.model = family;
  config.layers = 1;
  config.heads = 2;
  config.embd = 16;
  config.hidden = 16;
  config.context = 8;
  config.seed = seed;
  config.lines = true;
  config.resolve(1);
  Tokenizer tokenizer = Tokenizer::from_vocab("char", {"a", "b", "c", Tokenizer::kEndMark});
  config.end_id = tokenizer.end_id();
  auto model = make_model(config, tokenizer.size());
  for (real& x : model->params().edit()) x *= 2;
  return {config, std::move(tokenizer), std::move(model), {}, 0, {}, 3, {}, "", "", "", "memory"};
}

// Numbers in the head, which begins with zeros.
void fill_head(RewardModel& model) {
  const Rng rng(3, Stream::kTest);
  const std::span<real> w = model.params().edit(model.params().find("weight"));
  for (size_t i = 0; i < w.size(); ++i) w[i] = real(0.5 * rng.normal(int64_t(i)));
}

// Every text of at most three letters, and what they are truly worth.
struct EveryText {
  std::vector<std::string> texts{""};
  std::vector<Ids> ids;
  std::vector<double> reward;
  explicit EveryText(const RewardModel& model, double size = 2) {
    for (size_t i = 0; i < texts.size(); ++i)
      for (const char c : {'a', 'b', 'c'})
        if (texts[i].size() < 3) texts.push_back(texts[i] + c);
    const Rng rng(7, Stream::kTest);
    for (size_t i = 0; i < texts.size(); ++i) {
      ids.push_back(model.tokens("", texts[i]));
      reward.push_back(size * (2 * rng.uniform(int64_t(i)) - 1));
    }
  }
};

void train(RewardModel& model, const std::vector<Ids>& ids, const std::vector<Choice>& choices, int64_t steps,
           double lr) {
  Shards shards(2, 1);
  AdamW optimizer(model.params(), {.weight_decay = 0});
  const Schedule schedule{lr, 0, 10, steps};
  for (int64_t step = 1; step <= steps; ++step)
    optimizer.step(model.params(),
                   model.gradient(ids, choices, shards, {.seed = 1, .step = step, .training = true}).gradient,
                   schedule.at(step));
}

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const double n = double(x.size()), mx = std::accumulate(x.begin(), x.end(), 0.0) / n,
               my = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i)
    xy += (x[i] - mx) * (y[i] - my), xx += (x[i] - mx) * (x[i] - mx), yy += (y[i] - my) * (y[i] - my);
  return xy / std::sqrt(xx * yy);
}
std::vector<double> ranks(const std::vector<double>& x) {
  std::vector<double> rank;
  for (const double a : x) rank.push_back(double(std::ranges::count_if(x, [a](double b) { return b < a; })));
  return rank;
}

}  // namespace

TEST_SUITE_BEGIN("reward-model");

TEST_CASE("the gradient of the loss is that of differences, for every parameter, whatever the shards" *
          doctest::skip(!kDouble)) {
  for (const std::string family : {"lstm", "transformer"}) {
    CAPTURE(family);
    RewardModel model(run_of(family));
    fill_head(model);
    const std::vector<Ids> ids{model.tokens("", "abc"), model.tokens("", ""), model.tokens("c", "a"),
                               model.tokens("", "bb")};
    const std::vector<Choice> choices{{0, 1}, {2, 3, 2}, {3, 1, 0.5}};
    Shards one(1, 1), three(3, 2);
    const auto g = model.gradient(ids, choices, one, {}).gradient;
    const std::vector<double> of_one(g.begin(), g.end());
    const auto h = model.gradient(ids, choices, three, {}).gradient;
    CHECK(near(of_one, std::vector<double>(h.begin(), h.end())) <= 1e-14);
    double worst = 0;
    for (size_t k = 0; k < of_one.size(); ++k) {
      real& x = model.params().edit()[k];
      const real before = x;
      const auto at = [&](double step) {
        x = before + real(step);
        return choice_loss(model.score(ids), choices).loss;
      };
      const double e = 2e-4, numeric = (-at(2 * e) + 8 * at(e) - 8 * at(-e) + at(-2 * e)) / (12 * e);
      x = before;
      worst = std::max(worst, std::fabs(numeric - of_one[k]));
    }
    CHECK(worst <= 1e-8);
    CHECK(of_one[size_t(model.params().offset(model.params().find("bias")))] == doctest::Approx(0).epsilon(1e-15));
  }
}

TEST_CASE("texts of mixed lengths score as one by one") {
  for (const std::string family : {"lstm", "transformer"}) {
    RewardModel model(run_of(family));
    fill_head(model);
    const EveryText world(model);
    const std::vector<double> all = model.score(world.ids);
    for (size_t i = 0; i < all.size(); ++i)
      CHECK(std::fabs(all[i] - model.score({&world.ids[i], 1})[0]) <= (kDouble ? 1e-12 : 1e-5));
    CHECK(std::fabs(all[1] - all[2]) > 1e-3);
  }
}

TEST_CASE("of a run with an adapter it is the merged model, whose file gives the same scores back") {
  const Folder folder;
  run_of("lstm").save(folder / "base.safetensors");
  Checkpoint run = load_checkpoint(folder / "base.safetensors");
  run.adapt("lora:2", 1);
  for (real& x : run.model->params().edit()) x += real(0.3);
  run.save(folder / "run.safetensors");
  RewardModel model(load_checkpoint(folder / "run.safetensors"));
  fill_head(model);
  const EveryText world(model);
  const std::vector<double> before = model.score(world.ids);
  RewardModel of_base(load_checkpoint(folder / "base.safetensors"));
  fill_head(of_base);
  CHECK(near(of_base.score(world.ids), before) > 1e-3);
  RewardModel of_merged(load_checkpoint(folder / "run.safetensors").merged());
  fill_head(of_merged);
  CHECK(of_merged.score(world.ids) == before);
  model.save(folder / "rm.safetensors");
  std::filesystem::remove(folder / "base.safetensors");  // it stands alone
  CHECK(RewardModel::load(folder / "rm.safetensors")->score(world.ids) == before);
}

TEST_CASE("from all pairs, weighted as Bradley and Terry choose, the true reward is learnt up to a constant") {
  for (const std::string family : {"lstm", "transformer"}) {
    CAPTURE(family);
    RewardModel model(run_of(family));
    const EveryText world(model, 1);
    std::vector<Choice> choices;
    for (int64_t x = 0; x < std::ssize(world.ids); ++x)
      for (int64_t y = 0; y < std::ssize(world.ids); ++y)
        if (x != y) choices.push_back({x, y, preference(world.reward[size_t(x)], world.reward[size_t(y)])});
    train(model, world.ids, choices, 300, family == "lstm" ? 0.02 : 0.01);
    model.centre(world.ids);
    const std::vector<double> r = model.score(world.ids);
    const double learnt = correlation(r, world.reward);
    MESSAGE(family, ": correlation from all pairs ", learnt);
    CHECK(learnt > 0.99);
    CHECK(std::fabs(std::accumulate(r.begin(), r.end(), 0.0)) <= (kDouble ? 1e-12 : 1e-4));
  }
}

TEST_CASE("from 2,000 drawn choices the order of the true rewards is learnt; from turned choices its opposite") {
  for (const bool turned : {false, true}) {
    RewardModel model(run_of("lstm"));
    const EveryText world(model, 3);
    const Rng rng(11, Stream::kTest);
    std::vector<Choice> choices;
    for (int64_t i = 0; i < 2000; ++i) {
      const int64_t N = std::ssize(world.ids), x = rng.below(3 * i, N), y = (x + 1 + rng.below(3 * i + 1, N - 1)) % N;
      const bool first = rng.uniform(3 * i + 2) < preference(world.reward[size_t(x)], world.reward[size_t(y)]);
      choices.push_back(first != turned ? Choice{x, y} : Choice{y, x});
    }
    train(model, world.ids, choices, turned ? 60 : 200, 0.02);
    const double learnt = correlation(ranks(model.score(world.ids)), ranks(world.reward));
    MESSAGE("rank correlation from 2,000 choices ", learnt);
    CHECK((turned ? -learnt > 0.8 : learnt > 0.95));
  }
}

TEST_CASE(
    "its file gives the same scores back, as a reward too; it is no language model, and such is no reward model") {
  const Folder folder;
  RewardModel model(run_of("transformer"));
  fill_head(model);
  const EveryText world(model);
  model.params().edit(0)[0] += real(0.5);  // the encoder has moved on
  model.centre(world.ids);
  model.save(folder / "rm.safetensors");
  const std::vector<double> before = model.score(world.ids);
  CHECK(RewardModel::load(folder / "rm.safetensors")->score(world.ids) == before);
  const Reward reward({"2*model:" + folder / "rm.safetensors"}, model.run().tokenizer);
  std::vector<Generated> texts;
  for (size_t i = 0; i < world.texts.size(); ++i)
    texts.push_back({.text = world.texts[i], .tokens = {}, .ended = i % 2 == 0});
  const std::vector<double> r = reward.score(texts);
  for (size_t i = 0; i < r.size(); ++i) CHECK(r[i] == 2 * before[i]);
  CHECK(reward({.text = "a", .tokens = {}, .prompt = "b"}) ==
        2 * model.score(std::vector<Ids>{model.tokens("b", "a")})[0]);
  CHECK(has(complaint<DataError>([&] { reward({.text = "x", .tokens = {}}); }), "reward 'model:"));
  CHECK(has(complaint<DataError>([&] { reward({.text = "abcabcab", .tokens = {}}); }), "longer than the context of 8"));
  CHECK(has(complaint<DataError>([&] { load_checkpoint(folder / "rm.safetensors"); }),
            "is a reward model, not a language model"));
  const Checkpoint plain = run_of("lstm");
  plain.save(folder / "lm.safetensors");
  CHECK(has(complaint<DataError>([&] { RewardModel::load(folder / "lm.safetensors"); }),
            "is a language model, not a reward model"));
}

TEST_SUITE_END();
