// models/text/corpus.h and its parts: reading files of every kind, splits of every size, windows that do not depend on
// the sharding, and lines that validate at random. Long, because every kind of file and of split
// has a case.
#include "models/text/corpus.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "models/text/read_text.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using Ids = std::vector<int32_t>;

// 0, 1, 2, ..., n - 1: every token says where it stood.
Ids count_up(int64_t n) {
  Ids ids(static_cast<size_t>(n));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = int32_t(i);
  return ids;
}

Corpus corpus_of(int64_t n, double val_fraction, int64_t context) {
  return Corpus::of_stream(count_up(n), val_fraction, context, "corpus.txt");
}

Ids copy(std::span<const int32_t> s) { return Ids(s.begin(), s.end()); }
int64_t size(const Corpus& corpus, Split split) { return int64_t(corpus.tokens(split).size()); }

// Windows of sequences first, first + 1, ..., one below the other.
void draw_into(const Corpus& corpus, Split split, const Rng& rng, int64_t first, std::span<int32_t> inputs,
               std::span<int32_t> targets, int64_t T) {
  for (size_t b = 0; b * size_t(T) < inputs.size(); ++b) {
    const Window w = corpus.draw(split, rng, first + int64_t(b));
    REQUIRE(int64_t(w.inputs.size()) == T);
    REQUIRE(int64_t(w.targets.size()) == T);
    std::copy(w.inputs.begin(), w.inputs.end(), inputs.begin() + long(b) * T);
    std::copy(w.targets.begin(), w.targets.end(), targets.begin() + long(b) * T);
  }
}

constexpr Split kSplits[] = {Split::kTrain, Split::kValidation, Split::kAll};

}  // namespace

TEST_CASE("read_text gives back what a file holds") {
  const Folder folder;
  const std::string line(1 << 20, 'x');
  for (const std::string& words :
       {std::string("one\r\ntwo\n"), std::string("no final newline"), std::string("\n\n\n"), std::string("a"), line,
        line + line + "y", std::string(65536, 'z'), std::string("\u5E8A\u524D \U0001F600")}) {
    const std::string path = folder.file("t.txt", words);
    CHECK(read_text(path) == words);
    CHECK(read_bytes(path) == words);
  }
  const std::string marked = folder.file("bom.txt", "\xEF\xBB\xBFtext\xEF\xBB\xBF");
  CHECK(read_text(marked) == "text\xEF\xBB\xBF");  // at the start only
  CHECK(read_bytes(marked).size() == 10);
  std::string all;
  for (int b = 0; b < 256; ++b) all += char(b);
  const std::string binary = folder.file("all.bin", all);
  CHECK(read_bytes(binary) == all);
  CHECK(has(complaint<DataError>([&] { read_text(binary); }),
            "all.bin is not text in UTF-8: line 1, column 1 (byte offset 0)"));
  CHECK(read_text("/proc/self/status").size() > 100);  // a file that says its size is 0
}

TEST_CASE("read_text reads a pipe to its end") {
  const Folder folder;
  const std::string path = folder.path / "pipe", words(300000, 'w');
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(path) << words; });
  CHECK(read_text(path) == words);
  writer.join();
}

TEST_CASE("read_text says why a file is no corpus") {
  const Folder folder;
  const auto say = [](const std::string& path) { return complaint<DataError>([&] { read_text(path); }); };
  const std::string here = folder.path;
  CHECK(say(here + "/none.txt") == here + "/none.txt: cannot be read: No such file or directory");
  CHECK(say(here) == here + ": is a folder; name a text file in it");
  CHECK(has(say(folder.file("empty.txt", "")), "empty.txt: is empty"));
  CHECK(has(say(folder.file("bom.txt", "\xEF\xBB\xBF")), "byte order mark and nothing else"));
  CHECK(has(say(folder.file("plain", "x") + "/t.txt"), "Not a directory"));
  CHECK(has(say("-"), "/dev/stdin"));
  CHECK(has(say(""), "No such file"));
  if (::geteuid() != 0) {  // root may read everything
    const std::string closed = folder.file("closed.txt", "x");
    REQUIRE(::chmod(closed.c_str(), 0) == 0);
    CHECK(has(say(closed), "Permission denied"));
  }
}

TEST_CASE("the splits divide the text in order; the shares are rounded to the nearest token") {
  const Corpus corpus = corpus_of(1000, 0.1, 64);
  CHECK(copy(corpus.tokens(Split::kAll)) == count_up(1000));
  CHECK(size(corpus, Split::kTrain) == 900);
  CHECK(size(corpus, Split::kValidation) == 100);
  CHECK(corpus.tokens(Split::kTrain).front() == 0);
  CHECK(corpus.tokens(Split::kTrain).back() == 899);
  CHECK(corpus.tokens(Split::kValidation).front() == 900);
  CHECK(corpus.tokens(Split::kValidation).back() == 999);
  CHECK(corpus.length(Split::kTrain) == 64);
  CHECK(corpus.length(Split::kValidation) == 64);
  CHECK(corpus.note().empty());
  CHECK(size(corpus_of(1004, 0.1, 8), Split::kValidation) == 100);
  CHECK(size(corpus_of(1005, 0.1, 8), Split::kValidation) == 101);  // 100.5
  CHECK(size(corpus_of(10, 0.9, 1), Split::kValidation) == 8);      // two are kept to train
  CHECK(size(corpus_of(100, 0.3, 8), Split::kValidation) == 30);

  const Corpus none = corpus_of(1000, 0, 64);
  CHECK_FALSE(none.has_validation());
  CHECK(size(none, Split::kTrain) == 1000);
  CHECK(size(none, Split::kValidation) == 0);
  CHECK(none.length(Split::kValidation) == 0);
  CHECK(none.windows(Split::kValidation) == 0);
  CHECK(none.note().empty());
}

TEST_CASE("a text that is too short is refused in the user's words") {
  const auto say = [](int64_t n, int64_t context) { return complaint<DataError>([&] { corpus_of(n, 0.1, context); }); };
  CHECK(say(31, 64) ==
        "corpus.txt has 31 tokens; a context of 64 needs at least 65; use a context of 30 or a longer text");
  CHECK(has(say(64, 64), "use a context of 63 or"));
  CHECK(say(65, 64).empty());
  CHECK(say(31, 30).empty());  // the advice is right
  CHECK(say(2, 1).empty());
  CHECK(say(2, 2) == "corpus.txt has 2 tokens; a context of 2 needs at least 3; use a context of 1 or a longer text");
  CHECK(say(1, 1) == "corpus.txt has 1 token; at least 2 are needed, one to read and one to predict");
  CHECK(has(say(0, 1), "has 0 tokens"));
  CHECK_THROWS_AS(corpus_of(10, 0.1, 0), ShapeError);
  for (double fraction : {-0.1, 1.0, double(NAN), double(INFINITY)})
    CHECK_THROWS_AS(corpus_of(10, fraction, 2), ShapeError);
}

TEST_CASE("small texts train: validation gives way, and says so") {
  const Corpus one = corpus_of(65, 0.1, 64);  // a single window
  CHECK(size(one, Split::kTrain) == 65);
  CHECK_FALSE(one.has_validation());
  CHECK(one.note() ==
        "corpus.txt has 65 tokens: 65 train and none validate, so that training keeps one window of 64 tokens");

  CHECK_FALSE(corpus_of(66, 0.1, 64).has_validation());  // one token is left over and predicts nothing
  CHECK(size(corpus_of(66, 0.1, 64), Split::kTrain) == 66);

  const Corpus few = corpus_of(70, 0.1, 64);
  CHECK(size(few, Split::kTrain) == 65);
  CHECK(size(few, Split::kValidation) == 5);
  CHECK(few.length(Split::kTrain) == 64);
  CHECK(few.length(Split::kValidation) == 4);  // a window shorter than the context
  CHECK(few.windows(Split::kValidation) == 1);
  CHECK(has(few.note(), "65 train and 5 validate instead of 7, so that"));

  const Corpus asked = corpus_of(14, 0.1, 2);  // 1.4 tokens asked for
  CHECK_FALSE(asked.has_validation());
  CHECK(has(asked.note(), "14 train and none validate, for 0.1 of them is less than 2"));

  for (int64_t n = 3; n < 60; ++n)
    for (int64_t context = 1; context < n; ++context)
      for (double fraction : {0.0, 0.01, 0.1, 0.5, 0.99}) {
        const Corpus c = corpus_of(n, fraction, context);
        REQUIRE(size(c, Split::kTrain) + size(c, Split::kValidation) == n);
        REQUIRE(c.length(Split::kTrain) == context);
        REQUIRE(size(c, Split::kValidation) != 1);
        REQUIRE(c.has_validation() == (c.length(Split::kValidation) > 0));
        REQUIRE(c.note().empty() == (size(c, Split::kValidation) == std::llround(fraction * double(n)) &&
                                     (fraction == 0 || c.has_validation())));
      }
}

TEST_CASE("draw: rows of T tokens, and the tokens that follow them") {
  const Corpus corpus = corpus_of(1000, 0.1, 7);
  for (Split split : kSplits) {
    const int64_t B = 6, T = 7, low = split == Split::kValidation ? 900 : 0, high = split == Split::kTrain ? 900 : 1000;
    Ids inputs(size_t(B * T)), targets(size_t(B * T));
    draw_into(corpus, split, Rng(1, Stream::kBatch, 3), 0, inputs, targets, T);
    for (size_t i = 0; i < inputs.size(); ++i) {
      CHECK(targets[i] == inputs[i] + 1);
      if (i % size_t(T) != 0) CHECK(inputs[i] == inputs[i - 1] + 1);
      CHECK(inputs[i] >= low);
      CHECK(targets[i] < high);
    }
  }
}

TEST_CASE("draw: the windows do not depend on how the batch is cut into shards") {
  const Corpus corpus = corpus_of(5000, 0.1, 32);
  const int64_t B = 12, T = 32;
  const Rng rng(7, Stream::kBatch, 41);
  Ids inputs(size_t(B * T)), targets(size_t(B * T));
  draw_into(corpus, Split::kTrain, rng, 0, inputs, targets, T);
  for (int64_t shard : {1, 2, 3, 4, 5, 7, 12}) {
    Ids in(size_t(B * T), -1), out(size_t(B * T), -1);
    for (int64_t first = 0; first < B; first += shard) {
      const size_t n = size_t(std::min(shard, B - first) * T), at = size_t(first * T);
      draw_into(corpus, Split::kTrain, rng, first, std::span(in).subspan(at, n), std::span(out).subspan(at, n), T);
    }
    CHECK(in == inputs);
    CHECK(out == targets);
  }
  // The coordinates that give the generator are no part of the result; seed, step and purpose are.
  Ids in(inputs.size()), out(inputs.size());
  const auto draw = [&](const Rng& r, int64_t first) {
    draw_into(corpus, Split::kTrain, r, first, in, out, T);
    return in;
  };
  CHECK(draw(rng.at(5, 9), 0) == inputs);
  CHECK(draw(Rng(8, Stream::kBatch, 41), 0) != inputs);
  CHECK(draw(Rng(7, Stream::kBatch, 42), 0) != inputs);
  CHECK(draw(Rng(7, Stream::kEvaluate, 41), 0) != inputs);
  CHECK(draw(rng, 1) != inputs);
}

TEST_CASE("draw: every start is drawn, the last one too, and all equally often") {
  const int64_t T = 4, n = 25, starts = n - T, draws = 21000;
  const Corpus corpus = corpus_of(n, 0, T);
  std::vector<int64_t> seen(size_t(starts), 0);
  Ids inputs(size_t(10 * T)), targets(size_t(10 * T));
  for (int64_t step = 0; step < draws / 10; ++step) {
    draw_into(corpus, Split::kTrain, Rng(1, Stream::kBatch, step), 0, inputs, targets, T);
    for (size_t b = 0; b < 10; ++b) {
      REQUIRE(inputs[b * size_t(T)] < starts);
      ++seen[size_t(inputs[b * size_t(T)])];
      REQUIRE(targets[b * size_t(T) + size_t(T) - 1] < n);
    }
  }
  // Chi-squared with 20 degrees of freedom exceeds 45.3 with probability 0.001; the seed is fixed.
  double chi2 = 0;
  const double expected = double(draws) / double(starts);
  for (int64_t k : seen) chi2 += (double(k) - expected) * (double(k) - expected) / expected;
  INFO("chi2 = ", chi2);
  CHECK(chi2 < 45.3);
  CHECK(seen.back() > 0);

  const Corpus single = corpus_of(T + 1, 0.1, T);  // one window: always that
  draw_into(single, Split::kTrain, Rng(3, Stream::kBatch, 1), 0, inputs, targets, T);
  for (size_t b = 0; b < 10; ++b) CHECK(inputs[b * size_t(T)] == 0);
}

TEST_CASE("draw: a short split gives what it has, one of no token and a negative number throw") {
  const Corpus corpus = corpus_of(100, 0.1, 16);
  Ids a(32), b(32);
  const Rng rng(1, Stream::kBatch, 1);
  CHECK(corpus.length(Split::kValidation) == 9);  // of ten tokens
  CHECK_NOTHROW(draw_into(corpus, Split::kValidation, rng, 0, std::span(a).first(9), std::span(b).first(9), 9));
  CHECK(corpus.draw(Split::kValidation, rng, 0).inputs.data() == corpus.tokens(Split::kValidation).data());
  CHECK_THROWS_AS(draw_into(corpus, Split::kTrain, rng, -1, a, b, 16), ShapeError);
  CHECK_THROWS_AS(draw_into(corpus_of(100, 0, 16), Split::kValidation, rng, 0, a, b, 16), ShapeError);
}

TEST_CASE("windows: each token is a target once, except the first of the split") {
  for (int64_t T : {1, 2, 5, 8, 17, 82, 101, 102}) {
    const Corpus corpus = corpus_of(103, 0.2, T);
    for (Split split : kSplits) {
      const std::span<const int32_t> all = corpus.tokens(split);
      Ids targets;
      const int64_t count = corpus.windows(split);
      for (int64_t i = 0; i < count; ++i) {
        const Window w = corpus.window(split, i);
        REQUIRE(w.inputs.size() == w.targets.size());
        REQUIRE(w.inputs.size() >= 1);
        REQUIRE(int64_t(w.inputs.size()) <= T);
        if (i + 1 < count) REQUIRE(int64_t(w.inputs.size()) == T);
        REQUIRE(w.inputs.front() == all[size_t(i * T)]);
        for (size_t t = 0; t < w.inputs.size(); ++t) REQUIRE(w.targets[t] == w.inputs[t] + 1);
        targets.insert(targets.end(), w.targets.begin(), w.targets.end());
      }
      CHECK(targets == (all.empty() ? Ids() : copy(all.subspan(1))));
    }
  }
  const Corpus corpus = corpus_of(103, 0.2, 50);
  CHECK(corpus_of(103, 0.2, 51).windows(Split::kAll) == 2);  // 102 targets: even
  CHECK(corpus.windows(Split::kAll) == 3);
  CHECK(corpus.window(Split::kAll, 2).inputs.size() == 2);
  CHECK(corpus_of(103, 0, 102).windows(Split::kAll) == 1);
  CHECK_THROWS_AS(corpus.window(Split::kAll, 3), ShapeError);
  CHECK_THROWS_AS(corpus.window(Split::kAll, -1), ShapeError);
}

TEST_CASE("windows: with a stride each token is scored once, by the window that shows most before it") {
  using Sizes = std::vector<std::pair<int64_t, int64_t>>;
  for (const auto& [T, stride] : Sizes{{8, 1}, {8, 3}, {8, 7}, {8, 8}, {100, 5}}) {
    const Corpus corpus = corpus_of(103, 0.2, T);
    for (Split split : kSplits) {
      const std::span<const int32_t> all = corpus.tokens(split);
      Ids scored;
      for (int64_t i = 0; i < corpus.windows(split, stride); ++i) {
        const Window w = corpus.window(split, i, stride);
        REQUIRE(w.inputs.front() == all[size_t(i * stride)]);
        REQUIRE(w.first_scored < int64_t(w.targets.size()));
        REQUIRE(w.first_scored == (i == 0 ? 0 : T - stride));
        scored.insert(scored.end(), w.targets.begin() + w.first_scored, w.targets.end());
      }
      CHECK(scored == (all.empty() ? Ids() : copy(all.subspan(1))));
    }
  }
  const Corpus corpus = corpus_of(103, 0.2, 8);
  CHECK_THROWS_AS(corpus.windows(Split::kAll, 9), ShapeError);
  CHECK_THROWS_AS(corpus.windows(Split::kAll, -1), ShapeError);
}

TEST_CASE("random lines: some validate wherever they stand, all are there once, and each split keeps their order") {
  std::string words;
  for (int i = 0; i < 300; ++i) words += std::to_string(1000 + i) + "\n";
  const Tokenizer tokenizer = Tokenizer::from_lines("char", split_lines(words));
  const auto cut = [&](double val_fraction, bool random) {
    return Corpus({.lines = true, .context = 8, .val_fraction = val_fraction, .random_lines = random}, tokenizer, words,
                  "t.txt");
  };
  const Corpus corpus = cut(0.1, true), last = cut(0.1, false), again = cut(0.1, true), half = cut(0.5, true);
  CHECK(corpus.lines(Split::kValidation) == 30);
  CHECK(copy(corpus.tokens(Split::kAll)) == copy(again.tokens(Split::kAll)));
  std::vector<int> seen(300);
  int at_the_end = 0;
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    int64_t before = -1;
    for (int64_t i = 0; i < corpus.lines(split); ++i) {
      const int64_t source = corpus.source_line(split, i);
      CHECK(source > before);
      before = source;
      ++seen.at(size_t(source));
      CHECK(tokenizer.decode(corpus.window(split, i).targets) == std::to_string(1000 + source));
      at_the_end += split == Split::kValidation && source >= 270;
      CHECK(last.source_line(split, i) == (split == Split::kTrain ? i : 270 + i));
    }
  }
  CHECK(std::count(seen.begin(), seen.end(), 1) == 300);
  CHECK(at_the_end < 12);  // 3 are to be expected; 12 or more have a probability below 1e-5
  // A line that validates with a tenth validates with a half: each has a number of its own.
  std::vector<int64_t> of_half;
  for (int64_t i = 0; i < half.lines(Split::kValidation); ++i)
    of_half.push_back(half.source_line(Split::kValidation, i));
  for (int64_t i = 0; i < 30; ++i)
    CHECK(std::count(of_half.begin(), of_half.end(), corpus.source_line(Split::kValidation, i)) == 1);
  CHECK(cut(0, true).lines(Split::kValidation) == 0);
  CHECK(cut(0.001, true).lines(Split::kTrain) == 300);
}
