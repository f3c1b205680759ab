// A run from somebody else: nothing that its files name is started or opened unless the person names it too, or it is
// a regular file, which is shown before.
#include <sys/stat.h>
#include <unistd.h>

#include "tests/program/forge.h"
#include "tests/program/priors.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("trust");

static const std::string kTune = "tune lstm --max-tokens 3 --batch 4 --shards 2 --steps 4 --stop-after 2 --quiet ";
static const std::string kScore = "command:touch started; while read line; do echo 1; done";

struct Tuned : Scratch {
  Tuned() { lstm_prior(*this); }
  // A run "r" that was stopped after two steps.
  void tune(const std::string& options) const { CHECK(exits(run(f64, kTune + "--out r " + options), 130)); }
  // --resume ends with this exit code and sentence, at once, and without a program.
  Verdict resume(int code, const std::string& part, const std::string& options = "") const {
    remove("started");
    const Run tried = run(f64, "tune --out r --resume --quiet " + options, {.seconds = 20});
    if (has("started")) return {"it started the program"};
    return refuses(tried, code, part);
  }
};

TEST_CASE("a resumed run starts its program only if the person names it again, as it was") {
  for (const std::string weight : {"", "0.5*", "-1e-3*"}) {
    CAPTURE(weight);
    const Tuned dir;
    const std::string reward = " --reward '" + weight + kScore + "'";
    dir.tune(reward + " --reward length:2");
    CHECK(dir.has("started"));
    const std::string again = program(f64) + " tune --out r --resume --quiet" + reward + "\n";
    CHECK(dir.resume(2, "if you trust it, name it again: " + again));
    CHECK(dir.resume(2, again, "--reward length:2"));
    CHECK(dir.resume(2, again, "--reward 'command:touch started'"));
    CHECK(dir.resume(2, again, "--reward '2*" + kScore + "'"));
    CHECK(dir.resume(2, again, reward + reward));
    CHECK(exits(dir.run({"sh", "-c", again}), 0));  // what was proposed is what is right
    CHECK(dir.has("started"));
  }
}

TEST_CASE("of two programs both must be named, and all terms may be") {
  const Tuned dir;
  const std::string one = " --reward '" + kScore + "'", two = " --reward 'command:sh two.sh'";
  dir.write("two.sh", "while read line; do echo 2; done\n");
  dir.tune(one + two + " --reward end");
  CHECK(dir.resume(2, one.substr(1) + two + "\n", two));
  CHECK(dir.resume(2, "starts a program", "--reward end"));
  CHECK(exits(dir.run(f64, "tune --out r --resume --quiet --reward end" + two + one), 0));
}

TEST_CASE("programs of several options are all in what is proposed") {
  const Tuned dir;
  const std::string one = " --reward '" + kScore + "'", two = " --watch '2*" + kScore + "'";
  dir.tune(one + two);
  const std::string again = program(f64) + " tune --out r --resume --quiet" + one + two + "\n";
  for (const std::string& given : {std::string(), one, two, std::string(" --watch end")})
    CHECK(dir.resume(2, again, given));
  CHECK(exits(dir.run({"sh", "-c", again}), 0));
}

TEST_CASE("a program that was written into a checkpoint afterwards is not started, and is shown harmless") {
  for (const std::string planted : {"command:touch started", "command:touch started; cat", "0*command:exec >started",
                                    "command:: \033]0;x\a\u202E >started"}) {
    CAPTURE(planted);
    const Tuned dir;
    dir.tune("--reward count:cat");
    forge(dir, "r", "count:cat", within_json(within_json(planted)));
    CHECK(dir.resume(2, "starts a program"));
    const Run run = dir.run(f64, "tune --out r --resume");
    CHECK(run.err.find_first_of("\033\a") == run.err.npos);
    CHECK(!contains(run.err, "\u202E"));
  }
}

// What no run may make us open, each a name in the folder.
static std::vector<std::string> traps(const Scratch& dir) {
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  dir.make_folder("folder");
  dir.write("huge", "");
  REQUIRE(::truncate((dir / "huge").c_str(), off_t(3) << 30) == 0);
  REQUIRE(::symlink("/dev/zero", (dir / "link").c_str()) == 0);
  return {"/dev/zero", dir / "fifo", dir / "folder", dir / "huge", dir / "link", dir / "gone"};
}

TEST_CASE("the prior that a run names is opened only if it is a regular file of bounded size") {
  const Tuned dir;
  dir.tune("--reward count:cat");
  dir.copy("r", "good");
  for (const std::string& trap : traps(dir)) {
    CAPTURE(trap);
    dir.copy("good", "r");
    forge(dir, "r", within_json("\"prior\":\"" + dir.path() + "/lstm/checkpoint.safetensors\""),
          within_json("\"prior\":\"" + trap + "\""));
    CHECK(dir.resume(4, "the prior of the run"));
    CHECK(dir.resume(4, "name it: " + program(f64) + " tune --out r --resume --quiet PRIOR"));
    CHECK(exits(dir.run(f64, "tune lstm --out r --resume --quiet"), 0));
  }
}

TEST_CASE("the base that an adapter names is opened only if it is a regular file with its hash, and is shown") {
  const Tuned dir;
  dir.must(f64, "tune lstm --out good --reward count:cat --adapter lora:2 --max-tokens 3 --steps 2 --quiet");
  const std::string base = dir / "lstm/checkpoint.safetensors", sample = "sample r --tokens 3";
  dir.copy("good", "r");
  CHECK(contains(dir.must(f64, sample).err, "note: the run names its base, " + base + ", which is read now\n"));
  CHECK(dir.must(f64, sample + " --quiet").err.empty());
  dir.must(f64, "train q.txt --out other --lines --tokenizer word --steps 1 --quiet" + tiny("lstm"));
  std::vector<std::string> places = traps(dir);
  places.push_back(dir / "other/checkpoint.safetensors");  // of another hash
  places.push_back(dir / "q.txt");
  for (const std::string& place : places) {
    CAPTURE(place);
    dir.copy("good", "r");
    forge(dir, "r", within_json("../lstm/checkpoint.safetensors"), "");
    forge(dir, "r", within_json(base), within_json(place));
    const Run run = dir.run(f64, sample + " --quiet", {.seconds = 20});
    CHECK(refuses(run, 4, "put the base that it was trained on there"));
    CHECK(contains(run.err, place));
  }
}

TEST_CASE("a run with an adapter and its base may be moved together, and where one is missing the place is named") {
  const Tuned dir;
  dir.must(f64, "tune lstm --out a --reward count:cat --adapter lora:2 --max-tokens 3 --steps 4 --quiet");
  CHECK(exits(dir.run(f64, kTune + "--out cut --reward count:cat --adapter lora:2"), 130));
  const std::string said = dir.must(f64, "score a", {.in = "the cat\n"}).out;
  dir.make_folder("moved");
  for (const char* run : {"lstm", "a", "cut"}) CHECK(exits(dir.run({"mv", run, "moved/"}), 0));
  const Run moved = dir.must(f64, "score moved/a", {.in = "the cat\n"});
  CHECK(moved.out == said);
  CHECK(contains(moved.err, "names its base, " + dir / "moved/lstm/checkpoint.safetensors"));
  CHECK(exits(dir.run({"sh", "-c", "cd moved/a && " + program(f64) + " merge checkpoint.safetensors --out ../m"}), 0));
  dir.must(f64, "tune moved/lstm --out moved/cut --resume --quiet");  // it goes on, and names the new place
  CHECK(exits(dir.run({"mv", "moved/cut", "cut"}), 0));
  dir.must(f64, "score cut", {.in = "the cat\n"});
  CHECK(exits(dir.run({"mv", "moved/lstm", "gone"}), 0));
  CHECK(refuses(dir.run(f64, "sample moved/a --quiet"), 4,
                "put the base that it was trained on there, or at " + dir / "moved/lstm/checkpoint.safetensors"));
}

TEST_CASE("the files of a run's rewards are opened only if they are regular files of bounded size") {
  const Tuned dir;
  dir.tune("--reward count:cat");
  dir.copy("r", "good");
  for (const std::string& trap : traps(dir))
    for (const std::string name : {"grammar", "blocklist", "lexicon", "table", "fluency"}) {
      const std::string reward = name + ":" + trap;
      if (reward == "fluency:" + dir / "folder") continue;  // a run without a checkpoint, which is not there
      CAPTURE(reward);
      dir.copy("good", "r");
      forge(dir, "r", "count:cat", reward);
      CHECK(dir.resume(4, "a file of its rewards of the run"));
    }
}

TEST_CASE("the texts that a run names are opened only if they are regular files of bounded size") {
  const Text dir;
  dir.must(f32, "train text.txt --out good --steps 4 --stop-after 2 --quiet" + tiny("lstm"), {}, 130);
  for (const std::string& trap : traps(dir)) {
    CAPTURE(trap);
    dir.copy("good", "r");
    forge(dir, "r", within_json(dir / "text.txt"), within_json(trap));
    const Run run = dir.run(f32, "train --out r --resume --quiet", {.seconds = 20});
    CHECK(refuses(run, 4, "the text of the run"));
    CHECK(contains(run.err, "name it: " + program(f32) + " train --out r --resume --quiet TEXT"));
    CHECK(exits(dir.run(f32, "train text.txt --out r --resume --quiet"), 0));
  }
}

TEST_CASE("what a run names and may be opened is shown on stderr") {
  const Tuned dir;
  dir.write("words.txt", "cat\n");
  dir.tune("--reward blocklist:words.txt --reward fluency:lstm");
  const Run tuned = dir.run(f64, "tune --out r --resume --json");
  CHECK(exits(tuned, 0));
  const std::string prior = dir / "lstm/checkpoint.safetensors";
  for (const std::string& name : std::vector<std::string>{"words.txt", "lstm/checkpoint.safetensors", prior})
    CHECK(contains(tuned.err, ", " + name + ", which is read now\n"));
  dir.must(f64, "train q.txt --out t --steps 2 --stop-after 1 --quiet" + tiny("lstm"), {}, 130);
  const Run trained = dir.run(f64, "train --out t --resume");
  CHECK(trained.err == "note: the run names the text, " + dir / "q.txt" + ", which is read now\n");
  CHECK(dir.run(f64, "train q.txt --out t --resume").err.empty());  // the person named it
}

TEST_CASE("a log that is a pipe, a device or a folder is not waited for") {
  for (const std::string trap : {"fifo", "link", "folder"}) {
    CAPTURE(trap);
    const Text dir;
    traps(dir);
    dir.must(f32, "train text.txt --out r --steps 2 --quiet" + tiny("lstm"));
    dir.remove("r/log.jsonl");
    CHECK(exits(dir.run({"mv", trap, "r/log.jsonl"}), 0));
    for (const std::string command : {"report r", "look r"})
      CHECK(refuses(dir.run(f32, command, {.seconds = 20}), 4, "r/log.jsonl: is not a regular file"));
  }
}

TEST_SUITE_END();
