// Prompts and replies: training, scoring, sampling, evaluation and fine-tuning of runs of --pairs.
#include <cmath>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("pairs");

// After "the" a cat is 4 times of 7 wanted, after "a" 2 times of 3.
static std::string nouns() {
  return repeated("the\tcat\n", 4) + repeated("the\tdog\n", 3) + repeated("a\tcat\n", 2) + "a\tdog\n";
}
static const char* const kPairs = "train nouns.tsv --pairs --tokenizer word --quiet --out ";

// A folder with nouns.tsv and the table that reproduces it.
struct Nouns : Scratch {
  Nouns() {
    write("nouns.tsv", nouns());
    must(f64, std::string(kPairs) + "table --model tabular");
  }
};

static double log_prob(const Scratch& dir, const std::string& run, const std::string& pair) {
  return dir.must(f64, "score " + run, {.in = pair + "\n"}).json()["log_prob"].get<double>();
}

TEST_CASE("a table of pairs replies as its file does, and only the reply and its end are scored") {
  const Nouns dir;
  const Json one = dir.must(f64, "score table", {.in = "the\tcat\n"}).json();
  CHECK(names(one) == std::vector<std::string>{"prompt", "text", "tokens", "log_probs", "log_prob"});
  CHECK(one["prompt"] == Json("the"));
  CHECK(one["text"] == Json("cat"));
  CHECK(one["tokens"].size() == 2);
  CHECK(near(one["log_prob"].get<double>(), std::log(4.0 / 7), 1e-12));
  CHECK(near(log_prob(dir, "table", "a\tdog"), std::log(1.0 / 3), 1e-12));
  const Json loss = dir.must(f64, "eval table nouns.tsv --json").json();
  CHECK(loss["tokens"] == Json(20));  // ten nouns and their ends
  const double nats = -(4 * std::log(4.0 / 7) + 3 * std::log(3.0 / 7) + 2 * std::log(2.0 / 3) + std::log(1.0 / 3));
  CHECK(near(loss["nats_per_token"].get<double>(), nats / 20, 1e-12));
  CHECK(near(loss["bits_per_character"].get<double>(), nats / std::log(2) / 40, 1e-12));  // three letters and a newline
}

TEST_CASE("an n-gram model of pairs looks back beyond the mark behind the prompt, and not beyond the line") {
  const Nouns dir;
  for (const std::string order : {"3", "5"}) {  // prompt, mark, and with 5 the mark before them too
    dir.must(f64, kPairs + ("n" + order) + " --model ngram --order " + order);
    CHECK(near(log_prob(dir, "n" + order, "the\tcat"), std::log(4.0 / 7), 1e-12));
    CHECK(near(log_prob(dir, "n" + order, "a\tcat"), std::log(2.0 / 3), 1e-12));
  }
}

TEST_CASE("a sample replies to its prompt, in the form of the file for people") {
  const Nouns dir;
  const Json samples = dir.must(f64, "sample table --prompt a --count 40 --json").json()["samples"];
  for (const Json& sample : samples) {
    CHECK((sample["text"] == Json("cat") || sample["text"] == Json("dog")));
    CHECK(sample["ended"] == Json(true));
    const double p = std::exp(sample["log_probs"][0].get<double>());
    CHECK(near(p, sample["text"] == Json("cat") ? 2.0 / 3 : 1.0 / 3, 1e-12));
  }
  CHECK(dir.must(f64, "sample table --prompt the --temperature 0").out == "the\tcat\n");
  CHECK(refuses(dir.run(f64, "sample table"), 2, "is a run of --pairs, which replies to a prompt"));
  CHECK(refuses(dir.run(f64, "sample table --prompt bird"), 4, "'bird'"));
}

TEST_CASE("an LSTM learns P(cat | the) = 4/7; a run that was stopped and resumed is the whole run, byte for byte") {
  const Nouns dir;
  for (const std::string model : {"lstm", "transformer"}) {
    CAPTURE(model);
    const std::string train =
        " --model " + model +
        " --layers 1 --heads 2 --embd 8 --hidden 8 --context 8 --steps 250 --lr 0.03 --min-lr 1e-4 "
        "--warmup 0 --batch 64 --val-fraction 0 --weight-decay 0 --shards 2 --eval-every 100";
    dir.must(f64, kPairs + model + train + " --threads 1");
    if (model == "lstm") {  // so small a Transformer needs many more steps to see so small a difference
      CHECK(near(std::exp(log_prob(dir, model, "the\tcat")), 4.0 / 7, 0.02));
      CHECK(near(std::exp(log_prob(dir, model, "a\tcat")), 2.0 / 3, 0.02));
    }
    CHECK(exits(dir.run(f64, kPairs + ("part-" + model) + train + " --stop-after 120 --threads 2"), 130));
    CHECK(exits(dir.run(f64, "train --resume --quiet --out part-" + model), 0));
    CHECK(dir.same_weights(model, "part-" + model));
    CHECK(dir.same_logs(model, "part-" + model));
  }
}

TEST_CASE("a file of pairs is refused with its line, and a prompt that fills the context too") {
  const Scratch dir;
  dir.write("no.tsv", "a\tb\nc\n");
  dir.write("two.tsv", "a\tb\tc\n");
  dir.write("empty.tsv", "a\tb\n\tc\n");
  dir.write("long.tsv", "a b c d e f\tg\n");
  const auto train = [&](const std::string& file) {
    return dir.run(f64, "train " + file + ".tsv --pairs --tokenizer word --context 7 --out new");
  };
  CHECK(refuses(train("no"), 4, "no.tsv, line 2: has no tab; a line is prompt, a tab, reply"));
  CHECK(refuses(train("two"), 4, "two.tsv, line 1: has 2 tabs"));
  CHECK(refuses(train("empty"), 4, "empty.tsv, line 2: has an empty prompt"));
  CHECK(refuses(train("long"), 4,
                "a prompt has 6 tokens; with its mark it leaves no room for a reply in a context of 7"));
}

TEST_CASE("eval --metric measures the likeliest replies, or given ones, by hand-worked values") {
  const Nouns dir;
  dir.write("wanted.tsv", "the\tdog\nthe\tcat\na\tdog\n");
  const Json exact = dir.must(f64, "eval table wanted.tsv --metric exact-match --json").json();
  CHECK(exact["pairs"] == Json(3));
  CHECK(near(exact["mean"].get<double>(), 2.0 / 3, 1e-12));  // "cat" is one of the references of "the"
  CHECK(exact["replies"][2]["reply"] == Json("cat"));
  dir.write("text.tsv", "the\tthe cat a dog\na\tcat dog\n");
  dir.write("replies.txt", "the cat dog\ndog cat\n");
  const auto measured = [&](const std::string& metric) {
    return dir.must(f64, "eval table text.tsv --json --replies replies.txt --metric " + metric).json();
  };
  CHECK(near(measured("rouge-l")["mean"].get<double>(), (6.0 / 7 + 0.5) / 2, 1e-12));
  CHECK(near(measured("similarity")["mean"].get<double>(), (0.5 + 0) / 2, 1e-12));
  const Json bleu = measured("bleu");
  // Together 5 of 5 words, 1 of 3 pairs and 0 of 1 triple occur; with one more of each but the words it is not 0.
  CHECK(bleu["corpus"].get<double>() == 0);
  const double first = std::pow(1.0 * 2 / 3 * 1 / 2 * 1, 0.25) * std::exp(1 - 4.0 / 3);
  const double second = std::pow(1.0 * 1 / 2 * 1 * 1, 0.25);
  CHECK(near(bleu["mean"].get<double>(), (first + second) / 2, 1e-12));
  CHECK(contains(dir.must(f64, "eval table wanted.tsv --metric bleu").out, "bleu of 3 replies: mean"));
  CHECK(refuses(dir.run(f64, "eval table wanted.tsv --metric no"), 2, "there is no 'no'"));
  CHECK(
      refuses(dir.run(f64, "eval table wanted.tsv --metric bleu --replies replies.txt"), 4, "has 2 lines for 3 pairs"));
  CHECK(refuses(dir.run(f64, "eval table wanted.tsv --tokens 3"), 2, "--metric"));
}

TEST_CASE("tune --pairs gives each prompt its reference: J* is the hand-worked one, and the policy reaches it") {
  const Nouns dir;
  dir.write("wanted.tsv", "the\tdog\na\tcat\n");
  const Json tuned = dir.must(f64,
                              "tune table --pairs wanted.tsv --reward exact-match --kl-coef 0.5 --max-tokens 2 "
                              "--steps 300 --batch 64 --lr 0.05 --out tuned --quiet --json")
                         .json();
  const double e2 = std::exp(2);
  const double the = 0.5 * std::log(4.0 / 7 + 3.0 / 7 * e2), a = 0.5 * std::log(1.0 / 3 + 2.0 / 3 * e2);
  CHECK(near(tuned["j_star"].get<double>(), (the + a) / 2, 1e-9));
  CHECK(tuned["kl_to_posterior"].get<double>() < 1e-3);
  CHECK(near(std::exp(log_prob(dir, "tuned", "the\tdog")), 3.0 / 7 * e2 / (4.0 / 7 + 3.0 / 7 * e2), 0.02));
  CHECK(dir.log("tuned", "run")[0]["prompts_references"].dump() == R"([["dog"],["cat"]])");
  CHECK(contains(dir.report("tuned"), "--pairs pairs.tsv"));
}

TEST_CASE("a tuned run of pairs that was stopped goes on with its references") {
  const Nouns dir;
  dir.write("wanted.tsv", "the\tdog\na\tcat\n");
  const std::string tune =
      "tune table --pairs wanted.tsv --held-out wanted.tsv --reward bleu --reward 0.5*rouge-l "
      "--max-tokens 3 --steps 12 --batch 8 --quiet --out ";
  dir.must(f64, tune + "whole");
  CHECK(exits(dir.run(f64, tune + "part --stop-after 5"), 130));
  CHECK(exits(dir.run(f64, "tune --out part --resume --quiet"), 0));
  CHECK(dir.same_weights("whole", "part"));
  CHECK(dir.same_logs("whole", "part"));
}

TEST_CASE("rewards that compare need references, and prompts come from one place") {
  const Nouns dir;
  dir.write("wanted.tsv", "the\tdog\n");
  dir.write("bad.tsv", "the\tdog\na\tbird\n");
  dir.write("prompts.txt", "the\n");
  const std::string tune = "tune table --out new --max-tokens 2 ";
  for (const std::string reward : {"bleu", "rouge-l", "exact-match", "similarity"})
    CHECK(refuses(dir.run(f64, tune + "--prompt the --reward " + reward), 2, "--pairs FILE.tsv"));
  CHECK(refuses(dir.run(f64, tune + "--pairs wanted.tsv --prompts prompts.txt --reward bleu"), 2, "--pairs brings"));
  CHECK(refuses(dir.run(f64, tune + "--pairs bad.tsv --reward bleu"), 4, "bad.tsv, line 2: the word 'bird'"));
  CHECK(refuses(dir.run(f64, tune + "--reward end"), 2, "replies to a prompt"));
  CHECK(refuses(dir.run(f64, "exact posterior table --prompt the --max-tokens 2 --reward bleu"), 2, "reference"));
}

TEST_CASE("a table of rewards may belong to a prompt") {
  const Nouns dir;
  dir.write("r.json", R"({"prompts":{"the":{"dog":1}},"rewards":{"cat":0.25},"default":-1})");
  const auto reward = [&](const std::string& prompt, const std::string& wanted) {
    const Json all =
        dir.must(f64,
                 "exact posterior table --reward table:r.json --kl-coef 1 --max-tokens 2 --json --prompt " + prompt)
            .json()["sequences"];
    for (const Json& sequence : all)
      if (sequence["text"] == Json(wanted)) return sequence["reward"].get<double>();
    return std::nan("");
  };
  CHECK(reward("the", "dog") == 1);
  CHECK(reward("the", "cat") == 0.25);
  CHECK(reward("a", "dog") == -1);
}

TEST_CASE("a program reads the prompt of a reply, and of other runs the text alone, as ever") {
  const Nouns dir;
  dir.write("lines.txt", four_sentences());
  dir.must(f64, "train lines.txt --lines --model tabular --tokenizer word --quiet --out lines");
  dir.write("judge.sh", "while IFS= read -r line; do printf '%s\\n' \"$line\" >> \"$1\"; echo 1; done\n");
  dir.must(f64, "tune table --prompt the --max-tokens 2 --steps 1 --batch 8 --exact never --quiet --out t",
           {.words = {"--reward", "command:sh judge.sh seen"}});
  for (const std::string& line : lines(dir.read("seen"))) CHECK((line == "the\tcat" || line == "the\tdog"));
  dir.must(f64, "tune lines --prompt the --max-tokens 2 --steps 1 --batch 8 --exact never --quiet --out l",
           {.words = {"--reward", "command:sh judge.sh alone"}});
  for (const std::string& line : lines(dir.read("alone"))) CHECK((line == "cat" || line == "dog"));
}

TEST_CASE("another run of pairs says how fluent a reply to the prompt is") {
  const Nouns dir;
  const Json all =
      dir.must(f64, "exact posterior table --reward fluency:table --kl-coef 1 --max-tokens 2 --json --prompt a")
          .json()["sequences"];
  for (const Json& sequence : all)
    CHECK(near(sequence["reward"].get<double>(), sequence["log_prior"].get<double>(), 1e-12));
}

TEST_SUITE_END();
