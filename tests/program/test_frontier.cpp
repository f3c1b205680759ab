// gradus frontier and gradus compare: curves, points and estimates against the exact worlds of the four sentences.
#include <cmath>

#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("frontier");

static void tables(const Scratch& dir) {
  table_prior(dir);
  dir.write("pi.txt", repeated("the cat\n", 5) + repeated("the dog\n", 2) + "a cat\n" + repeated("a dog\n", 2));
  dir.must(f64, "train pi.txt --out pi --lines --model tabular --tokenizer word --quiet");
}

TEST_CASE("frontier gives the curve, best of N and how far runs are from it, as JSON, as text and as a page") {
  const Scratch dir;
  tables(dir);
  dir.must(f64,
           "tune table --out tuned --reward contains:cat --kl-coef 0.5 --max-tokens 3 --steps 60 --lr 0.1 --quiet");
  const std::string frontier = "frontier table pi tuned --reward contains:cat --max-tokens 3 ";
  const Json said = dir.must(f64, frontier + "--json --html f.html").json();
  CHECK(names(said) == std::vector<std::string>{"frontier", "best_of_n", "runs"});
  CHECK(names(said["frontier"][0]) == std::vector<std::string>{"beta", "reward", "kl"});
  CHECK(said["frontier"][0]["beta"] == Json("inf"));
  for (const Json& p : said["frontier"]) {
    if (!p["beta"].is_number() || p["beta"] == Json(0.0)) continue;
    const double e = 0.6 * std::exp(1 / p["beta"].get<double>());
    CHECK(near(p["reward"].get<double>(), e / (0.4 + e), 1e-9));
  }
  CHECK(near(said["best_of_n"][1]["reward"].get<double>(), 0.84, 1e-12));
  CHECK(near(said["best_of_n"][1]["kl"].get<double>(), 0.84 * std::log(1.4) + 0.16 * std::log(0.4), 1e-12));
  CHECK(near(said["best_of_n"][1]["kl_usual"].get<double>(), 0.193147180559945, 1e-12));
  CHECK(said["runs"][0]["run"] == Json("pi"));
  CHECK(near(said["runs"][0]["reward"].get<double>(), 0.6, 1e-12));
  CHECK(near(said["runs"][0]["kl_to_frontier"].get<double>(), 0.0997934720914665, 1e-12));
  CHECK(said["runs"][1]["kl_to_frontier"].get<double>() < 2e-3);
  CHECK(said["runs"][1]["kl_to_frontier"].get<double>() >= -1e-12);
  CHECK(dir.valid_html("f.html"));
  const std::string page = dir.read("f.html");
  for (const char* part : {"best of 64, ", "best of N at log N − (N−1)/N", "<circle class=\"s3\"",
                           "<circle class=\"s4\"", "<title>tuned, ", "<title>pi, ", "an upper bound"})
    CHECK(contains(page, part));
  CHECK(!contains(page, "path class=\"s2 dots"));  // points are not joined
  CHECK(!contains(page, "earns less"));
  const Run shown = dir.must(f64, frontier);
  CHECK(contains(shown.out, "0.840000     0.136030     0.193147"));
  CHECK(contains(shown.out, "0.600000     0.099793     0.099793  pi"));
  // A run that was tuned away from the reward.
  dir.must(f64, "tune table --out less --reward contains:dog --max-tokens 3 --steps 10 --lr 0.1 --quiet");
  const Run below = dir.must(f64, "frontier table less --reward contains:cat --max-tokens 3 --html f.html");
  CHECK(contains(below.out, "less (earns less than the prior)"));
  CHECK(contains(dir.read("f.html"), "more than the nearest policy that earns as little"));
  CHECK(refuses(dir.run(f64, "frontier table --max-tokens 3"), 2, "--reward"));
  CHECK(refuses(dir.run(f64, frontier + "--html nowhere/f.html"), 3, "nowhere"));
}

// The plain estimates of the formulas have standard errors of sqrt(Var/N): .0045 for KL of these tables from 20,000.
TEST_CASE("compare estimates every divergence within its error, and the same on any number of threads") {
  const Scratch dir;
  tables(dir);
  const Json exact = dir.must(f64, "exact compare pi table --max-tokens 3 --json").json();
  const Run run = dir.must(f64, "compare pi table --samples 20000 --max-tokens 3 --json --threads 1");
  const Json said = run.json();
  for (const std::string name : {"kl_ab", "kl_ba", "js", "tv", "chi2_ab", "chi2_ba", "hellinger2"}) {
    CAPTURE(name);
    const double error = said[name + "_stderr"].get<double>();
    CHECK(error > 1e-5);
    CHECK(error < 0.005);
    CHECK(near(said[name].get<double>(), exact[name].get<double>(), 4.5 * error));
  }
  CHECK(said["kl_ab_stderr"].get<double>() < 0.001);
  double squares = 0;  // of z over 12 seeds and two figures, which its errors make 1 on average
  for (int seed = 1; seed <= 12; ++seed) {
    const Json one =
        dir.must(f64, "compare pi table --samples 2000 --max-tokens 3 --json --seed " + std::to_string(seed)).json();
    for (const std::string name : {"kl_ab", "chi2_ba"})
      squares +=
          std::pow((one[name].get<double>() - exact[name].get<double>()) / one[name + "_stderr"].get<double>(), 2);
  }
  CHECK(squares / 24 > 0.45);
  CHECK(squares / 24 < 1.9);
  CHECK(dir.must(f64, "compare pi table --samples 20000 --max-tokens 3 --json --threads 2").out == run.out);
  const Json same = dir.must(f64, "compare pi pi --samples 100 --max-tokens 3 --json").json();
  CHECK(same["kl_ab"] == Json(0.0));
  CHECK(same["kl_ab_stderr"] == Json(0.0));
  CHECK(same["js"].get<double>() == 0);
  CHECK(contains(dir.must(f64, "compare pi table --max-tokens 3").out, "kl_ab"));
  CHECK(refuses(dir.run(f64, "compare pi table --samples 1"), 2, "from 2 to"));
  const Json two = dir.must(f64, "compare pi table --samples 2 --max-tokens 3 --json").json();
  CHECK(two["kl_ab_stderr"].is_number());
}

// Of runs that hardly share a text, and of one that says what the other cannot.
TEST_CASE("compare is right far away too: no control that the other run alone could correct") {
  const Scratch dir;
  table_prior(dir);
  const std::string rare = "the cat\nthe dog\na cat\na dog\n";
  dir.write("left.txt", repeated("the cat\n", 2000) + rare);
  dir.write("right.txt", repeated("a dog\n", 2000) + rare);
  for (const char* run : {"left", "right"})
    dir.must(f64,
             std::string("train ") + run + ".txt --out " + run + " --lines --model tabular --tokenizer word --quiet");
  const Json exact = dir.must(f64, "exact compare left right --max-tokens 3 --json").json(),
             said = dir.must(f64, "compare left right --samples 3000 --max-tokens 3 --json").json();
  for (const std::string name : {"kl_ab", "kl_ba", "js", "tv", "hellinger2"}) {
    CAPTURE(name);
    const double error = said[name + "_stderr"].get<double>();
    CHECK(error < 0.1 * exact[name].get<double>());
    CHECK(near(said[name].get<double>(), exact[name].get<double>(), 4.5 * error + 1e-3));
  }
  dir.write("gap.txt", "the cat\nthe dog\na\n");
  dir.must(f64, "train gap.txt --out gap --lines --model tabular --tokenizer word --quiet");
  const Json beyond = dir.must(f64, "compare table gap --max-tokens 3 --json").json(),
             exactly = dir.must(f64, "exact compare table gap --max-tokens 3 --json").json();
  CHECK(beyond["kl_ab"] == Json("inf"));
  CHECK(beyond["kl_ab_stderr"] == Json(nullptr));
  for (const std::string name : {"js", "tv", "hellinger2"}) {
    CAPTURE(name);
    CHECK(near(beyond[name].get<double>(), exactly[name].get<double>(), 4.5 * beyond[name + "_stderr"].get<double>()));
  }
  const std::string text = dir.must(f64, "compare table gap --max-tokens 3").out;
  CHECK(contains(text, "(one run excludes what the other says)"));
  CHECK(!contains(text, "nan"));
}

TEST_CASE("who takes the softmax of action values for a policy is told so, once for each run") {
  const Scratch dir;
  table_prior(dir);
  dir.must(f64, "tune table --out q --algorithm q --reward contains:cat --max-tokens 3 --steps 2 --quiet");
  const std::string note = "note: the logits of q are action values";
  for (const std::string command :
       {"frontier table q --reward end --max-tokens 3", "frontier q table --reward end --max-tokens 3",
        "compare q table --samples 10 --max-tokens 3", "compare table q --samples 10 --max-tokens 3",
        "exact compare table q --max-tokens 3", "exact compare q q --max-tokens 3",
        "tune table --prior q --out t1 --reward end --max-tokens 3 --steps 1",
        "tune q --out t2 --reward end --max-tokens 3 --steps 1",
        "atlas q --reward end --feature contains:cat=0.5 --max-tokens 3 --steps 1 --seeds 1"}) {
    CAPTURE(command);
    const Run run = dir.run(f64, command);
    CHECK(count(run.err, note) == 1);
    CHECK(!contains(dir.run(f64, command + " --quiet").err, note));
  }
  CHECK(count(dir.run(f64, "score q", {.in = "the cat\n"}).err, note) == 1);
}

TEST_SUITE_END();
