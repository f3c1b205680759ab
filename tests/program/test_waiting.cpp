// Long work says how far it is, on a terminal and after two seconds, and ends at once when it is asked to. `script`
// plays the terminal.
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("waiting");

struct Work {
  std::string command, says;
};
// Each takes for ever.
static std::vector<Work> works() {
  return {
      {"exact gradient small --prior small --reward count:e --max-tokens 9 --estimator reinforce --samples 1000000000"
       " --out g.safetensors",
       "sampling the gradient, sequences: "},
      {"sample small --count 1000000 --tokens 2000 --json", "drawing"},
      {"eval small long.txt --stride 1", "evaluating sequences: "},
      {"corpus stories.grammar --bytes 1000000000000 --json", "writing bytes: "},
      {"compare small small --samples 1000000000", "sampling both runs, sequences: "},
      {"train text.txt --out asked --eval-every 1 --eval-batches 1048576 --model lstm", "evaluating sequences: "},
      {"exact gradient table --prior table --reward 'command:while read l; do sleep 1; echo 1; done' --max-tokens 3"
       " --out g.safetensors",
       "waiting for the reward program"}};
}

static void prepare(const Text& dir) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += bytes_of(root() + "data/fables.txt").substr(0, 4000);
  dir.write("long.txt", text);
  dir.write("four.txt", four_sentences());
  dir.write("stories.grammar", bytes_of(root() + "data/stories.grammar"));
  dir.must(f32, "train text.txt --out small --steps 1 --quiet --model lstm --embd 64 --hidden 200 --context 64");
  dir.must(f32, "train four.txt --out table --model tabular --lines --tokenizer word --quiet");
}

TEST_CASE("long work shows how far it has come on a terminal, after two seconds and not before") {
  if (::system("command -v script >/dev/null") != 0) return left_out("a terminal", "there is no `script`");
  const Text dir;
  prepare(dir);
  for (const auto& [command, says] : works()) {
    CAPTURE(command);
    dir.write("line.sh", "exec " + program(f32) + " " + command + " >out.txt\n");
    const auto shown = [&](const char* seconds) {
      dir.run(
          {"sh", "-c",
           std::string("timeout -s KILL ") + seconds + " script -qfc 'sh line.sh' typed </dev/null >/dev/null 2>&1"},
          {.seconds = 30});
      return dir.read("typed");
    };
    const std::string late = shown("4.5");
    CAPTURE(late);
    CHECK(contains(late, "\r" + says));
    dir.remove("asked");
    if (says != "drawing") CHECK(!contains(shown("1"), says));
    dir.remove("asked");
  }
}

TEST_CASE("without a terminal, or with --quiet, nothing is shown") {
  const Text dir;
  prepare(dir);
  for (const auto& [command, says] : works()) {
    CAPTURE(command);
    const Run run = dir.run(f32, command, {.out = "/dev/null", .seconds = 2.5});
    CHECK(run.code == 124);
    CHECK(!contains(run.err, says));
    dir.remove("asked");
  }
}

TEST_CASE("Ctrl-C ends all of it at once") {
  const Text dir;
  prepare(dir);
  for (const auto& [command, says] : works()) {
    CAPTURE(command);
    Child child = dir.start(f32, command, {.out = "/dev/null", .seconds = 20});
    ::usleep(700000);
    const auto asked = std::chrono::steady_clock::now();
    child.kill(SIGINT);
    const Run run = child.wait();
    CHECK(exits(run, 130));
    CHECK(std::chrono::steady_clock::now() - asked < std::chrono::seconds(2));
    CHECK(!dir.has("g.safetensors"));
    dir.remove("asked");
  }
}

TEST_SUITE_END();
