// gradus train: the same run for the same seed, what it prints as JSON and for people, its log, and both precisions.
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("train");

TEST_CASE("a run depends on its seed and its dropout, and not on the number of threads") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    std::string train = "train text.txt --steps 12 --eval-every 5 --quiet" + tiny(model);
    train.replace(train.find("--shards 2"), 10, "");
    dir.must(real, train + "--shards 4 --dropout 0.2 --out one --seed 7 --threads 1");
    for (const char* threads : {"2", "4"}) {
      CAPTURE(threads);
      dir.must(real, train + "--shards 4 --dropout 0.2 --seed 7 --out " + threads + " --threads " + threads);
      CHECK(dir.same_weights("one", threads));
      CHECK(dir.same_logs("one", threads));
    }
    dir.must(real, train + "--shards 4 --dropout 0.2 --out other --seed 8");
    dir.must(real, train + "--shards 4 --out undropped --seed 7");
    CHECK(!dir.same_steps("one", "other"));
    CHECK(!dir.same_steps("one", "undropped"));
  }
}

TEST_CASE("a batch may be cut into as many shards as there may be") {
  const Text dir;
  CHECK(exits(dir.run(f32,
                      "train text.txt --out many --model transformer --embd 16 --heads 2 --layers 1 --context 16"
                      " --batch 256 --shards 256 --steps 1 --quiet"),
              0));
}

TEST_CASE("train --json prints one object, progress goes to stderr, and the log has every step and evaluation once") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const Run run =
        dir.run(real, "train text.txt --out r --steps 6 --eval-every 2 --eval-batches 2 --json" + tiny(model));
    CHECK(exits(run, 0));
    const Json said = run.json();
    const std::vector<std::string> fields = {"steps",      "train_loss",        "val_loss", "best_val_loss",
                                             "parameters", "tokens_per_second", "seconds"};
    CHECK(names(said) == fields);
    CHECK(contains("\n" + run.err, "\nstep 4/6 "));
    for (const std::string& field : fields) {
      CAPTURE(field);
      CHECK(said[field].is_number());
    }

    const std::vector<Json> log = dir.log("r");
    const Json& first = log.at(0);
    CHECK(first["type"] == Json("run"));
    CHECK(names(first["config"]).at(0) == "model");
    CHECK(first["parameters"] == said["parameters"]);
    CHECK(dir.steps_once("r", 6));
    for (const Json& record : dir.log("r", "step")) {
      CHECK(names(record) == std::vector<std::string>{"type", "step", "loss", "lr", "grad_norm", "tokens_per_second"});
      for (const std::string field : {"loss", "lr", "grad_norm", "tokens_per_second"}) CHECK(record[field].is_number());
    }
    std::string evaluated, sampled;
    for (const Json& record : dir.log("r", "eval")) {
      CHECK(names(record) == std::vector<std::string>{"type", "step", "train_loss", "val_loss"});
      CHECK((record["train_loss"].is_number() && record["val_loss"].is_number()));
      evaluated += record["step"].dump() + " ";
    }
    CHECK(evaluated == "2 4 6 ");
    for (const Json& record : dir.log("r", "sample")) {
      CHECK(names(record) == std::vector<std::string>{"type", "step", "text"});
      CHECK(record["text"].is_string());
      sampled += record["step"].dump() + " ";
    }
    CHECK(sampled == "0 2 4 6 ");
    CHECK(log.size() == 1 + 6 + 3 + 3 + 4);  // and nothing else
    const Json last = dir.log("r", "eval").back();
    CHECK(last["train_loss"] == said["train_loss"]);
    CHECK(last["val_loss"] == said["val_loss"]);
  }
}

TEST_CASE("sample and inspect print one object of JSON and nothing on stderr") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    dir.must(real, "train text.txt --out r --steps 6 --quiet" + tiny(model));
    const Run sample = dir.run(real, "sample r --json --tokens 7 --count 3");
    CHECK(exits(sample, 0));
    const Json drawn = sample.json();
    CHECK(names(drawn) == std::vector<std::string>{"samples"});
    CHECK(drawn["samples"].size() == 3);
    for (const Json& each : drawn["samples"]) {
      CHECK(names(each) == std::vector<std::string>{"text", "tokens", "log_probs", "ended"});
      CHECK(!each["text"].get<std::string>().empty());
      CHECK(each["tokens"].get<std::vector<int64_t>>().size() == 7);
      CHECK(each["log_probs"].size() == 7);
      for (const double log_prob : each["log_probs"].get<std::vector<double>>()) CHECK(log_prob < 0);
      CHECK(each["ended"] == Json(false));
    }
    CHECK(sample.err == "");

    const Run inspect = dir.run(real, "inspect r --json");
    CHECK(exits(inspect, 0));
    const Json said = inspect.json();
    CHECK(names(said) == std::vector<std::string>{"tensors", "metadata"});
    CHECK(said["tensors"].size() > 0);
    for (const Json& tensor : said["tensors"]) {
      CHECK(names(tensor) == std::vector<std::string>{"name", "dtype", "shape", "norm"});
      CHECK(!tensor["name"].get<std::string>().empty());
      CHECK(contains("F32 F64", tensor["dtype"].get<std::string>()));
      CHECK(!tensor["shape"].get<std::vector<int64_t>>().empty());
      CHECK(tensor["norm"].is_number());
    }
    for (const std::string field : {"format", "version", "config", "vocab", "step", "hash"}) {
      CAPTURE(field);
      CHECK(said["metadata"][field].is_string());
    }
  }
}

TEST_CASE(
    "without a validation split its loss is null in JSON and in the log, and --quiet --json leaves stderr empty") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const Run run =
        dir.run(real, "train text.txt --out v --steps 2 --val-fraction 0 --eval-every 1 --json --quiet" + tiny(model));
    CHECK(exits(run, 0));
    CHECK(run.json()["val_loss"].is_null());
    CHECK(run.json()["best_val_loss"].is_null());
    const std::vector<Json> evaluations = dir.log("v", "eval");
    CHECK(evaluations.size() == 2);
    for (const Json& record : evaluations) CHECK(record["val_loss"].is_null());
    CHECK(run.err == "");
  }
}

TEST_CASE("for people progress is plain lines on stdout, and nothing at all with --quiet") {
  const Text dir;
  const std::string train = "train text.txt --steps 4 --eval-every 2" + tiny("transformer");
  const Run quiet = dir.run(f32, train + "--out q --quiet");
  CHECK(exits(quiet, 0));
  CHECK(quiet.out + quiet.err == "");
  const Run run = dir.run(f32, train + "--out q2");
  CHECK(exits(run, 0));
  CHECK(!run.out.empty());
  CHECK(run.err == "");
  CHECK(run.out.find_first_of("\033\r") == run.out.npos);
}

TEST_CASE("--steps 0 writes the initial weights") {
  const Text dir;
  const Run run = dir.run(f32, "train text.txt --out zero --steps 0 --json --quiet" + tiny("transformer"));
  CHECK(exits(run, 0));
  CHECK(run.json()["steps"] == Json(0));
  CHECK(dir.saved_steps("zero") == 0);
}

TEST_CASE("--optimizer muon is refused where no matrix between hidden layers is trained") {
  const Text dir;
  dir.must(f32, "train text.txt --out base --steps 2 --quiet" + tiny("transformer"));
  const std::string why = "--optimizer muon is for matrices between hidden layers";
  const std::string from_base = "train text.txt --from base --optimizer muon --steps 2 --quiet --out ";
  CHECK(refuses(dir.run(f32, from_base + "a --adapter lora:2"), 2, why));
  CHECK(exits(dir.run(f32, from_base + "b"), 0));
  dir.must(f32, "train text.txt --from base --adapter lora:2 --steps 2 --quiet --out adapted");
  CHECK(refuses(dir.run(f32, "train text.txt --from adapted --optimizer muon --steps 2 --quiet --out c"), 2, why));
  const std::string train = "train text.txt --optimizer muon --steps 2 --batch 4 --context 8 ";
  CHECK(refuses(dir.run(f32, train + "--posterior variational --draws 4 --out d"), 2, why));
  CHECK(contains(dir.run(f32, train + "--model ngram --out e").err, "--optimizer"));
  CHECK(refuses(dir.run(f32, train + "--out f --optimizer sgd"), 2, "adamw | muon"));
  for (const std::string left : {"a", "c", "d", "f"}) CHECK(!dir.has(left));
}

TEST_CASE("train --help lists every option of the contract") {
  const Scratch dir;
  const Run run = dir.run(f32, "train --help");
  CHECK(exits(run, 0));
  for (const std::string option :
       {"model",       "tokenizer",    "layers",     "heads",        "embd",     "hidden", "context",
        "dropout",     "no-bias",      "batch",      "steps",        "lr",       "min-lr", "warmup",
        "decay-steps", "beta1",        "beta2",      "clip",         "shards",   "ops",    "val-fraction",
        "eval-every",  "eval-batches", "save-every", "stop-after",   "resume",   "out",    "seed",
        "threads",     "json",         "quiet",      "weight-decay", "optimizer"}) {
    CAPTURE(option);
    CHECK((contains(run.out, "--" + option + " ") || contains(run.out, "--" + option + ",")));
  }
}

TEST_CASE("both builds reach the same loss, read each other's checkpoints, and go on with each other's runs") {
  for (const std::string model : {"transformer", "lstm"}) {
    CAPTURE(model);
    const Text dir;
    const std::string train = "train text.txt --steps 10 --dropout 0.1 --json --quiet" + tiny(model);
    const Run s = dir.must(f32, train + "--out s"), d = dir.must(f64, train + "--out d");
    CHECK(s.json()["train_loss"].dump().substr(0, 5) == d.json()["train_loss"].dump().substr(0, 5));
    for (const std::string run : {"s", "d"}) {
      CAPTURE(run);
      const std::string sample = "sample --tokens 40 --temperature 0 " + run;
      CHECK(dir.must(f32, sample).out == dir.must(f64, sample).out);
    }
    CHECK(!contains(dir.must(f64, "inspect d --json").out, "\"dtype\":\"F32\""));
    CHECK(exits(dir.run(f32, "train --out d --resume --steps 12 --quiet"), 0));
    CHECK(!contains(dir.must(f32, "inspect d --json").out, "\"dtype\":\"F64\""));
    CHECK(exits(dir.run(f64, "train --out s --resume --steps 12 --quiet"), 0));
    CHECK(dir.saved_steps("s") == 12);
    CHECK(dir.saved_steps("d") == 12);
  }
}

TEST_CASE("a locale with decimal commas changes no checkpoint and no log") {
  const Text dir;
  std::string german;
  for (const std::string& locale : lines(dir.run({"locale", "-a"}).out))
    if (locale.starts_with("de_DE.utf") || locale.starts_with("de_DE.UTF")) german = locale;
  if (german.empty()) return left_out("decimal commas", "there is no de_DE.UTF-8 on this machine");
  const std::string train = "train text.txt --steps 4 --lr 0.002 --dropout 0.1 --quiet" + tiny("lstm");
  dir.must(f32, train + "--out a");
  dir.must(f32, train + "--out b", {.env = {{"LC_ALL", german}}});
  CHECK(dir.same_weights("a", "b"));
  CHECK(dir.same_logs("a", "b"));
}

TEST_SUITE_END();
