// engine/io/json.h: what is read strictly, what is written validly, and how values are looked at.
#include "engine/io/json.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace gradus;

namespace {

std::string complaint(const std::string& text) {
  try {
    Json::parse(text);
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("json") {
  TEST_CASE("a list of pairs is an object in the order given, any other list an array") {
    const Json record{{"b", 1}, {"a", {1, 2.5, "x"}}, {"c", nullptr}, {"d", true}, {"e", Json::array()}};
    CHECK(record.dump() == R"({"b":1,"a":[1,2.5,"x"],"c":null,"d":true,"e":[]})");
    CHECK(Json{{"text", "x"}}.is_object());
    CHECK(Json{1, 2}.is_array());
    CHECK(Json(std::vector<std::string>{"b", "a"}).dump() == R"(["b","a"])");
    CHECK(Json(std::vector<double>{}).dump() == "[]");
    CHECK(Json(std::map<std::string, std::string>{{"k", "v"}}).dump() == R"({"k":"v"})");
  }

  TEST_CASE("numbers read back as they were; what JSON has no number for is null") {
    for (const double x : {0.1, 1e-300, -1.7976931348623157e308, 4.9e-324, 3.0, 1.0 / 3})
      CHECK(Json::parse(Json(x).dump()).get<double>() == x);
    for (const int64_t x : {int64_t{0}, INT64_MAX, INT64_MIN}) CHECK(Json::parse(Json(x).dump()).get<int64_t>() == x);
    CHECK(Json(std::nan("")).dump() == "null");
    CHECK(Json(std::numeric_limits<double>::infinity()).dump() == "null");
    CHECK_FALSE(Json::parse("9223372036854775808").is_number_integer());  // 2^63
  }

  TEST_CASE("bytes that are not UTF-8 are replaced in values and names, whatever is written") {
    CHECK(Json("a\xff").dump() == "\"a\xEF\xBF\xBD\"");
    Json record;
    record["\xc3"] = 1;
    CHECK(Json::parse(record.dump()).at("\xEF\xBF\xBD") == Json(1));
    CHECK(Json("\n\"\\\x01").dump() == R"("\n\"\\\u0001")");
  }

  TEST_CASE("what is not JSON is refused with its line") {
    CHECK(complaint("{\n\"a\":1,\n\"b\":}") == "line 3 is not JSON");
    for (const char* text :
         {"", " ", "{", "[1,]", "{\"a\":1}x", "nul", "NaN", "01", "+1", "/* */1", "'a'", "\"\xff\"", "\"\\ud800\""})
      CHECK_MESSAGE(complaint(text).find("is not JSON") != std::string::npos, text);
    CHECK(complaint("[1e999]") == "holds a number that is out of range");
    CHECK(Json::parse_or_null("{").is_null());
  }

  TEST_CASE("a name that stands twice in one object is refused at any depth, in two objects it may") {
    CHECK(complaint(R"({"a":1,"a":2})") == R"("a" occurs twice in one object)");
    CHECK(complaint(R"([{"x":{"a":1,"b":2,"a":3}}])") == R"("a" occurs twice in one object)");
    CHECK(complaint(R"([{"a":1},{"a":2}])") == "");
  }

  TEST_CASE("nesting is bounded, so that no text exhausts the stack") {
    const auto nested = [](int n) { return std::string(size_t(n), '[') + std::string(size_t(n), ']'); };
    CHECK(complaint(nested(Json::kMaxDepth)) == "");
    CHECK(complaint(nested(Json::kMaxDepth + 1)) == "is nested more than 64 levels deep");
    CHECK(complaint(nested(1'000'000)) == "is nested more than 64 levels deep");
    CHECK(complaint(std::string(1'000'000, '[')) == "is nested more than 64 levels deep");
    std::string objects;
    for (int i = 0; i < 20'000; ++i) objects += "{\"a\":";
    CHECK(complaint(objects) == "is nested more than 64 levels deep");
  }

  TEST_CASE("a value of another type, and a number that does not fit, is an error and never a conversion") {
    const Json record = Json::parse(R"({"half":1.5,"big":4294967297,"text":"1","yes":true,"list":[1,"a"]})");
    CHECK_THROWS_AS(record.at("half").get<int64_t>(), JsonError);
    CHECK_THROWS_AS(record.at("big").get<int32_t>(), JsonError);
    CHECK_THROWS_AS(record.at("text").get<int64_t>(), JsonError);
    CHECK_THROWS_AS(record.at("yes").get<double>(), JsonError);
    CHECK_THROWS_AS(record.at("list").get<std::vector<int64_t>>(), JsonError);
    CHECK_THROWS_AS(record.at("half").get<std::vector<double>>(), JsonError);
    CHECK_THROWS_AS(record.at("none"), JsonError);
    CHECK_THROWS_AS(record.at("list").at(2), JsonError);
    CHECK(record.at("big").get<double>() == 4294967297.0);
    CHECK(record.value("none", int64_t{7}) == 7);
    CHECK(record.find("none") == nullptr);
  }

  TEST_CASE("what a terminal would obey is written by its number, and reads back as it was") {
    const std::vector<std::pair<std::string, std::string>> rows{{"\x7F", "\\u007f"},
                                                                {"\xC2\x80", "\\u0080"},
                                                                {"\xC2\x9B"
                                                                 "31m",
                                                                 "\\u009b31m"},
                                                                {"\xE2\x80\xA8", "\\u2028"},
                                                                {"\xE2\x80\xAE", "\\u202e"},
                                                                {"\xE2\x81\xA6", "\\u2066"},
                                                                {"\xE2\x81\xA9", "\\u2069"},
                                                                {"\x1B", "\\u001b"}};
    for (const auto& [text, written] : rows) {
      CHECK(Json("a" + text + "b").dump() == "\"a" + written + "b\"");
      CHECK(Json::parse(Json("a" + text + "b").dump()) == Json("a" + text + "b"));
    }
    // Their neighbours stay as they are.
    for (const std::string& text : std::vector<std::string>{"\xC2\xA0", "\xE2\x80\xA7", "\xE2\x80\xAF", "\xE2\x81\xA5",
                                                            "\xE2\x81\xAA", "\xE7\x8C\xAB", "\xC3\x80"})
      CHECK(Json(text).dump() == "\"" + text + "\"");
  }

  TEST_CASE("an object of many members keeps their order, finds each and replaces in place") {
    Json many;
    for (int i = 0; i < 1000; ++i) many[std::to_string(i * 7919 % 1000)] = i;
    REQUIRE(many.size() == 1000);
    for (int i = 0; i < 1000; ++i) CHECK(many.at(std::to_string(i * 7919 % 1000)) == Json(i));
    many["0"] = "new";
    CHECK(many.size() == 1000);
    CHECK(many.items()[0].second == Json("new"));
    CHECK(Json::parse(many.dump()) == many);
    Json copy = many;
    copy.update(Json{{"1", nullptr}, {"extra", 1}});
    CHECK(copy.size() == 1001);
    CHECK(copy.at("1").is_null());
    CHECK_FALSE(many == copy);
  }
}
