// gradus prefer, reward-model, tune --algorithm dpo, frontier --learned; train --from, --adapter and gradus merge.
#include <algorithm>
#include <cmath>

#include "tests/program/forge.h"
#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("preferences");

static const std::string kPrefer = "prefer table --max-tokens 3 --reward contains:cat ";

// All pairs of the four sentences about as often as draws of the prior and a reward of 1 for a cat choose them.
static std::string all_pairs() {
  const std::vector<std::pair<std::string, double>> q{{"the cat", .4}, {"the dog", .3}, {"a cat", .2}, {"a dog", .1}};
  std::string lines;
  for (const auto& [x, p] : q)
    for (const auto& [y, other] : q) {
      const int r = int(contains(x, "cat")) - int(contains(y, "cat"));
      if (x != y)
        lines += repeated("\t" + x + "\t" + y + "\n", int(std::lround(3000 * p * other / (1 + std::exp(-r)))));
    }
  return lines;
}

TEST_CASE("a reward chooses as Bradley and Terry have it, the same for the same seed; what is there is not replaced") {
  const Scratch dir;
  table_prior(dir);
  const Json said = dir.must(f64, kPrefer + "--count 3000 --out p.tsv --json").json();
  CHECK(said["pairs"] == Json(3000));
  CHECK(said["equal"].get<int>() > 900);  // of which a third is expected, Σ q² = .3
  int cats = 0, mixed = 0;
  for (const std::string& line : lines(dir.read("p.tsv"))) {
    const std::string chosen = between(line, "\t", "\t"), rejected = line.substr(line.rfind('\t') + 1);
    CHECK(line.starts_with("\t"));
    CHECK(chosen != rejected);
    if (contains(chosen, "cat") == contains(rejected, "cat")) continue;
    ++mixed;
    cats += contains(chosen, "cat");
  }
  CHECK(mixed > 1500);
  const double p = std::exp(1) / (1 + std::exp(1));  // within 4 standard errors: false alarm 6e-5
  CHECK(near(double(cats) / mixed, p, 4 * std::sqrt(p * (1 - p) / mixed)));
  dir.must(f64, kPrefer + "--count 3000 --out again.tsv --quiet --threads 1");
  CHECK(dir.read("again.tsv") == dir.read("p.tsv"));
  dir.must(f64, kPrefer + "--count 200 --out other.tsv --quiet --seed 2");
  CHECK(dir.read("other.tsv") != dir.read("p.tsv").substr(0, dir.read("other.tsv").size()));
  CHECK(refuses(dir.run(f64, kPrefer + "--out p.tsv"), 2, "p.tsv exists already"));
  dir.must(f64, kPrefer + "--count 300 --scale 1e6 --out sure.tsv --quiet");
  for (const std::string& line : lines(dir.read("sure.tsv")))
    CHECK((contains(between(line, "\t", "\t"), "cat") || !contains(line, "cat")));
}

TEST_CASE("a person chooses by keys, which go behind what is there; a skipped pair leaves no line") {
  const Scratch dir;
  table_prior(dir);
  const std::string prefer = "prefer table --max-tokens 3 --out mine.tsv ";
  dir.must(f64, prefer, {.in = "q"});
  const Run first = dir.must(f64, prefer, {.in = "1\nx2s1q"});
  CHECK(lines(dir.read("mine.tsv")).size() == 3);
  CHECK(contains(first.out, "Press 1 or 2"));
  const std::string shown_first = between(first.out, "\n1  ", "\n"), shown_second = between(first.out, "\n2  ", "\n");
  CHECK(lines(dir.read("mine.tsv"))[0] == "\t" + shown_first + "\t" + shown_second);
  CHECK(dir.must(f64, prefer + "--count 2 --json", {.in = "212"}).json()["pairs"] == Json(2));
  CHECK(lines(dir.read("mine.tsv")).size() == 5);
  // Whoever goes on does not see again what was skipped or chosen; by the same file and seed the same.
  const auto seen = [&](const std::string& keys) {
    std::vector<std::string> texts;
    for (const std::string& line : lines(dir.must(f64, prefer, {.in = keys}).out))
      if (line.starts_with("1  ") || line.starts_with("2  ")) texts.push_back(line);
    return texts;
  };
  const std::vector<std::string> before = seen("sssssssss1"), again = seen("sssssssss1"), after = seen("ssssssssss");
  CHECK(before.size() == 22);  // ten pairs, and the one that waits when the keys end
  CHECK(lines(dir.read("mine.tsv")).size() == 7);
  const std::vector<std::string> old(before.begin() + 2, before.begin() + 14);
  for (const std::vector<std::string>& later : {again, after})
    CHECK(std::search(later.begin(), later.end(), old.begin(), old.end()) == later.end());
  CHECK(seen("ssssssssss") == after);
  dir.must(f64, prefer + "--quiet", {.in = ""});
  CHECK(lines(dir.read("mine.tsv")).size() == 7);
  dir.write("bad.tsv", "a\tb\n");
  CHECK(refuses(dir.run(f64, "prefer table --max-tokens 3 --out bad.tsv", {.in = "1q"}), 4, "bad.tsv, line 1"));
  CHECK(dir.read("bad.tsv") == "a\tb\n");
  CHECK(refuses(dir.run(f64, "prefer table --max-tokens 3 --out no/where.tsv", {.in = "1q"}), 3, "no/where.tsv"));
}

TEST_CASE("DPO from choices goes to the posterior of the reward that chose, and says so; resumed it ends the same") {
  const Scratch dir;
  table_prior(dir);
  dir.write("p.tsv", all_pairs());
  const std::string tune =
      "tune table --algorithm dpo --preferences p.tsv --kl-coef 0.5 --max-tokens 3 --steps 60 --lr 0.05 --batch 1024 ";
  const Json said = dir.must(f64, tune + "--out dpo --watch contains:cat --json").json();
  CHECK(said["reward"] == Json(nullptr));
  CHECK(said["objective"] == Json(nullptr));
  CHECK(near(said["j_star"].get<double>(), 0.7877785588258, 1e-12));
  MESSAGE("KL to the posterior after DPO ", said["kl_to_posterior"].get<double>());
  CHECK(said["kl_to_posterior"].get<double>() < 1e-3);
  CHECK(near(said["kl"].get<double>(), said["kl_exact"].get<double>(), 5 * said["kl_stderr"].get<double>()));
  const std::vector<Json> steps = dir.log("dpo", "step");
  CHECK(near(steps[0]["preference_loss"].get<double>(), std::log(2), 1e-12));
  CHECK(steps[0]["preference_accuracy"] == Json(0.5));
  CHECK(steps.back()["preference_accuracy"].get<double>() > 0.55);
  CHECK(contains(dir.report("dpo"), "<svg"));

  const Json alone = dir.must(f64, tune + "--out alone --json --quiet").json();  // nobody says what the truth is
  CHECK(alone["kl_to_posterior"] == Json(nullptr));
  CHECK(alone["j_star"] == Json(nullptr));
  CHECK(alone["kl_exact"] == said["kl_exact"]);
  CHECK(exits(dir.run(f64, tune + "--out cut --stop-after 25 --quiet"), 130));
  CHECK(refuses(dir.run(f64, "tune --out cut --resume --preferences q.txt --quiet"), 4, "q.txt, line 1"));
  const Run resumed = dir.must(f64, "tune --out cut --resume");
  CHECK(contains(resumed.err, "names the preferences, p.tsv"));
  CHECK(dir.same_weights("cut", "alone"));
  CHECK(dir.same_steps("cut", "alone"));
}

TEST_CASE("choices that cannot be used are refused with their line, and options that do not fit") {
  const Scratch dir;
  table_prior(dir);
  dir.write("good.tsv", "\tthe cat\ta dog\n");
  const std::string tune = "tune table --out new --algorithm dpo --max-tokens 3 --quiet ";
  const auto refused = [&](const std::string& content, const std::string& part) {
    dir.write("bad.tsv", content);
    return refuses(dir.run(f64, tune + "--preferences good.tsv --preferences bad.tsv"), 4, part);
  };
  CHECK(refused("\tthe cat\ta dog\nthe cat\n", "bad.tsv, line 2"));
  CHECK(refused("\tthe cat\tthe cat\n", "are the same"));
  CHECK(refused("\tthe bird\tthe cat\n", "bad.tsv, line 1: "));
  CHECK(refused("\tthe cat the cat\ta dog\n", "a text of 4 tokens, and --max-tokens is 3"));
  CHECK(refused("\tcat the\tthe cat\n", "impossible"));
  CHECK(refuses(dir.run(f64, tune), 2, "needs --preferences"));
  CHECK(refuses(dir.run(f64, tune + "--preferences none.tsv"), 4, "none.tsv"));
  for (const auto& [option, part] :
       std::vector<std::pair<std::string, std::string>>{{"--batch 7", "must be even"},
                                                        {"--kl-coef 0", "--kl-coef is 0"},
                                                        {"--kl-target 1", "--kl-target"},
                                                        {"--prompt the", "has the prompts"},
                                                        {"--pairs good.tsv", "leave out --prompt, --prompts and"},
                                                        {"--watch bleu", "the prompts of --preferences have none"},
                                                        {"--batch 8 --minibatches 5", "a whole group of 2"}})
    CHECK(refuses(dir.run(f64, tune + "--preferences good.tsv " + option), 2, part));
  const Run noted = dir.must(f64,
                             "tune table --out noted --algorithm dpo --max-tokens 3 --preferences good.tsv --steps 1 "
                             "--replay 2 --reward end");
  CHECK(contains(noted.err, "--replay"));
  CHECK(contains(noted.err, "--reward"));
  CHECK(contains(noted.err, "no meaning"));
}

TEST_CASE(
    "a reward model learns what chose; RL on it goes to the posterior of what it has learnt; the page tells the gap") {
  const Scratch dir;
  lstm_prior(dir);
  table_prior(dir);
  dir.write("p.tsv", all_pairs());
  const Json learnt =
      dir.must(f64, "reward-model lstm --preferences p.tsv --out rm --steps 150 --lr 0.01 --json --quiet").json();
  CHECK(learnt["pairs"] == Json(int(lines(all_pairs()).size())));
  CHECK(learnt["loss"].get<double>() < 0.63);
  CHECK(learnt["accuracy"].get<double>() > 0.6);
  CHECK(learnt["val_loss"].get<double>() < 0.69);
  const Json said = dir.must(f64,
                             "tune table --out rl --reward model:rm --watch contains:cat --kl-coef 0.5 --max-tokens 3 "
                             "--steps 120 --lr 0.05 --json --quiet")
                        .json();
  MESSAGE("KL to the posterior of the learnt reward ", said["kl_to_posterior"].get<double>());
  CHECK(said["kl_to_posterior"].get<double>() < 5e-3);
  CHECK(said["reward"].get<double>() > 0.1);

  const std::string frontier = "frontier table rl --reward contains:cat --learned model:rm --max-tokens 3 ";
  const Json points = dir.must(f64, frontier + "--json --html f.html").json();
  CHECK(names(points).back() == "learned");
  const Json first = points["learned"][0];
  CHECK(first["beta"] == Json("inf"));
  CHECK(near(first["learned"].get<double>(), 0.6, 1e-12));  // both begin at the mean of the prior
  CHECK(near(first["reward"].get<double>(), 0.6, 1e-12));
  for (const Json& p : points["learned"]) CHECK(p["reward"].get<double>() < 1.0 + 1e-12);
  CHECK(points["runs"][0]["learned"].get<double>() > 0.6);
  CHECK(dir.valid_html("f.html"));
  CHECK(contains(dir.read("f.html"), "The learnt reward"));
  for (const std::string line : {"learnt reward at its optima", "true reward there"})
    CHECK(contains(dir.read("f.html"), "&quot;" + line + "&quot;"));
  CHECK(contains(dir.read("f.html"), "scale stays as it was learnt"));
  CHECK(contains(dir.must(f64, frontier).out, "E[learnt]"));
  // The true reward in its own place leaves no gap.
  const Json same =
      dir.must(f64, "frontier table --reward contains:cat --learned 1*contains:cat --max-tokens 3 --json").json();
  for (const Json& p : same["learned"]) CHECK(near(p["learned"].get<double>(), p["reward"].get<double>(), 1e-12));

  CHECK(refuses(dir.run(f64, "sample rm"), 4, "is a reward model, not a language model"));
  CHECK(refuses(dir.run(f64, "tune table --out new --reward model:lstm --max-tokens 3"), 4, "not a reward model"));
  CHECK(refuses(dir.run(f64, "reward-model lstm --preferences q.txt --out new"), 4, "q.txt, line 1"));
  CHECK(refuses(dir.run(f64, "reward-model lstm --preferences p.tsv --out rm"), 2, "already holds a run"));
  // Texts of the whole context of the run must have room.
  dir.copy("rm", "large");
  forge(dir, "large", within_json("\"context\":8"), within_json("\"context\":1000000"));
  CHECK(refuses(dir.run(f64, "tune table --out new --reward model:large --max-tokens 3",
                        {.memory = size_t(4) << 30, .seconds = 20}),
                2, "scoring texts by large/checkpoint.safetensors needs about "));
  dir.must(f64, "reward-model lstm --preferences p.tsv --out rm1 --steps 20 --threads 1 --shards 2 --quiet");
  dir.must(f64, "reward-model lstm --preferences p.tsv --out rm2 --steps 20 --threads 2 --shards 2 --quiet");
  CHECK(dir.same_weights("rm1", "rm2"));
}

TEST_CASE("an adapter is trained and saved alone, the base keeps its bytes, merged it says the same") {
  const Scratch dir;
  lstm_prior(dir);
  const std::string before = dir.read("lstm/checkpoint.safetensors");
  const std::string tune = "tune lstm --reward contains:cat --kl-coef 0.3 --max-tokens 3 --steps 30 --lr 0.02 --quiet ";
  const Json said = dir.must(f64, tune + "--adapter lora:2 --out a --json").json();
  CHECK(said["reward"].get<double>() > 0.65);
  CHECK(dir.log("a", "step")[0]["kl"] == Json(0.0));
  CHECK(dir.read("lstm/checkpoint.safetensors") == before);
  const Json tensors = dir.must(f64, "inspect a --json").json()["tensors"];
  for (const Json& t : tensors) CHECK(contains(t["name"].get<std::string>(), ".lora."));
  dir.must(f64, "merge a --out m --quiet");
  const std::string sample = " --count 20 --tokens 3 --json";
  CHECK(dir.must(f64, "sample m" + sample).out == dir.must(f64, "sample a" + sample).out);
  const std::string score = dir.must(f64, "score a", {.in = "the cat\na dog\n"}).out;
  CHECK(dir.must(f64, "score m", {.in = "the cat\na dog\n"}).out == score);
  CHECK(dir.must(f64, "score lstm", {.in = "the cat\na dog\n"}).out != score);
  CHECK(exits(dir.run(f64, tune + "--adapter lora:2 --out cut --stop-after 11"), 130));
  dir.must(f64, "tune --out cut --resume --quiet");
  CHECK(dir.same_weights("cut", "a"));
  CHECK(refuses(dir.run(f64, "merge lstm --out new"), 4, "has no adapter"));
  CHECK(refuses(dir.run(f64, "merge a --out m"), 2, "already holds a run"));
  CHECK(refuses(dir.run(f64, tune + "--adapter lora:0 --out new"), 2, "--adapter lora:0"));
  dir.remove("lstm/checkpoint.safetensors");
  CHECK(refuses(dir.run(f64, "sample a"), 4, "its base cannot be read"));
  CHECK(exits(dir.run(f64, "sample m --tokens 3"), 0));
}

TEST_CASE("training goes on from a run, whole or under an adapter, with its vocabulary and sizes") {
  const Scratch dir;
  lstm_prior(dir);
  dir.write("cats.txt", repeated("a cat\n", 10));
  const std::string before = dir.read("lstm/checkpoint.safetensors");
  const std::string train = "train cats.txt --from lstm --steps 60 --lr 0.02 --warmup 5 --val-fraction 0 --quiet ";
  dir.must(f64, train + "--out whole");
  dir.must(f64, train + "--adapter lora:2 --out a");
  CHECK(dir.read("lstm/checkpoint.safetensors") == before);
  const auto log_prob = [&](const std::string& run) {
    return dir.must(f64, "score " + run, {.in = "a cat\n"}).json()["log_prob"].get<double>();
  };
  CHECK(log_prob("lstm") < -1.2);
  CHECK(log_prob("whole") > -0.3);
  CHECK(log_prob("a") > -0.6);
  dir.must(f64, "train cats.txt --from lstm --steps 0 --val-fraction 0 --quiet --out zero");
  CHECK(near(log_prob("zero"), log_prob("lstm"), 0));
  CHECK(exits(dir.run(f64, train + "--adapter lora:2 --out cut --stop-after 13"), 130));
  dir.must(f64, "train --out cut --resume --quiet");
  CHECK(dir.same_weights("cut", "a"));
  dir.write("bird.txt", "the bird\n");
  CHECK(refuses(dir.run(f64, "train bird.txt --from lstm --out new"), 4, "bird"));
  CHECK(refuses(dir.run(f64, train + "--embd 4 --out new"), 2, "--embd cannot be given with --from"));
  CHECK(refuses(dir.run(f64, "train cats.txt --adapter lora:2 --out new"), 2, "--adapter needs --from"));
  CHECK(
      refuses(dir.run(f64, "train cats.txt --from a --adapter lora:2 --out new --quiet"), 4, "has an adapter already"));
  // A run of lines learns to reply.
  dir.write("pairs.tsv", repeated("the cat\ta dog\n", 10));
  for (const std::string adapter : {"", "--adapter lora:4 "}) {
    const std::string out = adapter.empty() ? "replies" : "replies-a";
    const std::string to_pairs =
        "train pairs.tsv --pairs --from lstm --steps 80 --lr 0.03 --warmup 5 --val-fraction 0 ";
    CHECK(exits(dir.run(f64, to_pairs + adapter + "--quiet --stop-after 60 --out " + out), 130));
    dir.must(f64, "train --resume --quiet --out " + out);
    CHECK(dir.must(f64, "score " + out, {.in = "the cat\ta dog\n"}).json()["log_prob"].get<double>() > -0.7);
    CHECK(contains(dir.must(f64, "sample " + out + " --prompt 'the cat' --temperature 0").out, "the cat\ta dog"));
  }
  dir.must(f64, "train cats.txt --out stream --quiet --steps 1" + tiny("lstm"));
  CHECK(refuses(dir.run(f64, "train pairs.tsv --pairs --from stream --out new"), 2, "stream has no end mark"));
}

TEST_SUITE_END();
