// gradus kl: two tables of a file, the page of worked numbers, the lesson.
#include <cmath>
#include <cstdlib>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("kl");

// No line of more than 80 characters, and no spaces at its end.
static Verdict narrow(const std::string& page) {
  for (const std::string& line : lines(page)) {
    if (characters(line) > 80) return {"too long: " + line};
    if (line.ends_with(' ')) return {"spaces at the end of: " + line};
  }
  return {};
}

// The words of the first line that contains `part`, one space between them.
static std::string line_with(const std::string& page, const std::string& part) {
  for (const std::string& line : lines(page)) {
    if (!contains(line, part)) continue;
    std::string words;
    for (const char c : line)
      if (c != ' ' || !words.ends_with(' ')) words += c;
    return words;
  }
  return "";
}

static const char* const kExample =
    R"({"p":{"the cat":0.5,"the dog":0.2,"a cat":0.1,"a dog":0.2},"q":{"a dog":0.1,"a cat":0.2,"the dog":0.3,"the cat":0.4}})";

TEST_CASE("the divergences of two tables in a file are the worked numbers, in nats and in bits, from both builds") {
  struct Number {
    std::string name;
    double nats;
  };
  const Number nats[] = {{"kl_ab", 0.0997934720914665},      {"kl_ba", 0.101696829962760},
                         {"js", 0.0248073038503919},         {"tv", 0.2},
                         {"chi2_ab", 0.208333333333333},     {"chi2_ba", 0.22},
                         {"hellinger2", 0.0249947177471052}, {"entropy_a", 1.22060726455302},
                         {"entropy_b", 1.27985422583367},    {"cross_entropy_ab", 1.32040073664448}};
  const Number bits[] = {{"kl_ab", 0.143971547299450},
                         {"kl_ba", 0.146717512261402},
                         {"js", 0.0357893742427860},
                         {"tv", 0.2},
                         {"chi2_ba", 0.22},
                         {"entropy_a", 1.76096404744368}};
  const Scratch dir;
  dir.write("example.json", kExample);
  for (const Precision real : {f32, f64}) {
    CAPTURE(real);
    const Run run = dir.run(real, "kl example.json --json");
    CHECK(exits(run, 0));
    const Json said = run.json();
    CHECK(said.is_object());
    for (const Number& number : nats) {
      CAPTURE(number.name);
      CHECK(near(said[number.name].get<double>(), number.nats, 1e-12));
    }
    for (const Number& number : bits) {
      CAPTURE(number.name);
      CHECK(near(said["bits"][number.name].get<double>(), number.nats, 1e-12));
    }
  }
}

TEST_CASE("for people the two tables of a file are compared in nats and bits, on lines that fit a terminal") {
  const Scratch dir;
  dir.write("example.json", kExample);
  const Run run = dir.run(f64, "kl example.json");
  CHECK(exits(run, 0));
  CHECK(contains(line_with(run.out, "KL(p‖q) = "), " 0.0997934720914665 0.143971547299450"));
  CHECK(narrow(run.out));
}

TEST_CASE("two tables that are nearly equal have a small KL above 0, which both outputs show; equal ones have 0") {
  const Scratch dir;
  dir.write("near.json", R"({"p":{"a":0.3,"b":0.7},"q":{"a":0.300000001,"b":0.699999999}})");
  dir.write("equal.json", R"({"p":{"a":0.3,"b":0.7},"q":{"b":0.7,"a":0.3}})");
  dir.write("last.json",
            R"({"p":{"a":0.1,"b":0.2,"c":0.7},"q":{"a":0.1,"b":0.20000000000000001,"c":0.69999999999999996}})");
  const Json said = dir.must(f64, "kl near.json --json").json();
  for (const std::string field : {"kl_ab", "kl_ba"}) {
    CAPTURE(field);
    CHECK(near(said[field].get<double>(), 2.38e-18, 1e-20));
    CHECK(near(said["bits"][field].get<double>(), 3.43e-18, 2e-20));
  }
  CHECK(near(said["js"].get<double>(), 5.95e-19, 1e-20));
  CHECK(contains(line_with(dir.must(f64, "kl near.json").out, "KL(p‖q) ="), " 2.38"));
  for (const std::string file : {"equal.json", "last.json"}) {
    const Json none = dir.must(f64, "kl " + file + " --json").json();
    for (const std::string field : {"kl_ab", "kl_ba", "js", "tv", "chi2_ab", "chi2_ba", "hellinger2"})
      CHECK(none[field].dump() == "0.0");
  }
}

TEST_CASE("no page and no JSON of kl has a minus zero") {
  const Scratch dir;
  dir.write("zero.json", R"({"p":{"a":-0.0,"b":1},"q":{"a":-0.0,"b":1}})");
  for (const std::string words :
       {"kl", "kl zero.json", "kl zero.json --json", "kl --lesson", "kl --json", "kl --section 12"}) {
    CAPTURE(words);
    const std::string out = dir.must(f64, words).out;
    for (size_t at = out.find("-0"); at != out.npos; at = out.find("-0", at + 1)) {
      const size_t end = out.find_first_not_of("0.", at + 1);
      CAPTURE(out.substr(at, 20));
      CHECK(out.substr(end, 1).find_first_of("123456789e") != std::string::npos);
    }
  }
}

TEST_CASE("a name that q lacks makes KL(p‖q) infinite, and the program says which name") {
  const Scratch dir;
  dir.write("zero.json", R"({"q":{"a":1},"p":{"a":0.25,"b":0.75}})");
  const Run run = dir.run(f64, "kl zero.json --json");
  CHECK(exits(run, 0));
  const Json said = run.json();
  CHECK(said.is_object());
  CHECK(said["kl_ab"] == Json("inf"));
  CHECK(said["chi2_ab"] == Json("inf"));
  CHECK(said["bits"]["kl_ab"] == Json("inf"));
  CHECK(near(said["kl_ba"].get<double>(), std::log(4.0), 1e-12));
  const Run text = dir.run(f64, "kl zero.json");
  CHECK(exits(text, 0));
  CHECK(contains(text.out, "p gives \"b\" a probability, q gives it none"));
}

TEST_CASE("a table that sums to 1 within 1e-6 is taken as it is") {
  const Scratch dir;
  dir.write("nearly.json", R"({"p":{"a":0.5000004,"b":0.5,"c":0},"q":{"a":0.5,"b":0.5}})");
  const Run run = dir.run(f64, "kl nearly.json --json");
  CHECK(exits(run, 0));
  CHECK(near(run.json()["tv"].get<double>(), 2e-7, 1e-12));
}

TEST_CASE("a file that does not hold two tables of probabilities is refused by its name and its mistake") {
  struct Mistake {
    std::string text, message;
  };
  const Mistake mistakes[] = {
      {R"({"p":{"a":1.5,"b":-0.5},"q":{"a":1}})", "p[\"b\"] is -0.5"},
      {R"({"p":{"a":1},"q":{"a":"1"}})", "q[\"a\"] is \"1\", must be a number"},
      {R"({"p":{"a":1},"q":{"a":null}})", "q[\"a\"] is null"},
      {R"({"p":{"a":NaN},"q":{"a":1}})", "not JSON"},
      {R"({"p":{"a":1e999},"q":{"a":1}})", "bad.json: holds a number that is out of range"},
      {R"({"p":{},"q":{"a":1}})", "\"p\" must be an object"},
      {R"({"p":{"a":1},"q":[1]})", "\"q\" must be an object"},
      {R"({"p":{"a":1}})", "has no \"q\""},
      {R"({"p":{"a":0.4,"b":0.5},"q":{"a":1}})", "\"p\" sums to 0.9"},
      {R"({"p":{"a":1},"q":{"a":1.000002}})", "\"q\" sums to 1.000002"},
      {R"({"p":{"a":0.5,"a":0.5,"b":0.5},"q":{"a":1}})", "\"a\" occurs twice"},
      {R"({"p":{"a":1},"q":{"a":1},"q":{"a":1}})", "\"q\" occurs twice"},
      {"[1,2]", "must be an object"},
      {R"({"p":{"a":1)", "line 1 is not JSON (column 12)"},
      {"{\"p\":{\"a\":1},\n \"q\":{\"a\":.5}}", "line 2 is not JSON (column 11)"},
      {"{\"p\":{\"a\":" + repeated("[", 20'000), "bad.json: is nested more than 64 levels deep (line 1, column 73)"},
      {repeated("{\"p\":", 20'000), "is nested more than 64 levels deep"},
      {"{\"p\":{\"" + repeated("n", 100'000) + "\":1,\"" + repeated("n", 100'000) + "\":1}}",
       "occurs twice in one object"},
      {"", "is empty"},
  };
  const Scratch dir;
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.text);
    dir.write("bad.json", mistake.text);
    const Run run = dir.run(f64, "kl bad.json --json");
    CHECK(refuses(run, 4, mistake.message));
    CHECK(contains(run.err, "bad.json"));
  }
}

TEST_CASE("kl refuses what is not one file, and a lesson about a file or as JSON") {
  const Scratch dir;
  dir.write("example.json", kExample);
  CHECK(refuses(dir.run(f64, "kl nowhere.json"), 4, "nowhere.json"));
  CHECK(refuses(dir.run(f64, "kl ."), 4, "is a folder"));
  CHECK(refuses(dir.run(f64, "kl ''"), 2, "FILE.json"));
  CHECK(refuses(dir.run(f64, "kl a.json b.json"), 2, "b.json"));
  CHECK(refuses(dir.run(f64, "kl --lesson example.json"), 2, "--lesson"));
  CHECK(refuses(dir.run(f64, "kl --lesson --json"), 2, "--lesson"));
}

TEST_CASE("the page of worked numbers shows each beside the document's figure, the same from both builds") {
  const Scratch dir;
  const Run run = dir.run(f64, "kl");
  CHECK(exits(run, 0));
  const std::string& page = run.out;
  CHECK(line_with(page, "D_KL(π‖q), nats  ") == " D_KL(π‖q), nats 0.22 0.0997934720914665 0.22 is wrong");
  CHECK(line_with(page, "D_KL(π‖q), bits  ") == " D_KL(π‖q), bits 0.143971547299450");
  CHECK(contains(line_with(page, "χ²(q‖π) = "), " 0.220000000000000 exactly 0.22"));
  CHECK(narrow(page));
  CHECK(dir.run(f32, "kl").out == page);
  const Run json = dir.run(f64, "kl --json");
  CHECK(exits(json, 0));
  CHECK(json.json().is_object());
  CHECK(near(json.json()["kl.pi.q"].get<double>(), 0.0997934720914665, 1e-12));
}

TEST_CASE("kl --section prints one section of the page, and refuses one that is not there") {
  const Scratch dir;
  const Run run = dir.run(f64, "kl --section 14");
  CHECK(exits(run, 0));
  CHECK(run.out.starts_with("14  Small formulas"));
  CHECK(contains(dir.run(f64, "kl").out, run.out));
  CHECK(!contains(run.out, "15  Two listings"));
  CHECK(refuses(dir.run(f64, "kl --section 16"), 2, "from 1 to 15, not 16"));
  CHECK(refuses(dir.run(f64, "kl --section 0"), 2, "from 1 to 15, not 0"));
  CHECK(refuses(dir.run(f64, "kl --section two"), 2, "--section"));
  CHECK(refuses(dir.run(f64, "kl --section 1 --lesson"), 2, "--section"));
  CHECK(refuses(dir.run(f64, "kl --section 1 --json"), 2, "--section"));
  dir.write("example.json", kExample);
  CHECK(refuses(dir.run(f64, "kl --section 1 example.json"), 2, "--section"));
}

TEST_CASE("every worked number that is stored stands on the page, to the digits that the page shows") {
  const Scratch dir;
  const std::string page = dir.run(f64, "kl").out;
  std::vector<double> shown;
  std::string word;
  for (const char c : page + " ") {
    if (c != ' ' && c != '\n') {
      word += c;
      continue;
    }
    if (word.ends_with(',')) word.pop_back();
    char* end = nullptr;
    const double x = std::strtod(word.c_str(), &end);
    if (!word.empty() && *end == '\0' && std::isfinite(x)) shown.push_back(x);
    word.clear();
  }
  size_t numbers = 0;
  std::string missing;
  const Json golden = Json::parse(bytes_of("tests/goldens/worked_numbers.json"));
  for (const Json& entry : golden["numbers"]) {
    const std::string what = entry["name"].get<std::string>();
    const bool few = what.starts_with("gaussian") || what.starts_with("importance.self");
    for (const Json& value : entry["values"]) {
      const double x = value.get<double>(), room = (few ? 6e-8 : 6e-11) * std::max(1.0, std::abs(x));
      bool there = false;
      for (const double y : shown) there = there || std::abs(x - y) <= room;
      if (!there) missing += what + " " + value.dump() + "\n";
      ++numbers;
    }
  }
  CHECK(missing == "");
  CHECK(numbers >= 700);
}

TEST_CASE("the lesson shows the example, its posterior, and what a KL penalty prevents") {
  const Scratch dir;
  const Run run = dir.run(f64, "kl --lesson");
  CHECK(exits(run, 0));
  CHECK(contains(run.out, "= 0.0997934720914665 nats = 0.143971547299450 bits\n"));
  CHECK(contains(run.out, "β = 0.5: E[r] = 0.917243, D_KL(π*‖q) = 0.258929, J* = 0.787779"));
  CHECK(line_with(run.out, " 0.999658 ") == " 2000 0.999658 0.044897 0.876510");
  CHECK(line_with(run.out, " 0.998883 ") == " 2000 0.998883 0.644793 0.502675 0.00304759");
  CHECK(narrow(run.out));
}

TEST_SUITE_END();
