// The report of a run: written by train and by gradus report, for killed, resumed, tiny and long runs; what it refuses.
#include <signal.h>

#include <cstdio>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("report");

static const char* const kTiny =
    " --embd 16 --heads 2 --layers 1 --context 16 --batch 4 --shards 2 --eval-batches 2 --quiet ";

struct Reported : Text {
  bool shows(const std::string& run, std::string_view part) const { return contains(report(run), part); }
  // The steps of the evaluations that are marked in the loss plot.
  std::string marks(const std::string& run) const {
    const std::string title = "<title>validation, evaluated, ", page = report(run);
    std::string steps;
    for (size_t at = page.find(title); at != page.npos; at = page.find(title, at + 1))
      steps += page.substr(at + title.size(), page.find(':', at) - at - title.size()) + " ";
    return steps;
  }
  // The words of the command that the report shows, without the program.
  std::string command(const std::string& run, const std::string& program) const {
    const std::string command = between(report(run), "<code>" + program + " train ", "</code>");
    return command.empty() ? "the report shows no command" : "train " + command;
  }
  // A page stands alone: nothing to fetch, no address at all but that of SVG, and it is whole.
  Verdict stands_alone(const std::string& run) const {
    std::string page = report(run), lower;
    if (!page.starts_with("<!DOCTYPE html>\n") || !page.ends_with("\n</html>\n")) return {"it is not a whole page"};
    for (const char c : page) lower += char(c >= 'A' && c <= 'Z' ? c + 32 : c);
    const size_t svg = count(lower, "http://www.w3.org/2000/svg");
    for (const char* address : {"http:", "https:", "src=", "href=", "url(", "@import", "<script"})
      if (count(lower, address) != (std::string(address) == "http:" ? svg : 0))
        return {std::string("it has ") + address};
    return {};
  }
};

TEST_CASE("train leaves a report with the curves, the reference losses, the samples and the options of the run") {
  const Reported dir;
  CHECK(exits(dir.run(f32, std::string("train text.txt --out a --steps 8 --eval-every 4 --entropy-rate 1.25") + kTiny),
              0));
  CHECK(!dir.report("a").empty());
  for (const std::string part : {"uniform 3.", "unigram ", "bigram ", "entropy rate 1.25", "Learning rate",
                                 "Gradient norm", "Tokens per second", "training, each step", "validation, evaluated",
                                 "8 steps, finished", ">step 0<", "text.txt", ">val-fraction<"}) {
    CAPTURE(part);
    CHECK(dir.shows("a", part));
  }
  CHECK(dir.marks("a") == "4 8 ");
  CHECK(dir.stands_alone("a"));
  CHECK(dir.valid_html("a/report.html"));
}

TEST_CASE("gradus report writes the same bytes as train, and the command it shows makes the same run") {
  const Reported dir;
  dir.must(f32, std::string("train text.txt --out a --steps 8 --eval-every 4 --entropy-rate 1.25") + kTiny);
  const std::string before = dir.report("a");
  CHECK(exits(dir.run(f32, "report a"), 0));
  CHECK(dir.report("a") == before);
  const Run json = dir.run(f32, "report a --json");
  CHECK(exits(json, 0));
  CHECK(names(json.json()) == std::vector<std::string>{"report", "bytes"});
  CHECK(json.json()["report"] == Json("a/report.html"));
  CHECK(json.json()["bytes"].get<int64_t>() == int64_t(before.size()));
  CHECK(exits(dir.run(f32, dir.command("a", program(f32)) + " --quiet"), 0));
  CHECK(dir.same_weights("a", "a-again"));
  CHECK(dir.same_steps("a", "a-again"));
}

TEST_CASE("a report that cannot be written does not end a run") {
  const Reported dir;
  dir.make_folder("b/report.html/x");
  const Run run =
      dir.run(f32, "train text.txt --out b --steps 2 --embd 16 --heads 2 --layers 1 --context 16 --batch 4");
  CHECK(exits(run, 0));
  CHECK(contains("\n" + run.out, "\nwarning: no report: "));
}

TEST_CASE(
    "the report of a resumed run has every evaluation once, and differs from a whole run's in name and clock only") {
  const Reported dir;
  const std::string options = std::string(" --steps 12 --eval-every 3") + kTiny;
  dir.must(f32, "train text.txt --out whole" + options);
  dir.run(f32, "train text.txt --out part --stop-after 7" + options);
  CHECK(dir.shows("part", "after step 7 of 12"));
  dir.run(f32, "train --out part --resume --quiet");
  CHECK(dir.marks("part") == "3 6 9 12 ");
  const auto common = [&](const std::string& run) {
    std::string page;
    bool clock = false;
    for (std::string line : lines(dir.report(run))) {
      clock = clock || contains(line, "aria-label=\"Tokens per second\"");
      if (!clock) {
        line = line.substr(0, line.find("<dt>speed"));
        for (size_t at; (at = line.find(run)) != line.npos;) line.replace(at, run.size(), "RUN");
        page += line + "\n";
      }
      clock = clock && !contains(line, "<section>");
    }
    return page;
  };
  CHECK(common("whole") == common("part"));
  dir.run(f32, "train --out part --resume --steps 14 --quiet");
  CHECK(dir.shows("part", "14 steps, finished"));
  CHECK(dir.shows("part", "--steps 14 --decay-steps 12"));
}

TEST_CASE("the report of a killed run leaves a half line out, says how far it came, and changes nothing in the log") {
  const Reported dir;
  Child child =
      dir.start(f32, std::string("train text.txt --out run --steps 1000000 --eval-every 10 --save-every 20") + kTiny);
  CHECK(wait_until([&] { return dir.logged_steps("run") >= 45; }));
  child.kill(SIGKILL);
  child.wait();
  dir.append("run/log.jsonl", "{\"type\":\"step\",\"step\":12345678,\"lo");
  const std::string log = dir.read("run/log.jsonl");
  CHECK(exits(dir.run(f32, "report run"), 0));
  CHECK(dir.shows("run", "stopped or still running after step"));
  CHECK(dir.shows("run", ", saved at step " + std::to_string(dir.saved_steps("run"))));
  CHECK(!dir.shows("run", "12345678"));
  CHECK(dir.read("run/log.jsonl") == log);
  CHECK(dir.valid_html("run/report.html"));
  dir.remove("run/checkpoint.safetensors");
  CHECK(exits(dir.run(f32, "report run"), 0));
  CHECK(dir.shows("run", "no checkpoint in the folder"));
}

TEST_CASE("a log with the smallest and the largest numbers, or steps beyond counting, makes a report or a sentence") {
  const Reported dir;
  dir.must(f32, std::string("train text.txt --out a --steps 3 --eval-every 2") + kTiny);
  const std::string log = dir.read("a/log.jsonl");
  const auto with = [&](const std::string& field, const std::string& number) {
    std::string changed = log;
    for (size_t at = 0; (at = changed.find("\"" + field + "\":", at)) != changed.npos;) {
      at += field.size() + 3;
      changed.replace(at, changed.find_first_of(",}", at) - at, number);
    }
    dir.write("a/log.jsonl", changed);
    return dir.run(f32, "report a", {.seconds = 20});
  };
  for (const std::string field : {"grad_norm", "loss", "tokens_per_second", "val_loss", "train_loss"})
    for (const std::string number : {"5e-324", "1e-310", "-1.7e308", "1.7e308", "0", "-0.0"}) {
      CAPTURE(field);
      CAPTURE(number);
      CHECK(exits(with(field, number), 0));
      CHECK(dir.report("a").size() < 100'000);
    }
  CHECK(dir.valid_html("a/report.html"));
  for (const std::string step : {"9007199254740993", "9223372036854775807"}) {
    const Run refused = with("step", step);
    CHECK(exits(refused, 4));
    CHECK(contains(refused.err, "has no \"step\""));
  }
}

TEST_CASE("runs of no step and of one step without validation have a whole report") {
  const Reported dir;
  CHECK(exits(dir.run(f32, std::string("train text.txt --out none --steps 0") + kTiny), 0));
  CHECK(exits(dir.run(f32, std::string("train text.txt --out one --steps 1 --val-fraction 0") + kTiny), 0));
  CHECK(!dir.shows("one", "validation, evaluated"));
  for (const std::string run : {"none", "one"}) {
    CAPTURE(run);
    CHECK(dir.valid_html(run + "/report.html"));
    CHECK(dir.stands_alone(run));
  }
}

TEST_CASE("a text and a folder's name with HTML in them are escaped, and the command is quoted for a shell") {
  const Reported dir;
  const std::string run = "it's & <b>";
  dir.write("zh.txt", repeated("山中有一只鹿。<b>鹿</b>走到水边，&喝水。\"看\"见月亮。", 64));
  CHECK(exits(
      dir.run(f64, std::string("train zh.txt --steps 30 --lr 0.03 --eval-every 10 --model lstm --hidden 16") + kTiny,
              {.words = {"--out", run}}),
      0));
  CHECK(!dir.shows(run, "<b>"));
  CHECK(dir.shows(run, "鹿"));
  CHECK(dir.shows(run, "gradus-f64 train"));
  CHECK(dir.valid_html(run + "/report.html"));
  CHECK(dir.stands_alone(run));
}

TEST_CASE("the report of an LSTM on lines of words says so, and its command makes the same weights") {
  const Reported dir;
  dir.write("lines.txt", "the cat\nthe dog\na cat\nthe cat\na <b>\nthe dog\n");
  CHECK(exits(dir.run(f64, std::string("train lines.txt --out lines --steps 6 --eval-every 3 --model lstm --hidden 16"
                                       " --lines --tokenizer word") +
                               kTiny),
              0));
  const std::string page = dir.report("lines"), size = between(page, "An LSTM of ", " parameters on lines.txt");
  CHECK((!size.empty() && size.find_first_not_of("0123456789,") == size.npos));
  CHECK(contains(page, "word"));
  CHECK(dir.marks("lines") == "3 6 ");
  CHECK(exits(dir.run(f64, dir.command("lines", program(f64)) + " --quiet"), 0));
  CHECK(dir.same_weights("lines", "lines-again"));
  CHECK(dir.valid_html("lines/report.html"));
  CHECK(dir.stands_alone("lines"));
}

TEST_CASE("the report of a counted model says so, shows no learning rate, and its command makes the same model") {
  const Reported dir;
  dir.write("lines.txt", "the cat\nthe dog\na cat\nthe cat\na <b>\nthe dog\n");
  CHECK(
      exits(dir.run(f64, "train lines.txt --out counted --model ngram --order 2 --smoothing add --lines --quiet"), 0));
  CHECK(dir.shows("counted", "An n-gram model on lines.txt"));
  CHECK(!dir.shows("counted", "Learning rate"));
  for (const char* option : {"batch", "shards", "alpha", "order"}) {
    CAPTURE(option);
    const bool own = std::string_view(option) == "alpha" || std::string_view(option) == "order";
    CHECK(contains(dir.report("counted"), "<dt>" + std::string(option) + "</dt>") == own);
  }
  CHECK(!contains(dir.command("counted", program(f64)), "--shards"));
  CHECK(exits(dir.run(f64, dir.command("counted", program(f64)) + " --quiet"), 0));
  const Run once = dir.must(f64, "eval counted lines.txt --json"),
            again = dir.must(f64, "eval counted-again lines.txt --json");
  CHECK(once.out == again.out);
  CHECK(dir.valid_html("counted/report.html"));
  CHECK(dir.stands_alone("counted"));
}

TEST_CASE("a report of 100000 steps stays below 400 kB") {
  const Reported dir;
  dir.must(f32, std::string("train text.txt --out long --steps 1 --val-fraction 0") + kTiny);
  std::string log = lines(dir.read("long/log.jsonl")).at(0) + "\n";
  const size_t steps = log.find("\"steps\":1,");
  REQUIRE(steps != log.npos);
  log.replace(steps, 10, "\"steps\":100000,");
  uint32_t seed = 1;
  const auto random = [&seed] { return (seed = seed * 1664525u + 1013904223u) / 4294967296.0; };
  for (int i = 1; i <= 100000; ++i) {
    char line[999];
    const double loss = 3 * random(), lr = random(), norm = random(), speed = 1e5 * random();
    std::snprintf(line, sizeof line,
                  "{\"type\":\"step\",\"step\":%d,\"loss\":%.15g,\"lr\":%.15g,\"grad_norm\":%.15g,"
                  "\"tokens_per_second\":%.15g}\n",
                  i, loss, lr, norm, speed);
    log += line;
    if (i % 100 != 0) continue;
    const double train = random(), val = random();
    std::snprintf(line, sizeof line,
                  "{\"type\":\"eval\",\"step\":%d,\"train_loss\":%.15g,\"val_loss\":%.15g}\n"
                  "{\"type\":\"sample\",\"step\":%d,\"text\":\"%0240d\"}\n",
                  i, train, val, i, i);
    log += line;
  }
  dir.remove("long");
  dir.make_folder("long");
  dir.write("long/log.jsonl", log);
  CHECK(exits(dir.run(f32, "report long"), 0));
  CHECK(dir.report("long").size() < 400000);
}

TEST_CASE("gradus report refuses what is not the folder of a run, and leaves no page") {
  const Reported dir;
  CHECK(refuses(dir.run(f32, "report nowhere"), 4, "is not the folder of a run"));
  CHECK(refuses(dir.run(f32, "report text.txt"), 4, "is not the folder of a run"));
  CHECK(refuses(dir.run(f32, "report"), 2, "RUN"));
  dir.make_folder("bare");
  CHECK(refuses(dir.run(f32, "report bare"), 4, "bare/log.jsonl"));

  dir.must(f32, std::string("train text.txt --out run --steps 2") + kTiny);
  dir.remove("run/report.html");
  const std::string good = dir.read("run/log.jsonl");
  const auto with_line = [&](size_t number, const std::string& line) {
    std::vector<std::string> all = lines(good);
    all.at(number - 1) = line;
    std::string log;
    for (const std::string& each : all) log += each + "\n";
    return log;
  };
  std::string noise;
  uint32_t seed = 7;
  while (noise.size() < 3000) noise += char((seed = seed * 1664525u + 1013904223u) >> 24);
  struct Mistake {
    std::string what;
    std::string log, message;
  };
  for (const Mistake& mistake :
       {Mistake{"a text", fables(), "is not the log of a run"},
        {"a configuration of something else", "{\"type\":\"run\",\"config\":{\"model\":\"cat\"}}\n", "log.jsonl: "},
        {"a broken line in the middle", with_line(3, "{\"type\":\"step\",\"step\":"), "line 3"},
        {"a line that is not UTF-8", with_line(2, "\xff\xfe"), "line 2"},
        {"noise", noise, "is not the log of a run"}}) {
    CAPTURE(mistake.what);
    dir.write("run/log.jsonl", mistake.log);
    CHECK(refuses(dir.run(f32, "report run"), 4, mistake.message));
    CHECK(!dir.has("run/report.html"));
  }
  dir.write("run/log.jsonl", good);
  dir.write("run/checkpoint.safetensors", dir.read("run/checkpoint.safetensors").substr(0, 900));
  CHECK(refuses(dir.run(f32, "report run"), 4, "checkpoint.safetensors"));
  CHECK(!dir.has("run/report.html"));
  dir.remove("run/checkpoint.safetensors");
  dir.make_folder("run/report.html/in_the_way");
  CHECK(refuses(dir.run(f32, "report run"), 3, "report.html"));
}

TEST_SUITE_END();
