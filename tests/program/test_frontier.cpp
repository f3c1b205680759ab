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
  CHECK(contains(dir.read("f.html"), "best of N"));
  const Run shown = dir.must(f64, frontier);
  CHECK(contains(shown.out, "0.840000     0.136030     0.193147"));
  CHECK(contains(shown.out, "0.600000     0.099793     0.099793  pi"));
  CHECK(refuses(dir.run(f64, "frontier table --max-tokens 3"), 2, "--reward"));
  CHECK(refuses(dir.run(f64, frontier + "--html nowhere/f.html"), 3, "nowhere"));
}

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
    CHECK(error < 0.02);
    CHECK(near(said[name].get<double>(), exact[name].get<double>(), 4.5 * error));
  }
  CHECK(dir.must(f64, "compare pi table --samples 20000 --max-tokens 3 --json --threads 2").out == run.out);
  const Json same = dir.must(f64, "compare pi pi --samples 100 --max-tokens 3 --json").json();
  CHECK(same["kl_ab"] == Json(0.0));
  CHECK(same["js"].get<double>() == 0);
  dir.write("gap.txt", "the cat\nthe dog\na\n");
  dir.must(f64, "train gap.txt --out gap --lines --model tabular --tokenizer word --quiet");
  CHECK(dir.must(f64, "compare table gap --max-tokens 3 --json").json()["kl_ab"] == Json("inf"));
  CHECK(contains(dir.must(f64, "compare pi table --max-tokens 3").out, "kl_ab"));
}

TEST_SUITE_END();
