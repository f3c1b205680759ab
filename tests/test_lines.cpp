// models/text/corpus.h: lines of every kind become sequences, in splits, and batches of both kinds of text.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "engine/ops.h"
#include "models/run/config.h"
#include "models/text/corpus.h"
#include "models/text/read_text.h"
#include "models/yardsticks.h"
#include "tests/line_world.h"

namespace {

using namespace gradus;
using Ids = std::vector<int32_t>;

constexpr int32_t kEnd = 9;
constexpr double kRounding = sizeof(real) == 4 ? 1e-6 : 1e-14;  // of a mean of losses

Ids copy(std::span<const int32_t> s) { return Ids(s.begin(), s.end()); }
Corpus corpus_of(const std::vector<Ids>& lines, double val_fraction = 0, int64_t context = 8) {
  return Corpus::of_lines(lines, kEnd, val_fraction, context, "t.txt");
}
void check_line(const Window& w, const Ids& inputs, const Ids& targets) {
  CHECK(copy(w.inputs) == inputs);
  CHECK(copy(w.targets) == targets);
  CHECK(w.first_scored == 0);
}

}  // namespace

TEST_SUITE("lines") {
  TEST_CASE("lines: a text is cut at its line ends, of either kind, and an empty line is a line") {
    using Lines = std::vector<std::string_view>;
    CHECK(split_lines("a\nbc\n") == Lines{"a", "bc"});
    CHECK(split_lines("a\nbc") == Lines{"a", "bc"});
    CHECK(split_lines("a\r\nbc\r\n") == Lines{"a", "bc"});
    CHECK(split_lines("a\r\nb\rc\n") == Lines{"a", "b\rc"});
    CHECK(split_lines("a\r") == Lines{"a\r"});  // without \n it is a character
    CHECK(split_lines("\n\na\n\n") == Lines{"", "", "a", ""});
    CHECK(split_lines("\r\n") == Lines{""});
    CHECK(split_lines("").empty());
  }

  TEST_CASE("lines: each begins and ends with the mark") {
    const Corpus c = corpus_of({{1, 2, 3}, {}, {4}});
    CHECK(c.lines(Split::kAll) == 3);
    check_line(c.window(Split::kAll, 0), {kEnd, 1, 2, 3}, {1, 2, 3, kEnd});
    check_line(c.window(Split::kAll, 1), {kEnd}, {kEnd});
    check_line(c.window(Split::kTrain, 2), {kEnd, 4}, {4, kEnd});
    CHECK(copy(c.tokens(Split::kAll)) == Ids{kEnd, 1, 2, 3, kEnd, kEnd, 4, kEnd});
    CHECK(c.note().empty());
    CHECK(!c.has_validation());
    CHECK_THROWS_AS(c.window(Split::kAll, 3), ShapeError);
    CHECK_THROWS_AS(c.window(Split::kAll, -1), ShapeError);
    CHECK_THROWS_AS(c.window(Split::kValidation, 0), ShapeError);
    CHECK_THROWS_AS(c.draw(Split::kValidation, Rng(1, Stream::kBatch), 0), ShapeError);
    CHECK_THROWS_AS(corpus_of({}), DataError);
    CHECK_THROWS_AS(corpus_of({{1}}, 1.0), ShapeError);
    CHECK_THROWS_AS(corpus_of({{1}}, 0, 0), ShapeError);
  }

  TEST_CASE("lines: what does not fit the context is cut, has no mark, and is counted in the note") {
    const Corpus c = corpus_of({{1, 2, 3}, {1, 2}, {1, 2, 3, 4, 5}}, 0, 3);
    check_line(c.window(Split::kAll, 0), {kEnd, 1, 2}, {1, 2, 3});  // three tokens and a mark are four
    check_line(c.window(Split::kAll, 1), {kEnd, 1, 2}, {1, 2, kEnd});
    check_line(c.window(Split::kAll, 2), {kEnd, 1, 2}, {1, 2, 3});
    CHECK(c.note() == "t.txt: 2 of 3 lines cut to the context of 3 tokens, without an end mark");
    check_line(corpus_of({{1, 2, 3}}, 0, INT64_MAX).window(Split::kAll, 0), {kEnd, 1, 2, 3}, {1, 2, 3, kEnd});
  }

  TEST_CASE("lines: the last ones validate, and one at least trains") {
    std::vector<Ids> lines;
    for (int32_t i = 0; i < 8; ++i) lines.push_back({i});
    const Corpus c = corpus_of(lines, 0.3);  // 2.4
    CHECK(c.lines(Split::kTrain) == 6);
    CHECK(c.lines(Split::kValidation) == 2);
    CHECK(c.window(Split::kTrain, 5).targets[0] == 5);
    CHECK(c.window(Split::kValidation, 0).targets[0] == 6);
    CHECK(copy(c.tokens(Split::kValidation)) == Ids{kEnd, 6, kEnd, 7, kEnd});
    CHECK(c.tokens(Split::kTrain).size() == 13);
    CHECK(c.note().empty());
    const Corpus one = corpus_of({{1}}, 0.9);
    CHECK(one.lines(Split::kTrain) == 1);
    CHECK(!one.has_validation());
    CHECK(one.note() == "t.txt has 1 line: 1 train and none validate");
    CHECK(corpus_of({{1}, {2}}, 0.1).note() == "t.txt has 2 lines: 2 train and none validate");
  }

  // False alarms: 1e-6; the seed is fixed.
  TEST_CASE("lines: a random line is a function of its number, each equally likely") {
    std::vector<Ids> lines;
    for (int32_t i = 0; i < 7; ++i) lines.push_back(Ids(size_t(i), i));
    const Corpus c = corpus_of(lines);
    std::map<size_t, double> seen;
    for (int64_t step = 1; step <= 70; ++step) {
      const Rng rng(1, Stream::kBatch, step);
      for (int64_t s = 0; s < 100; ++s) {
        const Window w = c.draw(Split::kTrain, rng, s);
        CHECK(w.inputs.data() == c.draw(Split::kTrain, rng, s).inputs.data());
        ++seen[w.inputs.size()];
      }
    }
    double chi2 = 0;
    for (const auto& [length, n] : seen) chi2 += (n - 1000) * (n - 1000) / 1000;
    CHECK(seen.size() == 7);
    CHECK(chi2 < 38.3);
  }

  TEST_CASE("lines: a batch is padded at its ends, and the windows of one text are shifted by one") {
    const testing::LineWorld world("ab\n\nabc\na\n", "char");
    CHECK(world.tokenizer.vocab() == std::vector<std::string>{"a", "b", "c", "<|endoftext|>"});
    const Corpus lines = world.corpus(world.config("lstm"));
    Batch batch;
    batch.take(lines, Split::kAll, 0, 3);
    CHECK(batch.B == 3);
    CHECK(batch.T == 4);
    CHECK(batch.scored == 3 + 1 + 4);
    CHECK(batch.targets == Ids{0, 1, 3, kNoTarget, 3, kNoTarget, kNoTarget, kNoTarget, 0, 1, 2, 3});
    CHECK(batch.inputs == Ids{3, 0, 1, 3, 3, 3, 3, 3, 3, 0, 1, 2});
    batch.take(lines, Split::kAll, 3, 10);  // the rest
    CHECK(batch.B == 1);
    CHECK(batch.scored == 2);
    batch.draw(lines, Split::kTrain, Rng(1, Stream::kBatch, 1), 0, 5);
    CHECK(batch.B == 5);
    for (int64_t b = 0; b < 5; ++b)
      CHECK(batch.windows[size_t(b)].inputs.data() ==
            lines.draw(Split::kTrain, Rng(1, Stream::kBatch, 1), b).inputs.data());
    CHECK(lines.lines(Split::kAll) == 4);
    CHECK(lines.windows(Split::kAll) == 4);

    const CorpusOptions config{.context = 4};
    const Tokenizer letters = Tokenizer::from_text("char", "abcdefg");
    const Corpus stream(config, letters, "abcdefg", "t.txt");
    CHECK(stream.lines(Split::kAll) == 0);
    CHECK(stream.windows(Split::kAll) == 2);
    batch.take(stream, Split::kAll, 0, 10);
    CHECK(batch.targets == Ids{1, 2, 3, 4, 5, 6, kNoTarget, kNoTarget});
    batch.take(stream, Split::kAll, 0, 10, 1);  // three windows of four; the second and third score their last token
    CHECK(batch.inputs == Ids{0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5});
    CHECK(batch.targets == Ids{1, 2, 3, 4, kNoTarget, kNoTarget, kNoTarget, 5, kNoTarget, kNoTarget, kNoTarget, 6});
    CHECK(batch.scored == 6);
    batch.draw(stream, Split::kTrain, Rng(1, Stream::kBatch, 1), 0, 3);
    CHECK(batch.T == 4);
    CHECK(batch.scored == 12);
  }

  TEST_CASE("yardsticks: of ten sentences on themselves, entropies; on a validation split, Kneser-Ney by hand") {
    const testing::LineWorld world(testing::kTwoWords, "word");
    Shards shards(1, 1);
    const Config all = world.config("lstm");
    const Yardsticks y = yardsticks(world.corpus(all), all, 5, shards, 10);
    CHECK(!y.held_out);
    CHECK(std::fabs(y.uniform - std::log(5.0)) < 1e-14);
    // 30 targets: 7 the, 3 a, 6 cat, 4 dog, 10 marks.
    double unigram = 0;
    for (const double n : {7, 3, 6, 4, 10}) unigram -= n / 30 * std::log(n / 30);
    CHECK(std::fabs(y.unigram - unigram) < kRounding);
    CHECK(std::fabs(y.bigram - testing::kTwoWordsEntropy / 3) < kRounding);

    // a b a b a, then b b: of the pairs ab ab ba ba one has each count 2, so D = ½, and a is before and behind b alone.
    const Tokenizer tokenizer = Tokenizer::from_text("char", "ab");
    const Corpus stream({.context = 4, .val_fraction = 2.0 / 7}, tokenizer,
                        "ababab"
                        "b",
                        "t.txt");
    CHECK(copy(stream.tokens(Split::kTrain)) == Ids{0, 1, 0, 1, 0});
    ModelOptions options;
    options.context = 4;
    const Yardsticks held = yardsticks(stream, options, 2, shards, 1);
    CHECK(held.held_out);
    // Unigram: 3 a, 2 b of 5; counts 3 and 2, none 1, so D = ½: p(b) = (2 − ½)/5 + ½ · 2/5 · ½ = 0.4.
    CHECK(std::fabs(held.unigram + std::log(0.4)) < kRounding);
    // Bigram: after b only a was seen. p(b|b) = D · 1/2 · p'(b), p' of the number of tokens before each: 1 of 2 for
    // both, and a count of 1 makes its D = 2/(2 + 0) = 1: p'(b) = 0 + 1 · 2/2 · ½ = ½. D of pairs: counts 2 and 2, so
    // ½.
    CHECK(std::fabs(held.bigram + std::log(0.5 * 0.5 * 0.5)) < kRounding);
  }

  TEST_CASE("lines: a line that the vocabulary lacks is named by its number") {
    const testing::LineWorld world("a b\n", "word");
    try {
      Corpus(world.config("lstm").corpus(), world.tokenizer, "a\nb a\nb zebra\n", "t.txt");
      FAIL("accepted");
    } catch (const DataError& error) {
      CHECK(std::string(error.what()) ==
            "t.txt, line 3: the word 'zebra' at position 2 is not in the vocabulary of 2 words");
    }
  }
}
