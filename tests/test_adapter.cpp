// models/adapter.h: at its beginning the adapted model is its base, to the bit, in every way of asking; its gradient is
// that of differences and the base has none; what is learnt is in the merged model too; its file names the base.
#include <doctest/doctest.h>

#include <cmath>

#include "models/adapter.h"
#include "models/families.h"
#include "models/run/checkpoint.h"
#include "tests/near.h"
#include "tests/scratch.h"
#include "tests/tuned_worlds.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

const std::vector<int32_t> kTokens{3, 0, 2, 1, 3, 1, 1, 0};
constexpr int64_t kB = 2, kT = 4;

std::vector<real> copy_of(std::span<const real> x) { return {x.begin(), x.end()}; }
// The logits of kTokens: as a step that is trained records them, as they are only read, and token by token.
std::vector<real> recorded(const LanguageModel& model) {
  Tape tape;
  const Tape::Use use(tape);
  return copy_of(model.logits(kTokens, kB, kT).span());
}
std::vector<real> only_read(const LanguageModel& model) {
  Tape tape;
  const Tape::Use use(tape);
  const Tape::Mark mark(tape);
  return copy_of(model.head(model.features(kTokens, kB, kT)).span());
}
std::vector<real> one_by_one(const LanguageModel& model) {
  Tape tape;
  const Tape::Use use(tape);
  State state = model.start(kB);
  std::vector<real> all;
  for (int64_t t = 0; t < kT; ++t) {
    const Tape::Mark mark(tape);
    const std::vector<int32_t> next{kTokens[size_t(t)], kTokens[size_t(kT + t)]};
    const auto logits = model.next(state, next).span();
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}
// The features of the first tokens of each, the others padding.
std::vector<real> padded(const LanguageModel& model) {
  Tape tape;
  const Tape::Use use(tape);
  return copy_of(model.features(kTokens, std::vector<int32_t>{2, 3}, kB, kT).rows(0, 2).span());
}

std::unique_ptr<AdaptedModel> adapted(const LanguageModel& base, int64_t rank = 2) {
  return std::make_unique<AdaptedModel>(clone(base), Adapter{rank}, 5);
}
void disturb(LanguageModel& model, double size) {
  const Rng rng(8, Stream::kTest);
  const std::span<real> w = model.params().edit();
  for (size_t i = 0; i < w.size(); ++i) w[i] += real(size * rng.normal(int64_t(i)));
}
void same(const std::vector<real>& a, const std::vector<real>& b) { CHECK(first_difference(a, b) == -1); }

}  // namespace

TEST_SUITE_BEGIN("adapter");

TEST_CASE(
    "an adapter that has learnt nothing changes no bit, and one that has learnt is the merged model, to the bit") {
  for (const std::string& family : stepped_families()) {
    CAPTURE(family);
    const auto base = random_model(family, 3);
    const auto policy = adapted(*base);
    same(recorded(*policy), recorded(*base));
    same(only_read(*policy), only_read(*base));
    CHECK(policy->predicts_next() == base->predicts_next());
    CHECK(policy->mask_id() == base->mask_id());
    const bool draws = base->predicts_next();
    if (draws) same(one_by_one(*policy), one_by_one(*base));
    CHECK(policy->params().size() < base->params().size());
    disturb(*policy, 0.3);
    CHECK(first_difference(recorded(*policy), recorded(*base)) != -1);
    const auto merged = clone(policy->plain());
    CHECK(merged->params().size() == base->params().size());
    same(recorded(*policy), recorded(*merged));
    same(only_read(*policy), recorded(*merged));
    if (draws) same(one_by_one(*policy), one_by_one(*merged));
    same(padded(*policy), padded(*merged));
    CHECK(first_difference(policy->base().data(), base->params().data()) == -1);
    disturb(*policy, 0.3);  // again: the merged numbers follow
    same(only_read(*policy), only_read(policy->plain()));
    CHECK(first_difference(only_read(*policy), only_read(*merged)) != -1);
    if (draws) same(one_by_one(*policy), one_by_one(policy->plain()));
  }
}

TEST_CASE("a copy has the numbers of the adapter and the base, and is a model of its own") {
  const auto base = random_model("lstm", 3);
  const auto policy = adapted(*base);
  disturb(*policy, 0.3);
  const auto twin = clone(*policy);
  same(recorded(*twin), recorded(*policy));
  CHECK(twin->params().size() == policy->params().size());
  disturb(*twin, 0.3);
  same(one_by_one(*policy), one_by_one(*clone(policy->plain())));
  CHECK(first_difference(one_by_one(*twin), one_by_one(*policy)) != -1);
}

TEST_CASE("its gradient is that of differences at every parameter, and the base has none" * doctest::skip(!kDouble)) {
  for (const std::string family : {"lstm", "transformer", "masked"}) {
    CAPTURE(family);
    const auto policy = adapted(*random_model(family, 3));
    disturb(*policy, 0.3);
    const std::vector<int32_t> targets{0, 2, 1, 3, 1, 1, 0, 3};
    Tape tape;
    const Tape::Use use(tape);
    tape.backward(sum(policy->losses(kTokens, targets, kB, kT)));
    const std::vector<real> g = copy_of(tape.gradient(policy->params().array()));
    CHECK(std::ranges::count(tape.gradient(policy->base().array()), real(0)) == policy->base().size());
    CHECK(std::ranges::count(tape.gradient(policy->plain().params().array()), real(0)) == policy->base().size());
    const auto loss = [&] {
      Tape other;
      const Tape::Use there(other);
      return double(sum(policy->losses(kTokens, targets, kB, kT)).item());
    };
    double worst = 0;
    for (size_t k = 0; k < g.size(); ++k) {
      const real before = policy->params().data()[k];
      const auto at = [&](double step) {
        policy->params().edit()[k] = before + real(step);
        return loss();
      };
      const double h = 1e-3, numeric = (-at(2 * h) + 8 * at(h) - 8 * at(-h) + at(-2 * h)) / (12 * h);
      policy->params().edit()[k] = before;
      worst = std::max(worst, std::fabs(numeric - g[k]));
    }
    CHECK(worst <= 1e-8);
  }
}

TEST_CASE("a step computes each changed matrix once, however often the model is asked") {
  const auto policy = adapted(*random_model("transformer", 3));
  disturb(*policy, 0.3);
  const auto ops = [&](const auto& ask) {
    Tape tape;
    const Tape::Use use(tape);
    ask();
    return tape.ops().size();
  };
  const size_t at_once = ops([&] { policy->logits(kTokens, kB, kT); });
  CHECK(ops([&] { policy->head(policy->features(kTokens, kB, kT)); }) == at_once);
  CHECK(ops([&] { policy->plain().logits(kTokens, kB, kT); }) < at_once);
}

TEST_CASE("fine-tuned with an adapter: the base keeps its bits, KL begins at 0, and the threads change nothing") {
  const auto base = random_model("lstm", 32);
  const World world = ended_world(3);
  const gradus::Enumeration all = gradus::enumerate(*base, world);
  const RewardFunction reward = table_reward(all.sequences, random_rewards(all.sequences.size(), 32));
  std::vector<std::vector<real>> ends;
  for (const int threads : {1, 2}) {
    const auto prior = clone(*base);
    const auto policy = adapted(*base, 4);
    const TuneConfig options = Tuning{.kl_coef = 0.3, .batch = 64};
    Shards shards(2, threads);
    Tuner tuner(*policy, *prior, {world.prompt}, world, reward, options, shards);
    KnownWorlds known(*prior, {world.prompt}, world, reward, 1000);
    const double before = *known.of(*policy, 0.3).kl_to_posterior;
    AdamW optimizer = tuning_optimizer(*policy);
    for (int64_t step = 1; step <= 60; ++step) {
      tuner.step(step, optimizer, 0.02, 1);
      if (step == 1) CHECK(tuner.metrics().kl == 0);
    }
    CHECK(*known.of(*policy, 0.3).kl_to_posterior < 0.2 * before);
    CHECK(first_difference(policy->base().data(), base->params().data()) == -1);
    CHECK(first_difference(prior->params().data(), base->params().data()) == -1);
    ends.push_back(copy_of(policy->params().data()));
  }
  same(ends[0], ends[1]);
}

TEST_CASE("a critic with an encoder of its own begins as the adapted policy") {
  const auto policy = adapted(*random_model("lstm", 3));
  disturb(*policy, 0.3);
  const ValueNetwork critic(*policy, true);
  same(one_by_one(*critic.encoder()), one_by_one(*policy));
}

TEST_CASE("a checkpoint has the adapter alone and names its base, which must be there as it was") {
  const Folder folder;
  Config config = small_config("lstm");
  Tokenizer tokenizer = Tokenizer::from_vocab("char", {"a", "b", "c", Tokenizer::kEndMark});
  config.lines = true;
  config.end_id = kEnd;
  const Checkpoint of_base{config, tokenizer, random_model(config, 4, 3), {}, 0, {}, kEnd, {}, "", "", ""};
  of_base.save(folder / "base.safetensors");
  Checkpoint run = load_checkpoint(folder / "base.safetensors");
  run.adapt("lora:2", 1);
  disturb(*run.model, 0.3);
  run.save(folder / "run.safetensors");
  const SafetensorsFile file = SafetensorsFile::open(folder / "run.safetensors");
  for (const TensorInfo& tensor : file.tensors()) CHECK(has(tensor.name, ".lora."));
  const Checkpoint again = load_checkpoint(folder / "run.safetensors");
  same(recorded(*again.model), recorded(*run.model));
  CHECK(again.model->params().size() == run.model->params().size());
  CHECK(has(complaint<DataError>([&] { run.adapt("lora:2", 1); }), "has an adapter already"));
  CHECK(
      has(complaint<DataError>([&] { load_checkpoint(folder / "base.safetensors").adapt("lora:0", 1); }), "lora:RANK"));

  const std::vector<real> with_adapter = recorded(*again.model);
  Checkpoint merged = load_checkpoint(folder / "run.safetensors").merged();
  merged.save(folder / "merged.safetensors");
  same(recorded(*load_checkpoint(folder / "merged.safetensors").model), with_adapter);
  CHECK(has(complaint<DataError>([&] { std::move(merged).merged(); }), "has no adapter"));

  std::filesystem::copy(folder / "base.safetensors", folder / "kept.safetensors");
  Checkpoint other = load_checkpoint(folder / "base.safetensors");
  disturb(*other.model, 0.1);
  other.save(folder / "base.safetensors");
  CHECK(has(complaint<DataError>([&] { load_checkpoint(folder / "run.safetensors"); }), "has changed since"));
  std::filesystem::remove(folder / "base.safetensors");
  CHECK(has(complaint<DataError>([&] { load_checkpoint(folder / "run.safetensors"); }), "its base cannot be read"));
  std::filesystem::copy(folder / "run.safetensors", folder / "base.safetensors");  // a circle
  CHECK(has(complaint<DataError>([&] { load_checkpoint(folder / "run.safetensors"); }), "another file now"));
  std::filesystem::remove(folder / "base.safetensors");
  std::filesystem::copy(folder / "kept.safetensors", folder / "base.safetensors");
  same(recorded(*load_checkpoint(folder / "run.safetensors").model), with_adapter);
}

TEST_CASE("what is no adapter is refused with the form") {
  for (const char* spec :
       {"lora", "lora:", "lora:0", "lora:-1", "lora:2x", "lora:1e3", "rank:2", "", "lora:99999999999999999999"}) {
    CAPTURE(spec);
    CHECK(has(complaint<DataError>([&] { Adapter::parse(spec); }), "must be lora:RANK"));
    CHECK(!Adapter::accepts(spec));
  }
  CHECK(Adapter::parse("lora:8").rank == 8);
  CHECK(Adapter::accepts("none"));
}

TEST_SUITE_END();
