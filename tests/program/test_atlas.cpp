// gradus atlas: its targets are the exact ones, its sampled descents are gradus tune, its exact descents are what tune
// tends to, and its page shows the numbers of its JSON.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("atlas");

static const std::string kAtlas = "atlas table --reward contains:cat --feature contains:the=0.5 --max-tokens 3 ";

static const Json& descent(const Json& atlas, size_t target, const std::string& divergence) {
  for (const Json& d : atlas["targets"][target]["descents"])
    if (d["divergence"] == Json(divergence)) return d;
  throw DataError("no descent of " + divergence);
}
static std::vector<double> numbers(const Json& list) { return list.get<std::vector<double>>(); }

static std::string three_digits(double x) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.3g", x);
  return digits;
}

TEST_CASE("both targets are the exact ones, and every divergence arrives at both") {
  const Scratch dir;
  table_prior(dir);
  const Json atlas = dir.must(f64, kAtlas + "--steps 150 --seeds 1 --json").json();
  CHECK(names(atlas) == std::vector<std::string>{"steps", "sequences", "targets"});
  const Json posterior =
      dir.must(f64, "exact posterior table --reward contains:cat --kl-coef 1 --max-tokens 3 --json").json();
  const Json gdc = dir.must(f64, "exact gdc table --feature contains:the=0.5 --max-tokens 3 --json").json();
  CHECK(near(atlas["targets"][0]["log_z"].get<double>(), posterior["log_z"].get<double>(), 1e-12));
  CHECK(near(atlas["targets"][1]["kl"].get<double>(), gdc["kl"].get<double>(), 1e-12));
  CHECK(near(atlas["targets"][1]["lambda"][0].get<double>(), gdc["lambda"][0].get<double>(), 1e-12));
  const auto log_p = [](const Json& list, const Json& name, const char* field) {
    for (const Json& s : list)
      if (s["text"] == name) return s[field].get<double>();
    throw DataError("no such text");
  };
  for (const Json& s : atlas["sequences"]) {
    CHECK(near(s["log_rl"].get<double>(), log_p(posterior["sequences"], s["text"], "log_posterior"), 1e-12));
    CHECK(near(s["log_gdc"].get<double>(), log_p(gdc["sequences"], s["text"], "log_target"), 1e-12));
  }
  for (size_t t = 0; t < 2; ++t) {
    CHECK(atlas["targets"][t]["descents"].size() == 8);
    for (const Json& d : atlas["targets"][t]["descents"]) {
      CAPTURE(d["divergence"].dump());
      const std::vector<double> to = numbers(d["exact"]["kl_to_target"]), from = numbers(d["exact"]["kl_from_target"]);
      CHECK(to.size() == atlas["steps"].size());
      CHECK(near(from.front(), atlas["targets"][t]["kl"].get<double>(), 1e-12));  // from the target to the prior
      const bool rests = d["divergence"] != Json("tv");                           // its slope vanishes at the target
      CHECK(to.back() < (rests ? 1e-6 : 1e-3));
      CHECK(numbers(d["sampled"][0]["kl_to_target"]).back() < 1e-3);
      CHECK(d["exact"]["arrival"].get<int64_t>() > 1);
      CHECK(d["exact"]["arrival"].get<int64_t>() < 150);
    }
    const auto divergence = [&](const char* name) { return numbers(descent(atlas, t, name)["exact"]["divergence"]); };
    CHECK(divergence("reverse-kl") == numbers(descent(atlas, t, "reverse-kl")["exact"]["kl_to_target"]));
    CHECK(divergence("forward-kl") == numbers(descent(atlas, t, "forward-kl")["exact"]["kl_from_target"]));
  }
  // J* − J(prior) at β = 1.
  CHECK(near(numbers(descent(atlas, 0, "reverse-kl")["exact"]["divergence"]).front(), 0.708513066862315 - 0.6, 1e-12));
}

// The log of step s+1 is of the policy after s steps.
TEST_CASE("sampled descents are those of gradus tune, number by number, and exact ones what large batches come to") {
  const Scratch dir;
  table_prior(dir);
  const std::string same = "--steps 20 --batch 32 --lr 0.05 --shards 2 ";
  const Json atlas = dir.must(f64, kAtlas + same + "--seed 7 --seeds 2 --kl-coef 0.5 --json --threads 2").json();
  CHECK(atlas["steps"].size() == 21);
  const auto tuned = [&](const std::string& run, const std::string& options) {
    dir.must(f64, "tune table --out " + run + " --max-tokens 3 --quiet " + same + options);
    std::vector<Json> log = dir.log(run, "step");
    log.push_back(dir.log(run, "truth").at(0));
    return log;
  };
  const auto agree = [&](const Json& curve, const std::vector<Json>& log) {
    for (const char* field : {"kl_to_target", "kl_from_target"}) {
      std::vector<double> logged;
      for (const Json& step : log) logged.push_back(step[field].get<double>());
      CHECK(numbers(curve[field]) == logged);
    }
  };
  agree(descent(atlas, 0, "js")["sampled"][0],
        tuned("a", "--reward contains:cat --kl-coef 0.5 --divergence js --seed 7"));
  agree(descent(atlas, 0, "reverse-kl")["sampled"][1],
        tuned("b", "--reward contains:cat --kl-coef 0.5 --algorithm f-dpg --seed 8"));
  agree(descent(atlas, 1, "forward-kl")["sampled"][0],
        tuned("c", "--target gdc --feature contains:the=0.5 --divergence forward-kl --seed 7"));
  CHECK(descent(atlas, 1, "chi2")["sampled"][1]["seed"] == Json(8));
  CHECK(dir.must(f64, kAtlas + same + "--seed 7 --seeds 2 --kl-coef 0.5 --json --threads 1").json() == atlas);
  const Json large = dir.must(f64, kAtlas + "--steps 5 --batch 2000 --lr 0.05 --seeds 1 --shards 2 --json").json();
  for (size_t t = 0; t < 2; ++t)
    for (const char* divergence : {"forward-kl", "hellinger", "chi2-reverse"}) {
      CAPTURE(divergence);
      const Json& d = descent(large, t, divergence);
      const std::vector<double> exact = numbers(d["exact"]["kl_to_target"]),
                                sampled = numbers(d["sampled"][0]["kl_to_target"]);
      CHECK(exact.back() < 0.95 * exact.front());
      for (size_t k = 0; k < exact.size(); ++k) CHECK(near(sampled[k], exact[k], 0.05 * exact.front()));
    }
}

// Near the target D_f is f''(1)/2 times chi2, so that KL falls by e^(-2 rate f''(1) c) with every step: compared where
// it is 1e-5.
TEST_CASE("plain descents end at the speed of f''(1)") {
  const Scratch dir;
  table_prior(dir);
  const Json atlas = dir.must(f64, kAtlas + "--steps 350 --seeds 1 --batch 2 --json").json();
  const auto speed = [&](const std::string& divergence) {
    const std::vector<double> kl = numbers(descent(atlas, 0, divergence)["plain"]["kl_to_target"]);
    size_t k = 0;
    while (k + 2 < kl.size() && kl[k] > 1e-5) ++k;
    return std::log(kl[k] / kl[k + 1]);
  };
  const double one = speed("reverse-kl");
  CHECK(one > 0.1);
  for (const auto& row : std::vector<std::pair<std::string, double>>{
           {"forward-kl", 1}, {"alpha:0.5", 1}, {"js", 0.25}, {"hellinger", 0.25}, {"chi2", 2}, {"chi2-reverse", 2}}) {
    CAPTURE(row.first);
    CHECK(near(speed(row.first) / one, row.second, 0.12 * row.second));
  }
}

TEST_CASE("the page and the text show the numbers of the JSON") {
  const Scratch dir;
  table_prior(dir);
  const std::string command = kAtlas + "--steps 30 --seeds 2 --lr 0.05 ";
  const Json atlas = dir.must(f64, command + "--html a.html --json").json();
  const std::string page = dir.read("a.html");
  CHECK(dir.valid_html("a.html"));
  CHECK(Json::parse(between(page, "<script type=\"application/json\" id=\"data\">", "</script>")) == atlas);
  CHECK(count(page, "class=\"card panel\"") == 16);
  CHECK(count(page, "<div class=\"measure\"") == 48);
  const Run text = dir.must(f64, command);
  for (size_t t = 0; t < 2; ++t)
    for (const Json& d : atlas["targets"][t]["descents"]) {
      const std::string name = d["divergence"].get<std::string>();
      CAPTURE(name);
      const double exact = numbers(d["exact"]["kl_to_target"]).back(),
                   a = numbers(d["sampled"][0]["kl_to_target"]).back(),
                   b = numbers(d["sampled"][1]["kl_to_target"]).back();
      const double plain = numbers(d["plain"]["kl_to_target"]).back();
      CHECK(contains(page, "plain " + three_digits(plain) + ", exact " + three_digits(exact) + ", sampled " +
                               three_digits(a) + " " + three_digits(b) + "</p>"));
      const Json &first = d["sampled"][0]["arrival"], &second = d["sampled"][1]["arrival"],
                 &own = d["exact"]["arrival"], &slow = d["plain"]["arrival"];
      const Json last = first.is_null() || second.is_null()            ? Json(nullptr)
                        : first.get<int64_t>() > second.get<int64_t>() ? first
                                                                       : second;
      std::string row = "<th scope=\"row\">" + name + "</th>";
      for (const Json& step : {slow, own, last})
        row += "<td>" + (step.is_null() ? std::string("–") : step.dump()) + "</td>";
      for (const double end : {plain, exact, std::max(a, b)}) row += "<td>" + three_digits(end) + "</td>";
      CHECK(contains(page, row));
      CHECK(contains(text.out, three_digits(exact)));
      // It has arrived at the first step from which on it stays below 1e-3; every step is shown here.
      const std::vector<double> to = numbers(d["exact"]["kl_to_target"]);
      size_t arrival = to.size();
      while (arrival > 0 && to[arrival - 1] < 1e-3) --arrival;
      CHECK(own == (arrival == to.size() ? Json(nullptr) : Json(arrival)));
    }
  CHECK(contains(text.out, "alpha:0.5"));
}

// Choosing the third button and the second point, as a reader would.
TEST_CASE("in a browser every panel reads its curves at the step and in the measure that the bar chooses") {
  if (::system("command -v chromium >/dev/null") != 0) return left_out("the page in a browser", "there is no chromium");
  const Scratch dir;
  table_prior(dir);
  const Json atlas = dir.must(f64, kAtlas + "--steps 4 --seeds 2 --lr 0.05 --html a.html --json").json();
  std::string page = dir.read("a.html");
  page.insert(page.rfind("</body>"),
              "<script>document.querySelectorAll('#bar button')[2].click(); const point = "
              "document.getElementById('point'); point.value = 1; point.dispatchEvent(new Event('input'));</script>");
  dir.write("chosen.html", page);
  const Run shown = dir.run({"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                             "--user-data-dir=" + dir / "profile", "file://" + dir / "chosen.html"});
  CHECK(contains(shown.out, "<main data-measure=\"2\">"));
  CHECK(contains(shown.out, "id=\"step\">1 of 4</output>"));
  CHECK(contains(shown.out, "<div id=\"bar\">"));  // no longer hidden
  CHECK(count(shown.out, "class=\"cursor\" y1=\"0\" y2=\"100%\" x1=\"25%\" x2=\"25%\"") == 48);
  for (size_t t = 0; t < 2; ++t)
    for (const Json& d : atlas["targets"][t]["descents"]) {
      CAPTURE(d["divergence"].dump());
      const auto at_one = [](const Json& curve) { return three_digits(numbers(curve["divergence"]).at(1)); };
      CHECK(contains(shown.out, "\"reading\">plain " + at_one(d["plain"]) + ", exact " + at_one(d["exact"]) +
                                    ", sampled " + at_one(d["sampled"][0]) + " " + at_one(d["sampled"][1]) + "</p>"));
    }
}

TEST_CASE("what no atlas can be made of is refused in a sentence") {
  const Scratch dir;
  table_prior(dir);
  dir.must(f64, "train q.txt --out bigram --lines --model ngram --order 2 --tokenizer word --quiet");
  const std::string rest = " --reward end --feature contains:cat=0.5 --max-tokens 3 ";
  CHECK(refuses(dir.run(f64, "atlas table --feature end=0.5 --max-tokens 3"), 2, "--reward"));
  CHECK(refuses(dir.run(f64, "atlas table --reward end --max-tokens 3"), 2, "--feature"));
  CHECK(refuses(dir.run(f64, "atlas table --reward end --feature contains:cat=1.5 --max-tokens 3"), 4,
                "between 0 and 1"));
  CHECK(refuses(dir.run(f64, "atlas table --kl-coef 0" + rest), 2, "--kl-coef is 0"));
  CHECK(refuses(dir.run(f64, "atlas bigram" + rest), 4, "no parameters"));
  CHECK(refuses(dir.run(f64, "atlas table --steps 1 --seeds 1 --html nowhere/a.html" + rest), 3, "nowhere"));
  dir.write("long.txt", "a b c d e f g h i j k l m n o p\n");
  dir.must(f64,
           "train long.txt --out long --lines --tokenizer word --model lstm --embd 2 --hidden 2 --steps 1 --quiet");
  CHECK(refuses(dir.run(f64, "atlas long --reward end --feature end=0.5 --max-tokens 6"), 4, "more than 10000"));
}

TEST_SUITE_END();
