// Whatever stands in texts, names, files and checkpoints: no terminal obeys it, no page runs it, no message drowns in
// it.
#include <algorithm>

#include "tests/program/forge.h"
#include "tests/program/priors.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("harmless");

// Of what the program shows a person: UTF-8 without a control character but the newline and tab, and without one that
// turns the direction of writing.
static Verdict harmless(const std::string& shown) {
  if (!utf8(shown)) return {"it is not UTF-8"};
  for (const char c : shown)
    if ((c >= 0 && c < ' ' && c != '\n' && c != '\t') || c == 0x7F)
      return {"it has the byte " + std::to_string(int(c))};
  for (const std::string turn :
       {"\u202A", "\u202B", "\u202C", "\u202D", "\u202E", "\u2066", "\u2067", "\u2068", "\u2069", "\u200E", "\u200F",
        "\u061C", "\u2028", "\u2029", "\u0085", "\u009B", "\u009D"})
    if (contains(shown, turn)) return {"it has " + Json(turn).dump()};
  return {};
}
static Verdict harmless(const Run& run) { return harmless(run.out + run.err); }

static const std::vector<std::string> kAttacks{
    "\033]0;title\a\033[2J\033[31mred\b\b\bx\177",
    "\u202Eevil\u2066in\u2069\u202C\u2028\u200F\u061C\u009B31m\u009D0;x\u0085",
    "</script><script>alert(1)</script><!--<script>&<img src=x onerror=alert(1)>\"'", "a\rb\r\nc\fd\ve\x01\x1F"};

TEST_CASE("texts with escapes, overrides and script are shown harmless by every command and page") {
  for (const std::string& attack : kAttacks) {
    CAPTURE(attack);
    const Scratch dir;
    dir.write("bad.txt", repeated(attack + "\n", 40));
    const Run trained = dir.run(f32, "train bad.txt --out r --steps 60 --lr 0.02 --eval-every 20" + tiny("lstm"));
    CHECK(exits(trained, 0));
    CHECK(harmless(trained));
    for (const std::string command :
         {"sample r --count 3 --temperature 0.5", "inspect r", "report r", "exact sequences r --max-tokens 2",
          "exact compare r r --max-tokens 1", "exact posterior r --reward end --max-tokens 2 --kl-coef 1",
          "eval r bad.txt", "compare r r --samples 9 --max-tokens 2", "frontier r r --reward end --max-tokens 1",
          "atlas r --reward end --feature contains:e=0.5 --max-tokens 1 --steps 1 --seeds 1"
          " --html atlas.html"}) {
      CAPTURE(command);
      const Run run = dir.run(f32, command);
      CHECK(exits(run, 0));
      CHECK(harmless(run));
    }
    const std::string atlas = dir.read("atlas.html");
    CHECK(harmless(atlas));
    CHECK(count(atlas, "</script>") == 2);  // of its data and its own script
    CHECK(!contains(atlas, "<img"));
    CHECK(dir.valid_html("atlas.html"));
    const Run tuned = dir.run(f32, "tune r --out t --max-tokens 4 --batch 4 --steps 2 --exact never",
                              {.words = {"--reward", "contains:" + attack, "--prompt", attack}});
    CHECK(exits(tuned, 0));
    CHECK(harmless(tuned));
    for (const std::string run : {"r", "t"}) {
      const std::string page = dir.report(run);
      CHECK(harmless(page));
      for (const char* code : {"<script", "<img", "<!--"}) CHECK(!contains(page, code));
      CHECK(dir.valid_html(run + "/report.html"));
    }
  }
}

TEST_CASE("names of runs, texts and files are shown harmless") {
  for (const std::string& attack : {kAttacks[0], kAttacks[1], std::string("b\351d\xC3("), std::string("two\nlines")}) {
    CAPTURE(attack);
    const Text dir;
    const Run trained = dir.run(f32, "train text.txt --steps 2" + tiny("lstm"), {.words = {"--out", attack}});
    CHECK(exits(trained, 0));
    CHECK(harmless(trained));
    for (const std::string command : {"report", "inspect", "sample --tokens 3", "eval text.txt", "train --resume --out",
                                      "tune --reward end --steps 1 --out new", "exact sequences --max-tokens 1",
                                      "compare --samples 9 --max-tokens 1", "frontier --reward end --max-tokens 1",
                                      "train --steps 1 --out", "corpus --bytes 9", "kl", "nothing", "step", "bench"}) {
      CAPTURE(command);
      const Run run = dir.run(f32, command, {.words = {attack}});
      CHECK(run.code != 1);
      CHECK(harmless(run));
      dir.remove("new");
    }
    CHECK(harmless(dir.report(attack)));
    for (const std::string option : {"--seed", "--reward", "--prompt", "--tokenizer", "--kl-coef", "--nothing"}) {
      CAPTURE(option);
      CHECK(harmless(dir.run(f32, "tune text.txt --out new", {.words = {option, attack}})));
    }
  }
}

TEST_CASE("a vocabulary, tensors and metadata that another program wrote are shown harmless") {
  for (const std::string& attack : {kAttacks[0], kAttacks[1], kAttacks[3]}) {
    CAPTURE(attack);
    const Scratch dir;
    lstm_prior(dir);
    dir.copy("lstm", "other");
    forge(dir, "lstm", within_json("\"cat\""), within_json(Json(attack).dump()));
    forge(dir, "lstm", "head.bias", within_json(attack));
    forge(dir, "other", "\"blas_core\":\"", "\"blas_core\":\"" + within_json(attack));
    for (const std::string command : {"inspect lstm", "sample lstm", "exact compare other lstm --max-tokens 1",
                                      "inspect other", "train --out other --resume --steps 61", "report other"}) {
      CAPTURE(command);
      const Run run = dir.run(f64, command);
      CHECK(run.code != 1);
      CHECK(harmless(run));
    }
  }
}

TEST_CASE("a message is a line of bounded length, whatever is wrong with how much") {
  const Scratch dir;
  lstm_prior(dir);
  const std::string much(5'000'000, '(');
  dir.write("grammar", "s = {" + much + "}\n");
  dir.write("prompts", "the " + much + "\n");
  dir.write("table.json", "{\"rewards\":{},\"" + much + "\":1}");
  dir.write("words.tsv", much + "\n");
  dir.write("kl.json", "{\"p\":{\"" + much + "\":\"x\"},\"q\":{}}");
  dir.write("text.txt", much + "\nthe dog\n");
  dir.copy("lstm", "forged");
  forge(dir, "forged", "\"model\\\":\\\"lstm", "\"model\\\":\\\"" + much);
  for (const std::string command :
       {"corpus grammar --bytes 9", "tune lstm --out new --reward end --prompts prompts",
        "tune lstm --out new --reward table:table.json", "tune lstm --out new --reward lexicon:words.tsv",
        "tune lstm --out new --reward grammar:grammar", "kl kl.json", "eval lstm text.txt", "sample forged",
        "report forged", "score lstm"}) {
    CAPTURE(command);
    const Run run = dir.run(f64, command, {.in = "the " + much + "\n"});
    CHECK(run.err.size() < 5000);
    CHECK(refuses(run, 4, ""));
  }
  const std::string some(100'000, 'x');
  for (const std::string command :
       {"sample lstm --prompt", "sample", "tune lstm --out new --reward", "train --out new", "bench", "step"}) {
    CAPTURE(command);
    const Run run = dir.run(f64, command, {.words = {some}});
    CHECK(run.err.size() < 5000);
    CHECK(run.code > 1);
  }
}

TEST_CASE("a source file of ours in the working folder is only shown") {
  const std::vector<std::string> sources{repeated("</script><!--<script>\033]0;x\a\xFF\u202E\n", 90),
                                         repeated(std::string(2000, '<') + "\n", 90), std::string("\0\1\2", 3),
                                         repeated("/* " + repeated("\u732B", 300) + "\n", 90)};
  for (const std::string& source : sources) {
    CAPTURE(source.substr(0, 60));
    const Scratch dir;
    dir.make_folder("apps/step");
    dir.write("apps/step/examples.cpp", source);
    const Run page = dir.run(f64, "step scalar --html page.html");
    CHECK(exits(page, 0));
    CHECK(harmless(dir.read("page.html")));
    CHECK(count(dir.read("page.html"), "<script") == 2);  // the data and the code of the page
    CHECK(count(dir.read("page.html"), "</script") == 2);
    CHECK(!contains(dir.read("page.html"), "<!--"));
    CHECK(dir.read("page.html").size() < 200'000);
    CHECK(dir.valid_html("page.html"));
    CHECK(harmless(dir.run(f64, "step scalar --all")));
  }
  const Scratch dir;
  dir.make_folder("apps/step");
  CHECK(exits(dir.run({"mkfifo", "apps/step/examples.cpp"}), 0));
  CHECK(exits(dir.run(f64, "step scalar --html page.html", {.seconds = 20}), 0));
}

TEST_CASE("a terminal that takes no orders gets none") {
  const Text dir;
  const std::string train = program(f32) + " train text.txt --steps 400 --eval-every 50" + tiny("lstm") + "--out ";
  if (dir.run({"script", "--version"}).code != 0) return left_out("terminals", "there is no `script` here");
  int n = 0;
  for (const std::string type : {"dumb", "", "xterm"})
    for (const std::string& command : {train + "r" + std::to_string(n++), program(f64) + " step scalar </dev/null"}) {
      CAPTURE(type);
      CAPTURE(command);
      const Run run = dir.run({"script", "-qec", command, "/dev/null"}, {.env = {{"TERM", type}}});
      CHECK(exits(run, 0));
      if (type != "xterm") CHECK(!contains(run.out, "\033"));
      if (type == "xterm" && contains(command, "train")) CHECK(contains(run.out, "\033[K"));
    }
}

TEST_SUITE_END();
