// Labelled lines, and reports of labels: scores worked out by hand, identities of any confusion matrix, areas by brute
// force.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/rng.h"
#include "models/text/corpus.h"
#include "models/text/label_report.h"
#include "models/text/labels.h"
#include "tests/scratch.h"

using namespace gradus;

TEST_SUITE("label_report") {
  TEST_CASE("label_report: precision, recall, F1 and averages by hand") {
    // 3 of 4 a are found, and one b is taken for a; c is never predicted.
    const LabelReport r = label_report({"a", "b", "c"}, {{3, 1, 0}, {1, 4, 0}, {0, 1, 0}});
    CHECK(r.rows[0].precision == 0.75);
    CHECK(r.rows[0].recall == 0.75);
    CHECK(r.rows[0].f1 == 0.75);
    CHECK(r.rows[0].support == 4);
    CHECK(r.rows[1].precision == 4.0 / 6);
    CHECK(r.rows[1].recall == 0.8);
    CHECK(r.rows[1].f1 == 8.0 / 11);
    CHECK(r.rows[2].precision == 0);  // 0/0
    CHECK(r.rows[2].recall == 0);
    CHECK(r.rows[2].f1 == 0);
    CHECK(r.undefined == 1);
    CHECK(r.accuracy == 0.7);
    CHECK(std::fabs(r.macro.precision - (0.75 + 4.0 / 6) / 3) <= 1e-15);
    CHECK(std::fabs(r.macro.f1 - (0.75 + 8.0 / 11) / 3) <= 1e-15);
    CHECK(std::fabs(r.weighted.recall - 0.7) <= 1e-15);
    CHECK(std::fabs(r.weighted.precision - (4 * 0.75 + 5 * 4.0 / 6) / 10) <= 1e-15);
    const LabelReport none = label_report({"a", "b"}, {{0, 0}, {0, 0}});
    CHECK(none.accuracy == 0);
    CHECK(none.weighted.f1 == 0);
    CHECK(none.undefined == 6);
  }

  TEST_CASE(
      "label_report: of any confusion matrix supports sum to N, and micro P = R = F1 = accuracy = weighted recall") {
    const Rng rng(5, Stream::kTest);
    int64_t n = 0;
    for (int64_t trial = 0; trial < 50; ++trial) {
      const size_t K = size_t(2 + rng.below(n++, 5));
      std::vector<std::vector<int64_t>> m(K, std::vector<int64_t>(K));
      int64_t N = 0, right = 0;
      for (size_t t = 0; t < K; ++t)
        for (size_t p = 0; p < K; ++p) {
          N += m[t][p] = rng.below(n++, 9);
          if (t == p) right += m[t][p];
        }
      const LabelReport r = label_report(std::vector<std::string>(K, "x"), m);
      int64_t supports = 0;
      for (const LabelScores& row : r.rows) {
        supports += row.support;
        if (row.precision + row.recall > 0)
          CHECK(std::fabs(row.f1 - 2 * row.precision * row.recall / (row.precision + row.recall)) <= 1e-15);
      }
      CHECK(supports == N);
      CHECK(r.micro.support == N);
      CHECK(r.accuracy == double(right) / double(N));
      CHECK(r.micro.precision == r.accuracy);
      CHECK(r.micro.recall == r.accuracy);
      CHECK(r.micro.f1 == r.accuracy);
      CHECK(std::fabs(r.weighted.recall - r.accuracy) <= 1e-14);
    }
  }

  TEST_CASE("label_report: the area under the curve is the share of pairs in the right order") {
    const Rng rng(6, Stream::kTest);
    int64_t n = 0;
    for (int64_t trial = 0; trial < 50; ++trial) {
      std::vector<double> score;
      std::vector<bool> is;
      for (int64_t i = 0; i < 12; ++i) {
        score.push_back(double(rng.below(n++, 6)));  // with ties
        is.push_back(rng.below(n++, 2) == 1);
      }
      double order = 0, pairs = 0;
      for (size_t i = 0; i < score.size(); ++i)
        for (size_t j = 0; j < score.size(); ++j)
          if (is[i] && !is[j]) {
            ++pairs;
            order += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
          }
      const auto area = area_under_curve(score, is);
      CHECK(area.has_value() == (pairs > 0));
      if (area) CHECK(std::fabs(*area - order / pairs) <= 1e-15);
    }
    CHECK_FALSE(area_under_curve({1, 2}, {true, true}).has_value());
  }

  TEST_CASE("label_report: labelled lines, and what is none") {
    const auto rows = labelled_of("up\tit rose\ndown\t\r\nup\ta b\n", "f");
    CHECK(rows.size() == 3);
    CHECK(rows[0].label == "up");
    CHECK(rows[0].text == "it rose");
    CHECK(rows[1].text == "");
    CHECK(rows[2].line == 3);
    CHECK(labels_in(rows, "f") == std::vector<std::string>{"down", "up"});
    const auto said = [](const char* content) {
      return complaint<DataError>([&] { labels_in(labelled_of(content, "f"), "f"); });
    };
    CHECK(has(said("up\tx\nno tab\n"), "f, line 2: "));
    CHECK(has(said("\tx\n"), "f, line 1: the label \"\" is empty"));
    CHECK(has(said("a\tx\n b\tx\n"), "f, line 2: the label \" b\" begins or ends with a space"));
    CHECK(has(said("up\tx\nup\ty\n"), "every line has the label \"up\""));
  }

  TEST_CASE("label_report: a batch of labelled lines has one target for each, at its end") {
    const std::string content = "up\tb a\ndown\ta\nup\t\ndown\ta b a b\n";
    const Tokenizer tokenizer = Tokenizer::from_lines("char", std::vector<std::string_view>{"ab"});
    CorpusOptions options{.lines = true, .labels = {"down", "up"}, .context = 4};
    CHECK(has(complaint<DataError>([&] { Corpus(options, tokenizer, content, "f"); }), "f, line 1: "));  // the space
    const Tokenizer words = Tokenizer::from_lines("word", std::vector<std::string_view>{"a b"});
    const Corpus corpus(options, words, content, "f");
    CHECK(corpus.lines(Split::kAll) == 4);
    Batch batch;
    batch.take(corpus, Split::kAll, 0, 4);
    CHECK(batch.T == 4);
    CHECK(batch.scored == 4);
    const int32_t a = 0, b = 1, end = 2, no = kNoTarget;
    const std::vector<int32_t> inputs{end, b, a, end, end, a, end, end, end, end, end, end, end, a, b, a};
    const std::vector<int32_t> targets{no, no, 1, no, no, 0, no, no, 1, no, no, no, no, no, no, 0};
    CHECK(batch.inputs == inputs);
    CHECK(batch.targets == targets);
    CHECK(has(corpus.note(), "1 of 4 lines cut"));
    options.labels = {"down"};
    CHECK(
        has(complaint<DataError>([&] { Corpus(options, words, content, "f"); }), "f, line 1: the label \"up\" is not"));
  }
}
