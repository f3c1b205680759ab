// Classifiers: gradients, padding that reaches nothing, what they learn from labels and what from shuffled ones.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/gradcheck.h"
#include "models/classifier.h"
#include "models/families.h"
#include "models/loss.h"
#include "models/run/judge.h"
#include "models/text/labels.h"
#include "tests/near.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using Ids = std::vector<int32_t>;

constexpr int64_t kV = 7, kLabels = 3;

Config small(const std::string& encoder, const std::string& pool, const char* ops = "fused") {
  Config c;
  c.model = encoder_of(encoder).name;
  c.lines = true;
  c.end_id = int32_t(kV) - 1;
  c.layers = 1;
  c.heads = 2;
  c.embd = 6;
  c.hidden = 5;
  c.context = 8;
  c.labels = kLabels;
  c.pool = pool;
  c.ops = ops;
  c.resolve(1);
  return c;
}

// Away from the linear middle, and with a head that is not 0.
std::unique_ptr<LanguageModel> lively(const Config& c) {
  auto model = make_model(c, kV);
  const Rng rng(3, Stream::kTest);
  int64_t n = 0;
  for (int64_t i = 0; i < model->params().count(); ++i)
    for (real& w : model->params().edit(i)) w += real(0.4 * rng.normal(n++));
  return model;
}

struct Kind {
  std::string encoder, pool;
};
std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (const std::string& encoder : encoders())
    for (const std::string& pool : names_of(kPoolings)) all.push_back({encoder, pool});
  return all;
}

// Three texts, padded with `pad` to five tokens.
struct Padded {
  static constexpr int64_t B = 3, T = 5;
  Ids tokens, lengths{3, 5, 1}, label{2, 0, 1};
  explicit Padded(int32_t pad) : tokens{6, 1, 4, pad, pad, 6, 2, 2, 0, 5, 6, pad, pad, pad, pad} {}
  Ids targets() const {
    Ids all(size_t(B * T), kNoTarget);
    for (size_t b = 0; b < size_t(B); ++b) all[b * size_t(T) + size_t(lengths[b]) - 1] = label[b];
    return all;
  }
  Ids text(size_t b) const {
    const auto begin = tokens.begin() + std::ptrdiff_t(b) * T;
    return {begin, begin + lengths[b]};
  }
};

// Lines of words among which one says the label; the others say nothing.
struct World {
  std::vector<std::string> labels{"down", "up"};
  std::string train, test;
  // With `shuffled`, labels that have nothing to do with the texts.
  explicit World(bool shuffled) {
    const char* const words[] = {"the", "price", "of", "tea", "went", "today", "again"};
    const Rng rng(11, Stream::kTest);
    int64_t n = 0;
    for (std::string* part : {&train, &test})
      for (int64_t line = 0; line < 240; ++line) {
        const int64_t length = 2 + rng.below(n++, 6), at = rng.below(n++, length), kind = rng.below(n++, 2);
        const int64_t label = shuffled ? rng.below(n, 2) : kind;
        ++n;
        *part += labels[size_t(label)] + "\t";
        for (int64_t i = 0; i < length; ++i)
          *part += (i > 0 ? " " : "") + (i == at ? std::string(kind ? "rose" : "fell") : words[rng.below(n++, 7)]);
        *part += "\n";
      }
  }
};

Checkpoint trained(const World& world, const std::string& encoder, const std::string& pool, int64_t steps) {
  Config c = small(encoder, pool);
  c.tokenizer = "word";
  c.embd = c.hidden = 16;
  c.labels = 2;
  c.val_fraction = 0;
  c.batch = 24;
  c.steps = steps;
  const std::vector<Labelled> rows = labelled_of(world.train, "train");
  Tokenizer tokenizer = Tokenizer::from_lines("word", texts_of(rows));
  c.end_id = tokenizer.end_id();
  CorpusOptions cut = c.corpus();
  cut.labels = world.labels;
  const Corpus corpus(cut, tokenizer, world.train, "train");
  auto model = make_model(c, tokenizer.size());
  AdamW optimizer(model->params(), {.weight_decay = 0});
  const Schedule schedule{.lr = 1e-2, .min_lr = 1e-4, .warmup = 10, .decay = steps};
  Shards shards(1, 1);
  BatchLoss loss(shards);
  Batch batch;
  for (int64_t step = 1; step <= steps; ++step) {
    batch.draw(corpus, Split::kTrain, Rng(1, Stream::kBatch, step), 0, c.batch);
    CHECK(batch.scored == c.batch);
    const double nats = loss.forward(*model, batch, {.seed = 1, .step = step, .training = true});
    if (step == 1) CHECK(std::fabs(nats / double(c.batch) - std::log(2.0)) <= 1e-6);  // the head begins at 0
    loss.backward(1 / double(batch.scored));
    const auto g = shards.gradient(model->params());
    optimizer.step(model->params(), g, schedule.at(step), clip_factor(gradient_norm(g), 1));
  }
  const int32_t start = tokenizer.end_id();
  return {.config = c,
          .tokenizer = std::move(tokenizer),
          .model = std::move(model),
          .optimizer = {},
          .step = steps,
          .best_val_loss = {},
          .start_id = start,
          .corpus = {},
          .corpus_hash = "",
          .blas_core = "",
          .labels = world.labels};
}

double accuracy(const Checkpoint& run, const std::string& content) {
  std::vector<Ids> ids;
  const std::vector<Labelled> rows = labelled_of(content, "text");
  for (const Labelled& row : rows) ids.push_back(read_by(run, row.text));
  const std::vector<Judgement> judged = judge(run, ids);
  int64_t right = 0;
  for (size_t i = 0; i < rows.size(); ++i) right += run.labels[judged[i].likeliest()] == rows[i].label;
  return double(right) / double(rows.size());
}

}  // namespace

TEST_SUITE("classifier") {
  TEST_CASE("classifier: the gradient of every parameter, with dropout and padding, for every encoder and pooling") {
    for (const auto& kind : kinds())
      for (const char* ops : {"fused", "composed"}) {
        INFO(kind.encoder, " ", kind.pool, " ", ops);
        Config c = small(kind.encoder, kind.pool, ops);
        c.dropout = 0.2;
        const auto model = lively(c);
        const Padded batch(3);
        const GradCheck check =
            check_parameters("classifier", model->params(),
                             [&](std::span<const Tensor>) {
                               return sum(model->losses(batch.tokens, batch.targets(), Padded::B, Padded::T));
                             },
                             {.retries = 1, .info = {.seed = 1, .step = 2, .training = true, .sequences = Padded::B}});
        INFO(check);
        CHECK(check.passes());
        CHECK(check.elements == model->params().size());
      }
  }

  TEST_CASE("classifier: padding reaches no logit and no gradient, whatever its id, to the last bit") {
    for (const auto& kind : kinds())
      for (const char* ops : {"fused", "composed"}) {
        INFO(kind.encoder, " ", kind.pool, " ", ops);
        const auto model = lively(small(kind.encoder, kind.pool, ops));
        std::vector<std::vector<real>> logits, gradients;
        for (const int32_t pad : {0, 3, 6}) {
          const Padded batch(pad);
          Tape tape;
          const Tape::Use use(tape);
          tape.new_step({.sequences = Padded::B});
          const Tensor z = label_logits(*model, batch.tokens, batch.lengths, Padded::B, Padded::T);
          logits.emplace_back(z.span().begin(), z.span().end());
          tape.backward(sum(model->losses(batch.tokens, batch.targets(), Padded::B, Padded::T)));
          const auto g = tape.gradient(model->params().array());
          gradients.emplace_back(g.begin(), g.end());
        }
        for (size_t i = 1; i < logits.size(); ++i) {
          CHECK(first_difference(logits[i], logits[0]) == -1);
          CHECK(first_difference(gradients[i], gradients[0]) == -1);
        }
      }
  }

  TEST_CASE("classifier: a batch of mixed lengths is the texts one by one") {
    constexpr double kSame = kDouble ? 1e-12 : 1e-5;
    for (const Kind& kind : kinds()) {
      const auto& [encoder, pool] = kind;
      INFO(kind.encoder, " ", kind.pool);
      const auto model = lively(small(encoder, pool));
      const Padded batch(3);
      Tape tape;
      const Tape::Use use(tape);
      tape.new_step({.sequences = Padded::B});
      const Tensor all = label_logits(*model, batch.tokens, batch.lengths, Padded::B, Padded::T);
      CHECK(near(all.rows(0, 1).span(), all.rows(1, 1).span()) > 1e-3);
      tape.backward(sum(model->losses(batch.tokens, batch.targets(), Padded::B, Padded::T)));
      const auto whole = tape.gradient(model->params().array());
      std::vector<double> sum_of_ones(whole.size());
      for (size_t b = 0; b < 3; ++b) {
        const Ids text = batch.text(b);
        const int64_t n = std::ssize(text);
        Tape alone;
        const Tape::Use use_alone(alone);
        const Ids lengths{int32_t(n)};
        const Tensor one = label_logits(*model, text, lengths, 1, n);
        CHECK(near(one.span(), all.rows(int64_t(b), 1).span()) <= kSame);
        Ids target(size_t(n), kNoTarget);
        target.back() = batch.label[b];
        alone.backward(sum(model->losses(text, target, 1, n)));
        const auto g = alone.gradient(model->params().array());
        for (size_t i = 0; i < g.size(); ++i) sum_of_ones[i] += double(g[i]);
      }
      CHECK(near(whole, sum_of_ones) <= kSame);
    }
  }

  TEST_CASE("classifier: the end and the mean of features, by hand") {
    Tape tape;
    const Tape::Use use(tape);
    const std::vector<real> numbers{1, 2, 3, 4, 5, 9, 7, 8, 9, 10, -1, -2};
    const Tensor features = constant({6, 2}, numbers);  // two sequences of three tokens
    const Ids lengths{2, 3};
    const Tensor end = pooled(features, lengths, 2, 3, Pooling::kEnd),
                 mean = pooled(features, lengths, 2, 3, Pooling::kMean);
    CHECK(near(end.span(), std::vector<double>{3, 4, -1, -2}) <= 0);
    CHECK(near(mean.span(), std::vector<double>{2, 3, 5, 16.0 / 3}) <= 1e-6);
  }

  TEST_CASE("classifier: a word that says the label is found; labels that say nothing leave it at chance") {
    const World world(false), chance(true);
    for (const Kind& kind : kinds()) {
      const auto& [encoder, pool] = kind;
      INFO(kind.encoder, " ", kind.pool);
      const Checkpoint run = trained(world, encoder, pool, 120);
      const std::vector<real> before(run.model->params().data().begin(), run.model->params().data().end());
      CHECK(accuracy(run, world.test) >= 0.95);
      CHECK(first_difference(run.model->params().data(), before) == -1);  // evaluation changes nothing
      // Of 240 fair coins a share outside 0.5 ± 0.11 has probability 6e-4.
      CHECK(std::fabs(accuracy(trained(chance, encoder, pool, 60), chance.test) - 0.5) <= 0.11);
    }
  }

  TEST_CASE("classifier: what judge() says is the softmax of the logits, and it reads no further than the context") {
    const World world(false);
    const Checkpoint run = trained(world, "transformer", "mean", 5);
    std::vector<Ids> ids;
    int64_t cut = 0;
    for (const char* text : {"the price rose", "", "tea", "of of of of of of of of of of"})
      ids.push_back(read_by(run, text, &cut));
    CHECK(cut == 1);
    CHECK(read_by(run, "of of of of of of of", &cut).size() == 8);
    CHECK(cut == 1);
    CHECK(ids[1] == Ids{run.tokenizer.end_id()});
    CHECK(ids[3].size() == 8);
    const std::vector<Judgement> judged = judge(run, ids);
    for (size_t i = 0; i < ids.size(); ++i) {
      Tape tape;
      const Tape::Use use(tape);
      const Ids lengths{int32_t(ids[i].size())};
      const auto z = label_logits(*run.model, ids[i], lengths, 1, std::ssize(ids[i])).span();
      const double p = 1 / (1 + std::exp(double(z[1]) - double(z[0])));
      CHECK(std::fabs(judged[i].probability[0] - p) <= (kDouble ? 1e-12 : 1e-5));
      CHECK(std::fabs(judged[i].probability[0] + judged[i].probability[1] - 1) <= 1e-12);
    }
    CHECK(has(complaint<DataError>([&] { read_by(run, "the price of coffee"); }), "coffee"));
  }

  TEST_CASE("classifier: a checkpoint keeps labels, pooling and weights, and refuses to write text") {
    const Folder folder;
    const World world(false);
    const Checkpoint run = trained(world, "lstm", "mean", 5);
    run.save(folder / "run");
    const Checkpoint back = load_classifier(folder / "run");
    CHECK(back.labels == run.labels);
    CHECK(back.config.pool == "mean");
    CHECK(first_difference(back.model->params().data(), run.model->params().data()) == -1);
    CHECK(back.model->params().find("head.weight") == -1);  // it predicts no tokens
    CHECK(has(complaint<DataError>([&] { load_checkpoint(folder / "run"); }), "is a classifier"));
    CHECK(has(complaint<DataError>([&] { back.model->start(1); }), "does not write"));
    Config tabular = run.config;
    tabular.model = "tabular";
    CHECK(has(complaint<DataError>([&] { declare_model(tabular, 5); }), "one of transformer, lstm, rnn"));
    CHECK(has(complaint<DataError>([&] { encoder_of("gpt"); }), "there is no encoder 'gpt'"));
  }
}
