// Ctrl-C, SIGTERM and kill -9 at arbitrary steps: the resumed run continues as if it had never been interrupted.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("signals");

// Starts an endless run with these options, disturbs it by the signal after at least `least` steps, lets it go on for 7
// more, and compares it with a run of as many steps that nobody disturbed.
static void disturb(const Kind& kind, int signal, int64_t least) {
  CAPTURE(kind.model);
  CAPTURE(kind.real);
  const Text dir;
  const std::string endless = " --steps 1000000 --save-every 40 --eval-every 100 --eval-batches 2" + tiny(kind.model);
  Child child = dir.start(kind.real, "train text.txt --out run" + endless);
  CHECK(wait_until([&] { return dir.logged_steps("run") >= least && dir.has("run/checkpoint.safetensors"); }));
  CHECK(child.kill(signal));
  const Run ended = child.wait();
  const int64_t done = dir.saved_steps("run");
  if (signal == SIGKILL) {
    CHECK(exits(ended, 128 + SIGKILL));
    CHECK(done >= 40);
    dir.append("run/log.jsonl", "{\"type\":\"step\",\"step\":12345678,\"lo");
  } else {
    CHECK(exits(ended, 130));
    CHECK((ended.out + ended.err)
              .ends_with("\nStopped after step " + std::to_string(done) +
                         " and saved; continue with: " + program(kind.real) + " train --out run --resume\n"));
    CHECK(dir.steps_once("run", done));
  }
  const std::string last = std::to_string(done + 7);
  dir.run(kind.real, "train --out run --resume --quiet --stop-after " + last);
  dir.run(kind.real, "train text.txt --out calm --quiet --stop-after " + last + endless);
  CHECK(dir.same_weights("run", "calm"));
  CHECK(dir.same_logs("run", "calm"));
  CHECK(dir.steps_once("run", done + 7));
}

TEST_CASE("a run that Ctrl-C stopped says how to go on, and goes on with the bytes of one that was never stopped") {
  disturb({"transformer", f32}, SIGINT, 130);
  disturb({"lstm", f64}, SIGINT, 57);
}

TEST_CASE("SIGTERM stops a run as Ctrl-C does") {
  disturb({"transformer", f64}, SIGTERM, 81);
  disturb({"lstm", f32}, SIGTERM, 81);
}

TEST_CASE("a run that was killed goes on from its last checkpoint, without the half line in its log") {
  disturb({"transformer", f32}, SIGKILL, 97);
  disturb({"lstm", f32}, SIGKILL, 97);
}

TEST_CASE("Ctrl-C in an evaluation that would take hours ends it at once and throws it away") {
  const Text dir;
  Child child =
      dir.start(f32, "train text.txt --out asked --eval-every 1 --eval-batches 1000000 --quiet" + tiny("transformer"),
                {.seconds = 10});
  CHECK(wait_until([&] { return dir.logged_steps("asked") >= 1; }));
  ::usleep(200000);  // well within the evaluation
  child.kill(SIGINT);
  CHECK(exits(child.wait(), 130));
  CHECK(dir.steps_once("asked", dir.saved_steps("asked")));
  CHECK(dir.log("asked", "eval").empty());
}

TEST_CASE("a Ctrl-C that must wait for a long step says so after a second, unless --quiet, and the step is saved") {
  const Text dir;
  for (const std::string quiet : {"", " --quiet"}) {
    CAPTURE(quiet);
    dir.remove("run");
    Child child =
        dir.start(f32, "train text.txt --out run --batch 500 --layers 2 --threads 1 --steps 9 --eval-every 0" + quiet);
    CHECK(wait_until([&] { return dir.has("run/log.jsonl") && contains(dir.read("run/log.jsonl"), "\"sample\""); }));
    ::usleep(300000);  // well within the first step, which takes seconds
    child.kill(SIGINT);
    const Run run = child.wait();
    CHECK(exits(run, 130));
    CHECK(dir.saved_steps("run") == 1);
    const std::string said =
        "This step is finished and saved first. Ctrl-C again ends the program at once, and the step is lost.\n";
    CHECK(run.err == (quiet.empty() ? said : ""));
  }
}

TEST_CASE("an evaluation that was interrupted is done again, whole, when the run goes on") {
  const Text dir;
  const std::string options = " --eval-every 1 --eval-batches 2000 --quiet" + tiny("lstm");
  Child child = dir.start(f32, "train text.txt --out asked" + options);
  CHECK(wait_until([&] { return dir.logged_steps("asked") >= 1; }));
  child.kill(SIGINT);
  child.wait();
  const std::string last = std::to_string(dir.saved_steps("asked") + 1);
  CHECK(exits(dir.run(f32, "train --out asked --resume --quiet --stop-after " + last), 130));
  CHECK(exits(dir.run(f32, "train text.txt --out calm --stop-after " + last + options), 130));
  CHECK(dir.same_weights("asked", "calm"));
  CHECK(dir.same_logs("asked", "calm"));
}

TEST_CASE("SIGHUP, as from a terminal that was closed, stops a run as Ctrl-C does, unless nohup keeps it off") {
  disturb({"transformer", f32}, SIGHUP, 45);
  disturb({"lstm", f64}, SIGHUP, 45);
  const Text dir;
  dir.write("nohup.sh", "trap '' HUP; exec " + program(f32) +
                            " train text.txt --out run --steps 1000000 --eval-every 0 --save-every 20 --quiet" +
                            tiny("lstm") + "\n");
  Child child(words_of("sh nohup.sh"), dir.path(), {.seconds = 20});
  CHECK(wait_until([&] { return dir.logged_steps("run") >= 20; }));
  child.kill(SIGHUP);
  const int64_t then = dir.logged_steps("run");
  CHECK(wait_until([&] { return dir.logged_steps("run") > then + 50; }));
  child.kill(SIGINT);
  CHECK(exits(child.wait(), 130));
}

// A reward program that notes the ids of its processes, a child of its own among them, and then does nothing.
static const char* const kIdle = "echo $$ >>ids; sleep 1000 & echo $! >>ids; : >waiting; wait; read line";
static bool all_gone(const Scratch& dir) {
  for (const std::string& id : lines(dir.read("ids")))
    if (::kill(std::stoi(id), 0) == 0) return false;
  return true;
}

TEST_CASE("no signal leaves a reward program or its children running, before the first step or in it") {
  const Text dir;
  dir.write("idle.sh", kIdle);
  dir.must(f32, "train text.txt --out prior --steps 0 --quiet" + tiny("lstm"));
  dir.write("four.txt", four_sentences());
  dir.must(f32, "train four.txt --out table --model tabular --lines --tokenizer word --quiet");
  for (const std::string prior : {"prior --exact never", "table --exact always"})  // in a step; in the listing before
    for (const std::vector<int>& signals : std::vector<std::vector<int>>{
             {SIGINT}, {SIGINT, SIGINT}, {SIGTERM}, {SIGTERM, SIGTERM}, {SIGHUP}, {SIGKILL}}) {
      CAPTURE(prior);
      CAPTURE(signals[0]);
      CAPTURE(signals.size());
      for (const char* name : {"ids", "waiting", "run"}) dir.remove(name);
      Child child = dir.start(f32, "tune " + prior + " --out run --reward 'command:sh idle.sh' --max-tokens 3 --quiet",
                              {.seconds = 10});
      CHECK(wait_until([&] { return dir.has("waiting"); }));
      for (const int signal : signals) child.kill(signal);
      const Run run = child.wait();
      CHECK(run.code > 128);
      CHECK(run.code < 144);
      CHECK(wait_until([&] { return all_gone(dir); }));
    }
}

TEST_CASE("nor does a reward program outlive a command that samples or lists") {
  const Text dir;
  dir.write("idle.sh", kIdle);
  dir.must(f32, "train text.txt --out prior --steps 0 --quiet" + tiny("lstm"));
  for (const std::string command : {"exact posterior prior --reward 'command:sh idle.sh' --max-tokens 1",
                                    "exact gradient prior --prior prior --reward 'command:sh idle.sh' --max-tokens 4 "
                                    "--estimator reinforce --out g"})
    for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
      CAPTURE(command);
      CAPTURE(signal);
      for (const char* name : {"ids", "waiting"}) dir.remove(name);
      Child child = dir.start(f32, command, {.seconds = 10});
      CHECK(wait_until([&] { return dir.has("waiting"); }));
      child.kill(signal);
      CHECK(exits(child.wait(), 128 + signal));
      CHECK(wait_until([&] { return all_gone(dir); }));
    }
}

TEST_CASE("one Ctrl-C ends the wait for a reward program at once, saved, and the step is done when the run goes on") {
  const Text dir;
  dir.must(f32, "train text.txt --out prior --steps 0 --quiet" + tiny("lstm"));
  // It answers two batches of four texts, and then no more while there is the file `slow`.
  dir.write("slow.sh",
            "n=0; while read -r line; do n=$((n+1)); [ ! -e slow ] || [ $n -le 10 ] || { : >waiting; sleep 1000; }; "
            "echo $n; done");
  dir.write("slow", "");
  const std::string options = " --reward 'command:sh slow.sh' --exact never --quiet --batch 4 --max-tokens 5 --steps 5";
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    CAPTURE(signal);
    for (const char* name : {"waiting", "run", "calm"}) dir.remove(name);
    dir.write("slow", "");
    Child child = dir.start(f32, "tune prior --out run" + options, {.seconds = 10});
    CHECK(wait_until([&] { return dir.has("waiting"); }));
    const auto asked = std::chrono::steady_clock::now();
    child.kill(signal);
    CHECK(exits(child.wait(), 130));
    CHECK(std::chrono::steady_clock::now() - asked < std::chrono::seconds(2));
    CHECK(dir.saved_steps("run") == 2);
    CHECK(dir.steps_once("run", 2));
    dir.remove("slow");
  }
}

// Of its time a step spends almost all in its 100 updates, so a signal comes between them.
TEST_CASE("a signal between the updates of a step leaves the step before it, which goes on to the undisturbed bytes") {
  const Text dir;
  dir.must(f32, "train text.txt --out prior --steps 0 --quiet" + tiny("transformer"));
  const std::string options =
      " --algorithm ppo --reward count:e --epochs 50 --minibatches 2 --batch 8 --max-tokens 8 --steps 100000 --exact "
      "never "
      "--save-every 3 --quiet";
  for (int round = 0; round < 4; ++round) {
    for (const char* name : {"run", "calm"}) dir.remove(name);
    Child child = dir.start(f32, "tune prior --out run" + options, {.seconds = 20});
    CHECK(wait_until([&] { return dir.logged_steps("run") > round; }));
    child.kill(round % 2 ? SIGTERM : SIGINT);
    CHECK(exits(child.wait(), 130));
    const int64_t done = dir.saved_steps("run");
    CHECK(dir.steps_once("run", done));
    const std::string last = std::to_string(done + 2);
    CHECK(exits(dir.run(f32, "tune prior --out run --resume --quiet --stop-after " + last), 130));
    CHECK(exits(dir.run(f32, "tune prior --out calm --stop-after " + last + options), 130));
    CHECK(dir.same_weights("run", "calm"));
    CHECK(dir.same_logs("run", "calm"));
  }
}

TEST_CASE("one Ctrl-C ends a step whose updates would take minutes, at once") {
  const Text dir;
  dir.must(f32, "train text.txt --out prior --steps 0 --quiet" + tiny("transformer"));
  Child child =
      dir.start(f32,
                "tune prior --out run --algorithm ppo --reward count:e --epochs 1000 --minibatches 8 --batch 512 "
                "--max-tokens 8 --exact never --quiet",
                {.seconds = 20});
  CHECK(wait_until([&] { return dir.has("run/log.jsonl") && contains(dir.read("run/log.jsonl"), "\"sample\""); }));
  ::usleep(500000);  // the draws take less
  const auto asked = std::chrono::steady_clock::now();
  child.kill(SIGINT);
  CHECK(exits(child.wait(), 130));
  CHECK(std::chrono::steady_clock::now() - asked < std::chrono::seconds(2));
  CHECK(dir.saved_steps("run") == 0);
}

TEST_CASE("Ctrl-C while nobody reads standard output saves, and ends with 130") {
  const std::string endless = " --out run --eval-every 1 --eval-batches 1 --steps 1000000";
  // The pipe takes a page; what stands in it already lets the introduction through, and few lines of steps.
  for (const auto& [command, there] : std::vector<std::pair<std::string, size_t>>{
           {"train text.txt" + endless + tiny("lstm"), 0},
           {"tune prior --out run --reward count:e --exact never --steps 3000 --batch 2 --max-tokens 2", 3500},
           {"train text.txt --json" + endless + tiny("transformer"), 0}}) {
    CAPTURE(command);
    const Text dir;
    dir.must(f32, "train text.txt --out prior --steps 0 --quiet" + tiny("lstm"));
    const bool json = contains(command, "--json");
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, 4096) == 4096);
    REQUIRE(::write(ends[1], std::string(there, 'x').data(), there) == ssize_t(there));
    const std::string full = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(ends[1]);
    const std::string redirected = "exec " + program(f32) + " " + command + (json ? " 2>" : " >") + full + "\n";
    dir.write("blocked.sh", redirected);
    Child child(words_of("sh blocked.sh"), dir.path(), {.seconds = 20});
    int64_t steps = -1;  // until it stands still
    CHECK(wait_until([&] {
      ::usleep(300000);
      return dir.logged_steps("run") > 0 && std::exchange(steps, dir.logged_steps("run")) == dir.logged_steps("run");
    }));
    child.kill(SIGINT);
    const Run run = child.wait();
    CHECK(exits(run, 130));
    CHECK(dir.has("run/checkpoint.safetensors"));
    CHECK(dir.steps_once("run", dir.saved_steps("run")));
    if (!json) CHECK(contains(run.err, "and saved; continue with: " + program(f32)));
    CHECK(!contains(run.err, "written"));
    ::close(ends[0]);
    ::close(ends[1]);
  }
}

TEST_CASE("a second process in the same run is refused and told by whom, and the lock dies with its process") {
  const Text dir;
  Child child =
      dir.start(f32, "train text.txt --out run --steps 1000000 --eval-every 0 --save-every 20 --quiet" + tiny("lstm"));
  CHECK(wait_until([&] { return dir.has("run/checkpoint.safetensors"); }));
  CHECK(refuses(dir.run(f32, "train --out run --resume --quiet"), 2, "process " + std::to_string(child.pid()) + " "));
  dir.remove("run/log.jsonl");  // the lock is not in the log alone
  CHECK(refuses(dir.run(f32, "train --out run --resume --quiet"), 2, "run: another process is training in this run"));
  CHECK(!dir.has("run/log.jsonl"));
  CHECK(refuses(dir.run(f32, "tune --out run --resume --quiet"), 2, "another process is training in this run"));
  child.kill(SIGKILL);
  child.wait();
  const std::string next = std::to_string(dir.saved_steps("run") + 1);
  CHECK(exits(dir.run(f32, "train --out run --resume --quiet --stop-after " + next), 130));
}

TEST_SUITE_END();
