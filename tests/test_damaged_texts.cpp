// The small files that a person writes or is given (tables for kl, rewards, grammars, prompts) and logs: every prefix
// and every single flipped bit of a valid one is refused in one sentence that names the file, or can be used. Anything
// but a DataError ends these tests.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <functional>

#include "apps/commands.h"
#include "apps/report/log.h"
#include "models/grammar/grammar.h"
#include "models/text/read_text.h"
#include "rl/rewards/reward.h"
#include "tests/scratch.h"

namespace gradus {
namespace {

// Standard output goes into a file while this lives.
class Captured {
 public:
  explicit Captured(const std::string& file) : saved_(::dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const int to = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ::dup2(to, STDOUT_FILENO);
    ::close(to);
  }
  ~Captured() {
    std::fflush(stdout);
    ::dup2(saved_, STDOUT_FILENO);
    ::close(saved_);
  }
  Captured(const Captured&) = delete;

 private:
  int saved_;
};

// A kind of file: reads it, and uses what was read. Both throw DataError where it is bad.
struct Kind {
  std::string name;
  std::string good;
  std::function<void(const std::string& path)> use;
};

// What is said of the file with these bytes; "" where it was used. A sentence names the file, and is one line.
std::string verdict(const Folder& folder, const Kind& kind, const std::string& bytes) {
  const std::string path = folder.file(kind.name, bytes);
  const std::string said = complaint<DataError>([&] { kind.use(path); });
  CHECK((said.empty() || has(said, path)));
  CHECK(!has(said, "\n"));
  return said;
}

// How many of the files were used; the use of a valid one is checked first.
struct Tried {
  size_t used = 0, refused = 0;
};
Tried every_prefix(const Folder& folder, const Kind& kind) {
  REQUIRE(verdict(folder, kind, kind.good).empty());
  Tried tried;
  for (size_t n = 0; n < kind.good.size(); ++n)
    ++(verdict(folder, kind, kind.good.substr(0, n)).empty() ? tried.used : tried.refused);
  return tried;
}
Tried every_flipped_bit(const Folder& folder, const Kind& kind) {
  Tried tried;
  for (size_t bit = 0; bit < 8 * kind.good.size(); ++bit) {
    std::string bytes = kind.good;
    bytes[bit / 8] = char(bytes[bit / 8] ^ (1 << bit % 8));
    INFO("bit ", bit, ": ", bytes);
    ++(verdict(folder, kind, bytes).empty() ? tried.used : tried.refused);
  }
  return tried;
}

const Tokenizer& words() {
  static const std::vector<std::string_view> lines{"the cat", "a dog"};
  static const Tokenizer tokenizer = Tokenizer::from_lines("word", lines);
  return tokenizer;
}

Kind reward_file(const std::string& name, const std::string& good) {
  return {name, good, [name](const std::string& path) {
            const Reward made({name + ":" + path}, words());
            for (const std::string text : {"the cat", "a dog", "", "cat the cat"}) {
              const std::vector<int32_t> tokens = words().encode(text);
              CHECK(std::isfinite(made({.text = text, .tokens = tokens, .ended = true})));
            }
          }};
}

Kind tables(const Folder& folder) {
  return {"tables.json", R"({"p":{"a":0.25,"b":0.75},"q":{"b":0.5,"\u0061":5e-1}})", [&](const std::string& path) {
            const std::string out = folder / "out";
            for (const bool json : {false, true}) {
              const Captured captured(out);
              kl({.common = {.json = json}, .file = path, .section = {}});
            }
            CHECK(Json::parse(read_bytes(out)).at("bits").is_object());
          }};
}

Kind grammar() {
  return {"g.grammar", "line = {x} cat | [2] {x} dog # \\#\nx = the | [for n in 1..2] a{n+1}\n",
          [](const std::string& path) {
            const Grammar g = Grammar::read(path);
            const Rng rng(1, Stream::kSample);
            const std::string line = g.derive(rng);
            CHECK(g.generates(line));
            CHECK(std::isfinite(g.log_probability(line)));
            CHECK(g.entropy(rng).nats >= 0);
          }};
}

}  // namespace

TEST_SUITE_BEGIN("damaged texts");

TEST_CASE("tables for kl: no prefix is taken for one, and a flipped bit is told or makes other tables") {
  const Folder folder;
  const Kind kind = tables(folder);
  CHECK(every_prefix(folder, kind).used == 0);
  const Tried flipped = every_flipped_bit(folder, kind);
  CHECK(flipped.refused > 9 * flipped.used);  // most numbers do not sum to 1 then
  CHECK(flipped.used >= 10);                  // and other names may
}

TEST_CASE("rewards from files: every prefix, every flipped bit") {
  const Folder folder;
  const Kind table = reward_file("table", R"({"rewards":{"the cat":1.0,"a dog":-2e-3},"default":0})");
  CHECK(every_prefix(folder, table).used == 0);
  CHECK(every_flipped_bit(folder, table).used >= 50);  // of texts and digits
  for (const Kind& kind : {reward_file("lexicon", "cat\t1\ndog\t-0.5\nb\303\251\t2e1\n"),
                           reward_file("blocklist", "the cat\r\ndog\nb\303\251\n"),
                           reward_file("grammar", "line = the {x} | a dog\nx = cat | [0.5] dog\n")}) {
    INFO(kind.name);
    const Tried prefixes = every_prefix(folder, kind), flipped = every_flipped_bit(folder, kind);
    CHECK(prefixes.used > 0);
    CHECK(prefixes.refused > 0);
    CHECK(flipped.used > 0);
    CHECK(flipped.refused > 0);
  }
}

TEST_CASE("grammars: every prefix, every flipped bit") {
  const Folder folder;
  const Tried prefixes = every_prefix(folder, grammar()), flipped = every_flipped_bit(folder, grammar());
  CHECK(prefixes.refused > 40);
  CHECK(prefixes.used > 0);
  CHECK(flipped.refused > 100);
  CHECK(flipped.used > 100);
}

// The log of two steps of training, its first record in its first line.
std::string small_log(const Folder& folder) {
  const std::string corpus = folder.file("text", "the cat\na dog\nthe dog\na cat\n"), run = folder / "run";
  std::vector<std::string> words{"gradus",  "train",   corpus, "--out",     run, "--model",  "rnn", "--steps", "2",
                                 "--lines", "--batch", "2",    "--context", "8", "--hidden", "4",   "--quiet"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  run_command_line(int(argv.size()), argv.data());
  return read_bytes(run + "/log.jsonl");
}

TEST_CASE("logs: a prefix is the same run earlier, a flipped bit is told or makes a page all the same") {
  const Folder folder;
  int64_t read = 0;
  const Kind log{"log.jsonl", small_log(folder), [&](const std::string& path) {
                   read_run_log(path);
                   if (++read % 16 == 0) report({.common = {.quiet = true}, .run = folder.path.string()});
                 }};
  const size_t first = log.good.find('\n'), second = log.good.find("\"step\":2");
  CHECK(every_prefix(folder, log).refused >= first - 1);
  const Tried flipped = every_flipped_bit(folder, log);
  CHECK(flipped.refused > 1000);
  CHECK(flipped.used > 1000);
  for (size_t n = first; n < log.good.size(); ++n) {
    const RunLog part = read_run_log(folder.file("log.jsonl", log.good.substr(0, n)));
    CHECK(part.steps.step.size() <= (n < second ? 1 : 2));
    if (n > second && log.good[n] == '\n') CHECK(part.last_step == 2);
  }
}

TEST_CASE("a log with another field in each line is refused before it takes the square of its size") {
  const Folder folder;
  std::string log = "{\"type\":\"run\",\"config\":{}}\n";
  for (int i = 1; i < 20'000; ++i) log += text("{\"type\":\"step\",\"step\":", i, ",\"f", i, "\":1}\n");
  const std::string said = complaint<DataError>([&] { read_run_log(folder.file("log.jsonl", log)); });
  CHECK(has(said, "log.jsonl: line 66 is the first after more than 64 fields"));
}

TEST_SUITE_END();

}  // namespace gradus
