// gradus score: a line of JSON for each line of standard input.
#include <cmath>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("score");

TEST_CASE("score gives a sampled line the log-probabilities that the sampler gave it") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  for (const std::string model : {"transformer", "lstm", "rnn", "nnlm"}) {
    CAPTURE(model);
    dir.must(f64,
             "train two_words.txt --lines --steps 20 --quiet --embd 16 --hidden 16 --heads 2 --layers 1 --context 16" +
                 (" --batch 4 --shards 2 --out " + model) + " --model " + model);
    std::string texts;
    std::vector<Json> ended;
    const Json samples = dir.must(f64, "sample --count 3 --tokens 40 --json " + model).json()["samples"];
    for (const Json& sample : samples) {
      if (!sample["ended"].get<bool>()) continue;
      texts += sample["text"].get<std::string>() + "\n";
      ended.push_back(sample);
    }
    CHECK(!ended.empty());
    const Run score = dir.run(f64, "score " + model, {.in = texts});
    CHECK(exits(score, 0));
    const std::vector<Json> scored = score.jsonl();
    REQUIRE(scored.size() == ended.size());
    for (size_t i = 0; i < scored.size(); ++i) {
      const auto said = ended[i]["log_probs"].get<std::vector<double>>();
      const auto got = scored[i]["log_probs"].get<std::vector<double>>();
      REQUIRE(got.size() == said.size());
      double distance = 0;
      for (size_t t = 0; t < got.size(); ++t) distance = std::max(distance, std::abs(got[t] - said[t]));
      CHECK(distance <= 1e-12);
    }
  }
}

TEST_CASE("a stream has no end marks: a line has as many log-probabilities as characters, an empty one none") {
  const Scratch dir;
  dir.must(f64, "train " + root() + "data/fables.txt --out stream --steps 5 --quiet" + tiny("transformer"));
  const std::string first = "The miller", last = "A line that is longer than the context of sixteen";
  const Run score = dir.run(f64, "score stream", {.in = first + "\n\n" + last + "\n"});
  CHECK(exits(score, 0));
  const std::vector<Json> scored = score.jsonl();
  REQUIRE(scored.size() == 3);
  CHECK(scored[0]["tokens"].size() == first.size());
  CHECK(scored[2]["tokens"].size() == last.size());
  CHECK(scored[1].dump() == R"({"text":"","tokens":[],"log_probs":[],"log_prob":0.0})");
  const Run cold = dir.run(f64, "score stream --temperature 0", {.in = first + "\n\n" + last + "\n"});
  CHECK(exits(cold, 0));
  for (const Json& line : cold.jsonl())
    for (const Json& log_prob : line["log_probs"]) CHECK((log_prob == Json("-inf") || log_prob == Json(0.0)));
}

TEST_CASE("score of nothing gives nothing, and a line that is not UTF-8 is refused by its number") {
  const Scratch dir;
  dir.must(f64, "train " + root() + "data/fables.txt --out stream --steps 5 --quiet" + tiny("transformer"));
  const Run nothing = dir.run(f64, "score stream");
  CHECK(exits(nothing, 0));
  CHECK(nothing.out.empty());
  CHECK(refuses(dir.run(f64, "score stream", {.in = "x\351\n"}), 4, "line 1 of standard input: "));
}

TEST_CASE("score of an n-gram model of 100,000 words takes a time that grows with the words of the lines alone") {
  const Scratch dir;
  std::string lines;
  for (int i = 0; i < 100'000; ++i) lines += "w" + std::to_string(i) + (i % 5 == 4 ? "\n" : " ");
  dir.write("words.txt", lines);
  for (const std::string smoothing : {"none", "add", "kneser-ney"}) {
    CAPTURE(smoothing);
    dir.must(f32, "train words.txt --out " + smoothing +
                      " --model ngram --lines --tokenizer word --quiet --smoothing " + smoothing);
    for (const std::string temperature : {"1", "0.7"}) {
      CAPTURE(temperature);
      const Run score = dir.run(f32, "score " + smoothing + " --temperature " + temperature, {.in = lines});
      CHECK(exits(score, 0));  // 120,000 tokens
      CHECK(score.cpu < 10);
      CHECK(score.jsonl().size() == 20'000);
    }
  }
}

TEST_SUITE_END();
