// apps/kl/worked_example.h against tests/goldens/worked_numbers.json, number by number, and the pages made from them.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "apps/embedded.h"
#include "apps/kl/pages.h"
#include "engine/io/json.h"
#include "models/text/read_text.h"
#include "models/text/utf8.h"
#include "tests/near.h"

namespace {

using namespace gradus;

Json data() {
  return Json::parse(read_text("tests/goldens/worked_numbers.json"));  // run from the repository root
}

}  // namespace

TEST_SUITE("worked_numbers") {
  TEST_CASE("worked numbers: every number of the examples in the articles that `gradus kl` lists, to 1e-12") {
    const WorkedNumbers got = worked_numbers();
    const Json wanted = data().at("numbers");
    std::set<std::string> names;
    for (const WorkedNumbers::Entry& entry : got.entries()) CHECK_MESSAGE(names.insert(entry.name).second, entry.name);
    CHECK(names.size() == wanted.size());
    for (const auto& number : wanted) {
      const auto name = number.at("name").get<std::string>();
      const bool trajectory = name.rfind("ascent.", 0) == 0 || name.rfind("collapse.", 0) == 0;
      CHECK_MESSAGE(near(got[name], number.at("values").get<std::vector<double>>(), 1) <= (trajectory ? 1e-9 : 1e-12),
                    name);
    }
    CHECK_THROWS_AS(got["no such number"], ShapeError);
  }

  TEST_CASE("worked numbers: what the articles that `gradus kl` lists print beside what is true") {
    const Json file = data();
    const WorkedNumbers got = worked_numbers();
    CHECK(got.one("kl.pi.q") < 0.0997934720914666);
    CHECK(got.one("kl.pi.q") > 0.0997934720914664);
    CHECK(got.one("chi2.q.pi") == doctest::Approx(0.22).epsilon(1e-14));  // what the 0.22 is
    for (const auto& row : file.at("printed")) {
      const auto source = row.at("source").get<std::string>(), name = row.at("name").get<std::string>();
      CHECK(file.at("documents").contains(source.substr(0, source.find(' '))));
      const std::vector<double> printed = row.at("printed").is_array() ? row.at("printed").get<std::vector<double>>()
                                                                       : std::vector{row.at("printed").get<double>()};
      CHECK_FALSE(near(got[name], printed) <= 1e-3);  // each is wrong
    }
  }

  TEST_CASE("a page of numbers: headings, rows, notes and forms") {
    WorkedNumbers n;
    n.add("one", 0.5);
    n.add("list", {1, -2.25, 1234567.890123});
    n.add("small.a", 3.3e-6);
    n.add("small.b", -1e-16);
    const auto line = [&](const std::string& source) { return page_text(("table 9 .3  a b\n" + source).c_str(), n); };
    CHECK(line("# 7  Title  [1] §2") == "7  Title" + std::string(66, ' ') + "[1] §2\n");
    CHECK(line("// a remark\n\n  text, ${one:bar} \n") == "\n  text, " + [] {
      std::string bar;
      for (int i = 0; i < 20; ++i) bar += "█";
      return bar;
    }() + "\n");
    const std::string label = "   name" + std::string(17, ' ');
    CHECK(line("name :: a  _  two words") == label + "        a" + "         " + "two words\n");
    CHECK(line("name :: ${list} ;; ${list[1]:±.1}") == label + "    1.000   -2.2501234567.89012   − 2.2\n");
    CHECK(line("name :: ${list[0-1]}  ${one:4}") == label + "    1.000   -2.250   0.5000\n");
    CHECK(line("name :: ${small.*:.4~2}") == label + "  3.3e-06   0.0000\n");
    CHECK(line("${one:short} ${small.a:.10~4} ${one:±.1}") == "0.5 3.300e-06 + 0.5\n");
    CHECK_THROWS_AS(line("${two}"), ShapeError);
    const std::string two = "before\n# 1  a\nA\n# 2  b\nB\n";
    CHECK(page_text(two.c_str(), n) == "before\n1  a\nA\n2  b\nB\n");
    CHECK(page_text(two.c_str(), n, 2) == "2  b\nB\n");
    CHECK_THROWS_AS(page_text(two.c_str(), n, 3), UsageError);
    CHECK_THROWS_AS(page_text(two.c_str(), n, 0), UsageError);
  }

  TEST_CASE("the pages of gradus kl leave no name unfilled, and no line is longer than 100 characters") {
    for (const char* page : {apps_kl_numbers_txt, apps_kl_lesson_txt}) {
      std::istringstream in(page_text(page, worked_numbers()));
      for (std::string line; std::getline(in, line);) {
        CAPTURE(line);
        CHECK(line.find("${") == std::string::npos);
        CHECK(line.find("::") == std::string::npos);
        CHECK(count_characters(line) <= 100);
      }
    }
  }

  TEST_CASE("worked numbers: no KL of the example and no sum of its terms is near 0.22") {
    const FourSentences w;
    for (const auto& [a, b] : {std::pair{&w.pi, &w.q}, {&w.q, &w.pi}}) {
      const std::vector<double> u = log_ratios(*a, *b);
      for (double unit : {1.0, kLog2, std::log(10.0)})
        for (int terms = 1; terms < 16; ++terms) {
          double sum = 0;
          for (size_t i = 0; i < 4; ++i) sum += (terms >> i & 1) * a->p[i] * u[i] / unit;
          CHECK(std::fabs(sum - 0.22) > 0.005);
        }
    }
  }
}
