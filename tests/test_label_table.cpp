// The table of a report of labels, and the check of a printed one.
#include <doctest/doctest.h>

#include <algorithm>

#include "apps/label_table.h"
#include "engine/rng.h"
#include "models/text/read_text.h"
#include "tests/scratch.h"

using namespace gradus;

namespace {

const LabelReport& small() {
  static const LabelReport report = label_report({"a", "long name"}, {{90, 10}, {30, 70}});
  return report;
}
std::vector<std::string> faults(const std::string& table) { return check_table(table, "t"); }
// The first fault of the table above with a part replaced.
std::string fault_with(const std::string& part, const std::string& by) {
  std::string table = label_table(small());
  const size_t at = table.find(part);
  REQUIRE(at != table.npos);
  table.replace(at, part.size(), by);
  const std::vector<std::string> all = faults(table);
  return all.empty() ? "" : all[0];
}

}  // namespace

TEST_SUITE("label_table") {
  TEST_CASE("label_table: a table as people know it") {
    CHECK(label_table(small()) ==
          "             precision    recall  f1-score   support\n"
          "\n"
          "           a     0.750     0.900     0.818       100\n"
          "   long name     0.875     0.700     0.778       100\n"
          "\n"
          "    accuracy                         0.800       200\n"
          "   macro avg     0.812     0.800     0.798       200\n"
          "weighted avg     0.812     0.800     0.798       200\n");
  }

  TEST_CASE("label_table: every table of a confusion matrix is consistent, rounded to any place") {
    const Rng rng(9, Stream::kTest);
    int64_t n = 0;
    for (int64_t trial = 0; trial < 200; ++trial) {
      const size_t K = size_t(2 + rng.below(n++, 6));
      std::vector<std::string> labels;
      std::vector<std::vector<int64_t>> m(K, std::vector<int64_t>(K));
      for (size_t t = 0; t < K; ++t) {
        labels.push_back("label " + std::to_string(t));
        for (size_t p = 0; p < K; ++p) m[t][p] = rng.below(n++, t == p ? 40 : 6);
      }
      const std::string table = label_table(label_report(labels, m), int(2 + rng.below(n++, 4)));
      INFO(table);
      CHECK(faults(table) == std::vector<std::string>());
    }
  }

  TEST_CASE("label_table: a number that is changed contradicts the rest") {
    CHECK(fault_with("", "").empty());
    CHECK(
        has(fault_with("0.818", "0.828"), "label a: precision 0.75 and recall 0.9 make F1 0.81818, printed is 0.828"));
    CHECK(has(fault_with("0.700     0.778", "0.704     0.780"), "label long name: recall 0.704 is no whole number"));
    CHECK(has(fault_with("0.798       200\nweighted", "0.800       200\nweighted"),
              "macro avg: the F1 of the rows averages 0.798, printed is 0.8"));
    CHECK(has(fault_with("0.800       200\n   macro", "0.810       200\n   macro"),
              "accuracy: the rows say that 0.8 of the texts are right, printed is 0.81"));
    CHECK(has(fault_with("0.798       200\n", "0.798       300\n"),
              "the supports of the labels sum to 200, macro avg has 300"));
    CHECK(has(fault_with("    accuracy                         0.800       200",
                         "   micro avg     0.810     0.800     0.800       200"),
              "micro avg: recall 0.8 is not the precision, 0.81"));
    // Both labels are right as often as they are said, but more are said than there are texts.
    const std::string more = "precision recall f1-score support\na 0.500 1.000 0.667 100\nb 0.500 1.000 0.667 100\n";
    CHECK(has(faults(more)[0], "labels were predicted, for 200 texts"));
  }

  TEST_CASE("label_table: the report of the document contradicts itself in 26 statements") {
    const std::string document = read_text("data/tasks/inconsistent_report.txt");
    const std::vector<std::string> all = faults(document);
    CHECK(all.size() == 26);
    const auto says = [&](const char* part) {
      return std::any_of(all.begin(), all.end(), [&](const std::string& one) { return has(one, part); });
    };
    CHECK(says("label 4: precision 0.912 and recall 0.897 make F1 0.90444, printed is 0.899"));
    CHECK(says("label 0: precision 0.923 and recall 0.902 make F1 0.91238, printed is 0.914"));
    CHECK(says("the supports of the labels sum to 7670, micro avg has 46435"));
    CHECK(says("macro avg: the precision of the rows averages 0.9205, printed is 0.923"));
    CHECK(says("macro avg: the recall of the rows averages 0.8977, printed is 0.92"));
    CHECK(says("macro avg: the F1 of the rows averages 0.9085, printed is 0.922"));
    CHECK(says("weighted avg: the recall of the rows averages 0.8993, printed is 0.92"));
    CHECK(says("micro avg: recall 0.92 is not the precision, 0.925"));
  }

  TEST_CASE("label_table: what is no report is refused with its line") {
    const auto said = [](const char* table) { return complaint<DataError>([&] { faults(table); }); };
    CHECK(has(said("a 1 1 1 3\n"), "t, line 1: is not the head of a report"));
    CHECK(has(said("precision recall f1-score support\n"), "t: has no row of a label"));
    CHECK(has(said("precision recall f1-score support\na 1 1 1 x\n"), "t, line 2: \"x\" is not a whole number"));
    CHECK(has(said("precision recall f1-score support\n\na 1 1 3\n"), "t, line 3: has 2 numbers from 0 to 1"));
    CHECK(has(said("precision recall f1-score support\na 1.5 1 1 3\n"), "t, line 2: has 2 numbers"));
    CHECK(has(said("precision recall f1-score support\n1.0 1.0 1.0 3\n"), "t, line 2: has no label"));
    // Supports whose sum would not fit are refused, before they are summed.
    const char* large = "precision recall f1-score support\na 1 1 1 100000000000\nb 1 1 1 9223372036854775807\n";
    CHECK(has(said(large), "t, line 3: a support of 9223372036854775807 texts; it may be 100000000000 at most"));
    std::string many = "precision recall f1-score support\n";
    for (int row = 0; row < 65537; ++row) many += "a 1 1 1 100000000000\n";
    CHECK(has(said(many.c_str()), "t, line 65538: has more than 65536 rows"));
    many.resize(many.size() - std::string("a 1 1 1 100000000000\n").size());
    CHECK(faults(many).empty());
  }
}
