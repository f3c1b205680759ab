// apps/train, apps/tune: the two loops, step by step against the same steps made by hand: which texts are drawn, what
// the gradient is divided by, which learning rate and which KL coefficient hold when. What the log says is what was
// done.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "apps/tuned_run.h"
#include "engine/io/json.h"
#include "models/run/checkpoint.h"
#include "models/text/read_text.h"
#include "rl/rewards/reward.h"
#include "rl/tuner.h"
#include "rl/worlds/known_worlds.h"
#include "tests/near.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;

constexpr double kClose = kDouble ? 1e-9 : 1e-3;  // after a few updates by AdamW

std::vector<Json> records(const std::string& run, const std::string& type) {
  std::istringstream log(read_text(run + "/log.jsonl"));
  std::vector<Json> found;
  for (std::string line; std::getline(log, line);)
    if (Json record = Json::parse(line); record["type"] == Json(type)) found.push_back(std::move(record));
  return found;
}
double number(const Json& record, const char* field) { return record[field].get<double>(); }

// Warm-up, then a cosine to its end, then flat: a rate that is late by a step shows at every step.
template <class Options>
void set_schedule(Options& o) {
  o.steps = 6;
  o.lr = 0.04;
  o.min_lr = 0.002;
  o.warmup = 2;
  o.decay_steps = 5;
  o.clip = 0.5;
}

Config small(const std::string& family) {
  Config c;
  c.model = family;
  c.layers = 1;
  c.heads = 2;
  c.embd = 6;
  c.hidden = 6;
  c.context = 9;
  c.batch = 5;
  c.shards = 2;
  c.val_fraction = 0.4;
  c.eval_every = 3;
  c.eval_batches = 2;
  set_schedule(c);
  return c;
}

// Both splits use the same letters, and in each text other words.
constexpr const char* kLines = "a\nabcab\nbb\ncabcabca\nb\nabc\ncba\ncc\nbca\naacc\n";

std::string stream() {
  std::string s;
  for (int i = 0; i < 40; ++i) s += i < 24 ? "abca\n" : "ccb\nb";
  return s;
}

void check_training(const std::string& family, bool lines) {
  INFO(family, ", lines: ", lines);
  const Folder folder;
  TrainCommand command;
  command.config = small(family);
  command.config.lines = lines;
  command.common.quiet = true;
  command.out = folder / "run";
  const std::string content = lines ? kLines : stream();
  command.corpus = {folder.file("text.txt", content)};
  REQUIRE(train(command) == kDone);

  const Checkpoint run = load_any_checkpoint(command.out);
  const Config& c = run.config;
  const Corpus corpus(c.corpus(), run.tokenizer, content, "text");
  REQUIRE(corpus.has_validation());
  const auto mine = make_model(c, run.tokenizer.size());
  AdamW optimizer(mine->params(), adamw_options(c));
  const std::vector<Json> steps = records(command.out, "step");
  REQUIRE(steps.size() == 6);
  const double rates[] = {0.02, 0.04, 0.002 + 0.038 * 0.75, 0.002 + 0.038 * 0.25, 0.002, 0.002};
  Batch batch;
  for (int64_t step = 1; step <= 6; ++step) {
    batch.draw(corpus, Split::kTrain, Rng(uint64_t(c.seed), Stream::kBatch, step), 0, c.batch);
    Tape tape;
    const Tape::Use use(tape);
    tape.new_step({.seed = uint64_t(c.seed), .step = step, .training = true, .sequences = c.batch});
    const Tensor losses = mine->losses(batch.inputs, batch.targets, batch.B, batch.T);
    const double scored = double(std::ranges::count_if(batch.targets, [](int32_t t) { return t != kNoTarget; }));
    if (lines) CHECK(scored < double(batch.B * batch.T));  // there is padding, which does not count
    const Tensor loss = scale(sum(losses), 1 / scored);
    tape.backward(loss);
    const std::span<const real> g = tape.gradient(mine->params().array());
    const double norm = gradient_norm(g), rate = rates[step - 1];
    INFO("step ", step);
    const Json& said = steps[size_t(step - 1)];
    CHECK(number(said, "loss") == doctest::Approx(loss.item()).epsilon(kClose));
    CHECK(number(said, "grad_norm") == doctest::Approx(norm).epsilon(kClose));
    CHECK(number(said, "lr") == doctest::Approx(rate).epsilon(1e-12));
    optimizer.step(mine->params(), g, rate, norm > c.clip ? c.clip / norm : 1);
  }
  CHECK(near(run.model->params().data(), mine->params().data()) <= kClose);
}

// r = the letters b of a text, and a little for its length.
TuneCommand tuning(const Folder& folder, const std::string& prior) {
  TuneCommand command;
  command.common.quiet = true;
  command.run = prior;
  command.out = folder / "tuned";
  command.config.reward = {"count:b", "0.2*length:3"};
  command.config.batch = 12;
  command.config.max_tokens = 3;
  command.config.kl_coef = 0.4;
  command.config.shards = 2;
  set_schedule(command.config);
  return command;
}

std::string trained_prior(const Folder& folder) {
  TrainCommand command;
  command.config = small("lstm");
  command.config.lines = true;
  command.common.quiet = true;
  command.out = folder / "prior";
  command.corpus = {folder.file("text.txt", kLines)};
  REQUIRE(train(command) == kDone);
  return command.out;
}

}  // namespace

TEST_SUITE("loops") {
  TEST_CASE("loops: gradus train draws from the training split alone and divides by the tokens that are scored") {
    for (const std::string& family : stepped_families())
      for (const bool lines : {false, true}) check_training(family, lines);
  }

  TEST_CASE("loops: a run that kept the method's state beside everything else, as version 0.1 did, goes on with it") {
    const Folder folder;
    TuneCommand command = tuning(folder, trained_prior(folder));
    command.config.baseline = "moving";
    command.stop_after = 3;
    REQUIRE(tune(command) == kInterrupted);
    command.resume = true;
    command.stop_after = 0;
    const auto state_of = [&](bool old) {
      Console console(command.common);
      TunedRun run = open_tuned_run(command, console, one_rank());
      if (old) {
        Json layout = Json::object();
        for (const auto& [name, value] : run.state.items())
          if (name != "method") layout[name] = value;
        layout["moving"] = run.state.at("method").at("moving");
        run.state = layout;
      }
      Shards shards(2, 1);
      const RewardFunction nothing = [](const Sequences& s, std::span<const int32_t>) {
        return std::vector<double>(size_t(s.size()), 0.0);
      };
      Tuner tuner(*run.policy.model, *run.prior, run.prompt_tokens, run.world, nothing, run.config, shards);
      run.restore(tuner);
      return tuner.method->state().at(0).values;
    };
    const std::vector<double> state = state_of(false);
    CHECK(state.at(1) == doctest::Approx(1 - 0.9 * 0.9 * 0.9));
    CHECK(state_of(true) == state);
  }

  TEST_CASE("loops: gradus tune uses the learning rate of its step and the KL coefficient of the moment") {
    for (const bool steered : {false, true}) {
      const Folder folder;
      TuneCommand command = tuning(folder, trained_prior(folder));
      command.config.entropy_coef = 0.1;
      command.config.replay = 1;
      if (steered) command.config.kl_target = 0.3, command.config.kl_horizon = 20;
      INFO("steered: ", steered);
      REQUIRE(tune(command) == kDone);

      const Checkpoint run = load_checkpoint(command.out), before = load_checkpoint(command.run);
      const auto prior = clone(*before.model), policy = clone(*before.model);
      const Reward reward(command.config.reward, before.tokenizer);
      const RewardFunction r = text_reward(reward, before.tokenizer, {""});
      const std::vector<std::vector<int32_t>> prompts{before.beginning("")};
      const World world{{}, before.tokenizer.end_id(), 3, 1};
      Shards shards(2, 1);
      Tuner tuner(*policy, *prior, prompts, world, r, command.config, shards);
      AdamW optimizer(policy->params(), {.weight_decay = 0});
      KnownWorlds known(*prior, prompts, world, r, 1000);
      const std::vector<Json> steps = records(command.out, "step"), truth = records(command.out, "truth");
      REQUIRE(steps.size() == 6);
      REQUIRE(truth.size() == 1);
      const double rates[] = {0.02, 0.04, 0.002 + 0.038 * 0.75, 0.002 + 0.038 * 0.25, 0.002, 0.002};
      const auto check_truth = [&](const Json& said) {
        const double beta = tuner.kl_coef();
        const Truth at = known.of(*policy, beta, 0.1);
        const double kl = number(said, "kl_exact"), entropy = number(said, "entropy_exact");
        CHECK(number(said, "objective_exact") == doctest::Approx(at.at.objective).epsilon(kClose));
        CHECK(number(said, "objective_exact") ==
              doctest::Approx(number(said, "reward_exact") - beta * kl + 0.1 * entropy).epsilon(kClose));
        CHECK(number(said, "j_star") - number(said, "objective_exact") ==
              doctest::Approx((beta + 0.1) * number(said, "kl_to_posterior")).epsilon(100 * kClose));
      };
      std::vector<double> betas;
      for (int64_t step = 1; step <= 6; ++step) {
        INFO("step ", step);
        const Json& said = steps[size_t(step - 1)];
        const double beta = tuner.kl_coef();
        betas.push_back(beta);
        check_truth(said);
        const double norm = tuner.step(step, optimizer, rates[step - 1], command.config.clip);
        CHECK(number(said, "kl_coef") == doctest::Approx(beta).epsilon(kClose));
        CHECK(number(said, "lr") == doctest::Approx(rates[step - 1]).epsilon(1e-12));
        CHECK(number(said, "grad_norm") == doctest::Approx(norm).epsilon(kClose));
        CHECK(number(said, "objective") ==
              doctest::Approx(number(said, "reward") - beta * number(said, "kl") + 0.1 * number(said, "entropy"))
                  .epsilon(kClose));
      }
      check_truth(truth[0]);
      CHECK(near(run.model->params().data(), policy->params().data()) <= kClose);
      CHECK((std::fabs(betas.back() / betas.front() - 1) > 0.1) == steered);
    }
  }
}
