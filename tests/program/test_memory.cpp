// Memory and time that a person asks for: what the machine has no room for is refused in a moment, what was promised is
// what a run then takes, and twice as many names, texts, prompts or words take twice as long.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("memory");

static std::string tiny_run(const Text& dir, const std::string& model = "lstm") {
  dir.must(f32, "train text.txt --out small --steps 1 --quiet" + tiny(model));
  return "small";
}

TEST_CASE("training that no machine has the memory for is refused in a moment, with both numbers and the remedy") {
  const Text dir;
  std::string text;
  for (int i = 0; i < 20; ++i) text += bytes_of(root() + "data/fables.txt");
  dir.write("long.txt", text);
  const std::vector<std::pair<std::string, std::string>> cases{
      {"--context 100000 --batch 12", "use a smaller --batch or --context"},
      {"--context 3999 --batch 1000", "use a smaller --batch or --context"},
      {"--layers 1000 --heads 1000 --embd 1000", "use a smaller --embd, --layers or --context\n"},
      {"--model lstm --hidden 1048576", "use a smaller --embd, --hidden or --layers\n"},
      {"--model lstm --batch 1048576 --layers 9", "use a smaller --batch or --context"},
      {"--model rnn --context 200000 --batch 100000", "use a smaller --batch or --context"},
      {"--model nnlm --order 100 --embd 100000 --hidden 100000", "use a smaller --embd, --hidden or --order\n"},
      {"--ops composed --batch 1000000", "use a smaller --batch or --context"},
  };
  for (const auto& [options, remedy] : cases) {
    CAPTURE(options);
    const Run run = dir.run(f32, "train long.txt --out new " + options, {.memory = 0, .seconds = 20});
    CHECK(refuses(run, 2, remedy));
    CHECK(contains(run.err, " of memory, "));
    CHECK(contains(run.err, "B is "));
    CHECK(run.cpu < 4);
    CHECK(run.peak < 1e9);
  }
  CHECK(exits(dir.run(f32, "train text.txt --out new --steps 1 --quiet" + tiny("lstm")), 0));  // the same folder
}

TEST_CASE("fine-tuning, sampling and exact answers beyond the memory are refused in a moment too") {
  const Text dir;
  const std::string run = tiny_run(dir);
  for (const std::string options : {"--batch 1048576 --max-tokens 256", "--max-tokens 1048576",
                                    "--batch 1048576 --max-tokens 64 --baseline value --entropy-coef 1 --replay 50"}) {
    CAPTURE(options);
    const Run tune = dir.run(f32, "tune small --out new --reward count:e " + options, {.seconds = 20});
    CHECK(refuses(tune, 2, "use a smaller --batch or --max-tokens"));
    CHECK(tune.peak < 1e9);
  }
  const std::string gradient = "exact gradient small --prior small --reward count:e --out g.safetensors";
  CHECK(refuses(dir.run(f32, gradient + " --estimator reinforce --max-tokens 1000000", {.seconds = 20}), 2,
                "use a smaller --batch or --max-tokens"));
  for (const std::string most : {"1000", "1000000", "17"}) {
    CAPTURE(most);
    CHECK(refuses(dir.run(f32, "exact sequences small --max-tokens " + most, {.seconds = 20}), 4,
                  "too many to enumerate"));
    CHECK(refuses(dir.run(f32, "exact posterior small --reward count:e --max-tokens " + most, {.seconds = 20}), 4,
                  "too many to enumerate"));
  }
  CHECK(exits(dir.run(f32, "tune small --out new --reward count:e --steps 1 --batch 4 --quiet"), 0));
}

// The peak of a process begins with that of the one that forked it, which other suites make larger than the program's.
static bool cannot_measure() {
  rusage own{};
  ::getrusage(RUSAGE_SELF, &own);
  const bool large = own.ru_maxrss > 9000 || std::getenv("GRADUS_SANITIZED");
  if (large) left_out("memory", "it is measured when this suite runs alone, without a sanitizer");
  return large;
}

TEST_CASE("what was promised is what a run takes, within a tenth") {
  if (cannot_measure()) return;
  const Text dir;
  dir.write("long.txt", bytes_of(root() + "data/fables.txt"));
  const auto taken = [&](const std::string& options) {
    dir.remove("run");
    return dir
        .must(f32,
              "train long.txt --out run --steps 2 --eval-every 0 --val-fraction 0 --quiet --save-every 0 " + options)
        .peak;
  };
  for (const std::string options :
       {"--context 700 --batch 12 --layers 2 --embd 32", "--batch 400 --context 64 --layers 2 --embd 64",
        "--model lstm --batch 300 --context 100", "--model rnn --hidden 512 --batch 500 --shards 2",
        "--model nnlm --hidden 1024 --batch 200 --context 100",
        "--heads 16 --embd 16 --batch 20 --context 500 --layers 2 --threads 1",
        "--ops composed --batch 200 --layers 1 --embd 64", "--layers 40 --embd 128 --batch 2 --context 16"}) {
    CAPTURE(options);
    const double peak = taken(options);
    const Json record = dir.log("run", "run")[0];
    const double promised = record.at("memory_bytes").get<double>();
    const double beside = taken("--batch 1 --context 2 --embd 4 --heads 1 --layers 1 --shards 1 --threads 1");
    CAPTURE(promised);
    CHECK(promised > 5e7);
    CHECK(peak - beside > 0.9 * promised);
    CHECK(peak - beside < 1.1 * promised);
  }
}

TEST_CASE("what was promised is what a step of fine-tuning takes, within a tenth") {
  if (cannot_measure()) return;
  const Text dir;
  dir.must(f32, "train text.txt --out lstm --steps 1 --quiet --model lstm --embd 32 --hidden 64 --batch 4");
  dir.must(f32,
           "train text.txt --out transformer --steps 1 --quiet --layers 2 --heads 2 --embd 32 --context 300 --batch 2");
  dir.must(f32, "train text.txt --out rnn --steps 1 --quiet --model rnn --embd 8 --hidden 16 --batch 4");
  const auto taken = [&](const std::string& prior, const std::string& options) {
    dir.remove("run");
    return dir.must(f32, "tune " + prior + " --out run --reward count:e --exact never --steps 2 --quiet " + options)
        .peak;
  };
  for (const auto& [prior, options] : std::vector<std::pair<std::string, std::string>>{
           {"lstm", "--batch 1500 --max-tokens 40"},
           {"lstm", "--batch 500 --max-tokens 60 --baseline value --entropy-coef 0.1 --shards 3"},
           {"transformer", "--batch 100 --max-tokens 150"},
           {"transformer", "--batch 12 --max-tokens 290 --shards 1"},
           {"rnn", "--batch 20000 --max-tokens 10"},
           {"rnn", "--batch 3000 --max-tokens 40 --replay 4"}}) {
    CAPTURE(prior);
    CAPTURE(options);
    const double beside = taken(prior, "--batch 2 --max-tokens 2 --shards 1");
    const double peak = taken(prior, options), promised = dir.log("run", "run")[0].at("memory_bytes").get<double>();
    CAPTURE(promised);
    CHECK(peak - beside > 0.9 * promised);
    CHECK(peak - beside < 1.1 * promised);
  }
}

TEST_CASE("under a limit of address space the program ends in a moment, with a sentence if it cannot do its work") {
  const Text dir;
  const std::string run = tiny_run(dir, "transformer");
  constexpr size_t kHoldsProducts = 300;  // OpenBLAS takes 128 MB at the first
  for (const size_t megabytes : {100, 150, 200, 250, 300, 400, 600}) {
    CAPTURE(megabytes);
    const Setting limited{.memory = megabytes << 20, .seconds = 20};
    for (const std::string command : {"sample small --tokens 5", "sample small --count 40 --threads 4 --tokens 2",
                                      "exact sequences small --max-tokens 1"}) {
      CAPTURE(command);
      const Run ended = dir.run(f32, command, limited);
      CHECK((ended.code == 0 || ended.code == 2));
      CHECK(ended.cpu < 5);
      if (ended.code == 2) CHECK(contains(ended.err, "is left of the limit of address space"));
      if (megabytes >= kHoldsProducts) CHECK(exits(ended, 0));
    }
    CHECK(exits(dir.run(f32, "inspect small", limited), 0));  // without a product
    for (const std::string command : {"train text.txt --out new --batch 4096 --context 64 --quiet",
                                      "tune small --out new --reward count:e --batch 1048576 --max-tokens 8 --quiet"}) {
      CAPTURE(command);
      CHECK(refuses(dir.run(f32, command, limited), 2, "is left of the limit of address space"));
    }
  }
}

TEST_CASE("under a limit of address space products that need OpenBLAS's buffer after small ones do not wait for it") {
  const Text dir;
  dir.must(f32, "train text.txt --out wide --layers 1 --heads 1 --embd 512 --context 8 --batch 1 --steps 0 --quiet");
  for (size_t megabytes = 150; megabytes <= 400; megabytes += 50) {
    CAPTURE(megabytes);
    for (const std::string command : {"sample wide --tokens 3", "look wide --text the"}) {
      const Run ended = dir.run(f32, command, {.memory = megabytes << 20, .seconds = 20});
      CHECK((ended.code == 0 || ended.code == 2));
      CHECK(ended.cpu < 5);
      if (ended.code == 2) CHECK(contains(ended.err, "is left of the limit of address space"));
    }
  }
}

TEST_CASE("samples as JSON are written as they are drawn, and a text beyond the memory is refused") {
  const Text dir;
  const std::string run = tiny_run(dir);
  const auto drawn = [&](const std::string& count) {
    return dir.run(f32, "sample small --tokens 100 --json --count " + count, {.out = "/dev/null"});
  };
  const Run few = drawn("64"), many = drawn("6400");
  CHECK(exits(many, 0));
  CHECK(many.peak < few.peak + 2e7);  // all of them as JSON take 100 MB
  CHECK(dir.run(f32, "sample small --tokens 3 --json --count 65").json()["samples"].size() == 65);
  CHECK(refuses(dir.run(f32, "sample small --tokens 1000000000 --count 1000"), 2, "use fewer --tokens"));
}

// Seconds of the processor that a command takes beyond those of its start; the command is for n pieces. A busy machine
// may slow down one measurement, so it has three tries.
template <class Make>
static void check_linear(const Scratch& dir, const std::string& command, Make make, double most = 2.3) {
  CAPTURE(command);
  const auto seconds = [&](int64_t n) {
    make(n);
    double best = 1e9;
    for (int i = 0; i < 2; ++i) {
      dir.remove("new");
      const Run run = dir.run(f32, command, {.seconds = 60});
      CHECK(exits(run, 0));
      best = std::min(best, run.cpu);
    }
    return best;
  };
  double once = 0, twice = 0;
  for (int tries = 0; tries == 0 || (tries < 3 && twice >= most * once + 0.1); ++tries) {
    const double start = seconds(1);
    once = seconds(40'000) - start;
    twice = seconds(80'000) - start;
  }
  CAPTURE(once);
  CAPTURE(twice);
  CHECK(once < 2);
  CHECK(twice < most * once + 0.1);
}

template <class Line>
static std::string joined_lines(int64_t n, const char* between, Line line) {
  std::string all;
  for (int64_t i = 0; i < n; ++i) all += std::string(i > 0 ? between : "") + line(i);
  return all;
}

TEST_CASE("40,000 names, texts, prompts or words take less than two seconds, and twice as many twice as long") {
  const Text dir;
  dir.must(f32, "train text.txt --out small --steps 1 --quiet" + tiny("lstm"));
  dir.write("four.txt", four_sentences());
  dir.must(f32, "train four.txt --out table --model tabular --lines --tokenizer word --quiet");
  check_linear(dir, "kl names.json --json", [&](int64_t n) {
    char share[32];
    std::snprintf(share, sizeof share, ":%.17g", 1.0 / double(n));
    const std::string whole =
        "{" + joined_lines(n, ",", [&](int64_t i) { return "\"name " + std::to_string(i) + "\"" + share; }) + "}";
    dir.write("names.json", "{\"p\":" + whole + ",\"q\":" + whole + "}");
  });
  check_linear(dir, "tune small --out new --reward table:texts.json --steps 1 --batch 4 --max-tokens 2 --quiet",
               [&](int64_t n) {
                 dir.write("texts.json", "{\"rewards\":{" + joined_lines(n, ",", [](int64_t i) {
                                           return "\"text " + std::to_string(i) + "\":" + std::to_string(i % 7);
                                         }) + "},\"default\":0}");
               });
  const auto prompts = [&](int64_t n) {
    dir.write("prompts.txt", joined_lines(n, "\n", [](int64_t i) { return i % 2 ? "the" : "a"; }));
  };
  check_linear(dir,
               "tune table --prompts prompts.txt --out new --reward count:cat --steps 1 --batch 4 --max-tokens 3 "
               "--exact never --quiet",
               prompts);
  check_linear(
      dir, "tune table --prompts prompts.txt --out new --reward count:cat --steps 1 --batch 4 --max-tokens 3 --quiet",
      prompts);
  for (const std::string smoothing : {"none", "add", "kneser-ney"})
    check_linear(dir,
                 "train words.txt --out new --model ngram --lines --tokenizer word --quiet --smoothing " + smoothing,
                 [&](int64_t n) {
                   dir.write("words.txt", joined_lines(n, "", [](int64_t i) {
                               return "word" + std::to_string(i) + (i % 8 == 7 ? "\n" : " ");
                             }));
                 });
}

TEST_CASE("a grammar of 40,000 rules, alternatives, words or uses is read and drawn from in less than two seconds") {
  const Scratch dir;
  const auto each = [](int64_t n, const auto& piece) {
    return joined_lines(n, "", [&](int64_t i) { return piece(std::to_string(i), std::to_string(i + 1)); });
  };
  const std::vector<std::pair<std::string, std::function<std::string(int64_t)>>> shapes{
      {"a rule that uses the next",
       [&](int64_t n) {
         return each(n / 2, [](auto i, auto next) { return "a" + i + " = w" + i + " | {a" + next + "} x\n"; }) + "a" +
                std::to_string(n / 2) + " = y\n";
       }},
      {"rules of one",
       [&](int64_t n) {
         return "line = {a0}" + each(n - 1, [](auto, auto next) { return " | {a" + next + "}"; }) + "\n" +
                each(n, [](auto i, auto) { return "a" + i + " = b" + i + " | c" + i + "\n"; });
       }},
      {"alternatives",
       [&](int64_t n) { return "line = w" + each(n, [](auto i, auto) { return "\n| w" + i; }) + "\n"; }},
      {"words", [&](int64_t n) { return "line = w" + each(n, [](auto i, auto) { return " w" + i; }) + "\n"; }},
      {"uses", [&](int64_t n) { return "line = x" + each(n, [](auto, auto) { return "{a}"; }) + "\na = [9] b | c\n"; }},
      {"a range", [](int64_t n) { return "line = [for i in 1.." + std::to_string(n) + "] a{i} | b\n"; }},
      {"comments and blank lines",
       [&](int64_t n) { return "line = a\n" + each(n, [](auto, auto) { return "# {\n\n"; }); }},
      {"two uses of each other",
       [&](int64_t n) {
         return "line = {a0}" + each(n / 2 + 1, [](auto i, auto) { return " | c{a" + i + "}"; }) + "\n" +
                each(n / 2 + 1,
                     [](auto i, auto) {
                       return "a" + i + " = x{b" + i + "} | y\nb" + i + " = {a" + i + "}z | [2] w\n";
                     }) +
                "a = x\n";
       }},
  };
  for (const auto& [shape, grammar] : shapes) {
    CAPTURE(shape);
    constexpr double kMost = 3.2;  // its maps outgrow the caches; the square would be 4
    check_linear(
        dir, "corpus g.grammar --bytes 1000", [&](int64_t n) { dir.write("g.grammar", grammar(n)); }, kMost);
  }
}

TEST_SUITE_END();
