// Commands that the program proposes: each is run by a shell as it was printed.
#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("proposals");

static const std::vector<std::string> kNames{"plain",
                                             "my run",
                                             "it's",
                                             "a\"b$(touch pwned)`touch pwned`",
                                             "x;touch pwned",
                                             "*?[a]",
                                             "\\n",
                                             "-x",
                                             "--json",
                                             "#a",
                                             "\033[31m\a",
                                             "new\nline",
                                             "e\314\201 \u732B",
                                             "\u202Eab",
                                             "b\351c",
                                             "50%d"};

// What stands between `before` and the end of the line, run by a shell in the folder.
static Run paste(const Scratch& dir, const std::string& text, const std::string& before) {
  const std::string command = between(text + "\n", before, "\n");
  CAPTURE(command);
  REQUIRE(command.starts_with(program(f32)));
  for (const char c : command) CHECK((uint8_t(c) >= ' ' && c != 0x7F));
  return dir.run({"sh", "-c", command});
}

TEST_CASE("how to continue, how to sample and how to begin are complete and quoted for any name of a run") {
  for (const std::string& name : kNames) {
    CAPTURE(name);
    const Text dir;
    const Run begun =
        dir.run(f32, "train text.txt --steps 4 --stop-after 2" + tiny("lstm"), {.words = {"--out", name}});
    CHECK(exits(begun, 130));
    const Run ended = paste(dir, begun.out, "continue with: ");
    CHECK(exits(ended, 0));
    CHECK(exits(paste(dir, ended.out, "Try: "), 0));
    const Run tuned = dir.run(f32, "tune --resume", {.words = {"--out", name}});
    CHECK(exits(paste(dir, tuned.err, "continue it with: "), 0));
    CHECK(!dir.has("pwned"));
  }
}

TEST_CASE("a tuned run's prompt, program and prior are in what is proposed") {
  for (const std::string prompt : {"the", "a cat", "the dog"}) {
    CAPTURE(prompt);
    const Scratch dir;
    lstm_prior(dir);
    dir.write("it's a reward.sh", "while read line; do echo 1; done\n");
    const std::vector<std::string> words{"--prompt", prompt, "--reward", "command:sh \"it's a reward.sh\""};
    const Run begun =
        dir.run(f32, "tune lstm --out 'my run' --max-tokens 3 --batch 4 --steps 4 --stop-after 1", {.words = words});
    CHECK(exits(begun, 130));
    dir.run({"mv", "lstm", "moved prior"});
    const Run moved = paste(dir, begun.out, "continue with: ");
    CHECK(exits(moved, 4));
    const Run stopped =
        dir.run({"sh", "-c", between(moved.err, "name it: ", "PRIOR") + "'moved prior' --stop-after 2"});
    CHECK(exits(stopped, 130));
    const Run ended = paste(dir, stopped.out, "continue with: ");
    CHECK(exits(ended, 0));
    const Run sampled = paste(dir, ended.out, "Try: ");
    CHECK(exits(sampled, 0));
    CHECK(sampled.out.starts_with(prompt));
  }
}

TEST_CASE("prompts of any characters can be pasted") {
  const Scratch dir;
  dir.write("odd.txt", repeated("a'b\"c$d`e\\f\tg h%i!j\033k\u202El\u732Bm\n", 8));
  dir.must(f32, "train odd.txt --out odd --steps 2 --quiet" + tiny("lstm"));
  for (const std::string prompt : {"a'b\"c$d", "`e\\f\tg", "h%i!j\033k", "k\u202El\u732B", "m\na", "m\n"}) {
    CAPTURE(prompt);
    dir.remove("r");
    const Run run = dir.run(f32, "tune odd --out r --reward length:2 --max-tokens 2 --batch 2 --steps 1 --exact never",
                            {.words = {"--prompt", prompt}});
    CHECK(exits(run, 0));
    const std::string command = between(run.out, "Try: ", "\n");
    const Run sampled = dir.run({prompt == "m\n" ? "bash" : "sh", "-c", command + " --json"});
    const Run meant = dir.run(f32, "sample r --tokens 2 --json", {.words = {"--prompt", prompt}});
    CHECK(exits(sampled, 0));
    CHECK(sampled.out == meant.out);
  }
}

TEST_CASE("a text that was named for one process only is named again in what is proposed") {
  const Text dir;
  const Run piped =
      dir.run({"sh", "-c", "cat text.txt | \"$0\" train /dev/stdin --out r --steps 3 --stop-after 1" + tiny("lstm"),
               program(f32)});
  CHECK(exits(piped, 130));
  const std::string command = between(piped.out, "continue with: ", "\n");
  CHECK(contains(command, " train /dev/stdin --out r --resume"));
  const Run stopped = dir.run({"sh", "-c", "cat text.txt | " + command + " --stop-after 2"});
  CHECK(exits(stopped, 130));
  CHECK(contains(stopped.out, " train /dev/stdin --out r --resume\n"));
  dir.write("my text.txt", dir.read("text.txt"));
  const Run named = dir.run(f32, "train 'my text.txt' --out r --resume --steps 5 --stop-after 3");
  CHECK(exits(named, 130));
  CHECK(exits(paste(dir, named.out, "continue with: "), 0));
  for (const std::string text : {"<(cat text.txt)", "/dev/fd/3 3<text.txt", "/proc/self/fd/4 4<text.txt"}) {
    CAPTURE(text);
    dir.remove("p");
    const Run once =
        dir.run({"bash", "-c", "\"$0\" train " + text + " --out p --stop-after 1" + tiny("lstm"), program(f32)});
    CHECK(exits(once, 130));
    CHECK(contains(once.out, " train TEXT --out p --resume\n"));
  }
  // So is a page that is still to come.
  dir.write("few.txt", repeated("abab cabba bacab abba cab ", 6));
  const Run traced = dir.run(f64,
                             "train few.txt --out t --steps 4 --stop-after 2 --trace 3 'my page.html' --model lstm"
                             " --embd 4 --hidden 3 --context 4 --batch 2 --shards 2 --ops composed");
  CHECK(exits(traced, 130));
  CHECK(exits(paste(dir, traced.out, "continue with: "), 0));
  CHECK(dir.has("my page.html"));
}

TEST_CASE("sentences about a wrong command line propose what was typed, with what it lacks") {
  const Text dir;
  CHECK(exits(paste(dir, dir.run(f32, "train text.txt --steps 2" + tiny("lstm")).err, "a folder for the run: "), 0));
  CHECK(dir.saved_steps("RUN") == 2);
  dir.run({"mv", "RUN", "prior"});
  dir.write("FILE.txt", fables());
  CHECK(exits(paste(dir, dir.run(f32, "train --out 'a b' --steps 3" + tiny("lstm")).err, "train needs a text: "), 0));
  CHECK(dir.saved_steps("a b") == 3);
  const std::string tune = "--reward end --max-tokens 2 --batch 2 --steps 1 --exact never";
  CHECK(exits(paste(dir, dir.run(f32, "tune prior " + tune).err, "a folder for the new run: "), 0));
  CHECK(exits(paste(dir, dir.run(f32, "tune --out tuned " + tune).err, "tune needs a trained run: "), 0));
  CHECK(exits(paste(dir, dir.run(f32, "train --out RUN --resume").err, "continue it with: "), 0));
  for (const std::string wrong : {"", "trian", "train --stpes 5 --out x", "sample", "kl --lesson x.json"}) {
    const std::string sentence = dir.run(f32, wrong).err;
    CAPTURE(sentence);
    const std::string typed = between(sentence, program(f32), "\n");  // a sentence may go on behind it
    CHECK(exits(
        dir.run({"sh", "-c", program(f32) + typed.substr(0, typed.find(" says ")).substr(0, typed.find(" lists "))}),
        0));
  }
}

TEST_CASE("the remedies for a text run in a shell") {
  const Scratch dir;
  for (const std::string name : {"plain", "it's a text", "-x"}) {
    CAPTURE(name);
    dir.write(name, repeated("caf\351 au lait\n", 20));
    const std::string path = "./" + name;
    const Run latin = dir.run(f32, "train --out new --steps 1" + tiny("lstm"), {.words = {path}});
    CHECK(exits(dir.run({"sh", "-c", between(latin.err, "so try: ", "\n")}), 0));
    CHECK(exits(
        dir.run(f32, "train --steps 1 --quiet" + tiny("lstm"), {.words = {"--out", name + "1", path + ".utf8"}}), 0));
    dir.write(name, repeated("the cat\rthe dog\r", 20));
    const Run mac = dir.run(f32, "train --lines --out new --steps 1" + tiny("lstm"), {.words = {path}});
    CHECK(exits(dir.run({"sh", "-c", between(mac.err, "try: ", "\n")}), 0));
    CHECK(exits(dir.run(f32, "train --lines --steps 1 --quiet" + tiny("lstm"),
                        {.words = {"--out", name + "2", path + ".lines"}}),
                0));
  }
}

TEST_CASE("what make demo proposes in the end runs") {
  const std::string script = bytes_of(root() + "apps/demo.sh");
  const Text dir;
  dir.must(f32, "train text.txt --out demo --steps 2 --quiet" + tiny("lstm"));
  dir.must(f32, "tune demo --out demo-tuned --steps 1 --batch 2 --reward end --max-tokens 2 --exact never --quiet");
  dir.write("YOUR_TEXT.txt", fables());
  dir.make_folder("data");
  dir.write("data/fables.txt", fables());
  int commands = 0;
  for (const std::string& line : lines(between(script, "Try next:\n", "\nTEXT\n"))) {
    const std::string command = line.substr(0, line.find("    ", 4));
    if (!contains(command, "$gradus")) continue;
    CAPTURE(command);
    ++commands;
    const std::string shorter = contains(command, " train ")  ? " --steps 1 --batch 2 --embd 8 --context 8"
                                : contains(command, " tune ") ? " --steps 1 --batch 2 --max-tokens 2"
                                                              : "";
    CHECK(exits(dir.run({"sh", "-c", "gradus=" + program(f32) + " run=demo; " + command + shorter}), 0));
  }
  CHECK(commands == 6);
}

TEST_SUITE_END();
