// gradus bench: the works and fields of its JSON, figures that agree with each other, and its table. How fast anything
// is decides no check.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("bench");

static const std::vector<std::string> kWorks = {"gpt-step",       "lstm-step",    "tiny-step",     "rl-gpt-step",
                                                "rl-lstm-step",   "sample-gpt-1", "sample-gpt-64", "sample-lstm-1",
                                                "sample-lstm-64", "scalar-chain", "scalar-step"};

TEST_CASE("gradus bench measures every work on one thread and on all, and its figures agree with each other") {
  const Scratch dir;
  const Run run = dir.run(f32, "bench --seconds 0.001 --threads 2 --json", {.seconds = 600});
  CHECK(exits(run, 0));
  CHECK(run.err == "");
  const Json said = run.json();
  CHECK(names(said) == std::vector<std::string>{"fma_gflops", "sgemm_gflops", "threads", "fma_gflops_threads",
                                                "sgemm_gflops_threads", "real", "work"});
  for (const std::string field : {"fma_gflops", "sgemm_gflops", "fma_gflops_threads", "sgemm_gflops_threads"})
    CHECK(said[field].is_number());
  CHECK(said["threads"] == Json(2));
  CHECK(said["real"] == Json("f32"));
  const Json& works = said["work"];
  REQUIRE(works.size() == 2 * kWorks.size());
  for (size_t i = 0; i < works.size(); ++i) {
    const Json& work = works[i];
    CAPTURE(work.dump());
    CHECK(work["name"] == Json(kWorks[i / 2]));
    CHECK(work["threads"] == Json(i % 2 + 1));
    const std::vector<std::string> fields = names(work),
                                   wanted = {"name", "threads", "ms",        "runs",        "per_second",
                                             "unit", "gflops",  "fma_share", "sgemm_share", "ops"};
    CHECK((fields.size() >= wanted.size() && std::equal(wanted.begin(), wanted.end(), fields.begin())));
    CHECK(contains("tokens nodes", work["unit"].get<std::string>()));
    const auto ms = work["ms"].get<std::vector<double>>();
    REQUIRE(ms.size() == 3);
    CHECK((0 < ms[0] && ms[0] <= ms[1] && ms[1] <= ms[2]));  // least, median, greatest
    double parts = 0;
    for (const Json& op : work["ops"]) parts += op["ms"].get<double>();
    CHECK(near(parts, ms[1], 0.001 * ms[1]));
    CHECK(work["per_second"].get<double>() > 0);
    CHECK(work["runs"].get<int64_t>() >= 5);
    for (const std::string rate : {"gflops", "fma_share", "sgemm_share"}) {
      CHECK((work[rate].is_null() || work[rate].is_number()));
      if (!work["gflops"].is_null()) CHECK(work[rate].get<double>() > 0);
    }
  }
  CHECK(works[0]["name"] == Json("gpt-step"));
  for (const std::string op : {"linear", "causal_attention", "softmax_cross_entropy", "update"}) {
    CAPTURE(op);
    CHECK(contains(works[0]["ops"].dump(), "\"" + op + "\""));
  }
}

TEST_CASE("gradus bench measures the works that were named, once each, and refuses others") {
  const Scratch dir;
  const Run run = dir.run(f64, "bench scalar-step --only tiny-step --seconds 0.001 --threads 1 --json");
  CHECK(exits(run, 0));
  const Json works = run.json()["work"];
  REQUIRE(works.size() == 2);
  CHECK(works[0]["name"] == Json("tiny-step"));
  CHECK(works[0]["threads"] == Json(1));
  CHECK(works[1]["name"] == Json("scalar-step"));
  CHECK(works[1]["threads"] == Json(1));
  std::string all;
  for (const std::string& name : kWorks) all += (all.empty() ? "" : " | ") + name;
  CHECK(refuses(dir.run(f32, "bench gpt-stop"), 2, all));
  CHECK(refuses(dir.run(f32, "bench --seconds 0"), 2, "from 0.001"));
}

TEST_CASE("the table of gradus bench has a row for each work and number of threads, and 80 columns at most") {
  const Scratch dir;
  const Run run = dir.run(f32, "bench tiny-step scalar-chain --seconds 0.001 --threads 2");
  CHECK(exits(run, 0));
  size_t rows = 0;
  for (const std::string& line : lines(run.out)) {
    CAPTURE(line);
    CHECK(characters(line) <= 80);
    const std::vector<std::string> words = words_of(line);
    rows += words.size() > 2 && (words[0] == "tiny-step" || words[0] == "scalar-chain") &&
            (words[1] == "1" || words[1] == "2");
  }
  CHECK(rows == 4);
}

TEST_CASE("gradus bench --grow fits an exponent of time and of memory to each size, beside the counted one") {
  const Scratch dir;
  const Run run = dir.run(f32, "bench --grow --seconds 0.001 --threads 2 --json --html grow.html", {.seconds = 60});
  CHECK(exits(run, 0));
  const Json said = run.json();
  CHECK(names(said) == std::vector<std::string>{"real", "threads", "ranks", "grow"});
  CHECK(said["ranks"] == Json(1));
  const std::vector<std::string> sizes = {"batch", "context", "width", "layers", "vocabulary", "samples", "threads"};
  // What is counted grows by itself: evenly with batch and samples, faster than evenly with context and width, slower
  // where only a part of a step grows; and the same work is shared by threads.
  const std::vector<std::pair<double, double>> time = {{1, 1},      {1.05, 1.6}, {1.5, 2}, {0.7, 1},
                                                       {0.3, 0.99}, {1, 1},      {-1, -1}};
  REQUIRE(said["grow"].size() == sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const Json& grown = said["grow"][i];
    CAPTURE(grown.dump());
    CHECK(grown["axis"] == Json(sizes[i]));
    CHECK(grown["points"].size() >= 2);
    for (const Json& point : grown["points"]) {
      CHECK(point["ms"].get<double>() > 0);
      CHECK(point["bytes"].get<double>() > 0);
    }
    const double expected = grown["time"]["expected"].get<double>();
    CHECK(expected >= time[i].first - 1e-9);
    CHECK(expected <= time[i].second + 1e-9);
    CHECK(std::isfinite(grown["time"]["exponent"].get<double>()));
    // Memory is measured on the process, and counted by what is promised before a run: up to what a process itself
    // takes.
    const double memory = grown["memory"]["exponent"].get<double>(),
                 counted = grown["memory"]["expected"].get<double>();
    if (sizes[i] != "threads" && sizes[i] != "samples") CHECK(near(memory, counted, 0.35));
  }
  CHECK(dir.valid_html("grow.html"));
  CHECK(exits(dir.run(f32, "bench gpt-step --grow"), 2));
  CHECK(exits(dir.run(f32, "bench gpt-step --html grow.html"), 2));
}

TEST_CASE("Ctrl-C ends gradus bench at once") {
  const Scratch dir;
  Child child = dir.start(f32, "bench gpt-step --seconds 600 --quiet", {.seconds = 5});
  ::usleep(2000000);  // well within the first work
  CHECK(child.running());
  child.kill(SIGINT);
  CHECK(child.wait().code == 128 + SIGINT);
}

TEST_SUITE_END();
