// Texts with known truth: gradus corpus, and the files of data/ as data/README.md lists them.
#include <cmath>
#include <cstdio>
#include <set>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("texts");

static std::string grammar(const std::string& name) { return root() + "data/" + name + ".grammar "; }

TEST_CASE(
    "gradus corpus writes whole lines of a grammar until the size is reached, the same for a seed from both builds") {
  for (const std::string name : {"two_words", "arithmetic", "stories"}) {
    CAPTURE(name);
    const Scratch dir;
    const std::string corpus = "corpus " + grammar(name) + "--bytes 20000 --seed ";
    const Run run = dir.run(f64, corpus + "5");
    CHECK(exits(run, 0));
    const size_t last = lines(run.out).back().size() + 1;
    CHECK((run.out.size() >= 20000 && run.out.size() - last < 20000));
    CHECK(run.out.back() == '\n');
    CHECK(dir.run(f32, corpus + "5").out == run.out);
    CHECK(dir.run(f64, corpus + "6").out != run.out);
  }
}

TEST_CASE("gradus corpus --json gives the exact entropy of a grammar, and that of a text of its own within the noise") {
  for (const std::string name : {"two_words", "arithmetic", "stories"}) {
    CAPTURE(name);
    const Scratch dir;
    const Run run = dir.run(f64, "corpus " + grammar(name) + "--json");
    CHECK(exits(run, 0));
    CHECK(run.err == "");
    const Json said = run.json();
    CHECK(names(said) == std::vector<std::string>{"entropy_rate", "exact", "unit", "stderr", "upper_bound", "how",
                                                  "line_entropy", "characters_per_line", "words_per_line",
                                                  "word_entropy_rate"});
    CHECK(said["exact"] == Json(true));
    CHECK(said["stderr"] == Json(0.0));
    CHECK(said["unit"] == Json("nats per character"));
    const double entropy = said["line_entropy"].get<double>(), characters = said["characters_per_line"].get<double>();
    const double rate = said["entropy_rate"].get<double>();
    CHECK(near(rate, entropy / (characters + 1), 1e-14));
    CHECK(near(said["word_entropy_rate"].get<double>(), entropy / (said["words_per_line"].get<double>() + 1), 1e-14));

    const std::string text = dir.run(f64, "corpus " + grammar(name) + "--bytes 20000 --seed 5").out;
    const Json with = dir.run(f64, "corpus " + grammar(name) + "--bytes 20000 --seed 5 --json").json(),
               &about = with["text"];
    CHECK(about["bytes"] == Json(text.size()));
    CHECK(about["lines"] == Json(count(text, "\n")));
    CHECK(about["characters"] == Json(text.size()));
    // The mean of about 80 lines or more, of which one deviates by less than 6 nats: 4.5 standard errors are below 3
    // nats a line.
    CHECK(near(about["entropy_rate"].get<double>(), rate, 3 / (characters + 1)));
  }
}

TEST_CASE("the grammars of data/ are what they are said to be: four sentences, right sums, a few hundred words") {
  const Scratch dir;
  const Json two_words = dir.run(f64, "corpus " + grammar("two_words") + "--json").json();
  CHECK(near(two_words["line_entropy"].get<double>(), 1.27985422583367, 1e-14));
  CHECK(two_words["characters_per_line"] == Json(6.4));
  CHECK(two_words["words_per_line"] == Json(2.0));
  const std::string sums = dir.run(f64, "corpus " + grammar("arithmetic") + "--bytes 50000").out;
  CHECK(sums.size() >= 50000);
  size_t wrong = 0;
  for (const std::string& line : lines(sums)) {
    int a = 0, b = 0, c = 0, end = 0;
    const int found = std::sscanf(line.c_str(), "%d+%d=%d%n", &a, &b, &c, &end);
    wrong +=
        found != 3 || a + b != c || size_t(end) != line.size() || line.find_first_not_of("0123456789+=") != line.npos;
  }
  CHECK(wrong == 0);
  std::set<std::string> words;
  std::string word;
  for (const char c : dir.run(f64, "corpus " + grammar("stories") + "--bytes 2000000").out) {
    if (c == ' ' || c == '\n')
      words.insert(std::exchange(word, ""));
    else
      word += c;
  }
  CHECK((words.size() > 200 && words.size() < 500));
}

TEST_CASE("where the entropy of a grammar is an estimate, gradus corpus says so, with an error and a bound") {
  const Scratch dir;
  dir.write("s.grammar", "line = [3] {line}{line} | [7] x\n");
  const Run run = dir.run(f64, "corpus s.grammar --json --seed 3");
  const Json said = run.json();
  CHECK(said["exact"] == Json(false));
  CHECK(said["stderr"].get<double>() > 0);
  CHECK(said["entropy_rate"].get<double>() < said["upper_bound"].get<double>());
  CHECK(dir.run(f64, "corpus s.grammar --json --seed 4").out != run.out);
  dir.write("spaces.grammar", "line = a  b | [2] c\n");
  const Json spaces = dir.run(f64, "corpus spaces.grammar --json").json();  // where spaces say something
  CHECK(spaces["words_per_line"].is_null());
  CHECK(spaces["word_entropy_rate"].is_null());
}

TEST_CASE("gradus corpus refuses a size, a file or a grammar that cannot be used, with the line of the mistake") {
  struct Row {
    std::string words;
    int code;
    std::string message;
  };
  const Scratch dir;
  dir.write("undefined", "a = {b}\n");
  dir.write("endless", "a = x{a}\n");
  const std::string data = root() + "data";
  for (const Row& row : {Row{grammar("two_words"), 2, "--bytes"},
                         {grammar("two_words") + "--bytes 0", 2, "from 1 to"},
                         {grammar("two_words") + "--bytes x", 2, "from 1 to"},
                         {"--bytes 10", 2, "GRAMMAR"},
                         {"nowhere --bytes 10", 4, "nowhere"},
                         {data + " --bytes 10", 4, "folder"},
                         {data + "/fables.txt --bytes 10", 4, "fables.txt: line 1: \"The Heron"},
                         {"undefined --json", 4, "undefined: line 1: {b} is not defined"},
                         {"endless --json", 4, "endless: line 1: rule a never ends"}}) {
    CAPTURE(row.words);
    CHECK(refuses(dir.run(f64, "corpus " + row.words), row.code, row.message));
  }
}

// Long lines with many derivations, a long chain of rules that part and meet, 998 rules that begin alike: each took
// minutes or more.
TEST_CASE("the work for the entropy of a grammar is bounded") {
  const Scratch dir;
  dir.write("critical", "a = [1] {a}{a} | [1.0001] x\n");
  CHECK(refuses(dir.run(f64, "corpus critical --json", {.seconds = 30}), 4, "critical: a text of"));
  std::string chain, alike = "s = [1000] .";
  for (int i = 0; i < 3000; ++i) {
    const std::string rule = "a" + std::to_string(i), next = "x{a" + std::to_string(i + 1) + "}";
    chain += rule + " = " + next + " | " + next + "y\n";
  }
  dir.write("chain", chain + "a3000 = z\n");
  CHECK(refuses(dir.run(f64, "corpus chain --json", {.seconds = 100}), 4, "chain: its entropy"));
  for (int i = 0; i < 998; ++i) alike += " | {b" + std::to_string(i) + "}";
  for (int i = 0; i < 998; ++i) alike += "\nb" + std::to_string(i) + " = x" + std::to_string(i) + ";{s}";
  dir.write("alike", alike + "\n");
  CHECK(exits(dir.run(f64, "corpus alike --json", {.seconds = 30}), 0));
}

TEST_CASE("a full disk ends gradus corpus at once") {
  const Scratch dir;
  const Run run =
      dir.run(f64, "corpus " + grammar("two_words") + "--bytes 100000000000", {.out = "/dev/full", .seconds = 20});
  CHECK(exits(run, 3));
  CHECK(run.err.starts_with("gradus: standard output"));
}

// The row of this file in a table of data/README.md, without what `unwanted` has.
static std::string row_of(const std::string& file, const std::string& unwanted) {
  for (const std::string& line : lines(bytes_of("data/README.md"))) {
    if (!line.starts_with("| `" + file + "`")) continue;
    std::string row;
    for (const char c : line)
      if (!contains(unwanted, std::string(1, c))) row += c;
    return row;
  }
  return "";
}

static std::vector<std::string> data_files(const std::string& end) {
  std::vector<std::string> all;
  const Scratch dir;
  for (const std::string& file : lines(dir.run({"ls", root() + "data"}).out))
    if (file.ends_with(end)) all.push_back(file);
  return all;
}

TEST_CASE("data/README.md has the sizes of the texts in data/ and the entropies of its grammars") {
  const std::vector<std::string> texts = data_files(".txt"), grammars = data_files(".grammar");
  CHECK(bytes_of("data/two_words.txt") == four_sentences());
  CHECK(bytes_of("data/fables.zh.txt").size() >= 10000);
  CHECK(utf8(bytes_of("data/fables.zh.txt")));
  CHECK(texts.size() >= 3);
  for (const std::string& file : texts) {
    CAPTURE(file);
    const std::string bytes = bytes_of("data/" + file), row = row_of(file, ", ");
    CAPTURE(row);
    CHECK(contains(row, "|" + std::to_string(bytes.size()) + "|" + std::to_string(characters(bytes)) + "|"));
  }
  CHECK(grammars.size() >= 3);
  const Scratch dir;
  for (const std::string& file : grammars) {
    CAPTURE(file);
    const Json said = dir.run(f64, "corpus --json " + root() + "data/" + file).json();
    char entropies[99];
    std::snprintf(entropies, sizeof entropies, "| %.6f | %.6f | %.6f |", said["line_entropy"].get<double>(),
                  said["entropy_rate"].get<double>(), said["word_entropy_rate"].get<double>());
    CHECK(row_of(file, "").ends_with(entropies));
  }
}

TEST_CASE("the grammar that data/README.md shows writes its lines in the shares that it says") {
  const Scratch dir;
  std::string example;
  bool inside = false;
  for (const std::string& line : lines(bytes_of("data/README.md"))) {
    if (line == "```")
      inside = !inside;
    else if (inside)
      example += line + "\n";
  }
  dir.write("example.grammar", example);
  const std::string text = "\n" + dir.run(f64, "corpus example.grammar --bytes 200000").out;
  const double all = double(count(text, "\n") - 1), the = double(count(text, "\nthe"));
  CHECK(near(the, all * 3 / 4, 300));
  CHECK(near(double(count(text, "\nthe c") + count(text, "\nthe d")), the * 4 / 5, 300));
}

TEST_SUITE_END();
