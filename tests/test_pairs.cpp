// Pairs: what is learnt of a prompt and its reply is the reply and its end, whatever else stands in the batch.
#include <doctest/doctest.h>

#include "models/families.h"
#include "models/text/pairs.h"
#include "tests/golden_model.h"
#include "tests/lm_step.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using testing::Golden;

const std::string kText = "ab\tcd\nc\tabcde\nabcde\t\nd\ta\n";  // lengths of both parts are mixed, and a reply is empty
const std::string kFile = "pairs.tsv";

struct Letters {
  Tokenizer tokenizer = Tokenizer::from_vocab("char", {"a", "b", "c", "d", "e", Tokenizer::kEndMark});
  Corpus corpus(int64_t context, double val_fraction = 0) const {
    return {{.lines = true, .pairs = true, .context = context, .val_fraction = val_fraction}, tokenizer, kText, kFile};
  }
};

// Sum of the losses of the whole batch, and its gradient.
struct Pass {
  Shards shards;
  BatchLoss loss{shards};
  double nats;
  std::vector<real> gradient;
  Pass(const LanguageModel& model, Batch& batch, int n_shards = 1) : shards(n_shards, 1) {
    nats = loss.forward(model, batch, {});
    loss.backward(1);
    const std::span<const real> g = shards.gradient(model.params());
    gradient.assign(g.begin(), g.end());
  }
};

std::unique_ptr<LanguageModel> small(const std::string& family) {
  return make_model({.model = family, .lines = true, .layers = 1, .heads = 2, .embd = 8, .hidden = 6, .context = 12},
                    6);
}

}  // namespace

TEST_SUITE("pairs") {
  TEST_CASE("pairs: a pair is mark, prompt, mark, reply, mark, and only the reply and its end are scored") {
    const Letters t;
    const int32_t end = 5;
    const Example example = example_of(t.tokenizer, {.prompt = "ab", .reply = "cd"});
    CHECK(example.tokens == std::vector<int32_t>{0, 1, end, 2, 3});
    CHECK(example.given == 3);
    CHECK(answer_to(t.tokenizer, "ab") == std::vector<int32_t>{end, 0, 1, end});
    Batch batch;
    batch.take(t.corpus(12), Split::kAll, 0, 4);
    CHECK(batch.B == 4);
    CHECK(batch.T == 8);
    CHECK(batch.scored == 3 + 6 + 1 + 2);
    const auto row = [&](std::span<const int32_t> all, int64_t b) { return all.subspan(size_t(b * 8), 8); };
    const auto is = [](std::span<const int32_t> got, const std::vector<int32_t>& wanted) {
      return std::ranges::equal(got, wanted);
    };
    constexpr int32_t no = kNoTarget;
    CHECK(is(row(batch.inputs, 0), {end, 0, 1, end, 2, 3, end, end}));
    CHECK(is(row(batch.targets, 0), {no, no, no, 2, 3, end, no, no}));
    CHECK(is(row(batch.inputs, 1), {end, 2, end, 0, 1, 2, 3, 4}));
    CHECK(is(row(batch.targets, 1), {no, no, 0, 1, 2, 3, 4, end}));
    CHECK(is(row(batch.targets, 2), {no, no, no, no, no, no, end, no}));
  }

  TEST_CASE("pairs: a reply is cut to the context as a line is, and a prompt that leaves no room is refused") {
    const Letters t;
    const Corpus cut = t.corpus(7);  // mark abcde mark: the last place that is scored
    CHECK(has(cut.note(), "1 of 4 lines cut"));
    const Window w = cut.window(Split::kAll, 1);
    CHECK(w.inputs.size() == 7);
    CHECK(w.targets.back() == 4);
    CHECK(cut.window(Split::kAll, 2).targets.back() == 5);
    CHECK(complaint<DataError>([&] { t.corpus(6); }) ==
          "pairs.tsv: a prompt has 5 tokens; with its mark it leaves no room for a reply in a context of 6");
    CHECK(has(complaint<DataError>(
                  [&] { const Corpus other({.lines = true, .pairs = true}, t.tokenizer, "ab\tcz\n", kFile); }),
              "pairs.tsv, line 1: in the reply the character 'z'"));
    CHECK(has(complaint<DataError>([] { pairs_of("a\tb\n\tb\n", kFile); }), "pairs.tsv, line 2: has an empty prompt"));
  }

  TEST_CASE("pairs: lines that validate keep their prompts") {
    const Letters t;
    const Corpus corpus({.lines = true, .pairs = true, .val_fraction = 0.5, .random_lines = true}, t.tokenizer, kText,
                        kFile);
    const std::vector<Pair> pairs = pairs_of(kText, kFile);
    for (const Split split : {Split::kTrain, Split::kValidation})
      for (int64_t i = 0; i < corpus.lines(split); ++i) {
        const Pair& pair = pairs[size_t(corpus.source_line(split, i))];
        CHECK(corpus.window(split, i).first_scored == std::ssize(pair.prompt) + 1);
      }
  }

  TEST_CASE("pairs: each prompt once with its references, in the order of the file") {
    const std::vector<Prompt> prompts = prompts_of(pairs_of("a\tb\nc\td\na\te\na\tb\n", kFile));
    REQUIRE(prompts.size() == 2);
    CHECK(prompts[0].text == "a");
    CHECK(prompts[0].references == std::vector<std::string>{"b", "e"});
    CHECK(prompts[1].references == std::vector<std::string>{"d"});
  }

  // What a target in the prompt would be cannot matter to the last bit: other targets there, the same loss and
  // gradient. A window that scores them does not pass: the loss then knows the prompt.
  TEST_CASE("pairs: the loss on a prompt is exactly 0 and has exactly zero gradient") {
    const Letters t;
    const Corpus corpus = t.corpus(12);
    for (const std::string family : {"transformer", "lstm", "rnn", "nnlm"}) {
      CAPTURE(family);
      const auto model = small(family);
      Batch batch;
      batch.take(corpus, Split::kAll, 0, 4);
      {
        Tape tape;
        const Tape::Use use(tape);
        const Tensor losses = token_losses(*model, batch, 0, batch.B);
        for (size_t i = 0; i < batch.targets.size(); ++i)
          CHECK((losses.data()[i] == 0) == (batch.targets[i] == kNoTarget));
        // Weights on the prompts and the padding alone.
        std::vector<real> weights(batch.targets.size());
        for (size_t i = 0; i < weights.size(); ++i) weights[i] = batch.targets[i] == kNoTarget ? 1 : 0;
        tape.seed(losses, weights);
        tape.backward();
        for (const real g : tape.gradient(model->params().array())) CHECK(g == 0);
      }
      const Pass masked(*model, batch);
      for (Window& w : batch.windows) w.first_scored = 0;
      batch.pack();
      CHECK(Pass(*model, batch).nats > masked.nats + 1);
    }
  }

  TEST_CASE("pairs: a batch of mixed lengths is its pairs one by one, in loss and gradient, for any shards") {
    const Letters t;
    const Corpus corpus = t.corpus(12);
    constexpr double kClose = kDouble ? 1e-12 : 2e-5;
    for (const std::string family : {"transformer", "lstm", "rnn", "nnlm"}) {
      CAPTURE(family);
      const auto model = small(family);
      double nats = 0;
      std::vector<double> gradient(size_t(model->params().size()));
      for (int64_t i = 0; i < 4; ++i) {
        Batch one;
        one.take(corpus, Split::kAll, i, 1);
        const Pass pass(*model, one);
        nats += pass.nats;
        for (size_t k = 0; k < gradient.size(); ++k) gradient[k] += double(pass.gradient[k]);
      }
      for (const int shards : {1, 2, 4}) {
        Batch batch;
        batch.take(corpus, Split::kAll, 0, 4);
        const Pass all(*model, batch, shards);
        CHECK(near(all.nats, nats) <= kClose);
        CHECK(near(all.gradient, gradient) <= kClose);
      }
    }
  }

  TEST_CASE("pairs: loss and gradients of a masked batch are PyTorch's, fused and composed") {
    for (const std::string name : {"pairs_transformer", "pairs_lstm"})
      for (const std::string ops : {"fused", "composed"}) {
        CAPTURE(name);
        CAPTURE(ops);
        const Golden golden(name);
        const auto model = testing::golden_model(golden, ops);
        const int32_t mark = int32_t(model->vocabulary() - 1);
        std::vector<Example> examples;
        for (int b = 0; b < 4; ++b) {
          const std::string pair = text("pair/", b, "/");
          std::vector<int32_t> tokens = golden.ids(pair + "prompt"), reply = golden.ids(pair + "reply");
          tokens.push_back(mark);
          const int64_t given = std::ssize(tokens);
          tokens.insert(tokens.end(), reply.begin(), reply.end());
          examples.push_back({tokens, given});
        }
        const Corpus corpus = Corpus::of_examples(examples, mark, 0, 8, name);
        Batch batch;
        batch.take(corpus, Split::kAll, 0, 4);
        CHECK(double(batch.scored) == golden.numbers("scored")[0]);
        const Pass pass(*model, batch, 2);
        constexpr double kClose = kDouble ? 1e-10 : 1e-5;
        const double n = double(batch.scored);
        CHECK(near(pass.nats / n, golden.numbers("loss")[0]) <= kClose);
        const Params& params = model->params();
        for (int64_t i = 0; i < params.count(); ++i) {
          CAPTURE(params.name(i));
          std::vector<double> got, wanted = golden.numbers("grad/" + params.name(i));
          for (int64_t k = 0; k < params.shape(i).numel(); ++k)
            got.push_back(double(pass.gradient[size_t(params.offset(i) + k)]) / n);
          if (params.name(i).ends_with("attn.c_attn.bias")) {  // that of the keys is 0 but for rounding
            const auto third = int64_t(got.size() / 3);
            got.erase(got.begin() + third, got.begin() + 2 * third);
            wanted.erase(wanted.begin() + third, wanted.begin() + 2 * third);
          }
          CHECK(testing::norm_distance(got, wanted) <= kClose);
        }
      }
  }
}
