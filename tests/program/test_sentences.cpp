// Sentences that help: numbers, bytes and files that cannot be used are refused with their place and what would be
// right, and none of them ends as an internal error.
#include "tests/program/forge.h"
#include "tests/program/priors.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("sentences");

TEST_CASE("decimal means decimal: leading zeros and a plus sign mean nothing") {
  const Text dir;
  const Run run =
      dir.run(f32,
              "train text.txt --out r --model lstm --embd 016 --hidden 010 --context 08 --batch 09 --steps 012"
              " --seed 0123 --lr 010e-3 --eval-every +07 --shards 01 --stop-after 011 --threads 02 --quiet");
  CHECK(exits(run, 130));
  const Json config = dir.log("r").at(0)["config"];
  const std::vector<std::pair<std::string, double>> wanted{{"embd", 16}, {"hidden", 10},    {"context", 8},
                                                           {"batch", 9}, {"steps", 12},     {"seed", 123},
                                                           {"lr", 0.01}, {"eval_every", 7}, {"shards", 1}};
  for (const auto& [name, value] : wanted) {
    CAPTURE(name);
    CHECK(config[name].get<double>() == value);
  }
  CHECK(dir.saved_steps("r") == 11);
  CHECK(dir.run(f32, "sample r --tokens 010 --count 02 --seed 010").out ==
        dir.run(f32, "sample r --tokens 10 --count 2 --seed 10").out);
  const Scratch other;
  table_prior(other);
  other.write("two.grammar", "s = a b | c\n");
  const std::vector<std::pair<std::string, std::string>> same{
      {"exact posterior table --max-tokens 03 --reward length:02 --kl-coef 01",
       "exact posterior table --max-tokens 3 --reward length:2 --kl-coef 1"},
      {"exact posterior table --max-tokens 3 --reward 010*distinct:0001",
       "exact posterior table --max-tokens 3 --reward 10*distinct:1"},
      {"corpus two.grammar --bytes 0100 --seed 08", "corpus two.grammar --bytes 100 --seed 8"},
      {"kl --section 010", "kl --section 10"}};
  for (const auto& [typed, meant] : same) {
    CAPTURE(typed);
    const Run one = other.run(f64, typed), two = other.run(f64, meant);
    CHECK(exits(one, 0));
    CHECK(one.out == two.out);
  }
}

TEST_CASE("a number that is none, or too large, is refused with its range") {
  const Text dir;
  dir.must(f32, "train text.txt --out r --steps 1 --quiet" + tiny("lstm"));
  const std::string seeds = "must be a whole number from 0 to 9223372036854775807";
  for (const std::string& value :
       std::vector<std::string>{"9223372036854775808", "18446744073709551615", "18446744073709551617", "1e3", "0x10",
                                "0b11", "1_000", "1.0", "-1", "--1", "+-1", " 5", "5 ", "", "\u0665", "1e999"}) {
    CAPTURE(value);
    for (const std::string command : {"train text.txt --out new --steps 1 --seed", "sample r --seed"})
      CHECK(refuses(dir.run(f32, command, {.words = {value}}), 2, seeds));
    for (const std::string option : {"--steps", "--batch", "--shards", "--stop-after"})
      CHECK(refuses(dir.run(f32, "train text.txt --out new " + option, {.words = {value}}), 2,
                    option + " " + value + ": must be a whole number from"));
    CHECK(refuses(dir.run(f32, "train text.txt --out new --trace", {.words = {value, "x.html"}}), 2,
                  "the step must be a whole number, 1 or later"));
    for (const std::string reward : {"length", "distinct"})
      CHECK(refuses(dir.run(f32, "tune r --out new --reward", {.words = {reward + ":" + value}}), 2,
                    value.empty() ? "needs an argument" : "must be a whole number from"));
  }
  CHECK(exits(dir.run(f32, "sample r --tokens 1 --seed 9223372036854775807"), 0));
  for (const std::string& value : std::vector<std::string>{"0x1p3", "nan", "inf", "1e999", "1,5", "", " 1", "1 "}) {
    CAPTURE(value);
    CHECK(refuses(dir.run(f32, "train text.txt --out new --lr", {.words = {value}}), 2, "must be a number from 0 to"));
    CHECK(refuses(dir.run(f32, "tune r --out new --reward", {.words = {value + "*end"}}), 2, "is not a finite number"));
  }
}

TEST_CASE("bytes that are not UTF-8 are refused where they would be stored, and are never an internal error") {
  for (const std::string& bad : {std::string("\xFF"), std::string("caf\xE9"), std::string("\xED\xA0\x80")}) {
    CAPTURE(bad);
    const Text dir;
    dir.must(f32, "train text.txt --out chars --steps 1 --quiet" + tiny("lstm"));
    dir.must(f32, "train text.txt --out bytes --tokenizer byte --steps 1 --quiet" + tiny("lstm"));
    for (const std::string run : {"chars", "bytes"}) {
      const std::string tune = "tune " + run + " --out new --max-tokens 2 --batch 2 --steps 1 --reward";
      CHECK(refuses(dir.run(f32, tune + " end --prompt", {.words = {bad}}), 4, "--prompt is not text in UTF-8"));
      for (const std::string reward : {"contains:", "count:", "similarity:", "lexicon:", "fluency:", "command:", ""})
        CHECK(refuses(dir.run(f32, tune, {.words = {reward + bad}}), 2, "is not text in UTF-8"));
      dir.write("prompts", "the\n" + bad + "\n");
      CHECK(refuses(dir.run(f32, tune + " end --prompts prompts"), 4, "prompts is not text in UTF-8: line 2"));
      for (const std::string& command : std::vector<std::string>{
               "sample " + run + " --prompt", "exact sequences " + run + " --max-tokens 1 --prompt",
               std::string("sample"), std::string("eval chars"), std::string("kl"),
               "train text.txt --steps 1 --quiet --json --out"}) {
        CAPTURE(command);
        const Run tried = dir.run(f32, command, {.words = {bad}, .env = {}});
        CHECK(tried.code != 1);
        CHECK(utf8(tried.out + tried.err));
        dir.remove(bad);
      }
      const Run scored = dir.run(f32, "score " + run, {.in = bad + "\n"});
      CHECK(scored.code == 4);
    }
    // A folder may have any name, as long as no run has to remember it.
    const Run named = dir.run(f32, "train text.txt --steps 1 --json" + tiny("lstm"), {.words = {"--out", bad}});
    CHECK(exits(named, 0));
    CHECK(named.json()["steps"] == Json(1));
    CHECK(names(dir.run(f32, "report --json", {.words = {bad}}).json()) == std::vector<std::string>{"report", "bytes"});
    CHECK(refuses(dir.run(f32, "tune --out new --reward end", {.words = {bad}}), 4, "must be UTF-8 itself"));
    dir.write(bad + ".txt", fables());
    CHECK(refuses(dir.run(f32, "train --out new", {.words = {bad + ".txt"}}), 4, "must be UTF-8 itself"));
  }
}

TEST_CASE("a small --lr is not told of a --min-lr that nobody gave") {
  const Text dir;
  for (const std::string lr : {"5e-5", "1e-6", "0"}) {
    CAPTURE(lr);
    CHECK(exits(dir.run(f32, "train text.txt --steps 2 --quiet --out r" + lr + " --lr " + lr + tiny("lstm")), 0));
    CHECK(dir.log("r" + lr).at(0)["config"]["min_lr"] == dir.log("r" + lr).at(0)["config"]["lr"]);
  }
  CHECK(refuses(dir.run(f32, "train text.txt --out new --lr 5e-5 --min-lr 1e-4"), 2,
                "--min-lr 0.0001 is above --lr 5e-05"));
}

TEST_CASE("a number too small to be told from 0 is told so, and where 0 cannot be it is out of range") {
  const Text dir;
  for (const std::string option : {"--lr 1e-400", "--min-lr +3e-999", "--weight-decay 1e-5000"})
    CHECK(refuses(dir.run(f32, "train text.txt --out new " + option), 2, "is too small to be told from 0"));
  CHECK(refuses(dir.run(f32, "bench --seconds 1e-400"), 2, "must be a number from 0.001"));
  CHECK(refuses(dir.run(f32, "train text.txt --out new --lr 1e400"), 2, "must be a number from 0"));
  CHECK(refuses(dir.run(f32, "train text.txt --out new --lr -1e-3"), 2, "must be a number from 0"));
}

TEST_CASE("tables, rewards, prompts and grammars that do not end are refused soon") {
  const Scratch dir;
  lstm_prior(dir);
  dir.write("big.json", std::string((size_t{64} << 20) + 1, ' '));
  const std::string tune = "tune lstm --out new --reward ";
  for (const std::string file : {"/dev/zero", "big.json"})
    for (const std::string& command :
         {"kl " + file, tune + "table:" + file, tune + "lexicon:" + file, tune + "blocklist:" + file,
          tune + "grammar:" + file, tune + "end --prompts " + file, "corpus --json " + file}) {
      CAPTURE(command);
      const Run run = dir.run(f64, command);
      CHECK(refuses(run, 4, file + ": has more than 64 MB"));
      CHECK(run.cpu < 1.5);
    }
}

TEST_CASE("a line to score that does not end is refused, and a pointer of git-lfs is no text and no list") {
  const Text dir;
  lstm_prior(dir);
  dir.write("endless.sh", "exec " + program(f64) + " score lstm </dev/zero\n");
  const Run endless = dir.run({"sh", "endless.sh"}, {.seconds = 30});
  CHECK(refuses(endless, 4, "line 1 of standard input has more than 64 MB"));
  dir.write("lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
  const std::string tune = "tune lstm --out new --reward ";
  for (const std::string& command :
       {std::string("train lfs --out new"), std::string("eval lstm lfs"), std::string("kl lfs"), tune + "blocklist:lfs",
        tune + "lexicon:lfs", tune + "end --prompts lfs"})
    CHECK(refuses(dir.run(f64, command), 4, "lfs: is a pointer that git-lfs keeps in place of the file"));
  dir.write("mac", "the\rcat\r");
  for (const std::string reward : {"blocklist:mac", "lexicon:mac", "grammar:mac"})
    CHECK(refuses(dir.run(f64, tune + reward), 4, "mac: its lines end with a carriage return alone"));
  CHECK(!dir.has("new"));
}

TEST_CASE("a gradient that is not finite in the first step is told by its target") {
  const Scratch dir;
  lstm_prior(dir);
  const std::string far = "the target is too far from the prior: use a larger --kl-coef";
  const std::string tune = "tune lstm --out run --reward end --max-tokens 3 --batch 8 --quiet --divergence ";
  for (const std::string options : {"chi2-reverse --kl-coef 1e-6", "alpha:100000", "alpha:3 --kl-coef 1e-5"})
    CHECK(refuses(dir.run(f64, tune + options), 5, far + ", or another --divergence"));
  CHECK(refuses(dir.run(f64, "atlas lstm --reward end --feature end=0.5 --max-tokens 3 --steps 3 --kl-coef 1e-9"), 5,
                far));
  CHECK(refuses(dir.run(f64, tune + "js --until-kl 0"), 2, "--until-kl must be above 0"));
}

TEST_CASE("rewards that beta divides beyond all numbers have no posterior to show") {
  const Scratch dir;
  table_prior(dir);
  for (const std::string reward : {"1e300*end", "-1e305*length:1", "1e301*length:0"})
    CHECK(dir.run(f64, "exact posterior table --max-tokens 3 --kl-coef 1e-9 --reward " + reward).out.find("inf") ==
          std::string::npos);
  CHECK(refuses(dir.run(f64, "exact posterior table --max-tokens 3 --kl-coef 1e-9 --reward 1e300*end"), 2,
                "beyond the range of numbers"));
  CHECK(exits(dir.run(f64, "exact posterior table --max-tokens 3 --kl-coef 1e-9 --reward 1e290*end"), 0));
}

TEST_CASE("a text or prompt that cannot be used is named with its file and line") {
  const Scratch dir;
  lstm_prior(dir);
  transformer_prior(dir);
  const std::string words = " --lines --tokenizer word", lines = " --lines";
  struct Row {
    std::string bytes, command, message;
  };
  const std::string prompts = "tune lstm --out new --reward end --max-tokens 2 --prompts f";
  for (const Row& row : std::vector<Row>{
           {"\n\n\n", "train f --out new" + lines, "f: the text is empty but for white space"},
           {" \t\n \n", "train f --out new" + words, "f: the text is empty but for white space"},
           {"a b\nc <|endoftext|> d\n", "train f --out new" + words, "f, line 2: holds the word <|endoftext|>"},
           {"a\r\n\r\n<|endoftext|>\r\n", "train q.txt f --out new" + words, "f, line 3: holds the word <|endoftext|>"},
           {"the <|endoftext|>", "eval lstm f", "f, line 1: holds the word <|endoftext|>"},
           {"a b\rc d\re f\r", "train f --out new" + lines, "f: its lines end with a carriage return alone"},
           {"a\rb", "train f --out new" + words, "try: tr '\\r' '\\n' < f > f.lines"},
           {"the cat\rthe dog\r", "eval lstm f", "its lines end with a carriage return alone"},
           {"the cat\rthe dog\r", prompts, "its lines end with a carriage return alone"},
           {"the cat\n\na bird\n", "eval lstm q.txt f",
            "f, line 3: the word 'bird' at position 2 is not in the vocabulary"},
           {"the cat\r\nthe bird\r\n", prompts, "f, line 2: the word 'bird' at position 2 is not in the vocabulary"},
           {"the\n\nthe cat the cat the cat the cat\n", "tune tf --out new --reward end --prompts f --max-tokens 2",
            "f, line 3: a prompt of 9 tokens"},
           {"\n\r\n", prompts, "f: holds no prompts"}}) {
    CAPTURE(row.bytes);
    CAPTURE(row.command);
    dir.write("f", row.bytes);
    CHECK(refuses(dir.run(f64, row.command), 4, row.message));
  }
  dir.write("f", "the cat\r\n\r\nthe dog\r\n");  // as Windows writes it
  CHECK(exits(dir.run(f64, "tune lstm --out crlf --reward end --max-tokens 2 --batch 2 --steps 1 --quiet --prompts f"),
              0));
  CHECK(dir.log("crlf").at(0)["prompts"] == Json(std::vector<std::string>{"the cat", "the dog"}));
  dir.write("long.txt", fables());
  dir.must(f32, "train long.txt --out stream --steps 1 --quiet" + tiny("lstm"));
  dir.write("f", "one line\nand ~ another\n");
  CHECK(refuses(dir.run(f32, "eval stream long.txt f"), 4, "f, line 2: the character '~' (U+007E) at position 5"));
}

TEST_CASE("a checkpoint with a number that is not finite is of no use to any command") {
  for (const std::string& number :
       {std::string("\0\0\xC0\x7F", 4), std::string("\0\0\x80\x7F", 4), std::string("\0\0\x80\xFF", 4)}) {
    const Text dir;
    dir.must(f32, "train text.txt --out good --steps 2 --quiet" + tiny("lstm"));
    dir.must(f32, "tune good --out tuned --reward length:2 --max-tokens 2 --batch 2 --steps 1 --exact never --quiet");
    dir.copy("good", "bad");
    std::string file = dir.read("bad/checkpoint.safetensors");
    dir.write("bad/checkpoint.safetensors", file.substr(0, file.size() - 4) + number);
    forge(dir, "bad", "\"format\"", "\"format\"");  // with its hash
    for (const std::string command :
         {"sample bad", "sample bad --temperature 0", "eval bad text.txt", "score bad", "train --out bad --resume",
          "exact sequences bad --max-tokens 1", "tune bad --out new --reward end",
          "exact compare good bad --max-tokens 1", "tune good --out new --reward fluency:bad"}) {
      CAPTURE(command);
      CHECK(refuses(dir.run(f32, command, {.in = "the\n"}), 4, "holds a number that is not finite"));
    }
    CHECK(exits(dir.run(f32, "inspect bad"), 0));
  }
}

TEST_CASE("rewards too large to learn from are told by their size, not by the learning rate") {
  const Scratch dir;
  lstm_prior(dir);
  const std::string tune = "tune lstm --max-tokens 3 --batch 8 --steps 2 --exact never --quiet --out ";
  for (const std::string weight : {"1e300", "-1e200", "1e250"}) {
    CAPTURE(weight);
    const Run run = dir.run(f32, tune + "r" + weight + " --reward " + weight + "*length:9");
    CHECK(exits(run, 5));
    CHECK(contains(run.err, "rewards of the batch reach "));
    CHECK(!contains(run.err, "--lr"));
  }
}

TEST_CASE("a program that is not there is told once, in a sentence") {
  const Scratch dir;
  lstm_prior(dir);
  for (const std::string reward : {"command:no-such-program", "command:./nothing --fast", "command:/nowhere/x y z"}) {
    CAPTURE(reward);
    CHECK(refuses(dir.run(f64, "tune lstm --out new --reward", {.words = {reward}}), 4, "there is no program "));
  }
  dir.write("slow.sh", "while read line; do echo 1; done\n");
  dir.make_folder("folder");
  for (const std::string reward : {"command:./slow.sh", "command:./slow.sh --fast", "command:./folder"}) {
    CAPTURE(reward);
    CHECK(refuses(dir.run(f64, "tune lstm --out new --reward", {.words = {reward}}), 4, "may not be executed"));
  }
  // What the shell knows by itself, or finds behind other things, is left to it.
  dir.write("s.sh", "while read line; do echo 1; done\n");
  for (const std::string reward : {"command:while read line; do echo 1; done", "command:exec sh s.sh",
                                   "command:X=1 sh s.sh", "command:(sh s.sh)", "command:sh s.sh | cat -u"}) {
    CAPTURE(reward);
    dir.remove("r");
    CHECK(exits(dir.run(f64, "tune lstm --out r --steps 1 --batch 2 --max-tokens 2 --exact never --quiet --reward",
                        {.words = {reward}}),
                0));
  }
}

TEST_CASE("a world that is too large is told by its size, however long its sequences") {
  const Text dir;
  dir.must(f32, "train text.txt --out r --steps 1 --quiet" + tiny("transformer"));
  dir.must(f32, "train text.txt --out s --steps 1 --quiet --lines" + tiny("lstm"));
  for (const std::string run : {"r", "s"})
    for (const std::string tokens : {"1000", "100000", "1000000"})
      for (const std::string& question : {"exact sequences " + run, "exact compare " + run + " " + run,
                                          "exact posterior " + run + " --reward end --kl-coef 1"}) {
        CAPTURE(question);
        CAPTURE(tokens);
        const Run refused =
            dir.run(f32, question + " --max-tokens " + tokens, {.memory = size_t(2) << 30, .seconds = 20});
        CHECK(refuses(refused, 4, "this world has more than 1000000 sequences"));
      }
}

TEST_SUITE_END();
