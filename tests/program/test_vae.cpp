// Runs of --model vae: trained, resumed, measured, scored, sampled, interpolated; what they refuse.
#include <cmath>
#include <cstdio>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("vae");

namespace {

const std::string kRun =
    " --model vae --lines --tokenizer word --latent 2 --hidden 8 --embd 6 --batch 8 --lr 0.02 --warmup 2 "
    "--val-fraction 0 --eval-every 20 --quiet";

struct Sentences : Scratch {
  Sentences() {
    std::string many;
    for (int i = 0; i < 4; ++i) many += four_sentences();
    write("text.txt", many);
    write("two_words.txt", four_sentences());
  }
  void train(const std::string& out, const std::string& more, Precision real = f64) const {
    must(real, "train text.txt --out " + out + kRun + " " + more);
  }
};

double number(const Json& object, const char* name) { return object[name].get<double>(); }

}  // namespace

TEST_CASE("vae: a resumed run is the whole one to the byte, with every kind of noise, on any number of threads") {
  const Sentences dir;
  const std::string noisy =
      "--steps 40 --shards 3 --dropout 0.2 --word-dropout 0.3 --kl-anneal 30 --save-every 0 --threads ";
  const auto resumed_is_whole = [&](const std::string& name, Precision real) {
    const std::string halves = "halves-" + name;
    dir.train(name, noisy + "1", real);
    CHECK(exits(dir.run(real, text("train text.txt --out ", halves, kRun, " ", noisy, "2 --stop-after 17")), 130));
    CHECK(exits(dir.run(real, text("train --out ", halves, " --resume --threads 1 --quiet")), 0));
    CHECK(dir.same_weights(name, halves));
    CHECK(dir.same_steps(name, halves));
    CHECK(dir.log(name, "sample").size() >= 2);
  };
  resumed_is_whole("f32", f32);
  resumed_is_whole("f64", f64);
  // Each option is heard.
  const std::string usual = "--steps 20 --shards 1";
  dir.train("usual", usual);
  for (const std::string other : {"--kl-anneal 10", "--word-dropout 0.5", "--dropout 0.2"}) {
    CAPTURE(other);
    const std::string out = "other" + std::to_string(other.size());
    dir.train(out, text(usual, " ", other));
    CHECK(dir.read(out + "/checkpoint.safetensors") != dir.read("usual/checkpoint.safetensors"));
  }
  // The KL weighs more and more: the first loss is that of a slower annealing, and less than with none.
  dir.train("none", usual + " --kl-anneal 0");
  const double annealed = number(dir.log("usual", "step")[0], "loss"),
               whole = number(dir.log("none", "step")[0], "loss");
  CHECK(annealed < whole);
}

TEST_CASE("vae: eval and score say the ELBO, its KL and an importance-weighted log p, which agree with each other") {
  const Sentences dir;
  dir.train("run", "--steps 300 --kl-anneal 1000000 --importance 16");  // so that z matters
  const Json measured = dir.must(f64, "eval run two_words.txt --json").json();
  CHECK(names(measured) ==
        std::vector<std::string>{"tokens", "nats_per_token", "bits_per_character", "perplexity", "latent"});
  CHECK(measured["tokens"] == Json(30));
  const Json& latent = measured["latent"];
  CHECK(names(latent) == std::vector<std::string>{"elbo", "kl", "importance", "draws", "texts"});
  CHECK(latent["draws"] == Json(16));
  CHECK(latent["texts"] == Json(10));
  CHECK(number(latent, "kl") > 0.5);
  CHECK(number(latent, "importance") > number(latent, "elbo"));
  CHECK(near(number(measured, "nats_per_token"), -number(latent, "importance") / 3, 1e-12));
  CHECK(near(number(measured, "perplexity"), std::exp(number(measured, "nats_per_token")), 1e-9));
  CHECK(dir.must(f64, "eval run two_words.txt --json --threads 2").json() == measured);
  CHECK(dir.must(f64, "eval run two_words.txt --json --seed 2").json() != measured);
  const Json more = dir.must(f64, "eval run two_words.txt --json --importance 4000").json()["latent"];
  CHECK(more["draws"] == Json(4000));
  CHECK(number(more, "importance") >= number(latent, "importance") - 0.05);
  CHECK(near(number(more, "kl"), number(latent, "kl"), 1e-12));
  CHECK(contains(dir.must(f64, "eval run two_words.txt").out, "10 texts, nats a text: ELBO -"));

  // The lines of score, with the same draws, are what eval sums up.
  const std::vector<Json> lines = objects(dir.must(f64, "score run", {.in = four_sentences()}).out);
  CHECK(lines.size() == 10);
  double elbo = 0, importance = 0;
  for (const Json& line : lines) {
    CHECK(line["tokens"].size() == 3);
    double sum = 0;
    for (const Json& x : line["log_probs"]) sum += x.get<double>();
    CHECK(near(number(line, "log_prob"), sum, 1e-9));
    CHECK(near(number(line, "log_prob"), number(line["latent"], "importance"), 1e-9));
    elbo += number(line["latent"], "elbo") / 10;
    importance += number(line, "log_prob") / 10;
  }
  CHECK(near(elbo, number(latent, "elbo"), 1e-9));
  CHECK(near(importance, number(latent, "importance"), 1e-9));
  CHECK(refuses(dir.run(f64, "eval run two_words.txt --importance 0"), 2, "--importance"));
}

TEST_CASE("vae: training says that its loss is −ELBO, and what the KL in it is, which eval finds too") {
  const Sentences dir;
  const std::string loud = std::string(kRun).replace(kRun.find(" --quiet"), 8, "");
  const std::string rest = loud.substr(0, loud.find("--val-fraction")) + "--eval-every 20 --steps 40";
  const Run told = dir.must(f64, "train text.txt --val-fraction 0.2 --out run --json --kl-anneal 100" + rest);
  const auto validated = [&](const std::string& run, const std::string& file) {
    return number(dir.must(f64, text("eval ", run, " ", file, " --split val --json")).json()["latent"], "kl");
  };
  std::vector<Json> evals = dir.log("run", "eval");
  REQUIRE(evals.size() == 2);
  CHECK(near(number(evals[1], "kl"), validated("run", "text.txt"), 1e-12));
  CHECK(number(told.json(), "kl") == number(evals[1], "kl"));
  CHECK(contains(told.err, "The loss of a VAE is −ELBO"));
  CHECK(contains(told.err, "step 20/40  −ELBO  train "));
  char kl[32];
  std::snprintf(kl, sizeof kl, "  KL %.3f a text  ", number(evals[1], "kl"));
  CHECK(contains(told.err, kl));
  CHECK(contains(told.err, "at the last of 40 steps the weight of the KL is 0.400, so"));
  dir.must(f64, "report run");
  const std::string page = dir.report("run");
  CHECK(contains(page, "validation −ELBO"));
  CHECK(contains(page, "KL of the latent vectors"));
  CHECK(contains(page, "KL, nats a text"));
  for (const char* other : {"better than", "worse than", "validation loss"}) CHECK_FALSE(contains(page, other));

  // On the way it is that of random texts that validate, here of the only one.
  dir.must(f64, "train two_words.txt --val-fraction 0.1 --out one --stop-after 21 --quiet --kl-anneal 0" + rest, {},
           130);
  dir.must(f64,
           "train two_words.txt --val-fraction 0.1 --out twenty --kl-anneal 0 --steps 20 --quiet --decay-steps 40" +
               rest.substr(0, rest.find(" --steps")));
  evals = dir.log("one", "eval");
  REQUIRE(evals.size() == 1);
  CHECK(near(number(evals[0], "kl"), validated("twenty", "two_words.txt"), 1e-12));

  const Run collapsed = dir.must(f64, "train text.txt --val-fraction 0 --out none --kl-anneal 0 --steps 200" +
                                          rest.substr(0, rest.find(" --steps")));
  CHECK(contains(collapsed.out, "so a latent vector says next to nothing of its text"));
  CHECK_FALSE(contains(collapsed.out, "the weight of the KL"));
  const Run lively = dir.must(f64, "train text.txt --val-fraction 0 --out much --kl-anneal 1000000 --steps 200" +
                                       rest.substr(0, rest.find(" --steps")));
  CHECK_FALSE(contains(lively.out, "next to nothing"));
  const Run other = dir.must(f64, "train text.txt --out lstm --model lstm --lines --hidden 4 --steps 1 --json");
  CHECK_FALSE(other.json().contains("kl"));
  CHECK_FALSE(dir.log("lstm", "eval")[0].contains("kl"));
  CHECK_FALSE(contains(other.err, "ELBO"));
}

TEST_CASE("vae: eval takes the memory of a text for each thread, and not that of a batch of whole contexts") {
  const Sentences dir;
  dir.must(f64,
           "train text.txt --out run --model vae --tokenizer word --latent 2 --hidden 8 --embd 6 --steps 0 "
           "--context 2000 --batch 2000 --quiet");
  CHECK(dir.must(f64, "eval run two_words.txt --json --threads 1", {.memory = uint64_t(700) << 20}).json()["tokens"] ==
        Json(30));
}

TEST_CASE("vae: sample draws a latent vector for each text; --interpolate goes from one text to the other") {
  const Sentences dir;
  dir.train("run", "--steps 800 --kl-anneal 1000000");
  const Json samples = dir.must(f64, "sample run --count 40 --json").json()["samples"];
  CHECK(samples.size() == 40);
  for (const Json& s : samples) CHECK(s["z"].size() == 2);
  CHECK(samples[0]["z"] != samples[1]["z"]);
  CHECK(dir.must(f64, "sample run --count 40 --json --threads 2").json()["samples"] == samples);
  CHECK(count(dir.must(f64, "sample run --count 3").out, "\n") == 3);

  const Json way = dir.must(f64, "sample run --interpolate 'the cat' 'a dog' --json").json()["interpolation"];
  REQUIRE(way.size() == 7);
  CHECK(way[0]["text"] == Json("the cat"));
  CHECK(way[6]["text"] == Json("a dog"));
  for (size_t i = 0; i < 7; ++i) {
    CHECK(near(number(way[i], "share"), double(i) / 6, 1e-12));
    CHECK(way[i]["ended"] == Json(true));
    for (size_t d = 0; d < 2; ++d) {
      const double a = way[0]["z"][d].get<double>(), b = way[6]["z"][d].get<double>();
      CHECK(near(way[i]["z"][d].get<double>(), a + (b - a) * double(i) / 6, 1e-12));
    }
  }
  const Run shown = dir.must(f64, "sample run --interpolate 'the cat' 'a dog' --count 1");
  CHECK(lines(shown.out).size() == 3);
  CHECK(shown.out.starts_with("0.000  the cat\n0.500  "));
  CHECK(shown.out.ends_with("\n1.000  a dog\n"));
  CHECK(dir.must(f64, "sample run --interpolate 'the cat' 'the cat' --json --tokens 1")
            .json()["interpolation"][3]["ended"] == Json(false));
  CHECK(refuses(dir.run(f64, "sample run --interpolate 'the cow' 'a dog'"), 4, "cow"));
  CHECK(refuses(dir.run(f64, "sample run --interpolate 'the cat' 'a dog' --top 3"), 2, "--top is of texts"));
  CHECK(refuses(dir.run(f64, "sample run --prompt the"), 2, "--prompt has no meaning"));
  CHECK(contains(dir.run(f64, "sample run --prompt the").err, "use gradus sample without --prompt"));
  CHECK(contains(dir.must(f64, "score --help").out, "can exceed 0"));
}

TEST_CASE("vae: what needs to know what follows a text refuses it, and so do pairs") {
  const Sentences dir;
  dir.train("run", "--steps 2");
  for (const std::string command :
       {"tune run --out new --reward end", "exact sequences run --max-tokens 3", "exact compare run run --max-tokens 3",
        "look run", "compare run run --samples 4", "frontier run --reward end --max-tokens 3",
        "prefer run --out new --reward end --count 2", "tune run --out new --reward fluency:run",
        "eval run two_words.txt --metric end"}) {
    CAPTURE(command);
    CHECK(refuses(dir.run(f64, command), 2, "is a VAE, which draws a text whole"));
  }
  CHECK(refuses(dir.run(f64, "fill run 'the [MASK]'"), 4, "is no masked model"));
  dir.must(f64, "train text.txt --out implied --model vae --tokenizer word --steps 1 --quiet");  // of lines
  dir.write("pairs.tsv", "a\tb\nc\td\n");
  CHECK(refuses(dir.run(f64, "train pairs.tsv --out new --model vae --pairs"), 2, "not --pairs"));
  CHECK(refuses(dir.run(f64, "train pairs.tsv --out new --from run --pairs"), 2, "not --pairs"));
  CHECK(refuses(dir.run(f64, "train text.txt --out new --model vae --lines --posterior hmc"), 2,
                "says nothing of what follows"));
  CHECK(refuses(dir.run(f64, "classify train text.txt --out new --encoder vae"), 2, "transformer"));
  dir.must(f64, "train text.txt --out lstm --model lstm --lines --tokenizer word --hidden 4 --steps 1 --quiet");
  CHECK(refuses(dir.run(f64, "sample lstm --interpolate a a"), 2, "is an LSTM, which has none"));
  CHECK(refuses(dir.run(f64, "score lstm --importance 4", {.in = "a cat\n"}), 2, "is an LSTM, which has none"));
  CHECK(refuses(dir.run(f64, "eval lstm text.txt --importance 4"), 2, "is an LSTM, which has none"));
  CHECK(contains(dir.run(f64, "train text.txt --out note --model lstm --lines --steps 1 --hidden 4 --latent 2").err,
                 "--latent has no meaning for --model lstm"));
  // What goes on from it is a VAE too, whole or under an adapter, and a merged one needs the base no more.
  const Run more = dir.must(f64, "train text.txt --out more --from run --steps 2 --word-dropout 0.1 --kl-anneal 5");
  CHECK_FALSE(contains(more.out + more.err, "has no meaning"));
  const Json config = dir.log("more", "run")[0]["config"];
  CHECK(config["word_dropout"] == Json(0.1));
  CHECK(config["kl_anneal"] == Json(5));
  CHECK(contains(dir.must(f64, "train text.txt --out other --from lstm --steps 1 --word-dropout 0.1").out,
                 "note: --word-dropout has no meaning for --model lstm"));
  for (const std::string option : {"--latent", "--importance"})
    CHECK(refuses(dir.run(f64, "train text.txt --out new --from run --steps 1 " + option + " 3"), 2,
                  option + " cannot be given with --from"));
  dir.must(f64, "train text.txt --out small --from run --steps 2 --val-fraction 0 --quiet --adapter lora:1");
  dir.must(f64, "merge small --out merged --quiet");
  const std::string cat = "the cat\n";
  CHECK(dir.must(f64, "score small", {.in = cat}).out == dir.must(f64, "score merged", {.in = cat}).out);
  CHECK(dir.must(f64, "sample small --json").out == dir.must(f64, "sample merged --json").out);
  CHECK(exits(dir.run(f64, "report run"), 0));
  CHECK(dir.valid_html("run/report.html"));
  CHECK(exits(dir.run(f64, "inspect run"), 0));
}

TEST_SUITE_END();
