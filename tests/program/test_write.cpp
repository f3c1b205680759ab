// What cannot be written, and losses that are no longer finite.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("write");

TEST_CASE("a run goes into a folder that is made with its parents, and not below a file or onto a full device") {
  const Text dir;
  const std::string options = " --steps 2 --quiet" + tiny("lstm");
  CHECK(refuses(dir.run(f32, "train text.txt --out text.txt/run" + options), 3, "text.txt/run"));
  CHECK(refuses(dir.run(f32, "train text.txt --out /dev/full" + options), 3, "/dev/full"));
  CHECK(exits(dir.run(f32, "train text.txt --out deep/er/run" + options), 0));
  const Run full = dir.run(f32, "sample deep/er/run --json", {.out = "/dev/full", .seconds = 20});
  CHECK(exits(full, 3));
  CHECK(full.err.starts_with("gradus: standard output"));
  CHECK(count(full.err, "\n") == 1);
}

TEST_CASE("a folder that may not be written is refused") {
  if (::geteuid() == 0) return left_out("a folder without permission", "root writes everywhere");
  const Text dir;
  dir.make_folder("locked");
  REQUIRE(::chmod((dir / "locked").c_str(), 0555) == 0);
  CHECK(refuses(dir.run(f32, "train text.txt --out locked/run --steps 2 --quiet" + tiny("lstm")), 3, "locked"));
  ::chmod((dir / "locked").c_str(), 0755);
}

TEST_CASE("a log that leads elsewhere or is no file is refused, and what it leads to is left alone") {
  const Text dir;
  const std::string options = " --steps 2 --quiet" + tiny("lstm");
  dir.write("precious", "not ours\n");
  dir.make_folder("linked");
  std::filesystem::create_symlink("../precious", dir / "linked/log.jsonl");
  CHECK(refuses(dir.run(f32, "train text.txt --out linked" + options), 2, "linked/log.jsonl: gradus did not write"));
  dir.must(f32, "train text.txt --out run" + options);
  const std::string log = dir.read("run/log.jsonl");
  dir.write("moved.jsonl", log);
  dir.remove("run/log.jsonl");
  std::filesystem::create_symlink("../moved.jsonl", dir / "run/log.jsonl");
  CHECK(refuses(dir.run(f32, "train --out run --resume --steps 3 --quiet"), 3, "run/log.jsonl: is a symbolic link"));
  std::filesystem::remove(dir / "run/log.jsonl");
  std::filesystem::create_symlink("log.jsonl", dir / "run/log.jsonl");
  CHECK(refuses(dir.run(f32, "train --out run --resume --steps 3 --quiet"), 3, "run/log.jsonl: is a symbolic link"));
  dir.make_folder("pipe");
  REQUIRE(::mkfifo((dir / "pipe/log.jsonl").c_str(), 0600) == 0);
  CHECK(refuses(dir.run(f32, "train text.txt --out pipe" + options), 2, "pipe/log.jsonl: gradus did not write"));
  CHECK(dir.read("precious") == "not ours\n");
  CHECK(dir.read("moved.jsonl") == log);
}

TEST_CASE("a checkpoint that is a symbolic link is followed: its target gets the new state and keeps its permissions") {
  const Text dir;
  dir.must(f32, "train text.txt --out run --steps 2 --quiet" + tiny("lstm"));
  std::filesystem::rename(dir / "run/checkpoint.safetensors", dir / "elsewhere");
  REQUIRE(::chmod((dir / "elsewhere").c_str(), 0600) == 0);
  std::filesystem::create_symlink("../elsewhere", dir / "run/checkpoint.safetensors");
  dir.must(f32, "train --out run --resume --steps 3 --quiet");
  CHECK(std::filesystem::is_symlink(dir / "run/checkpoint.safetensors"));
  CHECK(dir.saved_steps("run") == 3);
  struct stat status {};
  REQUIRE(::stat((dir / "elsewhere").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a checkpoint that could not be written at the end is refused before the run, and nothing is made") {
  namespace fs = std::filesystem;
  const Text dir;
  const std::string options = " --steps 2 --quiet" + tiny("lstm"), name = "/checkpoint.safetensors";
  dir.must(f32, "train text.txt --out prior" + options);
  const std::string tune = "tune prior --reward length:5 --steps 2 --batch 2 --max-tokens 4 --quiet --out ";
  const std::vector<std::pair<std::string, std::string>> links{
      {"loop", "checkpoint.safetensors"}, {"nowhere", "../none/there"}, {"folder", "../text.txt/below"}};
  for (const auto& [run, to] : links) {
    CAPTURE(run);
    dir.make_folder(run);
    fs::create_symlink(to, dir / (run + name));
    const Run trained = dir.run(f32, "train text.txt --out " + run + " --steps 2" + tiny("lstm"));
    CHECK(refuses(trained, 3, run + name + ": "));
    CHECK(count(trained.err, "step 0") == 0);
    CHECK(refuses(dir.run(f32, tune + run), 3, run + name + ": "));
    CHECK(!fs::exists(dir / (run + "/log.jsonl")));
  }
  dir.make_folder("far");  // a link to a file that is not there yet is a place to write to
  fs::create_symlink("../target", dir / ("far" + name));
  dir.must(f32, "train text.txt --out far" + options);
  CHECK(fs::is_regular_file(dir / "target"));
}

TEST_CASE("texts that would not fit into the header of a checkpoint are refused before the first step") {
  const Text dir;
  const std::string of_words = " --lines --tokenizer word --model ngram --order 2 --quiet --out ";
  const auto repeat = [](const std::string& one, size_t times) {
    std::string all;
    while (times-- > 0) all += one;
    return all;
  };
  const auto words = [](size_t bytes) { return std::string(bytes, 'a') + " b\n" + std::string(bytes, 'c') + " b\n"; };
  dir.write("long.txt", words(9 << 20));
  const Run refused = dir.run(f32, "train long.txt" + of_words + "run");
  CHECK(refuses(refused, 4, "long.txt: its vocabulary of 4 tokens would take "));
  CHECK(count(refused.err, "use another --tokenizer") == 1);
  CHECK(!std::filesystem::exists(dir / "run"));
  dir.write("quotes.txt", std::string(5 << 20, '"') + " b\na b\n");  // each is written with three backslashes
  CHECK(refuses(dir.run(f32, "train quotes.txt" + of_words + "run"), 4, "quotes.txt: its vocabulary of 4 tokens"));
  dir.write("fits.txt", words(6 << 20));
  CHECK(exits(dir.run(f32, "train fits.txt" + of_words + "fits"), 0));
  CHECK(exits(dir.run(f32, "inspect fits --json"), 0));
  dir.must(f32, "train text.txt --out prior --steps 2 --quiet" + tiny("lstm"));
  dir.write("prompts.txt", repeat(repeat("the fox ", 1 << 16) + "\n", 40));
  CHECK(refuses(dir.run(f32,
                        "tune prior --prompts prompts.txt --reward length:5 --steps 1 --batch 2 --max-tokens 4 "
                        "--quiet --out tuned"),
                4, "prompts.txt: its prompts, with the vocabulary, would take "));
  CHECK(!std::filesystem::exists(dir / "tuned"));
}

static const std::string kHot = " --steps 5000 --lr 1000 --min-lr 1000 --warmup 0 --weight-decay 1000 --quiet";

TEST_CASE("a run that diverges exits with 5, names the step and the remedy, and keeps its last good state") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const Run run = dir.run(real, "train text.txt --out hot --save-every 1 --eval-every 0" + kHot + tiny(model));
    CHECK(refuses(run, 5, "keeps the last good state"));
    const std::string step = between(run.err, "gradus: step ", ": ");
    CHECK((!step.empty() && step.find_first_not_of("0123456789") == step.npos));
    CHECK(contains(run.err, "try a smaller --lr"));
    const Run inspect = dir.run(real, "inspect hot --json");
    CHECK(exits(inspect, 0));
    if (real == f32) CHECK(!contains(inspect.out, "\"norm\":null"));
    CHECK(exits(dir.run(real, "train --out hot --resume --quiet"), 5));  // into the same wall
  }
}

TEST_CASE("a run that diverges before its first save says that nothing was written") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    const Run run = dir.run(real, "train text.txt --out hot2 --save-every 0 --eval-every 0" + kHot + tiny(model));
    CHECK(contains(run.err, "hot2/checkpoint.safetensors was not written"));
  }
}

TEST_CASE("an evaluation that is not finite ends the run with 5, and what it keeps can be read") {
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    CHECK(refuses(dir.run(real, "train text.txt --out hot3 --save-every 1 --eval-every 1" + kHot + tiny(model)), 5,
                  "evaluation is not finite"));
    CHECK(exits(dir.run(real, "sample hot3 --tokens 1"), 0));
  }
}

TEST_CASE("a log or a report that gradus did not write is not replaced") {
  for (const std::string file : {"log.jsonl", "report.html"})
    for (const std::string bytes : {"my own notes\n", "{\"type\":\"other\"}\n", "<html><footer>mine</footer></html>"}) {
      CAPTURE(file);
      CAPTURE(bytes);
      const Text dir;
      dir.must(f32, "train text.txt --out r --steps 1 --quiet" + tiny("lstm"));
      dir.make_folder("mine");
      dir.write("mine/" + file, bytes);
      CHECK(refuses(dir.run(f32, "train text.txt --out mine --steps 1" + tiny("lstm")), 2, "mine/" + file));
      CHECK(refuses(dir.run(f32, "tune r --out mine --reward end --steps 1"), 2, "gradus did not write this file"));
      CHECK(dir.read("mine/" + file) == bytes);
      CHECK(dir.contents("mine").size() == 1);
      if (file == "log.jsonl") continue;
      dir.write("r/report.html", bytes);
      CHECK(refuses(dir.run(f32, "report r"), 2, "r/report.html"));
      CHECK(exits(dir.run(f32, "train --out r --resume --steps 2 --quiet"), 0));
      CHECK(dir.read("r/report.html") == bytes);
    }
  const Text dir;
  dir.make_folder("mine");
  for (const std::string log : {"fifo", "folder"}) {
    dir.remove("mine/log.jsonl");
    CHECK(exits(dir.run({log == "fifo" ? "mkfifo" : "mkdir", "mine/log.jsonl"}), 0));
    CHECK(refuses(dir.run(f32, "train text.txt --out mine --steps 1" + tiny("lstm"), {.seconds = 20}), 2,
                  "mine/log.jsonl: gradus did not write"));
  }
}

TEST_CASE("what a run of ours left behind before its first save is not in the way, and a lock stays one") {
  for (const std::string log : {"", "{\"type\":\"run", "{\"type\":\"run\",\"config\":{}}\n"}) {
    CAPTURE(log);
    const Text dir;
    dir.make_folder("r");
    dir.write("r/log.jsonl", log);
    dir.write("r/report.html", "");
    const Child child = dir.start(f32, "train text.txt --out r --steps 1000000 --save-every 0" + tiny("lstm"));
    CHECK(wait_until([&] { return dir.logged_steps("r") > 2; }));
    CHECK(refuses(dir.run(f32, "train text.txt --out r --steps 1", {.seconds = 20}), 2,
                  "process " + std::to_string(child.pid()) + " is training"));
  }
}

TEST_CASE("where a standard descriptor is closed, nothing that is meant for it goes into the files of the run") {
  const Text dir;
  const std::string train = "\"$0\" train text.txt --steps 3" + tiny("lstm") + " --out ";
  int n = 0;
  for (const std::string closed : {"<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"})
    for (const std::string json : {"", "--json "}) {
      CAPTURE(closed);
      const std::string run = "r" + std::to_string(n++);
      const Run shell = dir.run({"sh", "-c", train + run + " " + json + closed, program(f32)});
      CHECK(exits(shell, contains(closed, " >") || closed.starts_with(">") ? 3 : 0));
      CHECK(dir.steps_once(run, 3));  // every line is JSON
      CHECK(dir.same_weights("r0", run));
      CHECK(exits(dir.run(f32, "sample " + run + " --tokens 1"), 0));
    }
}

TEST_SUITE_END();
