// engine/io/json.h: what is read strictly, what is written validly, and how values are looked at.
#include "engine/io/json.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/scratch.h"

using namespace gradus;

namespace {

std::string complaint(const std::string& text) {
  return gradus::complaint<JsonError>([&] { Json::parse(text); });
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

  TEST_CASE("a quote and a backslash are escaped in values and names, among plain characters too") {
    const Json json{{"a\"b", "say \"yes\""}, {"c\\d", "\\"}, {"plain", "~ text !"}};
    CHECK(json.dump() == R"({"a\"b":"say \"yes\"","c\\d":"\\","plain":"~ text !"})");
    CHECK(Json::parse(json.dump()) == json);
  }

  TEST_CASE("what is not JSON is refused with its line") {
    CHECK(complaint("{\n\"a\":1,\n\"b\":}") == "line 3 is not JSON (column 5)");
    CHECK(complaint("{\"ä\":\"猫\",}") == "line 1 is not JSON (column 10)");
    for (const char* text :
         {"", " ", "{", "[1,]", "{\"a\":1}x", "nul", "NaN", "01", "+1", "/* */1", "'a'", "\"\xff\"", "\"\\ud800\""})
      CHECK_MESSAGE(complaint(text).find("is not JSON") != std::string::npos, text);
    CHECK(complaint("[1e999]") == "holds a number that is out of range (line 1, column 7)");
    CHECK(complaint(std::string(400, '9')).starts_with("holds a number that is out of range"));
    for (const char* text : {"1 2",
                             "[1 2]",
                             "{\"a\" 1}",
                             "{\"a\":1 \"b\":2}",
                             "[,1]",
                             "{,}",
                             "{\"a\"}",
                             "{1:2}",
                             "\"\n\"",
                             "\"\\x\"",
                             "\"\\u12g4\"",
                             "\"\\udc00\"",
                             "\"\\ud800\\u0041\"",
                             "\"\\",
                             "\"",
                             "-",
                             "1.",
                             ".5",
                             "1e",
                             "1e+",
                             "-01",
                             "tru",
                             "True",
                             "nulL",
                             "Infinity",
                             "\xEF\xBB\xBF"
                             "1",
                             "[1]]",
                             "\"\xC0\xAF\"",
                             "]"})
      CHECK_MESSAGE(complaint(text).find("is not JSON") != std::string::npos, text);
    CHECK(complaint(std::string("1\0", 2)) == "line 1 is not JSON (column 2)");
    CHECK(Json::parse_or_null("{").is_null());
  }

  TEST_CASE("a name that stands twice in one object is refused at any depth, in two objects it may") {
    CHECK(complaint(R"({"a":1,"a":2})") == R"("a" occurs twice in one object (line 1, column 12))");
    CHECK(complaint(R"({"a":1,"\u0061":2})").starts_with(R"("a" occurs twice in one object)"));
    CHECK(complaint("{\"" + std::string(100'000, 'n') + "\":1,\"" + std::string(100'000, 'n') + "\":2}").size() < 200);
    CHECK(complaint(R"([{"x":{"a":1,"b":2,"a":3}}])").starts_with(R"("a" occurs twice in one object)"));
    CHECK(complaint(R"([{"a":1},{"a":2}])") == "");
  }

  TEST_CASE("nesting is bounded, so that no text exhausts the stack") {
    const auto nested = [](int n) { return std::string(size_t(n), '[') + std::string(size_t(n), ']'); };
    CHECK(complaint(nested(Json::kMaxDepth)) == "");
    for (const int depth : {Json::kMaxDepth + 1, 20'000, 1'000'000})
      CHECK(complaint(nested(depth)) == "is nested more than 64 levels deep (line 1, column 65)");
    CHECK(complaint(std::string(1'000'000, '[')) == "is nested more than 64 levels deep (line 1, column 65)");
    std::string objects;
    for (int i = 0; i < 20'000; ++i) objects += "{\"a\":";
    CHECK(complaint(objects).starts_with("is nested more than 64 levels deep (line 1, column "));
  }

  TEST_CASE("every escape and every number of JSON is read as it is meant") {
    CHECK(Json::parse(R"("\"\\\/\b\f\n\r\t\u0041\u00e4\u732b\ud83d\ude00")") == Json("\"\\/\b\f\n\r\tAä猫😀"));
    CHECK(Json::parse(R"("\u0000")").get<std::string>() == std::string(1, '\0'));
    CHECK(Json::parse(" \t\r\n[ 1 , { } , [ ] ] \n").dump() == "[1,{},[]]");
    CHECK(Json::parse("-9223372036854775808").get<int64_t>() == INT64_MIN);
    CHECK(Json::parse("-0").get<int64_t>() == 0);
    CHECK(Json::parse("1E+2").get<double>() == 100);
    CHECK(Json::parse("5e-324").get<double>() == 5e-324);
    CHECK(Json::parse("1e-400").get<double>() == 0);
    CHECK(Json::parse("18446744073709551616").get<double>() == 0x1p64);
  }

  TEST_CASE("a number beyond the range of double is 0 where it is small and refused where it is large") {
    const std::string zeros(400, '0');
    for (const std::string& small : std::vector<std::string>{
             "0." + zeros + "1", "0." + zeros + "1e5", "0." + zeros + "1E+50", "1" + zeros + "e-800", "-1e-400",
             "12.5e-400", "1e-99999999999999999999", "0e-400", "0e400", "0.0e99999999999999999999"}) {
      CAPTURE(small);
      CHECK(Json::parse(small).get<double>() == 0);
    }
    for (const std::string& large :
         std::vector<std::string>{"1" + zeros, "1" + zeros + "e-5", "-1" + zeros + ".5E-5", "0." + zeros + "1e800",
                                  "1e400", "1e+400", "1e99999999999999999999", "12.5E400"}) {
      CAPTURE(large);
      CHECK(complaint(large).starts_with("holds a number that is out of range (line 1, column "));
    }
    CHECK(Json::parse("1" + zeros + "e-400").get<double>() == 1);
    CHECK(Json::parse("0." + zeros + "1e401").get<double>() == 1);
  }

  TEST_CASE("values are counted, and a list of texts is read without a tree") {
    std::string many = "[0";
    for (size_t i = 0; i < Json::kMaxValues; ++i) many += ",0";
    CHECK(complaint(many + "]").starts_with("holds too many values (line 1, column "));
    CHECK(Json::parse_texts(R"(["a","b,c","\u0064"])") == std::vector<std::string>{"a", "b,c", "d"});
    CHECK(Json::parse_texts("[]").empty());
    const auto said = [](const std::string& text, size_t most) {
      return gradus::complaint<JsonError>([&] { Json::parse_texts(text, most); });
    };
    CHECK(said(R"(["a","b"])", 2) == "");
    CHECK(said(R"(["a","b","c"])", 2) == "lists more than 2 texts (line 1, column 10)");
    CHECK(said(R"({"a":1})", 2) == "is not a list of texts (line 1, column 1)");
    CHECK(said(R"(["a",1])", 2) == "is not a list of texts: element 1 is none (line 1, column 6)");
    CHECK(said(R"([["a"]])", 2) == "is not a list of texts: element 0 is none (line 1, column 2)");
    CHECK(said(R"(["a",])", 2) == "line 1 is not JSON (column 6)");
    CHECK(said(R"(["a"]])", 2) == "line 1 is not JSON (column 6)");
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
                                                                {"\xD8\x9C", "\\u061c"},
                                                                {"\xE2\x80\x8E", "\\u200e"},
                                                                {"\xE2\x80\x8F", "\\u200f"},
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
    for (const std::string& text :
         std::vector<std::string>{"\xC2\xA0", "\xD8\x9B", "\xD8\x9D", "\xE2\x80\x8D", "\xE2\x80\x90", "\xE2\x80\xA7",
                                  "\xE2\x80\xAF", "\xE2\x81\xA5", "\xE2\x81\xAA", "\xE7\x8C\xAB", "\xC3\x80"})
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
