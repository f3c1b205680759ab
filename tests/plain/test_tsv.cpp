// Tables of lines and tabs, worked out by hand.
#include <doctest/doctest.h>

#include "engine/error.h"
#include "models/text/tsv.h"
#include "tests/scratch.h"

using namespace gradus;

static constexpr const char* kPair[] = {"prompt", "reply"};

static std::string trouble(std::string_view content) {
  return complaint<DataError>([&] { tsv_rows(content, kPair, "faq.tsv"); });
}

TEST_SUITE("tsv") {
  TEST_CASE("tsv: rows have their line and their fields, empty ones too, with either end of a line or none") {
    const std::vector<TsvRow> rows = tsv_rows("a b\tc\r\n\t\nd\t e ", kPair, "faq.tsv");
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].fields == std::vector<std::string>{"a b", "c"});
    CHECK(rows[1].fields == std::vector<std::string>{"", ""});
    CHECK(rows[2].fields == std::vector<std::string>{"d", " e "});
    CHECK(rows[2].line == 3);
  }

  TEST_CASE("tsv: a line of another form is refused with its place and the form that is right") {
    CHECK(trouble("a\tb\nc\n") == "faq.tsv, line 2: has no tab; a line is prompt, a tab, reply");
    CHECK(trouble("a\tb\tc\n") == "faq.tsv, line 1: has 2 tabs; a line is prompt, a tab, reply");
    CHECK(trouble("a\tb\n\nc\td\n") == "faq.tsv, line 2: is empty; a line is prompt, a tab, reply");
    CHECK(trouble("a\tb\n") == "");
  }
}
