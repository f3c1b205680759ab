// apps/kl/worked_example.h against tests/goldens/worked_numbers.json, number by number.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "apps/kl/worked_example.h"
#include "engine/io/json.h"
#include "models/text/read_text.h"
#include "tests/near.h"

namespace {

using namespace gradus;

Json data() {
  return Json::parse(read_text("tests/goldens/worked_numbers.json"));  // run from the repository root
}

}  // namespace

TEST_SUITE("worked_numbers") {
  TEST_CASE("worked numbers: every number of the documents' examples, to 1e-12") {
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

  TEST_CASE("worked numbers: what the documents print beside what is true") {
    const Json file = data();
    const WorkedNumbers got = worked_numbers();
    CHECK(got.one("kl.pi.q") < 0.0997934720914666);
    CHECK(got.one("kl.pi.q") > 0.0997934720914664);
    CHECK(got.one("chi2.q.pi") == doctest::Approx(0.22).epsilon(1e-14));  // what the 0.22 is
    for (const auto& row : file.at("printed")) {
      CHECK(
          file.at("documents")
              .contains(row.at("source").get<std::string>().substr(0, row.at("source").get<std::string>().find(' '))));
      const auto name = row.at("name").get<std::string>();
      const std::vector<double> printed = row.at("printed").is_array() ? row.at("printed").get<std::vector<double>>()
                                                                       : std::vector{row.at("printed").get<double>()};
      CHECK_FALSE(near(got[name], printed) <= 1e-3);  // each is wrong
    }
    const Report report = printed_report();
    for (const auto& row : file.at("printed"))
      if (row.at("name") == "report.f1")
        for (size_t i = 0; i < report.rows.size(); ++i)
          CHECK(report.rows[i].f1 == row.at("printed").at(i).get<double>());
      else if (row.at("name") == "report.support")
        CHECK(report.micro.support == row.at("printed").get<int64_t>());
      else if (row.at("name") == "report.macro")
        CHECK(std::vector{report.macro.precision, report.macro.recall, report.macro.f1} ==
              row.at("printed").get<std::vector<double>>());
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
