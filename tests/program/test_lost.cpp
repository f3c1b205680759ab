// What a run needs and is not there any more: texts that cannot be read twice, files that were moved or deleted, a
// first attempt that failed.
#include <sys/stat.h>

#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("lost");

static const std::string kSmall = " --steps 4 --quiet" + tiny("lstm");

TEST_CASE("a run whose text came from a pipe does not wait for the keyboard, but says so and takes the text again") {
  const Text dir;
  const auto shell = [&](const std::string& command) {
    return dir.run({"sh", "-c", command, program(f32)}, {.seconds = 20});
  };
  CHECK(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  CHECK(exits(shell("cat text.txt | \"$0\" train /dev/stdin --out stdin --stop-after 2" + kSmall), 130));
  CHECK(exits(shell("cat text.txt > fifo & \"$0\" train fifo --out fifo-run --stop-after 2" + kSmall), 130));
  CHECK(exits(dir.run({"bash", "-c", "\"$0\" train <(cat text.txt) --out fd --stop-after 2" + kSmall, program(f32)}),
              130));
  dir.must(f32, "train text.txt --out calm" + kSmall);
  for (const std::string run : {"stdin", "fifo-run", "fd"}) {
    CAPTURE(run);
    const Run silent = shell("sleep 2 | \"$0\" train --out " + run + " --resume --quiet");
    CHECK(refuses(silent, 4, "name it: " + program(f32) + " train --out " + run + " --resume --quiet TEXT"));
    CHECK(exits(shell("cat text.txt | \"$0\" train /dev/stdin --quiet --resume --out " + run), 0));
  }
}

TEST_CASE("a report is made without its log too, and a run that goes on begins a new one") {
  const Scratch dir;
  lstm_prior(dir);
  table_prior(dir);
  dir.must(f64, "tune lstm --out tuned --reward contains:cat --max-tokens 3 --batch 4 --steps 2 --quiet");
  for (const std::string run : {"lstm", "table", "tuned"}) {
    CAPTURE(run);
    dir.remove(run + "/log.jsonl");
    const Run page = dir.run(f64, "report " + run);
    CHECK(exits(page, 0));
    CHECK(contains(page.out, "warning: " + run + "/log.jsonl is missing or empty"));
    CHECK(contains(dir.report(run), ">max-tokens<") == (run == "tuned"));
    CHECK(dir.valid_html(run + "/report.html"));
  }
  CHECK(exits(dir.run(f64, "train --out lstm --resume --steps 62 --quiet"), 0));
  CHECK(exits(dir.run(f64, "tune --out tuned --resume --steps 4 --quiet lstm"), 4));  // it is another prior now
  dir.must(f64, "tune lstm --out other --reward contains:cat --max-tokens 3 --batch 4 --steps 2 --quiet");
  dir.remove("other/log.jsonl");
  CHECK(exits(dir.run(f64, "tune --out other --resume --steps 4 --quiet"), 0));
  for (const std::string run : {"lstm", "other"}) {
    CAPTURE(run);
    CHECK(dir.log(run).at(0)["type"] == Json("run"));
    CHECK(dir.logged_steps(run) == 2);
    CHECK(exits(dir.run(f64, "report " + run), 0));
  }
}

TEST_CASE("a log that lost its first record gets it again, and keeps the others") {
  const Text dir;
  dir.must(f32, "train text.txt --out r --stop-after 3" + kSmall, {}, 130);
  const std::string log = dir.read("r/log.jsonl");
  for (const size_t lost : {log.size(), log.find('\n') + 1}) {
    dir.write("r/log.jsonl", log.substr(lost));
    dir.remove("r/report.html");
    const Run page = dir.run(f32, "report r");
    CHECK(exits(page, 0));
    CHECK(contains(page.out, "is missing or empty") == (lost == log.size()));
    CHECK(contains(dir.report("r"), "after step 3 of 4"));
  }
  dir.must(f32, "train --out r --resume --quiet");
  CHECK(dir.log("r").at(0)["type"] == Json("run"));
  CHECK(dir.steps_once("r", 4));
  CHECK(exits(dir.run(f32, "report r"), 0));
}

TEST_CASE("a first attempt at tuning that fails at its reward leaves nothing in the way of the next") {
  const Scratch dir;
  lstm_prior(dir);
  const std::string tune = "tune lstm --max-tokens 3 --batch 4 --steps 2 --exact never --quiet ";
  for (const std::string reward : {"command:exit 3", "command:echo rubbish; cat >/dev/null", "command:no-such-program",
                                   "fluency:other", "1e308*count:t"}) {
    CAPTURE(reward);
    dir.write("other.txt", "xyz\nzyx\n");
    dir.remove("other");
    dir.must(f64, "train other.txt --out other --lines --model ngram --order 2 --smoothing add --quiet");
    const Run failed =
        dir.run(f64, tune + "--out new/deep", {.words = {"--reward", reward, "--reward", "1e308*length:9"}});
    CHECK(refuses(failed, 4, "reward"));  // and there is no folder `new`
    CHECK(!contains(failed.err, "continue with"));
    CHECK(exits(dir.run(f64, tune + "--out new/deep --reward length:1"), 0));
    dir.remove("new");
  }
  dir.make_folder("mine");
  dir.write("mine/notes.txt", "mine");
  CHECK(exits(dir.run(f64, tune + "--out mine --reward 'command:exit 3'"), 4));
  CHECK(dir.contents("mine").size() == 1);
  CHECK(exits(dir.run(f64, tune + "--out mine --reward length:1"), 0));
}

TEST_CASE("a text or prior that was moved is told by its old name, and the command shows where the new one goes") {
  const Text dir;
  dir.must(f32, "train text.txt --out r --stop-after 2" + kSmall, {}, 130);
  dir.run({"mv", "text.txt", "new name.txt"});
  const Run moved = dir.run(f32, "train --out r --resume --quiet");
  CHECK(refuses(moved, 4, dir / "text.txt" + ": the text of the run is not there any more"));
  CHECK(exits(dir.run({"sh", "-c", between(moved.err, "name it: ", "TEXT") + "'new name.txt'"}), 0));
  dir.must(f32, "tune r --out t --reward length:1 --max-tokens 2 --batch 2 --steps 2 --stop-after 1 --quiet", {}, 130);
  dir.run({"mv", "r", "elsewhere"});
  const Run prior = dir.run(f32, "tune --out t --resume --quiet");
  CHECK(refuses(prior, 4, dir / "r/checkpoint.safetensors" + ": the prior of the run is not there any more"));
  CHECK(exits(dir.run({"sh", "-c", between(prior.err, "name it: ", "PRIOR") + "elsewhere"}), 0));
  dir.write("words.txt", "the\n");
  dir.must(
      f32,
      "tune elsewhere --out w --reward blocklist:words.txt --max-tokens 2 --batch 2 --steps 2 --stop-after 1 --quiet",
      {}, 130);
  dir.remove("words.txt");
  CHECK(refuses(dir.run(f32, "tune --out w --resume --quiet"), 4,
                "words.txt: a file of its rewards of the run is not there"));
}

TEST_SUITE_END();
