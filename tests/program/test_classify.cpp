// gradus classify and gradus fill: training, resuming, reports, predictions, the nearest text, the reward; masked runs.
#include <cmath>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("classify");

namespace {

// Forty lines that one word decides.
std::string labelled() {
  const std::vector<std::string> things{"the tea", "my lamp", "a boat", "our train", "this shop"};
  const std::vector<std::pair<std::string, std::string>> verdicts{
      {"good", "is lovely"}, {"good", "is great"},  {"good", "was great today"}, {"good", "was lovely"},
      {"bad", "is awful"},   {"bad", "was broken"}, {"bad", "was awful today"},  {"bad", "is broken"}};
  std::string text;
  for (const std::string& thing : things)
    for (const auto& [label, verdict] : verdicts) text += label + "\t" + thing + " " + verdict + "\n";
  return text;
}
const char* const kTiny =
    " --tokenizer word --embd 16 --hidden 16 --layers 1 --context 16 --batch 20 --steps 80 --lr 1e-2 --warmup 5 "
    "--val-fraction 0 --eval-every 40 --quiet --shards 2";

struct Labels : Scratch {
  Labels() { write("train.tsv", labelled()); }
  void train(const std::string& out, const std::string& more = "", Precision real = f64) const {
    must(real, "classify train train.tsv --out " + out + kTiny + " " + more);
  }
};

}  // namespace

TEST_CASE("classify: each encoder learns labels that one word decides, and its report agrees with itself") {
  const Labels dir;
  for (const std::string encoder : {"transformer", "lstm", "rnn"})
    for (const std::string pool : {"end", "mean"}) {
      CAPTURE(encoder);
      CAPTURE(pool);
      const std::string run = encoder + pool;
      const Json end = dir.must(f64, "classify train train.tsv --json --out " + run + kTiny + " --encoder " + encoder +
                                         " --pool " + pool)
                           .json();
      CHECK(end["steps"] == Json(80));
      CHECK(end["train_loss"].get<double>() < 0.35);  // it begins at ln 2
      const Json report = dir.must(f64, "classify report " + run + " train.tsv --json").json();
      CHECK(names(report) == std::vector<std::string>{"texts", "accuracy", "labels", "micro", "macro", "weighted",
                                                      "undefined", "confusion", "cut"});
      CHECK(report["cut"] == Json(0));
      CHECK(report["accuracy"].get<double>() >= 0.95);
      CHECK(report["texts"] == Json(40));
      int64_t sum = 0, right = 0;
      for (size_t t = 0; t < 2; ++t)
        for (size_t p = 0; p < 2; ++p) {
          sum += report["confusion"][t][p].get<int64_t>();
          if (t == p) right += report["confusion"][t][p].get<int64_t>();
        }
      CHECK(sum == 40);
      CHECK(report["accuracy"].get<double>() == double(right) / 40);
      CHECK(report["labels"][0]["label"] == Json("bad"));
      CHECK(report["labels"][0]["auc"].get<double>() >= 0.95);
    }
}

TEST_CASE("classify: the printed report passes its own check, a changed one is refused with exit 4") {
  const Labels dir;
  dir.train("run");
  const std::string printed = dir.must(f64, "classify report run train.tsv").out;
  const std::string table = printed.substr(0, printed.find("\nArea"));
  dir.write("report.txt", table);
  CHECK(dir.must(f64, "classify report --check report.txt").out == "report.txt: is consistent.\n");
  CHECK(dir.must(f64, "classify report --check report.txt --json").out == "{\"consistent\":true,\"faults\":[]}\n");
  std::string wrong = table;
  wrong.replace(wrong.find("        40"), 10, "        41");
  dir.write("wrong.txt", wrong);
  const Run run = dir.run(f64, "classify report --check wrong.txt");
  CHECK(exits(run, 4));
  CHECK(contains(run.err, "wrong.txt: no texts with one label each have this report"));
  CHECK(contains(run.out, "sum to 40"));
  const Run json = dir.run(f64, "classify report --check wrong.txt --json");
  CHECK(exits(json, 4));
  CHECK(json.json()["consistent"] == Json(false));
  CHECK(refuses(dir.run(f64, "classify report --check report.txt run train.tsv"), 2, "leave out RUN"));
  CHECK(refuses(dir.run(f64, "classify report run"), 2, "needs a run and labelled lines"));
}

TEST_CASE(
    "classify: predict says a label and the probability of each for every line, and the nearest text of the label") {
  const Labels dir;
  dir.train("run");
  dir.write("templates.tsv", "good\tthe tea is lovely\ngood\ta boat was great today\nbad\tmy lamp was broken\n");
  const std::vector<Json> said = dir.must(f64, "classify predict run --json --nearest templates.tsv",
                                          {.in = "the tea is lovely\nmy lamp is awful"})
                                     .jsonl();
  CHECK(said.size() == 2);
  CHECK(names(said[0]) == std::vector<std::string>{"text", "label", "probabilities", "nearest", "cosine"});
  CHECK(said[0]["label"] == Json("good"));
  CHECK(said[0]["nearest"] == Json("the tea is lovely"));
  CHECK(near(said[0]["cosine"].get<double>(), 1, 1e-12));
  CHECK(said[1]["label"] == Json("bad"));
  CHECK(said[1]["nearest"] == Json("my lamp was broken"));
  for (const Json& one : said) {
    const double bad = one["probabilities"]["bad"].get<double>(), good = one["probabilities"]["good"].get<double>();
    CHECK(near(bad + good, 1, 1e-12));
    CHECK((good > bad) == (one["label"] == Json("good")));
  }
  const Run numbers =
      dir.must(f64, "classify predict run --of good", {.in = "the tea is lovely\n\nmy lamp is awful\n"});
  CHECK(lines(numbers.out).size() == 3);
  CHECK(std::stod(lines(numbers.out)[0]) > 0.5);
  CHECK(std::stod(lines(numbers.out)[2]) < 0.5);
  const Run plain = dir.must(f64, "classify predict run", {.in = "the tea is lovely\n"});
  CHECK(plain.out.starts_with("good\t0."));
  CHECK(refuses(dir.run(f64, "classify predict run", {.in = "the coffee\n"}), 4, "line 1 of standard input: the word"));
  CHECK(refuses(dir.run(f64, "classify predict run --of fair", {.in = "x\n"}), 4, "is not one of"));
}

TEST_CASE("classify: a run that is stopped and resumed is the run that is not, to the last bit") {
  const Labels dir;
  for (const std::string encoder : {"transformer", "lstm"}) {
    CAPTURE(encoder);
    const std::string options = "--dropout 0.1 --encoder " + encoder;
    dir.train(encoder, options);
    dir.must(f64, "classify train train.tsv --out " + encoder + "2" + kTiny + " --stop-after 33 " + options, {}, 130);
    dir.must(f64, "classify train --resume --quiet --out " + encoder + "2");
    CHECK(dir.same_weights(encoder, encoder + "2"));
    CHECK(dir.same_logs(encoder, encoder + "2"));
  }
  CHECK(contains(dir.report("lstm"), "classify train"));
  CHECK(contains(dir.report("lstm"), "--encoder lstm"));
  dir.train("threads", "--dropout 0.1 --encoder lstm --threads 1");
  CHECK(dir.same_weights("lstm", "threads"));
}

TEST_CASE("classify: the reward class:RUN=LABEL is the probability that predict gives") {
  const Labels dir;
  dir.train("judge");
  dir.write("lines.txt", "the tea is lovely\nthe tea is awful\nmy lamp was broken\n");
  dir.must(f64, "train lines.txt --out prior --lines --tokenizer word --model tabular --quiet");
  const Json world =
      dir.must(f64, "exact posterior prior --reward class:judge=good --kl-coef 0.5 --max-tokens 6 --json").json();
  CHECK(world["sequences"].size() == 3);
  for (const Json& one : world["sequences"]) {
    const Json said =
        dir.must(f64, "classify predict judge --json", {.in = one["text"].get<std::string>() + "\n"}).jsonl()[0];
    CHECK(near(one["reward"].get<double>(), said["probabilities"]["good"].get<double>(), 1e-12));
  }
  dir.must(f64, "tune prior --out tuned --reward class:judge=good --steps 3 --batch 8 --max-tokens 6 --quiet");
  const std::string exact = "exact posterior prior --kl-coef 0.5 --max-tokens 6 --reward ";
  CHECK(refuses(dir.run(f64, exact + "class:judge"), 2, "class:RUN=LABEL"));
  CHECK(refuses(dir.run(f64, exact + "class:judge=fair"), 2, "is not one of"));
  CHECK(refuses(dir.run(f64, exact + "class:prior=good"), 4, "is no classifier"));
}

TEST_CASE("classify: texts that are longer than the context are counted and announced") {
  const Labels dir;
  dir.train("run");
  dir.write("long.tsv", labelled() + "good\t" + repeated("the ", 15) + "tea\nbad\t" + repeated("the ", 14) + "tea\n");
  const Run report = dir.must(f64, "classify report run long.tsv --json");
  CHECK(report.json()["cut"] == Json(1));
  const std::string said = " longer than the context of run/checkpoint.safetensors, 16 tokens with the mark, and ";
  CHECK(contains(report.err, "note: long.tsv: 1 of 42 texts is" + said + "was judged by the beginning\n"));
  const Run predicted =
      dir.must(f64, "classify predict run", {.in = repeated(repeated("the ", 20) + "tea\n", 2) + "the tea\n"});
  CHECK(lines(predicted.out).size() == 3);
  CHECK(contains(predicted.err, "note: standard input: 2 of 3 texts are" + said + "were judged by the beginning\n"));
  CHECK(dir.must(f64, "classify predict run", {.in = "the tea\n"}).err.empty());
}

TEST_CASE("classify: files and commands that cannot be used") {
  const Labels dir;
  dir.train("run");
  const std::string train = std::string("classify train bad.tsv --out new") + kTiny;
  dir.write("bad.tsv", "good\tfine\nno tab here\n");
  CHECK(refuses(dir.run(f64, train), 4, "bad.tsv, line 2: "));
  dir.write("bad.tsv", "good\tfine\ngood\tgreat\n");
  CHECK(refuses(dir.run(f64, train), 4, "every line has the label"));
  dir.write("test.tsv", "good\tthe tea is great\nfair\tthe tea is lovely\n");
  CHECK(refuses(dir.run(f64, "classify report run test.tsv"), 4, "test.tsv, line 2: the label \"fair\" is not one of"));
  CHECK(refuses(dir.run(f64, "classify train --out new"), 2, "needs labelled lines"));
  CHECK(refuses(dir.run(f64, "classify train train.tsv"), 2, "needs a folder"));
  CHECK(refuses(dir.run(f64, "classify train train.tsv --out new --encoder gpt"), 2, "transformer"));
  CHECK(refuses(dir.run(f64, "classify"), 2, "classify needs one of: train | report | predict"));
  CHECK(refuses(dir.run(f64, "classify train --out run --resume --lr 1"), 2, "--lr cannot be given with --resume"));
  dir.write("two.txt", four_sentences());
  dir.must(f64, "train two.txt --out lm --lines --tokenizer word --quiet --steps 1 " + tiny("lstm"));
  CHECK(refuses(dir.run(f64, "classify predict lm", {.in = "x\n"}), 4, "is no classifier"));
  dir.write("endless.sh", "exec " + program(f64) + " classify predict run </dev/zero\n");
  CHECK(refuses(dir.run({"sh", "endless.sh"}, {.seconds = 30}), 4, "line 1 of standard input has more than 64 MB"));
  CHECK(refuses(dir.run({"sh", "-c", program(f64) + " classify predict run <."}), 4, "is it a folder?"));
  for (const std::string command : {"sample run", "score run", "look run", "eval run train.tsv",
                                    "tune run --out new --reward end", "exact sequences run --max-tokens 2"})
    CHECK(refuses(dir.run(f64, command, {.in = "the tea\n"}), 4, "is a classifier"));
  CHECK(refuses(dir.run(f64, "fill run 'the [MASK]'"), 4, "is no masked model"));
  CHECK(refuses(dir.run(f64, "train two.txt --from run --out new"), 4, "is a classifier"));
}

TEST_CASE("fill: a masked model learns that the cat is 4 of 7, and says it with probabilities") {
  const Scratch dir;
  dir.write("two.txt", four_sentences());
  const std::string train =
      "train two.txt --out masked --model masked --lines --tokenizer word --val-fraction 0 --layers 1 --heads 2 --embd "
      "16 "
      "--context 8 --batch 300 --steps 800 --lr 5e-3 --min-lr 0 --warmup 10 --weight-decay 0 --quiet";
  dir.must(f64, train);
  const Json filled = dir.must(f64, "fill masked 'the [MASK]' --json").json();
  CHECK(names(filled) == std::vector<std::string>{"tokens"});
  const Json& token = filled["tokens"][0];
  CHECK(token["position"] == Json(1));
  CHECK(token["candidates"][0]["text"] == Json("cat"));
  CHECK(near(token["candidates"][0]["probability"].get<double>(), 4.0 / 7, 0.02));
  double sum = 0;
  for (const Json& one : token["candidates"]) sum += one["probability"].get<double>();
  CHECK(near(sum, 1, 1e-12));
  CHECK(dir.must(f64, "fill masked '[MASK] [MASK]' --json --top 1").json()["tokens"].size() == 2);
  CHECK(contains(dir.must(f64, "fill masked 'the [MASK]'").out, "[MASK] \"cat\" 0.5"));
  CHECK(dir.must(f64, "eval masked two.txt --json").json()["tokens"] == Json(30));
  dir.must(f64,
           "train two.txt --out again --model masked --lines --tokenizer word --steps 20 --stop-after 9 --quiet " +
               std::string("--layers 1 --embd 16"),
           {}, 130);
  dir.must(f64, "train --out again --resume --quiet");
  // It goes on from its weights too, whole or under an adapter.
  const auto cat = [&](const std::string& run) {
    const Json said = dir.must(f64, "fill " + run + " 'the [MASK]' --json").json();
    return said["tokens"][0]["candidates"].dump();
  };
  dir.write("dogs.txt", repeated("the dog\n", 10));
  const std::string from = "train dogs.txt --from masked --val-fraction 0 --lr 0.02 --warmup 2 --quiet ";
  dir.must(f64, from + "--steps 0 --out same");
  CHECK(cat("same") == cat("masked"));
  dir.must(f64, from + "--steps 40 --adapter lora:2 --out dogs");
  CHECK(contains(cat("dogs").substr(0, cat("dogs").find('}')), "\"dog\""));
  CHECK(refuses(dir.run(f64, from + "--mask-rate 0.5 --out new"), 2, "--mask-rate cannot be given with --from"));
  const Run merged = dir.must(f64, "merge dogs --out merged");
  CHECK(contains(merged.out, "fill merged"));
  CHECK(cat("merged") == cat("dogs"));
  CHECK(refuses(dir.run(f64, "fill masked 'the cat'"), 2, "has no [MASK]"));
  CHECK(refuses(dir.run(f64, "fill masked 'the cow [MASK]'"), 4, "cow"));
  CHECK(refuses(dir.run(f64, "fill masked 'the the the the the the the the [MASK]'"), 2, "more than the context"));
  for (const std::string command :
       {"sample masked", "score masked", "look masked", "tune masked --out new --reward end"})
    CHECK(refuses(dir.run(f64, command, {.in = "the cat\n"}), 4, "is a masked model"));
}

TEST_SUITE_END();
