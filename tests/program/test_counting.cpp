// The families that count, tabular and ngram: on four sentences whose probabilities are known, and on a stream.
#include <cmath>
#include <set>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("counting");

TEST_CASE("a counted model reproduces the probabilities of its sentences, and samples nothing else") {
  struct Sentence {
    std::string text;
    double probability;
  };
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  for (const std::string model : {"tabular", "ngram"}) {
    CAPTURE(model);
    const Run train = dir.run(
        f64, "train two_words.txt --lines --tokenizer word --order 2 --json --out " + model + " --model " + model);
    CHECK(exits(train, 0));
    const Json said = train.json();
    CHECK(near(3 * said["train_loss"].get<double>(), 1.27985422583367, 1e-9));
    CHECK(train.out.starts_with("{\"steps\":0,"));
    CHECK(said["val_loss"].is_null());
    std::string types;
    for (const Json& record : dir.log(model)) types += record["type"].get<std::string>() + " ";
    CHECK(types == "run sample eval ");

    const Run score = dir.run(f64, "score " + model, {.in = four_sentences()});
    CHECK(exits(score, 0));
    for (const Sentence& sentence : {Sentence{"the cat", .4}, {"the dog", .3}, {"a cat", .2}, {"a dog", .1}}) {
      CAPTURE(sentence.text);
      int found = 0;
      for (const Json& line : score.jsonl()) {
        if (line["text"] != Json(sentence.text)) continue;
        ++found;
        CHECK(near(std::exp(line["log_prob"].get<double>()), sentence.probability, 1e-9));
      }
      CHECK(found == std::lround(10 * sentence.probability));
    }
    const Json unseen = dir.run(f64, "score " + model, {.in = "the the\n"}).json();
    CHECK(near(unseen["log_probs"][0].get<double>(), std::log(.7), 1e-7));
    CHECK(unseen["log_probs"][1] == Json("-inf"));
    CHECK(unseen["log_prob"] == Json("-inf"));

    const Run sample = dir.run(f32, "sample " + model + " --count 5 --json");
    CHECK(exits(sample, 0));  // the float build reads the run of the double build
    const Json samples = sample.json()["samples"];
    CHECK(samples.size() == 5);
    for (const Json& drawn : samples) {
      CHECK(contains("|the cat|the dog|a cat|a dog|", "|" + drawn["text"].get<std::string>() + "|"));
      CHECK(contains("[0,1,4] [0,2,4] [3,1,4] [3,2,4]", drawn["tokens"].dump()));  // 4 is the end mark
      CHECK(drawn["log_probs"].size() == 3);
      CHECK(drawn["ended"] == Json(true));
    }
    CHECK(refuses(dir.run(f64, "train --resume --out " + model), 2, "nothing to resume"));
  }
}

TEST_CASE("options that mean nothing to a counted model are accepted and named in one note") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  const Run run =
      dir.run(f32, "train two_words.txt --out foreign --lines --model ngram --steps 7 --lr 1e-4 --hidden 3 --json");
  CHECK(exits(run, 0));
  CHECK(contains("\n" + run.err, "\nnote: --hidden, --steps, --lr have no meaning for --model ngram\n"));
}

TEST_CASE("on a stream smoothing makes the validation loss finite, and Kneser-Ney is better than adding counts") {
  const Scratch dir;
  const std::string train =
      "train " + root() + "data/fables.txt --model ngram --val-fraction 0.1 --json --quiet --out ";
  double losses[2] = {};
  for (const std::string smoothing : {"add", "kneser-ney"}) {
    CAPTURE(smoothing);
    const Run run = dir.run(f64, train + smoothing + " --smoothing " + smoothing);
    CHECK(exits(run, 0));
    const double loss = run.json()["val_loss"].get<double>();
    CHECK(loss < 2.3);  // that of letter pairs
    CHECK(dir.log(smoothing, "eval").at(0)["val_loss"].get<double>() == loss);
    losses[smoothing == "add" ? 0 : 1] = loss;
  }
  CHECK(losses[1] < losses[0]);
  const Json none = dir.run(f64, train + "none --order 6").json();
  CHECK(none["val_loss"] == Json("inf"));
  CHECK(none["best_val_loss"] == Json("inf"));
}

TEST_SUITE_END();
