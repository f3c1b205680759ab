#include "apps/step/rl_examples.h"

#include <algorithm>

#include "models/families.h"
#include "models/run/config.h"
#include "models/text/corpus.h"
#include "models/text/read_text.h"
#include "rl/step_trace.h"
#include "rl/tuner.h"

namespace gradus {

namespace {

// Ten lines: the cat 4, the dog 3, a cat 2, a dog 1. A table of them is the prior, and the policy as it begins.
constexpr const char* kLines = "the cat\nthe cat\nthe cat\nthe cat\nthe dog\nthe dog\nthe dog\na cat\na cat\na dog\n";
constexpr int64_t kStep = 4;  // that is shown: by then the policy is no longer the prior

std::unique_ptr<LanguageModel> table_of_lines(const Tokenizer& tokenizer) {
  Config config;
  config.model = "tabular";
  config.tokenizer = tokenizer.cutter().name;
  config.lines = true;
  config.end_id = tokenizer.end_id();
  config.context = 4;
  config.val_fraction = 0;
  config.resolve(1);
  const Corpus corpus(config.corpus(), tokenizer, kLines, "the four sentences");
  return make_model(config, tokenizer.size(), INT64_MAX, count_tokens(config, corpus));
}

// What contains:cat is: 1 if a text has the word.
RewardFunction reward_of_cats(const Tokenizer& tokenizer) {
  return [cat = tokenizer.encode("cat")[0]](const Sequences& texts, std::span<const int32_t>) {
    std::vector<double> r;
    for (int64_t i = 0; i < texts.size(); ++i) r.push_back(std::ranges::count(texts.text(i), cat) > 0 ? 1 : 0);
    return r;
  };
}

TuneConfig options_of(const RlExample& example, int64_t seed) {
  TuneConfig options;
  options.algorithm = example.name;
  options.reward = {"contains:cat"};
  options.kl_coef = 0.5;
  options.batch = 4;
  options.max_tokens = 3;
  options.seed = example.first_seed - 1 + seed;
  return options;
}

// Step kStep of a run in that world, with the learning rate `lr`.
Trace trace_of_step(const RlExample& example, TuneConfig options, double lr) {
  const std::vector<std::string_view> lines = split_lines(kLines);
  const Tokenizer tokenizer = Tokenizer::from_lines("word", lines);
  const std::unique_ptr<LanguageModel> prior = table_of_lines(tokenizer), policy = clone(*prior);
  const World world{.prompt = {tokenizer.end_id()}, .end_id = tokenizer.end_id(), .max_tokens = options.max_tokens};
  const RewardFunction reward = reward_of_cats(tokenizer);
  Shards shards(1, 1);
  Tuner tuner(*policy, *prior, {world.prompt}, world, reward, options, shards);
  AdamW optimizer = tuning_optimizer(*policy);
  KnownWorlds known(*prior, {world.prompt}, world, reward, kMaxSequences);
  const auto known_policy = [&] {
    const Truth truth = known.of(*policy, options.kl_coef);
    return KnownPolicy{truth, known.worlds()[0]};
  };
  StepContext context{.options = options,
                      .method = *tuner.method,
                      .tokenizer = tokenizer,
                      .prompts = {""},
                      .aim = "the reward " + options.reward[0]};
  for (int64_t step = 1; step < kStep; ++step) tuner.step(step, optimizer, lr, 1);
  context.before = known_policy();
  StepRecord record;
  tuner.record(&record);
  tuner.step(kStep, optimizer, lr, 1);
  context.after = known_policy();
  Trace trace = trace_of(record, *policy, *prior, context);
  trace.name = example.name;
  trace.title = example.title;
  return trace;
}

Trace reinforce(const RlExample& example, int64_t seed) {
  return trace_of_step(example, options_of(example, seed), 0.1);
}

// Three passes over the batch, in which the ratios leave 1 and some reach the clip.
Trace ppo(const RlExample& example, int64_t seed) {
  TuneConfig options = options_of(example, seed);
  options.epochs = 3;
  options.critic_lr = 0.1;
  return trace_of_step(example, options, 0.1);
}

constexpr RlExample kExamples[] = {
    {"reinforce", "a step of REINFORCE on four sentences: a cat is worth 1, and the KL to the prior costs", 5,
     reinforce},
    {"ppo", "a step of PPO on four sentences: three updates with ratios, a clip and a critic", 3, ppo},
};

}  // namespace

std::span<const RlExample> rl_examples() { return kExamples; }

}  // namespace gradus
