// A fine-tuned run that was stopped, interrupted or killed, or whose reward program died, resumes with the same bytes.
#include <signal.h>

#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("tune-resume");

static const std::string kShort =
    "--reward contains:cat --reward 0.1*length:3 --max-tokens 5 --batch 9 --shards 2 --steps 9 --save-every 4 ";

TEST_CASE("a tuned run that was stopped and resumed on other threads is the whole run, byte for byte") {
  const Scratch dir;
  lstm_prior(dir);
  const std::string prior = dir.read("lstm/checkpoint.safetensors");
  for (const std::string options : {"--baseline value --replay 2 --kl-target 0.2", "--baseline moving --reward-to-go",
                                    "--entropy-coef 0.1 --temperature 0.7"}) {
    CAPTURE(options);
    for (const std::string run : {"whole", "part", "other"}) dir.remove(run);
    CHECK(exits(dir.run(f64, "tune lstm --out whole --threads 1 --quiet " + kShort + options), 0));
    const Run stopped = dir.run(f64, "tune lstm --out part --threads 2 --stop-after 5 " + kShort + options);
    CHECK(exits(stopped, 130));
    CHECK(stopped.out.ends_with(program(f64) + " tune --out part --resume\n"));
    CHECK(exits(dir.run(f64, "tune --out part --resume --threads 2 --quiet"), 0));
    CHECK(dir.same_weights("whole", "part"));
    CHECK(dir.same_logs("whole", "part"));
    CHECK(exits(dir.run(f64, "tune lstm --out other --seed 2 --quiet " + kShort + options), 0));
    CHECK(!dir.same_weights("whole", "other"));
  }
  CHECK(dir.read("lstm/checkpoint.safetensors") == prior);
}

TEST_CASE("a run that was saved before its first step goes on as a new one, from the first byte of its log") {
  const Scratch dir;
  lstm_prior(dir);
  for (const std::string options : {"--baseline value --kl-target 0.2", "--algorithm ppo --epochs 2 --stop-kl 1"}) {
    CAPTURE(options);
    for (const std::string run : {"whole", "part"}) dir.remove(run);
    // The end of the decay is given, since it is that of the steps otherwise.
    const std::string command = "--reward contains:cat --max-tokens 5 --batch 9 --decay-steps 9 --quiet " + options;
    dir.must(f64, "tune lstm --out whole --steps 9 " + command);
    dir.must(f64, "tune lstm --out part --steps 0 " + command);
    dir.must(f64, "tune --out part --resume --steps 9 --quiet");
    CHECK(dir.same_weights("whole", "part"));
    CHECK(dir.same_logs("whole", "part"));
  }
}

TEST_CASE("a finished tuned run goes on only with more steps, and --resume refuses what would make it another run") {
  const Scratch dir;
  lstm_prior(dir);
  transformer_prior(dir);
  dir.must(f64, "tune lstm --out part --quiet " + kShort);
  const auto before = dir.contents("part");
  CHECK(exits(dir.run(f64, "tune --out part --resume --quiet"), 0));
  CHECK((dir.contents("part") == before));
  CHECK(exits(dir.run(f64, "tune --out part --resume --steps 12 --quiet"), 0));
  CHECK(refuses(dir.run(f64, "tune --out part --resume --lr 1"), 2, "--lr cannot be given"));
  CHECK(refuses(dir.run(f64, "tune --out part --resume --steps 3"), 2, "already done 12"));
  CHECK(refuses(dir.run(f64, "tune --out new --resume"), 4, "no checkpoint"));
  CHECK(refuses(dir.run(f64, "tune --out lstm --resume"), 4, "not a fine-tuned run"));
  CHECK(refuses(dir.run(f64, "train --out part --resume"), 2, program(f64) + " tune --out part --resume"));
  CHECK(refuses(dir.run(f64, "tune tf --out part --resume"), 4, "is not the prior"));
  CHECK(refuses(dir.run(f64, "tune lstm --out part --reward end"), 2, "already holds a run"));
}

static const std::string kEndless =
    "--reward contains:cat --baseline value --max-tokens 5 --batch 9 --shards 2 --steps 1000000 --save-every 5 --exact "
    "never ";

TEST_CASE("a tuned run that Ctrl-C stops at any step is locked until then, and goes on with the same bytes") {
  const Scratch dir;
  lstm_prior(dir);
  Child child = dir.start(f64, "tune lstm --out caught " + kEndless);
  CHECK(wait_until([&] { return dir.logged_steps("caught") >= 12 && dir.has("caught/checkpoint.safetensors"); }));
  CHECK(refuses(dir.run(f64, "tune --out caught --resume"), 2,
                "process " + std::to_string(child.pid()) + " is training"));
  child.kill(SIGINT);
  const Run stopped = child.wait();
  const int64_t done = dir.saved_steps("caught");
  CHECK(exits(stopped, 130));
  CHECK((stopped.out + stopped.err)
            .ends_with("\nStopped after step " + std::to_string(done) + " and saved; continue with: " + program(f64) +
                       " tune --out caught --resume\n"));
  CHECK(dir.steps_once("caught", done));
  const std::string last = std::to_string(done + 3);
  CHECK(exits(dir.run(f64, "tune --out caught --resume --quiet --stop-after " + last), 130));
  CHECK(exits(dir.run(f64, "tune lstm --out calm --quiet --stop-after " + last + " " + kEndless), 130));
  CHECK(dir.same_weights("caught", "calm"));
  CHECK(dir.same_logs("caught", "calm"));
}

TEST_CASE("who does not hold the lock of a run does not read its checkpoint, which may be half written") {
  const Scratch dir;
  lstm_prior(dir);
  const Child child = dir.start(f64, "tune lstm --out locked " + kEndless);
  CHECK(wait_until([&] { return dir.logged_steps("locked") >= 1; }));
  dir.write("locked/checkpoint.safetensors", "half a file\n");
  CHECK(refuses(dir.run(f64, "tune --out locked --resume"), 2,
                "process " + std::to_string(child.pid()) + " is training"));
}

TEST_CASE(
    "a reward program that dies stops the run with its name and the way on, and the resumed run has the same bytes") {
  const Scratch dir;
  lstm_prior(dir);
  dir.write("reward.sh", R"(n=0
while IFS= read -r line; do
  n=$((n + 1))
  [ ! -e fragile ] || [ $n -le 40 ] || exit 7  # after 40 texts, while there is the file `fragile`
  echo ${#line}
done
)");
  dir.write("fragile", "");
  const std::string options = "--max-tokens 5 --batch 9 --shards 2 --steps 8 --reward 'command:sh reward.sh' ";
  const Run died = dir.run(f64, "tune lstm --out died --exact never --quiet " + options);
  CHECK(exits(died, 4));
  CHECK(count(died.err, "\n") == 1);
  CHECK(died.err.starts_with("gradus: "));
  size_t at = 0;
  for (const std::string& part :
       std::vector<std::string>{"command:sh reward.sh", "exit status 7", " after 4 of 9 ",
                                "saved after step 4, continue with: " + program(f64) +
                                    " tune --out died --resume --reward 'command:sh reward.sh'\n"}) {
    CAPTURE(part);
    at = died.err.find(part, at);
    CHECK(at != died.err.npos);
  }
  CHECK(
      refuses(dir.run(f64, "tune lstm --out new " + options), 4, "exit status 7"));  // in the enumeration before step 1
  dir.remove("fragile");
  CHECK(exits(dir.run(f64, "tune --out died --resume --quiet --reward 'command:sh reward.sh'"), 0));
  CHECK(exits(dir.run(f64, "tune lstm --out lived --exact never --quiet " + options), 0));
  CHECK(dir.same_weights("died", "lived"));
  CHECK(dir.same_logs("died", "lived"));
}

TEST_SUITE_END();
