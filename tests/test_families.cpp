// The families on texts of lines that can be enumerated: probabilities that sum to 1, maximum likelihood where it is
// known, mixed lengths, padding, sampling and scoring. Long, because every promise is kept by all five families.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/run/config.h"
#include "models/sampler.h"
#include "tests/line_world.h"
#include "tests/near.h"

namespace {

using namespace gradus;
using testing::enumerate;
using testing::Enumeration;
using testing::LineWorld;
using Ids = std::vector<int32_t>;

constexpr double kExact = kDouble ? 1e-12 : 2e-5;

const LineWorld& two_words() {
  static const LineWorld world(testing::kTwoWords, "word");
  return world;
}
// Lines of 0 to 5 words, some twice.
const LineWorld& mixed() {
  static const LineWorld world("a b c\n\nb\nc c c c a\na b c\nb a\nd\na b\n\nd d d d\n", "word");
  return world;
}

// Weights so large that tokens and positions differ widely.
void enliven(LanguageModel& model) {
  for (int64_t i = 0; i < model.params().count(); ++i)
    if (model.params().name(i) != "table.weight" && model.params().shape(i).rank() >= 2)
      for (real& w : model.params().edit(i)) w *= model.options().model == "transformer" ? 15 : 2;
}

struct NamedModel {
  std::string name;
  std::unique_ptr<LanguageModel> model;
};
std::vector<NamedModel> all_families(const LineWorld& world) {
  std::vector<NamedModel> all;
  for (const std::string family : {"transformer", "lstm", "rnn", "nnlm", "tabular"})
    all.push_back({family, world.model(family)});
  all.push_back({"rnn, 2 layers", world.model("rnn", [](Config& c) { c.layers = 2; })});
  for (const std::string smoothing : {"none", "add", "kneser-ney"})
    for (const int64_t order : {1, 2, 3, 5})
      all.push_back({text("ngram ", order, " ", smoothing), world.model("ngram", [&](Config& c) {
                       c.order = order;
                       c.smoothing = smoothing;
                       c.alpha = 0.3;
                     })});
  for (NamedModel& n : all) enliven(*n.model);
  return all;
}

// Bound that chi-squared with df degrees of freedom exceeds with probability 1e-3 (Wilson and Hilferty 1931).
double chi_squared_bound(double df) {
  const double a = 2 / (9 * df);
  return df * std::pow(1 - a + 3.0902 * std::sqrt(a), 3);
}

}  // namespace

TEST_SUITE("families") {
  TEST_CASE("families: the probabilities of all sequences sum to 1, cut ones included") {
    for (const LineWorld* world : {&two_words(), &mixed()})
      for (const NamedModel& family : all_families(*world))
        for (const int64_t draws : {1, 2, 5}) {
          INFO(family.name, ", ", draws, " draws");
          const Enumeration all = enumerate(*family.model, world->end_id(), draws);
          CHECK(std::fabs(all.total() - 1) <= kExact);
          if (family.name == "tabular" && draws == 5 && world == &two_words()) CHECK(all.cut.empty());
          if (family.name == "lstm") CHECK(all.cut.size() == size_t(std::pow(world->tokenizer.size() - 1, draws)));
        }
  }

  TEST_CASE("families: a bigram model and a table reproduce the distributions of the articles that `gradus kl` lists") {
    const double q[] = {.4, .3, .2, .1}, p[] = {.3, .4, .2, .1};
    const std::string sentence[] = {"the cat", "the dog", "a cat", "a dog"};
    for (const double* wanted : {q, p}) {
      std::string words;
      for (int s = 0; s < 4; ++s)
        for (int i = 0; i < int(std::lround(10 * wanted[s])); ++i) words += sentence[s] + "\n";
      const LineWorld world(words, "word");
      for (const std::string family : {"ngram", "tabular"}) {
        const auto model = world.model(family, [](Config& c) { c.order = 2; });
        const Enumeration all = enumerate(*model, world.end_id(), 5);
        CHECK(all.ended.size() == 4);
        CHECK(all.cut.empty());
        for (int s = 0; s < 4; ++s) {
          const auto found = all.ended.find(world.ids(sentence[s]));
          REQUIRE(found != all.ended.end());
          CHECK(std::fabs(std::exp(found->second) - wanted[s]) <= (kDouble ? 2e-16 : 1e-7));
        }
      }
    }
  }

  TEST_CASE("families: an order of one knows frequencies, and four know the fourth word") {
    const LineWorld world("a b c d\nb b c e\n", "word");
    const auto ending = [&](int64_t order) {  // log P(d | a b c)
      const auto model = world.model("ngram", [&](Config& c) { c.order = order; });
      const Ids line = world.ids("a b c d");
      return score_sequences(*model, world.end_id(), {&line, 1})[0].back();
    };
    CHECK(std::fabs(ending(1) - std::log(0.1)) <= kExact);  // 8 words and 2 marks
    CHECK(std::fabs(ending(3) - std::log(0.5)) <= kExact);
    CHECK(std::fabs(ending(4)) <= kExact);
  }

  TEST_CASE("families: an n-gram model scores texts at any temperature as its whole distributions say") {
    constexpr double kNear = kDouble ? 1e-11 : 2e-5;
    for (const LineWorld* world : {&two_words(), &mixed()})
      for (const NamedModel& family : all_families(*world)) {
        INFO(family.name);
        CHECK(family.model->direct_scorer(0) == nullptr);
        const bool counts_runs = family.name.starts_with("ngram");
        CHECK((family.model->direct_scorer(2) != nullptr) == counts_runs);
        if (!counts_runs) continue;
        const int64_t V = family.model->vocabulary(), T = 6;
        for (const double temperature : {1e-310, 1e-9, 0.05, 0.7, 1.0, 3.0, 1e6}) {
          INFO(temperature);
          SequenceScorer score(*family.model, world->end_id(), temperature);  // it remembers sums from line to line
          for (int64_t line = 0; line < 30; ++line) {
            const Rng rng(7, Stream::kSample, line);
            Ids ids;
            for (int64_t t = 0; t < T; ++t) ids.push_back(int32_t(double(V) * rng.uniform(t)));
            const std::vector<double> got = score({&ids, 1})[0];
            Ids inputs{world->end_id()};
            inputs.insert(inputs.end(), ids.begin(), ids.end() - 1);
            Tape tape;
            const Tape::Use use(tape);
            const Tensor logits = family.model->logits(inputs, 1, T);
            std::vector<double> log_p(static_cast<size_t>(V));
            for (int64_t t = 0; t < T; ++t) {
              log_distribution(logits.span().subspan(size_t(t * V), size_t(V)), temperature, log_p);
              const double x = got[size_t(t)], wanted = log_p[size_t(ids[size_t(t)])];
              INFO(x, " where ", wanted, " is right");
              if (temperature >= 0.05 && std::isfinite(wanted))
                CHECK(std::fabs(x - wanted) <= kNear * (1 + std::fabs(wanted)) / std::min(1.0, temperature));
              else if (wanted < -1e6)  // below 0.05 a rounded logit decides which of nearly equal tokens is drawn
                CHECK(x < -1e5);
              else
                CHECK(x <= 1e-12);
            }
          }
        }
      }
  }

  TEST_CASE("families: smoothing, worked out by hand") {
    const LineWorld& world = two_words();
    const auto p = [&](const std::string& smoothing, int64_t order, const std::string& before,
                       const std::string& word) {
      const auto model = world.model("ngram", [&](Config& c) {
        c.order = order;
        c.smoothing = smoothing;
        c.alpha = 0.5;
      });
      Ids line = world.ids(before);
      line.push_back(word.empty() ? world.end_id() : world.ids(word)[0]);
      return std::exp(score_sequences(*model, world.end_id(), {&line, 1})[0].back());
    };
    const auto is = [](double got, double wanted) {
      INFO(got, " where ", wanted, " is right");
      CHECK(std::fabs(got - wanted) <= kExact);
    };
    is(p("add", 2, "the", "cat"), 4.5 / 9.5);
    is(p("add", 2, "the", "a"), 0.5 / 9.5);
    is(p("add", 3, "", "the"), 7.5 / 12.5);
    is(p("add", 3, "dog dog", "dog"), 0.2);  // never seen before: uniform
    // Continuations: the 1, a 1, cat 2, dog 2, mark 2, so D = 2/(2+6); bigrams 7 3 4 3 2 1 6 4, so D = 1/(1+2).
    is(p("kneser-ney", 1, "", "the"),
       (7 - 1 / 3.) / 30 + 5 / 3. / 30 / 5);  // an order of one counts tokens: 7 3 6 4 10
    is(p("kneser-ney", 2, "the", "cat"), (4 - 1 / 3.) / 7 + 2 / 3. / 7 * 0.25);
    is(p("kneser-ney", 2, "the", "a"), 2 / 3. / 7 * 0.125);
    is(p("kneser-ney", 2, "", "the"), (7 - 1 / 3.) / 10 + 2 / 3. / 10 * 0.125);
    // Order 3: runs of two that begin with the mark keep 7 and 3, the others have 1 1 1 1 2 2, so D = 4/(4+4).
    is(p("kneser-ney", 3, "", "the"), 6.5 / 10 + 0.1 * 0.125);
    is(p("kneser-ney", 3, "a dog", "the"), p("kneser-ney", 3, "a dog", "a"));
    // Without smoothing: 0 and never NaN; a beginning that was never seen leaves its end to decide.
    CHECK(p("none", 2, "the", "a") == 0);
    CHECK(p("none", 2, "the", "") == 0);
    is(p("none", 3, "dog the", "cat"), 4 / 7.);
  }

  TEST_CASE("families: maximum likelihood on the ten sentences ends at their entropy") {
    const LineWorld& world = two_words();
    for (const std::string family : {"ngram", "tabular", "nnlm", "rnn", "lstm", "transformer"}) {
      const auto model = world.model(family, [](Config& c) { c.embd = c.hidden = 16; });
      const Corpus corpus = world.corpus(model->options().model);
      const double nats = family_of(family).counted() ? testing::nats_per_line(*model, corpus)
                                                      : testing::fit(*model, corpus, 600, 2e-2);
      INFO(family, ": ", nats, " nats a sentence");
      CHECK(nats - testing::kTwoWordsEntropy < 1e-3);  // which is KL(data, model)
      CHECK(nats - testing::kTwoWordsEntropy > (kDouble ? -1e-13 : -1e-6));
      if (family_of(family).counted()) CHECK(std::fabs(nats - testing::kTwoWordsEntropy) < (kDouble ? 1e-13 : 1e-6));
    }
  }

  TEST_CASE("families: a table is trained like any model, and its mask stays") {
    const LineWorld& world = two_words();
    const auto model = world.model("tabular");
    const auto exact = enumerate(*model, world.end_id(), 4);
    for (real& w : model->params().edit()) w = 0;
    const Corpus corpus = world.corpus(model->options().model);
    CHECK(testing::nats_per_line(*model, corpus) > testing::kTwoWordsEntropy + 0.1);  // all four alike
    CHECK(testing::fit(*model, corpus, 250, 5e-2) - testing::kTwoWordsEntropy < 1e-3);
    const auto trained = enumerate(*model, world.end_id(), 4);
    CHECK(trained.ended.size() == exact.ended.size());
    CHECK(trained.cut.empty());
    const auto unseen = model->params().values(0).last(size_t(world.tokenizer.size()));
    CHECK(std::all_of(unseen.begin(), unseen.end(), [](real w) { return w == 0; }));
  }

  TEST_CASE("families: a beginning that the table has never seen goes on uniformly, without end") {
    const LineWorld& world = two_words();
    const auto model = world.model("tabular");
    const auto uniform = [&](const Ids& tokens) {
      return score_sequences(*model, world.end_id(), {&tokens, 1})[0].back();
    };
    Ids tokens = world.ids("the the");
    CHECK(uniform(tokens) == -INFINITY);
    tokens.push_back(0);
    CHECK(std::fabs(uniform(tokens) + std::log(5.0)) <= kExact);
    tokens.push_back(world.end_id());
    CHECK(std::fabs(uniform(tokens) + std::log(5.0)) <= kExact);
    tokens = {world.end_id()};
    CHECK(uniform(tokens) == -INFINITY);  // no line is empty
  }

  TEST_CASE("families: a table's features are one-hot, and its head finds the row") {
    const LineWorld& world = mixed();
    const auto model = world.model("tabular");
    const Corpus corpus = world.corpus(model->options().model);
    Batch batch;
    batch.take(corpus, Split::kAll, 0, 10);
    Tape tape;
    const Tape::Use use(tape);
    const Tensor features = model->features(batch.inputs, batch.B, batch.T);
    for (int64_t n = 0; n < features.dim(0); ++n) {
      const auto row = features.rows(n, 1).span();
      CHECK(std::count(row.begin(), row.end(), real(1)) == 1);
      CHECK(std::count(row.begin(), row.end(), real(0)) == features.dim(1) - 1);
    }
    const Tensor a = model->head(features), b = model->logits(batch.inputs, batch.B, batch.T);
    CHECK(first_difference(a.span(), b.span()) == -1);
  }

  TEST_CASE("families: a batch of mixed lengths equals its lines one by one, and padding is nothing") {
    const LineWorld& world = mixed();
    for (const NamedModel& family : all_families(world)) {
      INFO(family.name);
      const Corpus corpus = world.corpus(family.model->options().model);
      const bool trained = family.model->params().count() > 0;
      Shards shards(1, 1);
      const auto run = [&](Batch& batch, double weight) {
        BatchLoss loss(shards);
        const double nats = loss.forward(*family.model, batch, {});
        if (trained) loss.backward(weight);
        return nats;
      };
      const auto gradient = [&] {
        const auto g = trained ? shards.gradient(family.model->params()) : std::span<const real>();
        return std::vector<double>(g.begin(), g.end());
      };
      Batch batch, one;
      batch.take(corpus, Split::kAll, 0, 10);
      CHECK(batch.B == 10);
      CHECK(batch.T == 6);
      CHECK(batch.scored == 31);  // 21 words and 10 marks
      const double weight = 1 / 31.0, loss = run(batch, weight);
      const std::vector<double> g = gradient();
      double sum = 0;
      std::vector<double> total(g.size());
      for (int64_t i = 0; i < 10; ++i) {
        one.take(corpus, Split::kAll, i, 1);
        sum += run(one, weight);
        const std::vector<double> part = gradient();
        for (size_t j = 0; j < g.size(); ++j) total[j] += part[j];
      }
      CHECK(near(loss, sum) <= kExact);
      if (trained) CHECK(near(g, total, 0.01) <= kExact);

      for (int64_t b = 0; b < batch.B; ++b)
        for (int64_t t = int64_t(batch.windows[size_t(b)].inputs.size()); t < batch.T; ++t)
          batch.inputs[size_t(b * batch.T + t)] = int32_t((b + 2 * t) % world.tokenizer.size());
      CHECK(run(batch, weight) == loss);
      CHECK(first_difference(gradient(), g) == -1);
    }
    // Not even a NaN behind the end counts, in the one loss.
    Tape tape;
    const Tape::Use use(tape);
    const std::vector<real> z{1, 2, real(NAN), real(NAN)};
    const Tensor logits = variable("logits", {2, 2}, z);
    const Tensor loss = softmax_cross_entropy(logits, Ids{0, kNoTarget});
    tape.backward(sum(loss));
    CHECK(std::isfinite(double(loss.data()[0])));
    CHECK(loss.data()[1] == 0);
    CHECK(logits.grad()[2] == 0);
    CHECK(logits.grad()[3] == 0);
  }

  TEST_CASE("families: the score of a sequence is what the sampler said of it, and what training says") {
    for (const LineWorld* world : {&two_words(), &mixed()})
      for (const NamedModel& family : all_families(*world))
        for (const double temperature : {1.0, 0.7}) {
          INFO(family.name);
          const SampleOptions options{.temperature = temperature};
          const Ids prompt{world->end_id()}, of(7, 0);
          Tape sampling;
          const Tape::Use use_sampling(sampling);
          Sampler sampler(*family.model, {&prompt, 1}, of, options, Rng(5, Stream::kSample));
          std::vector<Ids> drawn(7);
          std::vector<std::vector<double>> said(7);
          for (int t = 0; t < 20; ++t) {  // beyond the context of 8, and beyond the end
            sampler.next();
            REQUIRE(sampler.draws().size() == 7);
            for (const auto& [s, token, log_prob, likeliest] : sampler.draws()) {
              drawn[size_t(s)].push_back(token);
              said[size_t(s)].push_back(log_prob);
            }
          }
          const auto scores = score_sequences(*family.model, world->end_id(), drawn, options.temperature);
          for (size_t s = 0; s < 7; ++s) {
            CHECK(near(scores[s], said[s], 1).absolute <= kExact);
            if (temperature != 1) continue;
            Tape tape;
            const Tape::Use use(tape);
            Ids inputs{world->end_id()};
            inputs.insert(inputs.end(), drawn[s].begin(), drawn[s].begin() + 7);
            const Tensor log_p = log_softmax(family.model->logits(inputs, 1, 8));
            for (int64_t t = 0; t < 8; ++t) {
              const double forced = double(log_p.rows(t, 1).span()[size_t(drawn[s][size_t(t)])]);
              CHECK(std::fabs(forced - scores[s][size_t(t)]) <= kExact);
            }
          }
        }
  }

  TEST_CASE(
      "families: sequences are the same drawn in groups on two threads, one by one, and behind prompts of any length") {
    const LineWorld& world = mixed();
    for (const NamedModel& family : all_families(world))
      for (const SampleOptions& how : {SampleOptions{}, {.temperature = 0}, {.top_k = 2}, {.top_p = 0.8}}) {
        INFO(family.name, ", temperature ", how.temperature, ", top-k ", how.top_k, ", top-p ", how.top_p);
        SampleOptions options = how;
        options.end_id = world.end_id();
        options.max_tokens = 20;
        const Rng rng(5, Stream::kSample);
        const std::vector<Ids> prompts{{world.end_id()}, {world.end_id(), 0, 1}, {world.end_id(), 1}};
        Pool one(1), two(2);
        const int64_t count = side_by_side(*family.model) + 9;  // a whole group and a part of one
        Ids watched;
        const auto watch = [&](const Sampler::Draw& draw) { watched.push_back(draw.token); };
        const std::vector<Drawn> all = draw_sequences(*family.model, prompts[0], 3, count, options, rng, two, watch);
        const std::vector<Drawn> again = draw_sequences(*family.model, prompts[0], 3, count, options, rng, one);
        REQUIRE(int64_t(all.size()) == count);
        CHECK(watched == all[0].tokens);
        Tape tape;
        const Tape::Use use(tape);
        const auto alone = [&](const Ids& prompt, int64_t sequence) {
          return draw_sequences(*family.model, {&prompt, 1}, Ids{0}, options, rng, sequence)[0];
        };
        for (size_t s = 0; s < all.size(); ++s) {
          CHECK(all[s].tokens == again[s].tokens);
          CHECK(all[s].log_probs == again[s].log_probs);  // bit for bit
          const Drawn single = alone(prompts[0], 3 + int64_t(s));
          REQUIRE(single.tokens == all[s].tokens);
          CHECK(near(single.log_probs, all[s].log_probs, 1).absolute <= kExact);
          const auto end = std::find(single.tokens.begin(), single.tokens.end(), world.end_id());
          CHECK(end >= single.tokens.end() - 1);  // nothing follows the end mark
          CHECK((end < single.tokens.end() || single.tokens.size() == 20));
        }
        const Ids of{0, 1, 2, 1, 0};
        const std::vector<Drawn> mixed_prompts = draw_sequences(*family.model, prompts, of, options, rng, 7);
        for (size_t s = 0; s < of.size(); ++s)
          CHECK(mixed_prompts[s].tokens == alone(prompts[size_t(of[s])], 7 + int64_t(s)).tokens);
      }
  }

  // False alarms: 1e-3 for each of four comparisons; the seed is fixed.
  TEST_CASE("families: what a state looks up of the weights is made once, and again when they change") {
    for (const std::string family : {"lstm", "rnn"}) {
      INFO(family);
      const auto model = mixed().model(family);
      enliven(*model);
      Tape tape;
      const Tape::Use use(tape);
      const Ids tokens{1, 0, 2};
      const auto next = [&](State& state) {
        const std::span<const real> z = model->next(state, tokens).span();
        return std::vector<real>(z.begin(), z.end());
      };
      State state = model->start(3);
      next(state);
      const auto made = state.prepared;
      REQUIRE(made);
      CHECK(made->numbers.size() == size_t(model->vocabulary() * (family == "lstm" ? 4 : 1) * model->options().hidden));
      next(state);
      CHECK(state.prepared == made);
      State stale = state, fresh = state;
      fresh.prepared = nullptr;
      const std::vector<real> before = next(state);
      for (real& w : model->params().edit(0)) w += real(0.5);  // the embedding
      const std::vector<real> after = next(stale);
      CHECK(after == next(fresh));  // bit for bit
      CHECK(after != before);

      // A weight that is bound on this tape is the one that counts.
      const int64_t w_ih = 1;
      REQUIRE(model->params().name(w_ih).find("weight_ih") != std::string::npos);
      State bound = fresh;
      const std::vector<real> free = next(fresh);
      tape.bind(model->params().tensor(w_ih), constant(model->params().shape(w_ih), 0));
      CHECK(next(bound) != free);
    }
  }

  TEST_CASE("families: a hundred thousand samples follow the enumerated table") {
    const LineWorld& world = mixed();
    constexpr int64_t kSamples = 100000, kRows = 5000, kDraws = 3;
    for (const std::string family : {"lstm", "tabular", "ngram", "transformer"}) {
      const auto model = world.model(family, [](Config& c) { c.smoothing = "kneser-ney", c.embd = 4, c.context = 4; });
      if (family == "lstm") enliven(*model);
      const Enumeration all = enumerate(*model, world.end_id(), kDraws);
      std::map<Ids, double> seen;
      for (int64_t first = 0; first < kSamples; first += kRows) {
        const Ids prompt{world.end_id()}, of(size_t(kRows), 0);
        Tape tape;
        const Tape::Use use(tape);
        const SampleOptions options{.end_id = world.end_id(), .max_tokens = kDraws};
        for (const Drawn& d : draw_sequences(*model, {&prompt, 1}, of, options, Rng(3, Stream::kSample), first))
          ++seen[d.tokens];
      }
      double chi2 = 0, df = -1, rest_seen = 0, rest = 0, counted = 0;
      const auto compare = [&](Ids tokens, double log_prob, bool ended) {
        if (ended) tokens.push_back(world.end_id());
        const double expected = double(kSamples) * std::exp(log_prob);
        const auto found = seen.find(tokens);
        const double n = found == seen.end() ? 0 : found->second;
        counted += n;
        if (expected < 10) {  // together
          rest += expected, rest_seen += n;
          return;
        }
        chi2 += (n - expected) * (n - expected) / expected;
        ++df;
      };
      for (const auto& [tokens, log_prob] : all.ended) compare(tokens, log_prob, true);
      for (const auto& [tokens, log_prob] : all.cut) compare(tokens, log_prob, false);
      if (rest > 0) chi2 += (rest_seen - rest) * (rest_seen - rest) / rest, ++df;
      INFO(family, ": chi2 ", chi2, " with ", df, " degrees of freedom");
      CHECK(counted == double(kSamples));  // nothing but what was enumerated
      CHECK(df >= 5);
      CHECK(chi2 < chi_squared_bound(df));
    }
  }

  TEST_CASE("families: temperature, top-k and top-p are what their definitions say") {
    const std::vector<real> rows[] = {{real(0.3), real(-1), real(2), real(0.3), real(1.5), real(-INFINITY)},
                                      {0, 0, 0, 0},
                                      {real(-INFINITY), 5, real(-INFINITY)},
                                      {real(-700), real(700), 0}};
    for (const std::vector<real>& z : rows)
      for (const double temperature : {0.0, 0.5, 1.0, 2.0})
        for (const int64_t k : {0, 1, 2, 3, 100})
          for (const double top_p : {1.0, 0.9, 0.5, 1e-9}) {
            INFO("temperature ", temperature, ", top-k ", k, ", top-p ", top_p);
            const size_t V = z.size();
            std::vector<int32_t> rank(V);
            std::iota(rank.begin(), rank.end(), 0);
            std::stable_sort(rank.begin(), rank.end(),
                             [&](int32_t a, int32_t b) { return z[size_t(a)] > z[size_t(b)]; });
            std::vector<double> wanted(V, 0);
            double log_sum = 0;
            if (temperature == 0) {
              wanted[size_t(rank[0])] = 1;
            } else {
              double total = 0;
              for (const real x : z) total += std::exp((double(x) - double(z[size_t(rank[0])])) / temperature);
              log_sum = std::log(total);
              double kept = 0, all_k = 0;
              std::vector<double> p(V);
              for (size_t v = 0; v < V; ++v)
                p[v] = std::exp((double(z[v]) - double(z[size_t(rank[0])])) / temperature - log_sum);
              const size_t most = k > 0 ? std::min(size_t(k), V) : V;
              for (size_t i = 0; i < most; ++i) all_k += p[size_t(rank[i])];
              for (size_t i = 0; i < most && (i == 0 || top_p == 1 || kept / all_k < top_p - 1e-15); ++i) {
                wanted[size_t(rank[i])] = p[size_t(rank[i])];
                kept += p[size_t(rank[i])];
              }
              for (double& x : wanted) x /= kept;
            }
            std::vector<double> p(V);
            std::vector<int32_t> order(V);
            std::vector<double> log_p(V);
            sampling_distribution(z, {temperature, k, top_p}, log_p, p, order);
            CHECK(near(p, wanted) <= 1e-12);
            if (temperature > 0)
              for (size_t v = 0; v < V; ++v) {
                const double expected = (double(z[v]) - double(z[size_t(rank[0])])) / temperature - log_sum;
                CHECK((log_p[v] == expected ||
                       std::fabs(log_p[v] - expected) <= 1e-12 * std::max(1.0, std::fabs(expected))));
              }
          }
  }

  TEST_CASE("families: an n-gram model keeps no memory beside its results") {
    const LineWorld& world = two_words();
    const auto model = world.model("ngram");
    Tape tape;
    const Tape::Use use(tape);
    const int64_t B = 8, T = 32;
    const Tensor y = model->features(Ids(size_t(B * T), world.end_id()), B, T);
    CHECK(tape.arena().used() <= size_t(y.numel()) * sizeof(real) + 4096);
  }

  TEST_CASE("families: what is counted needs a table that counting can make") {
    const LineWorld& world = two_words();
    const Config config = world.config("ngram");
    const std::vector<double> good = count_tokens(config, world.corpus(config));
    const auto refuses = [&](size_t at, double value) {
      std::vector<double> bad = good;
      bad[at] = value;
      CHECK_THROWS_AS(make_model(config, world.tokenizer.size(), INT64_MAX, bad), DataError);
    };
    CHECK_NOTHROW(make_model(config, world.tokenizer.size(), INT64_MAX, good));
    for (const size_t at : {size_t(0), size_t(3), good.size() - 3}) {
      for (const double value : {-1.0, 0.5, 1e6, double(NAN), double(INFINITY)}) refuses(at, value);
      for (const double value : {-1.0, 0.5, 5.0, double(NAN)}) refuses(at + 1, value);
      for (const double value : {0.0, -1.0, 0.5, 1e17, double(NAN)}) refuses(at + 2, value);
    }
    CHECK_THROWS_AS(make_model(config, 5, INT64_MAX, {}), DataError);
    CHECK_THROWS_AS(make_model(config, 5, INT64_MAX, {0, 1}), DataError);
    CHECK_THROWS_AS(make_model(world.config("tabular"), 5, 10, good), DataError);  // more parameters than there is room
  }
}
