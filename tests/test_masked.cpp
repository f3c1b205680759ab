// Masked models: the exact conditional of a masked word, the loss on the average over masks, masks and padding.
#include <doctest/doctest.h>

#include <cmath>

#include "models/sampler.h"
#include "tests/line_world.h"
#include "tests/near.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using testing::LineWorld;
using Ids = std::vector<int32_t>;

// log p of every token at place `at` of a text that is shown as it is.
std::vector<double> expected_at(const LanguageModel& model, const Ids& shown, int64_t at) {
  Tape tape;
  const Tape::Use use(tape);
  const int64_t V = model.vocabulary();
  const Tensor logits = model.logits(shown, 1, std::ssize(shown));
  std::vector<double> log_p(static_cast<size_t>(V));
  log_distribution(logits.span().subspan(size_t(at * V), size_t(V)), 1, log_p);
  return log_p;
}

// The loss of one batch: sum over its tokens.
double batch_loss(const LanguageModel& model, Batch& batch, int64_t step) {
  Shards shards(1, 1);
  BatchLoss loss(shards);
  return loss.forward(model, batch, {.seed = 1, .step = step}, false);
}

}  // namespace

TEST_SUITE("masked") {
  TEST_CASE(
      "masked: the probability of a masked word is its share among the sentences with the other: 4/7 for the cat") {
    const LineWorld world(testing::kTwoWords, "word");
    const auto model = world.model("masked", [](Config& c) { c.embd = 16; });
    const Corpus corpus = world.corpus("masked");
    // Every sentence with one mask in every place, so that nothing is left to chance: −Σ log p(x_t | the others), of
    // which the optimum is the conditional distribution.
    const int32_t mask = model->mask_id();
    Ids shown, hidden, lengths;
    for (int64_t i = 0; i < corpus.lines(Split::kAll); ++i) {
      const auto text = corpus.window(Split::kAll, i).targets;
      for (size_t at = 0; at < text.size(); ++at) {
        for (size_t t = 0; t < text.size(); ++t) {
          shown.push_back(t == at ? mask : text[t]);
          hidden.push_back(t == at ? text[t] : kNoTarget);
        }
        lengths.push_back(3);
      }
    }
    const int64_t B = std::ssize(lengths);
    AdamW optimizer(model->params(), {.weight_decay = 0});
    const Schedule schedule{.lr = 1e-2, .min_lr = 1e-5, .warmup = 5, .decay = 600};
    Tape tape;
    const Tape::Use use(tape);
    for (int64_t step = 1; step <= 600; ++step) {
      tape.new_step({.seed = 1, .step = step, .training = true, .sequences = B});
      const Tensor logits = model->head(model->features(shown, lengths, B, 3));
      backward_from(softmax_cross_entropy(logits, hidden), 1 / double(B));
      optimizer.step(model->params(), tape.gradient(model->params().array()), schedule.at(step));
    }
    const auto p = [&](const char* text, const char* word) {
      Ids ids = world.ids(text);
      const int32_t wanted = world.ids(word)[0];
      const bool second = std::string(text) == "the" || std::string(text) == "a";
      ids.insert(second ? ids.end() : ids.begin(), mask);
      ids.push_back(world.end_id());
      return std::exp(expected_at(*model, ids, second ? 1 : 0)[size_t(wanted)]);
    };
    CHECK(std::fabs(p("the", "cat") - 4.0 / 7) <= 1e-3);
    CHECK(std::fabs(p("the", "dog") - 3.0 / 7) <= 1e-3);
    CHECK(std::fabs(p("a", "cat") - 2.0 / 3) <= 1e-3);
    CHECK(std::fabs(p("cat", "the") - 4.0 / 6) <= 1e-3);
    CHECK(std::fabs(p("dog", "the") - 3.0 / 4) <= 1e-3);
  }

  TEST_CASE("masked: trained as gradus train does, on random masks, it comes near 4/7 too") {
    std::string lines;
    for (int i = 0; i < 20; ++i) lines += testing::kTwoWords;
    const LineWorld world(lines, "word");
    const auto model = world.model("masked");
    testing::fit(*model, world.corpus("masked"), 300, 1e-2);
    Ids ids = world.ids("the");
    ids.push_back(model->mask_id());
    ids.push_back(world.end_id());
    CHECK(std::fabs(std::exp(expected_at(*model, ids, 1)[size_t(world.ids("cat")[0])]) - 4.0 / 7) <= 0.03);
  }

  TEST_CASE(
      "masked: on the average over masks the loss is that of each token masked, given the others that are shown") {
    const LineWorld world("a b\n", "word");  // a b and its end: three tokens, so 2^3 masks
    for (const double rate : {0.3, 1e-6, 1.0}) {
      CAPTURE(rate);
      const auto model = world.model("masked", [&](Config& c) { c.mask_rate = rate; });
      for (real& w : model->params().edit()) w *= 10;
      const Corpus corpus = world.corpus("masked");
      Batch batch;
      batch.take(corpus, Split::kAll, 0, 1);
      Ids text = world.ids("a b");
      text.push_back(world.end_id());
      // Σ over masks of their probability times the sum of their losses, each divided by the probability of its mask.
      const double pi = 1.0 / 3 + 2.0 / 3 * rate;
      double wanted = 0, variance = 0;
      for (int mask = 1; mask < 8; ++mask) {
        double probability = 0, loss = 0;
        for (int always = 0; always < 3; ++always) {
          double p = (mask >> always & 1) / 3.0;
          for (int t = 0; t < 3; ++t)
            if (t != always) p *= mask >> t & 1 ? rate : 1 - rate;
          probability += p;
        }
        Ids shown = text;
        for (int t = 0; t < 3; ++t)
          if (mask >> t & 1) shown[size_t(t)] = model->mask_id();
        for (int t = 0; t < 3; ++t)
          if (mask >> t & 1) loss -= expected_at(*model, shown, t)[size_t(text[size_t(t)])] / pi;
        wanted += probability * loss;
        variance += probability * loss * loss;
      }
      variance -= wanted * wanted;
      constexpr int64_t kSteps = 4000;
      double mean = 0;
      for (int64_t step = 1; step <= kSteps; ++step) mean += batch_loss(*model, batch, step) / double(kSteps);
      // A mean of 4000 is off by more than 4 standard errors with probability 6e-5.
      CHECK(std::fabs(mean - wanted) <= 4 * std::sqrt(std::max(variance, 0.0) / double(kSteps)) + 1e-5);
      CHECK(batch_loss(*model, batch, 5) == batch_loss(*model, batch, 5));
    }
  }

  TEST_CASE("masked: each sequence has masks of its own, one at least, whatever batch it stands in") {
    const LineWorld world("a b\nb\nc c a\n\n", "word");
    const auto model = world.model("masked");
    const Corpus corpus = world.corpus("masked");
    Batch batch;
    batch.take(corpus, Split::kAll, 0, 4);
    Tape tape;
    const Tape::Use use(tape);
    for (int64_t step = 1; step <= 20; ++step) {
      tape.new_step({.seed = 1, .step = step, .sequences = 4});
      const Tensor all = model->losses(batch.inputs, batch.targets, 4, batch.T);
      const std::vector<real> whole(all.span().begin(), all.span().end());
      for (int64_t b = 0; b < 4; ++b) {
        const std::span row = std::span(whole).subspan(size_t(b * batch.T), size_t(batch.T));
        const auto length = std::ssize(corpus.window(Split::kAll, b).targets);
        int64_t masked = 0;
        for (int64_t t = 0; t < batch.T; ++t) {
          if (t >= length) CHECK(row[size_t(t)] == 0);
          masked += row[size_t(t)] > 0;
        }
        CHECK(masked >= 1);
        tape.new_step({.seed = 1, .step = step, .first_sequence = b, .sequences = 1});
        const Tensor one = model->losses(batch.inputs_of(b, 1), batch.targets_of(b, 1), 1, batch.T);
        CHECK(near(one.span(), row) <= (kDouble ? 1e-12 : 1e-5));
      }
    }
  }

  TEST_CASE("masked: tokens see both sides, and nothing of padding") {
    const LineWorld world("a b c d\n", "word");
    const auto model = world.model("masked");
    for (real& w : model->params().edit()) w *= 10;
    const int32_t mask = model->mask_id();
    CHECK(near(expected_at(*model, {mask, 1, 2, 4}, 0), expected_at(*model, {mask, 1, 3, 4}, 0)) > 1e-3);
    Tape tape;
    const Tape::Use use(tape);
    const Ids lengths{2};
    const Tensor x = model->features(Ids{0, mask, 1, 1}, lengths, 1, 4),
                 y = model->features(Ids{0, mask, 3, 2}, lengths, 1, 4);
    CHECK(first_difference(x.rows(0, 2).span(), y.rows(0, 2).span()) == -1);
    CHECK(near(x.rows(0, 2).span(), model->features(Ids{0, mask}, 1, 2).span()) <= (kDouble ? 1e-12 : 1e-5));
    CHECK_THROWS_AS(model->features(Ids{0, mask + 1}, 1, 2), ShapeError);
    CHECK_THROWS_AS(model->features(Ids{0, 1}, Ids{3}, 1, 2), ShapeError);
    CHECK_FALSE(model->predicts_next());
    CHECK(has(complaint<DataError>([&] { model->start(1); }), "gradus fill asks it"));
  }
}
