// What a sample must and must not hold, and lines that are left out of a corpus.
#include <cmath>
#include <map>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("filters");

// The table of four sentences: the cat .4, the dog .3, a cat .2, a dog .1.
struct Sentences : Scratch {
  Sentences() {
    write("q.txt", four_sentences());
    write("dogs.txt", "dog\n");
    must(f64, "train q.txt --lines --tokenizer word --model tabular --quiet --out table");
  }
};

// Samples that are let out follow q given that they are allowed: chi-square below its 99.9 % point, so that a right
// program fails in one of 1,000 seeds; the seed is fixed.
static void check_share(const Json& drawn, const std::map<std::string, double>& q) {
  constexpr double kMost[] = {0, 10.83, 13.82};  // of 1 and 2 degrees of freedom
  std::map<std::string, double> seen;
  for (const Json& sample : drawn["samples"]) ++seen[sample["text"].get<std::string>()];
  double allowed = 0, chi = 0;
  for (const auto& [text, p] : q) allowed += p;
  const auto n = double(drawn["samples"].size());
  for (const auto& [text, p] : q) {
    const double wanted = n * p / allowed;
    chi += (seen[text] - wanted) * (seen[text] - wanted) / wanted;
  }
  CHECK(seen.size() == q.size());  // and nothing else
  CHECK(chi < kMost[q.size() - 1]);
  const double all = drawn["drawn"].get<double>(), refused = drawn["refused"].get<double>();
  CHECK(all - refused == n);
  CHECK(std::fabs(refused - all * (1 - allowed)) < 3.3 * std::sqrt(all * allowed * (1 - allowed)));
}

TEST_CASE("filtered samples follow q given what is allowed, and the share that was refused is told") {
  const Sentences dir;
  const std::string many = "sample table --count 2000 --json --seed 3 ";
  check_share(dir.must(f64, many + "--block dogs.txt").json(), {{"the cat", 0.4}, {"a cat", 0.2}});
  check_share(dir.must(f64, many + "--require the").json(), {{"the cat", 0.4}, {"the dog", 0.3}});
  check_share(dir.must(f64, many + "--require t").json(), {{"the cat", 0.4}, {"the dog", 0.3}, {"a cat", 0.2}});
  const Json both = dir.must(f64, "sample table --count 5 --json --block dogs.txt --require a --require cat").json();
  for (const Json& sample : both["samples"]) CHECK(contains(sample["text"].get<std::string>(), "cat"));
  const Run shown = dir.must(f64, "sample table --count 30 --block dogs.txt");
  CHECK(lines(shown.out).size() == 30);
  CHECK(!contains(shown.out, "dog"));
  CHECK(contains(shown.err, "note: refused "));
  const Json plain = dir.must(f64, "sample table --count 3 --json").json();
  CHECK(!plain.contains("refused"));
}

TEST_CASE("what is let out, and what it cost, does not depend on the threads") {
  const Sentences dir;
  const std::string sample = "sample table --count 100 --json --require the --threads ";
  CHECK(dir.must(f64, sample + "1").out == dir.must(f64, sample + "2").out);
}

TEST_CASE("one filtered sample takes about the time of one sample, however many are drawn at once") {
  const Sentences dir;
  dir.must(f32, "train q.txt --out stream --steps 1 --quiet" + tiny("lstm"));
  const std::string sample = "sample stream --tokens 30000 --threads 2 --quiet --temperature 1";
  const Run plain = dir.must(f32, sample), filtered = dir.must(f32, sample + " --require a");
  CHECK(filtered.out == plain.out);
  CHECK(filtered.cpu < 5 * plain.cpu + 0.1);
}

TEST_CASE("a filter that nothing passes ends with a sentence") {
  const Sentences dir;
  CHECK(refuses(dir.run(f64, "sample table --require bird"), 4, "refused 100,000 samples in a row"));
  CHECK(refuses(dir.run(f64, "sample table --block no.txt"), 4, "no.txt"));
}

TEST_CASE("train --drop leaves out lines with listed words and says how many, and a resumed run does so again") {
  const Sentences dir;
  const Run table = dir.must(f64, "train q.txt --lines --tokenizer word --model tabular --drop dogs.txt --out cats");
  CHECK(contains(table.out, "Dropped 4 of 10 lines"));
  const Json one = dir.must(f64, "score cats", {.in = "the cat\n"}).json();
  CHECK(near(one["log_prob"].get<double>(), std::log(2.0 / 3), 1e-12));
  CHECK(dir.log("cats", "run")[0]["dropped_lines"] == Json(4));
  CHECK(contains(dir.report("cats"), "--drop"));

  const std::string train = "train q.txt --lines --drop dogs.txt --steps 12 --quiet" + tiny("lstm") + " --out ";
  dir.must(f64, train + "whole");
  CHECK(exits(dir.run(f64, train + "part --stop-after 5"), 130));
  CHECK(exits(dir.run(f64, "train --out part --resume --quiet"), 0));
  CHECK(dir.same_weights("whole", "part"));
  dir.write("dogs.txt", "cat\n");
  CHECK(refuses(dir.run(f64, "train --out part --resume --quiet --steps 20"), 4, "is not the text that the run"));
}

TEST_CASE("eval --drop measures the text without them, and names lines by their place in the file") {
  const Sentences dir;
  dir.must(f64, "train q.txt --lines --tokenizer word --model tabular --drop dogs.txt --quiet --out cats");
  CHECK(refuses(dir.run(f64, "eval cats q.txt"), 4, "'dog'"));
  const Json loss = dir.must(f64, "eval cats q.txt --drop dogs.txt --json").json();
  CHECK(loss["tokens"] == Json(18));
  dir.write("more.txt", "the dog\nthe cat\na bird\n");
  CHECK(refuses(dir.run(f64, "eval cats more.txt --drop dogs.txt"), 4, "more.txt, line 3: the word 'bird'"));
  dir.write("all.txt", "the dog\n");
  CHECK(refuses(dir.run(f64, "eval cats all.txt --drop dogs.txt"), 4, "occurs in every line"));
}

TEST_SUITE_END();
