// What a training run tells of itself: the best weights, overfitting, the losses to compare with, the lines that
// validate, the page while it runs, and the line on a terminal.
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/program/forge.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("telling");

namespace {

// 1,500 characters, and a model with twenty times as many parameters: it learns the text by heart.
struct ByHeart : Scratch {
  ByHeart() { write("text.txt", fables().substr(0, 1500)); }
  static constexpr const char* kOptions =
      " --model lstm --hidden 64 --embd 32 --context 16 --batch 16 --shards 2 --lr 2e-2 --min-lr 5e-3 --warmup 5"
      " --eval-every 20 --eval-batches 8 --save-every 20 --steps 160 --threads 1";
  Run train(const std::string& out, const std::string& more = "") const {
    return must(f32, "train text.txt --out " + out + kOptions + more);
  }
};

const std::string kNote = "the validation loss rises while the training loss falls";

}  // namespace

TEST_CASE("the best weights are kept: they have the lowest validation loss, and every command takes them") {
  const ByHeart dir;
  const Run run = dir.train("r");
  std::vector<double> steps, losses;
  for (const Json& record : dir.log("r", "eval")) {
    steps.push_back(record["step"].get<double>());
    losses.push_back(record["val_loss"].get<double>());
  }
  REQUIRE(losses.size() == 8);
  const auto best = std::min_element(losses.begin(), losses.end());
  REQUIRE(best + 2 < losses.end());
  const std::string step = std::to_string(int(steps[size_t(best - losses.begin())]));
  const Json metadata = dir.must(f32, "inspect r/best.safetensors --json").json()["metadata"];
  CHECK(metadata["step"] == Json(step));
  CHECK(metadata["best_val_loss"] == Json(Json(*best).dump()));
  CHECK(contains(run.out, "at step " + step + "; its weights are in r/best.safetensors."));
  CHECK(contains(run.out, "sample r/best.safetensors --tokens 400"));

  // The same weights as those of a run that ended there.
  dir.must(f32, "train text.txt --out there --quiet --stop-after " + step + ByHeart::kOptions, {}, 130);
  const auto score = [&](const std::string& weights) {
    return dir.must(f64, "eval " + weights + " text.txt --split val --json").json()["nats_per_token"].get<double>();
  };
  CHECK(score("r/best.safetensors") == score("there"));
  CHECK(score("r/best.safetensors") < score("r"));
  CHECK(exits(dir.run(f32, "sample r/best.safetensors --tokens 3"), 0));
  CHECK(exits(dir.run(f32, "tune r/best.safetensors --out t --reward count:e --steps 1 --max-tokens 4 --batch 4"), 0));
  dir.make_folder("b");
  dir.copy("r/best.safetensors", "b/checkpoint.safetensors");
  CHECK(refuses(dir.run(f32, "train text.txt --out b --resume"), 4, "holds no optimiser state"));
}

TEST_CASE("a run that was stopped or killed and resumed has the best weights of one that was not, byte for byte") {
  const ByHeart dir;
  dir.train("calm", " --quiet");
  for (const std::string stops : {"15 50 130", "20 40 60", "41"}) {
    CAPTURE(stops);
    std::string first = "train text.txt --out r" + std::string(ByHeart::kOptions);
    for (const std::string& stop : words_of(stops)) {
      dir.must(f32, first + " --quiet --stop-after " + stop, {}, 130);
      first = "train --out r --resume";
    }
    dir.must(f32, "train --out r --resume --quiet");
    CHECK(dir.read("r/best.safetensors") == dir.read("calm/best.safetensors"));
    CHECK(dir.same_weights("r", "calm"));
    dir.remove("r");
  }
}

TEST_CASE("without validation, and of what is counted, there are no best weights; a foreign file is not replaced") {
  const ByHeart dir;
  dir.train("none", " --val-fraction 0 --quiet");
  dir.must(f32, "train text.txt --out counted --model ngram --val-fraction 0.1 --quiet");
  CHECK(!dir.has("none/best.safetensors"));
  CHECK(!dir.has("counted/best.safetensors"));
  for (const std::string bytes : {"mine", ""}) {
    dir.make_folder("f");
    dir.write("f/best.safetensors", bytes);
    CHECK(refuses(dir.run(f32, "train text.txt --steps 1 --out f"), 2, "f/best.safetensors: gradus did not write"));
    CHECK(dir.read("f/best.safetensors") == bytes);
  }
  // Of a run that came to nothing.
  dir.train("old", " --quiet");
  dir.remove("old/checkpoint.safetensors");
  dir.train("old", " --val-fraction 0 --quiet");
  CHECK(!dir.has("old/best.safetensors"));
}

TEST_CASE("a run that learns its text by heart says so once, in the terminal and in its report") {
  const ByHeart dir;
  const Run run = dir.train("r");
  dir.write("short.txt", fables().substr(0, 500));
  CHECK(contains(dir.must(f32, "train short.txt --out t --model lstm --hidden 64 --embd 32 --context 16 --steps 1").out,
                 "parameters learn from 450 characters, so they can learn the text by heart"));
  CHECK(count(run.out, kNote) == 1);
  CHECK(count(dir.report("r"), kNote) == 1);
  // A run that goes on does not say it again, and one that learns says nothing.
  CHECK(!contains(dir.must(f32, "train --out r --resume --steps 200").out, kNote));
  dir.write("long.txt", fables());
  const std::string learns = dir.must(f32, "train long.txt --out learns --steps 60 --eval-every 15" + tiny("lstm")).out;
  CHECK(!contains(learns, kNote));
  CHECK(!contains(learns, "by heart"));
  CHECK(!contains(dir.report("learns"), "by heart"));
  CHECK(!contains(learns, "The best validation loss was"));
}

TEST_CASE("the yardsticks are n-gram models fitted on the training part and measured on the validation part") {
  const Text dir;
  dir.write("lines.txt", repeated("the cat\nthe dog\na cat\nthe cat sat\na dog ran\nthe dog\n", 5));
  for (const std::string text : {"text.txt", "lines.txt --lines --tokenizer word"})
    for (const int order : {1, 2}) {
      CAPTURE(text);
      CAPTURE(order);
      const Json run = dir.must(f64, "train " + text + " --out n --model ngram --smoothing kneser-ney --order " +
                                         std::to_string(order) + " --val-fraction 0.2 --json")
                           .json();
      const Json known = dir.log("n").at(0)["yardsticks"];
      CHECK(known[order == 1 ? "unigram" : "bigram"].get<double>() == run["val_loss"].get<double>());
      CHECK(known["held_out"] == Json(true));
      CHECK(run["val_loss"].get<double>() > run["train_loss"].get<double>());
      dir.remove("n");
    }
  CHECK(contains(dir.must(f32, "train text.txt --out r --steps 1" + tiny("lstm")).out,
                 "To compare, nats a character of the validation text: uniform 3."));
  const Run in_sample = dir.must(f64, "train lines.txt --lines --tokenizer word --model ngram --order 2 --out all");
  CHECK(contains(in_sample.out, "To compare, nats a word: uniform"));
  CHECK(dir.log("all").at(0)["yardsticks"]["bigram"] == dir.log("all", "eval").at(0)["train_loss"]);
  CHECK(contains(dir.report("all"), "measured on the training text"));
  CHECK(contains(dir.report("r"), "measured on the validation text"));
}

TEST_CASE("with --lines the validation lines are drawn at random, the same in every run and in eval --split") {
  const Scratch dir;
  std::string sorted;
  std::vector<std::string> all;
  for (int i = 0; i < 200; ++i) {
    all.push_back(std::string(1, char('a' + i / 8)) + std::to_string(1000 + i));  // as in a list of names
    sorted += all.back() + "\n";
  }
  dir.write("sorted.txt", sorted);
  const std::string train =
      "train sorted.txt --lines --model ngram --order 2 --smoothing add --val-fraction 0.1 --json";
  const auto loss = [&](const std::string& more) {
    return dir.must(f64, train + more).json()["val_loss"].get<double>();
  };
  const double random = loss(" --out random"), last = loss(" --out last --val-lines last");
  CHECK(loss(" --out seed --seed 7") == random);
  CHECK(random < last - 0.2);  // the last lines begin with letters that no other line begins with
  for (const std::string run : {"random", "last"}) {
    const Json part = dir.must(f64, "eval " + run + " sorted.txt --split val --json").json();
    CHECK(near(part["nats_per_token"].get<double>(), run == "random" ? random : last, 1e-12));
    CHECK(part["tokens"] == Json(20 * 6));
    // All lines have five characters and an end.
    CHECK(near(part["bits_per_character"].get<double>() * std::log(2.0), part["nats_per_token"].get<double>(), 1e-12));
    CHECK(dir.must(f64, "eval " + run + " sorted.txt --split train --json").json()["tokens"] == Json(180 * 6));
  }
  // A run from before there was a choice: its configuration says nothing, and its last lines validate.
  CHECK(!dir.log("last").at(0)["config"].contains("val_lines"));
  CHECK(dir.log("random").at(0)["config"]["val_lines"] == Json("random"));
  forge(dir, "random", within_json(",\"val_lines\":\"random\""), "");
  const double forged =
      dir.must(f64, "eval random sorted.txt --split val --json").json()["nats_per_token"].get<double>();
  CHECK(forged != random);
  CHECK(contains(dir.must(f32, "train sorted.txt --out stream --val-lines last --steps 1" + tiny("lstm")).err,
                 "note: --val-lines has no meaning without --lines"));
}

TEST_CASE("a resumed run on lines keeps its split, and one of the old kind keeps the last lines") {
  const Scratch dir;
  std::string sorted;
  for (int i = 0; i < 60; ++i) sorted += std::string(1, char('a' + i / 4)) + "b\n";
  dir.write("sorted.txt", sorted);
  for (const std::string lines : {"random", "last"}) {
    CAPTURE(lines);
    const std::string options = " --lines --val-lines " + lines + " --steps 9 --eval-every 3 --quiet" + tiny("lstm");
    dir.must(f64, "train sorted.txt --out calm" + options);
    dir.must(f64, "train sorted.txt --out r --stop-after 4" + options, {}, 130);
    dir.must(f64, "train --out r --resume --quiet");
    CHECK(dir.same_logs("r", "calm"));
    CHECK(dir.same_weights("r", "calm"));
    dir.remove("r");
    dir.remove("calm");
  }
}

TEST_CASE("the report is there while the run goes on, and its end names it") {
  const Text dir;
  Child child = dir.start(f32, "train text.txt --out r --steps 1000000 --eval-every 0 --save-every 0" + tiny("lstm"));
  CHECK(wait_until([&] { return dir.has("r/report.html"); }));
  CHECK(child.running());
  const std::string early = dir.report("r");
  CHECK(contains(early, "stopped or still running after step "));
  CHECK(wait_until([&] { return dir.report("r") != early; }));
  child.kill(SIGINT);
  const Run ended = child.wait();
  CHECK(exits(ended, 130));
  CHECK(contains(ended.out, "\nCurves and samples: r/report.html; open it in a browser.\n"));
  CHECK(exits(dir.run(f32, "tune r --out t --reward count:e --steps 2 --max-tokens 4 --batch 4"), 0));
  CHECK(contains(dir.must(f32, "tune r --out u --reward count:e --steps 2 --max-tokens 4 --batch 4").out,
                 "\nCurves and samples: u/report.html; open it in a browser.\n"));
}

TEST_CASE("the report of a counted run counts its tokens, has no empty plot, and shows its own options only") {
  const Scratch dir;
  dir.write("lines.txt", repeated("the cat\na dog\n", 5));
  const Run run = dir.must(f64, "train lines.txt --out r --lines --tokenizer word --model tabular");
  CHECK(dir.log("r").at(0)["tokens"].dump() == "{\"train\":30,\"validation\":0}");
  const std::string page = dir.report("r");
  CHECK(contains(page, "<dt>train, tokens</dt><dd>30</dd>"));
  CHECK(contains(page, "<dt>validation, tokens</dt><dd>0</dd>"));
  CHECK(!contains(page, "<svg"));
  for (const std::string option : {"layers", "heads", "lr", "steps"}) {
    CAPTURE(option);
    CHECK(!contains(page, "<dt>" + option + "</dt>"));
  }
  CHECK(contains(page, "<dt>seed</dt>"));
  CHECK(contains(run.out, "no validation"));
  dir.must(f64, "train lines.txt --out sub/folder --lines --tokenizer word --model tabular --quiet");
  CHECK(contains(dir.report("sub/folder"), " --out sub/folder-again "));
}

TEST_CASE("on a terminal the live line goes when another line comes, and shows what the model writes by now") {
  const Text dir;
  if (dir.run({"script", "--version"}).code != 0) return left_out("terminals", "there is no `script` here");
  const std::string train =
      program(f32) + " train text.txt --out r --steps 100000 --eval-every 0 --stop-after 60000" + tiny("lstm");
  const Run run = dir.run({"script", "-qec", "timeout -s INT 3 " + train, "/dev/null"}, {.env = {{"TERM", "xterm"}}});
  const std::vector<std::string> parts = lines(run.out);
  std::set<std::string> samples;
  size_t live = 0;
  for (std::string_view rest = run.out; (rest = rest.substr(std::min(rest.find('\r'), rest.size() - 1) + 1)) != "";) {
    const std::string line(rest.substr(0, rest.find('\r')));
    if (!line.starts_with("step ") || !contains(line, " left  ")) continue;
    ++live;
    CHECK(!contains(line, "\n"));  // it is overwritten, and never left behind
    samples.insert(line.substr(line.find(" left  ")));
  }
  CHECK(live > 5);
  CHECK(samples.size() > 1);
}

TEST_CASE("notes on a terminal break between words") {
  const Text dir;
  if (dir.run({"script", "--version"}).code != 0) return left_out("terminals", "there is no `script` here");
  const std::string command = "stty cols 60; " + program(f32) + " train text.txt --out r --steps 2" + tiny("lstm");
  const Run run = dir.run({"script", "-qec", command, "/dev/null"}, {.env = {{"TERM", "xterm"}}});
  for (const std::string& line : lines(run.out))
    if (!contains(line, "sample r --tokens 400") && !contains(line, "\033")) CHECK(characters(line) <= 61);  // with \r
  CHECK(contains(run.out, "sample r --tokens 400\r\n"));
}

TEST_SUITE_END();
