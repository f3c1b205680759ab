// Ctrl-C, SIGTERM and kill -9 at arbitrary steps: the resumed run continues as if it had never been interrupted.
#include <signal.h>
#include <unistd.h>

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

TEST_CASE("one Ctrl-C waits for the step of fine-tuning, a second ends it at once and leaves whole lines") {
  const Text dir;
  dir.must(f32, "train text.txt --out prior --steps 0 --quiet" + tiny("lstm"));
  Child child = dir.start(
      f32, "tune prior --out twice --reward 'command:read line; : >waiting; exec sleep 20' --exact never --quiet",
      {.seconds = 10});
  CHECK(wait_until([&] { return dir.has("waiting"); }));
  child.kill(SIGINT);
  ::usleep(200000);
  CHECK(child.running());  // the first waits for the step
  CHECK(child.kill(SIGINT));
  CHECK(exits(child.wait(), 130));
  CHECK(!dir.log("twice").empty());
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
