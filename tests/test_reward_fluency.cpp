// The reward `fluency:RUN`: the log-probability under another run, against the teacher-forced scores of its model.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/grammar/grammar.h"
#include "models/run/checkpoint.h"
#include "models/run/config.h"
#include "models/text/words.h"
#include "rl/rewards/reward.h"
#include "tests/line_world.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using Ids = std::vector<int32_t>;

const char* const kCat = "\xE7\x8C\xAB";

// A run whose model has random weights, large enough to prefer something.
struct Run {
  Checkpoint checkpoint;
  std::string path;
  Run(const Folder& folder, const std::string& family, std::vector<std::string> vocab, int64_t context = 8)
      : checkpoint(make(family, std::move(vocab), context)), path(folder.path / (family + ".safetensors")) {
    checkpoint.save(path);
  }
  static Checkpoint make(const std::string& family, std::vector<std::string> vocab, int64_t context) {
    Config config;
    config.model = family;
    config.layers = 1;
    config.heads = 2;
    config.embd = 8;
    config.hidden = 8;
    config.context = context;
    config.resolve(1);
    Tokenizer tokenizer = Tokenizer::from_vocab("char", std::move(vocab));
    config.lines = tokenizer.end_id() >= 0;
    config.end_id = tokenizer.end_id();
    auto model = make_model(config, tokenizer.size());
    for (real& x : model->params().edit()) x *= family == "transformer" ? 20 : 3;
    const int32_t start = tokenizer.end_id() >= 0 ? tokenizer.end_id() : 1;
    return {config, std::move(tokenizer), std::move(model), {}, 0, {}, start, {}, "", "", ""};
  }
};

// Σ_t log softmax(logits)[token t] over one teacher-forced pass.
double teacher_forced(const LanguageModel& model, int32_t start, const Ids& targets) {
  if (targets.empty()) return 0;
  Ids inputs{start};
  inputs.insert(inputs.end(), targets.begin(), targets.end() - 1);
  Tape tape;
  const Tape::Use use(tape);
  const Tensor logits = model.logits(inputs, 1, int64_t(inputs.size()));
  const size_t V = size_t(model.vocabulary());
  double sum = 0;
  for (size_t t = 0; t < targets.size(); ++t) {
    double total = 0;
    for (size_t v = 0; v < V; ++v) total += std::exp(double(logits.span()[t * V + v]));
    sum += double(logits.span()[t * V + size_t(targets[t])]) - std::log(total);
  }
  return sum;
}

// In another order, drawn by `rng`.
std::string shuffled(const std::string& line, const Rng& rng) {
  std::vector<std::string_view> all = words(line, WordRule::kBetweenSpaces);
  for (size_t i = all.size() - 1; i > 0; --i) std::swap(all[i], all[size_t(rng.below(int64_t(i), int64_t(i) + 1))]);
  std::string out;
  for (const std::string_view word : all) out += (out.empty() ? "" : " ") + std::string(word);
  return out;
}

// A few steps on random lines that train.
void learn(const LanguageModel& model, Params& params, const Corpus& corpus) {
  Shards shards(1, 1);
  AdamW optimizer(params, {.weight_decay = 0});
  BatchLoss loss(shards);
  Batch batch;
  for (int64_t step = 1; step <= 150; ++step) {
    batch.draw(corpus, Split::kTrain, Rng(1, Stream::kBatch, step), 0, 16);
    loss.forward(model, batch, {.seed = 1, .step = step, .training = true});
    loss.backward(1 / double(batch.scored));
    const auto g = shards.gradient(params);
    optimizer.step(params, g, 0.01, clip_factor(gradient_norm(g), 1));
  }
}

constexpr double kNear = sizeof(real) == 8 ? 1e-12 : 1e-4;

}  // namespace

TEST_SUITE_BEGIN("reward_fluency");

TEST_CASE("the summed log-probability with the end mark, of texts of mixed length") {
  const Folder folder;
  for (const char* family : {"lstm", "transformer"}) {
    CAPTURE(family);
    const Run run(folder, family, {"a", "b", kCat, Tokenizer::kEndMark});
    const LanguageModel& model = *run.checkpoint.model;
    const Tokenizer other = Tokenizer::from_vocab("char", {kCat, "x", "b", "a"});  // ids differ
    const Reward reward({"fluency:" + run.path}, other);
    const std::vector<std::string> texts{"ab", "", std::string("b") + kCat + "aab", "a", "", std::string(kCat)};
    std::vector<Ids> tokens;
    for (const std::string& text : texts) tokens.push_back(other.encode(text));
    for (bool ended : {true, false}) {
      std::vector<Generated> batch;
      for (size_t i = 0; i < texts.size(); ++i) batch.push_back({texts[i], tokens[i], ended, "prompt"});
      const std::vector<double> scores = reward.score(batch);
      for (size_t i = 0; i < texts.size(); ++i) {
        Ids targets = run.checkpoint.tokenizer.encode(texts[i]);
        if (ended) targets.push_back(3);
        const double wanted = teacher_forced(model, 3, targets);
        CHECK(std::fabs(scores[i] - wanted) <= kNear * std::max(1.0, std::fabs(wanted)));
        if (!targets.empty()) CHECK(std::fabs(wanted - double(targets.size()) * std::log(0.25)) > 0.01);  // not uniform
      }
    }
  }
}

TEST_CASE("a run without an end mark starts from its own token and scores none at the end") {
  const Folder folder;
  const Run run(folder, "lstm", {"a", "b", "c"});
  const Reward reward({"fluency:" + run.path}, run.checkpoint.tokenizer);
  const Ids tokens{0, 2, 1};
  const double wanted = teacher_forced(*run.checkpoint.model, 1, tokens);
  CHECK(std::fabs(reward({"acb", tokens, true}) - wanted) <= kNear * std::fabs(wanted));
  CHECK(reward({"acb", tokens, false}) == reward({"acb", tokens, true}));
  CHECK(reward({"", {}, true}) == 0);
}

TEST_CASE("probabilities of a whole world sum to 1, and a batch larger than the rows of one pass changes nothing") {
  const Folder folder;
  const Run run(folder, "lstm", {"a", "b", "c", Tokenizer::kEndMark});
  const Reward reward({"fluency:" + run.path}, run.checkpoint.tokenizer);
  std::vector<std::string> texts{""};  // every text of at most 6 letters: those of 6 cut, the others ended
  for (size_t i = 0; i < texts.size(); ++i)
    if (texts[i].size() < 6)
      for (char c : {'a', 'b', 'c'}) texts.push_back(texts[i] + c);
  std::vector<Ids> tokens;
  for (const std::string& text : texts) tokens.push_back(run.checkpoint.tokenizer.encode(text));
  std::vector<Generated> batch;
  for (size_t i = texts.size(); i-- > 0;) batch.push_back({texts[i], tokens[i], texts[i].size() < 6});
  double total = 0;
  const std::vector<double> scores = reward.score(batch);
  for (double s : scores) total += std::exp(s);
  CHECK(batch.size() == 1093);
  CHECK(std::fabs(total - 1) <= (sizeof(real) == 8 ? 1e-12 : 1e-5));
  for (size_t i = 0; i < batch.size(); i += 101) CHECK(std::fabs(scores[i] - reward(batch[i])) <= kNear * 20);
}

TEST_CASE("a text longer than the context is scored as sampling would go on") {
  const Folder folder;
  const Run run(folder, "transformer", {"a", "b", "c"}, 4);
  const Reward reward({"fluency:" + run.path}, run.checkpoint.tokenizer);
  const Ids tokens{0, 2, 1, 0, 0};
  // Fed so far: start 0 2 1, a full window; before the last token the older half, start 0, is dropped.
  const double wanted = teacher_forced(*run.checkpoint.model, 1, {0, 2, 1, 0}) +
                        teacher_forced(*run.checkpoint.model, 2, {1, 0, 0}) -
                        teacher_forced(*run.checkpoint.model, 2, {1, 0});
  CHECK(std::fabs(reward({"acbaa", tokens, false}) - wanted) <= kNear * std::fabs(wanted));
}

TEST_CASE("a text that the run cannot spell, a model that says NaN, and a run that is not there") {
  const Folder folder;
  Run run(folder, "lstm", {"a", "b"});
  const Tokenizer other = Tokenizer::from_vocab("char", {"a", "x"});
  const Reward reward({"2*fluency:" + run.path}, other);
  const Ids tokens{0, 1};
  const std::string said = complaint<DataError>([&] { reward({"ax", tokens, true}); });
  CHECK(has(said, "\"ax\""));
  CHECK(has(said, "'x'"));
  CHECK(has(said, run.path));
  CHECK(has(complaint<DataError>([&] { Reward({"fluency:/nowhere/run"}, other); }), "/nowhere/run"));
  const std::span<real> weights = run.checkpoint.model->params().edit();
  std::fill(weights.begin(), weights.end(), std::numeric_limits<real>::max());  // and so infinite logits
  run.checkpoint.save(run.path);
  const Ids aa{0, 0};
  for (const std::string weight : {"", "0*"}) {
    const Reward broken({weight + "fluency:" + run.path}, other);
    const std::string why = complaint<DataError>([&] { broken({"aa", aa, true}); });
    CHECK(has(why, "reward 'fluency:" + run.path + "': a logit of the model is not a number"));
  }
  weights[0] = real(NAN);
  run.checkpoint.save(run.path);
  CHECK(
      has(complaint<DataError>([&] { Reward({"fluency:" + run.path}, other); }), "holds a number that is not finite"));
}

TEST_CASE("lines of a grammar are more fluent than their words in another order, to models of other lines of it") {
  const Folder folder;
  const Grammar grammar = Grammar::read("data/stories.grammar");
  std::string content;
  std::vector<std::string> held_out;
  for (int64_t i = 0; i < 800; ++i) {
    const std::string line = grammar.derive(Rng(5, Stream::kTest).at(i));
    content += line + "\n";
    if (i >= 600) held_out.push_back(line);
  }
  const testing::LineWorld world(content, "word");
  for (const std::string family : {"ngram", "lstm"}) {
    const auto options = [](Config& c) {
      c.context = 64;
      c.embd = 16;
      c.hidden = 32;
      c.smoothing = "kneser-ney";
      c.val_fraction = 0.25;
      c.val_lines = "last";  // the lines held out
    };
    const Config config = world.config(family, options);
    Checkpoint run{config, world.tokenizer, world.model(family, options), {}, 0, {}, world.end_id(), {}, "", "", ""};
    if (family == "lstm") learn(*run.model, run.model->params(), world.corpus(config));
    run.save(folder / family);
    const Reward reward({"fluency:" + folder / family}, world.tokenizer);
    int64_t higher = 0;
    for (size_t i = 0; i < held_out.size(); ++i) {
      const std::string other = shuffled(held_out[i], Rng(6, Stream::kTest).at(int64_t(i)));
      CHECK(!grammar.generates(other));
      higher += reward({held_out[i], {}, true}) > reward({other, {}, true});
    }
    MESSAGE(family, ": ", higher, " of ", held_out.size(), " lines are more fluent than shuffled");
    CHECK(double(higher) >= 0.95 * double(held_out.size()));
  }
}

TEST_SUITE_END();
