// The helper of these tests itself: it reports mistakes.
#include <signal.h>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("helper");

TEST_CASE("a refusal is one sentence of the program, with the right exit code and word, and nothing else") {
  const Scratch dir;
  const Run good{.code = 2, .err = "gradus: --lr is wrong\n", .folder = dir.path()};
  CHECK(refuses(good, 2, "--lr"));
  CHECK(!refuses(good, 4, "--lr"));
  CHECK(!refuses(good, 2, "--steps"));
  CHECK(
      !refuses({.code = 2, .err = "gradus: --lr is wrong\ngradus: --lr is wrong\n", .folder = dir.path()}, 2, "--lr"));
  CHECK(!refuses({.code = 2, .err = "gradus: --lr is wrong", .folder = dir.path()}, 2, "--lr"));
  CHECK(!refuses({.code = 2, .err = "--lr is wrong\n", .folder = dir.path()}, 2, "--lr"));
  CHECK(!refuses({.code = 2, .err = "gradus:  \n", .folder = dir.path()}, 2, ""));
  CHECK(!refuses({.code = 2, .err = "", .folder = dir.path()}, 2, ""));
  CHECK(!refuses({.code = 2, .out = "x", .err = "gradus: --lr is wrong\n", .folder = dir.path()}, 2, "--lr"));
  dir.make_folder("new");
  CHECK(!refuses(good, 2, "--lr"));
}

TEST_CASE("stdout is JSON if it is one whole line with one object") {
  CHECK(Run{.out = "{\"a\":1}\n"}.json()["a"] == Json(1));
  for (const std::string out : {"", "{\"a\":1}", "{\"a\":1}\n{\"a\":1}\n", "[1]\n", "{\"a\":1} {}\n", "{\"a\":nan}\n",
                                "note\n{}\n", "{\"a\":1,\"a\":2}\n", "{\"a\":\"\xff\"}\n"}) {
    CAPTURE(out);
    CHECK_THROWS_AS(Run{.out = out}.json(), DataError);
  }
  CHECK(Run{.out = "{}\n{}\n"}.jsonl().size() == 2);
  CHECK_THROWS_AS(Run{.out = "{}\n\n{}\n"}.jsonl(), DataError);
}

TEST_CASE("a program's exit code, signal, timeout, input, environment and files come through") {
  const Scratch dir;
  CHECK(dir.run({"sh", "-c", "exit 7"}).code == 7);
  CHECK(dir.run({"sh", "-c", "kill -9 $$"}).code == 128 + SIGKILL);
  CHECK(dir.run({"sleep", "30"}, {.seconds = 0.1}).code == 124);
  CHECK(dir.run({"no-such-program"}).code == 127);
  const Run run = dir.run({"sh", "-c", "read a; echo $a $B \"$1\"; echo $PWD >&2", "sh"},
                          {.words = {"two  words"}, .in = "in\n", .env = {{"B", "env"}}});
  CHECK(run.out == "in env two  words\n");
  CHECK(run.err == dir.path() + "\n");
  CHECK((words_of(" a  'b c'd '' ") == std::vector<std::string>{"a", "b cd", ""}));
  CHECK(dir.run({"sh", "-c", "trap '' PIPE; yes | head -c 100000"}, {.hang_up_after = 3}).out == "y\ny");
}

TEST_CASE("logs are compared line by line without the clock, and a step that is missing, double or half is seen") {
  const auto step = [](int n, const std::string& loss, const std::string& speed) {
    return "{\"type\":\"step\",\"step\":" + std::to_string(n) + ",\"loss\":" + loss +
           ",\"tokens_per_second\":" + speed + "}\n";
  };
  const Scratch dir;
  const auto log = [&dir](const std::string& run, const std::string& text) {
    dir.make_folder(run);
    dir.write(run + "/log.jsonl", text);
    return run;
  };
  log("a", step(1, "3.5", "10") + step(2, "3.25", "20"));
  CHECK(dir.same_logs("a", log("b", step(1, "3.5", "11") + step(2, "3.25", "21"))));
  CHECK(!dir.same_logs("a", log("b", step(1, "3.5", "11") + step(2, "3.26", "21"))));
  CHECK(!dir.same_logs("a", log("b", step(1, "3.5", "11"))));
  CHECK(dir.same_steps("a", log("b", step(1, "3.5", "11") + "{\"type\":\"eval\"}\n" + step(2, "3.25", "21"))));
  CHECK(!dir.same_steps(log("c", "{\"type\":\"eval\"}\n"), "c"));  // nothing to compare
  CHECK(dir.steps_once("a", 2));
  CHECK(!dir.steps_once("a", 3));
  CHECK(!dir.steps_once(log("b", step(1, "1", "1") + step(1, "1", "1")), 2));
  CHECK(!dir.steps_once(log("b", step(1, "1", "1") + step(3, "1", "1")), 2));
  CHECK_THROWS_AS(dir.steps_once(log("b", step(1, "1", "1") + "{\"type\":\"st"), 1), DataError);
  dir.write("a/checkpoint.safetensors", "bytes");
  dir.write("b/checkpoint.safetensors", "bytez");
  CHECK(dir.same_weights("a", "a"));
  CHECK(!dir.same_weights("a", "b"));
  CHECK(near(1, 1.5, 0.5));
  CHECK(!near(1, 1.5, 0.49));
  CHECK(!near(0.0 / 0.0, 0, 1));
}

TEST_SUITE_END();
