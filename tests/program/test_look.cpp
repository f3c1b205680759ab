// gradus look: what it says of a text against gradus score, gradus sample and the log; its terminal form; its refusals.
// Its page is looked at in a browser by tests/test_look.sh, the inside of ops by tests/test_inside.cpp.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("look");

static double sum(const Json& numbers) {
  double all = 0;
  for (const Json& x : numbers) all += x.get<double>();
  return all;
}
static bool narrow(const std::string& text, size_t columns) {
  for (const std::string& line : lines(text))
    if (characters(line) > columns || line.ends_with(" ")) return false;
  return true;
}

static Json first_sample(const Run& run) {
  const Json all = run.json();
  return all["samples"].at(0);
}

TEST_CASE("surprise is what score says, bit for bit, also beyond the context; each place has its likeliest tokens") {
  const std::string text = fables().substr(100, 45);  // the context is 8
  for (const auto& [model, real] : kinds()) {
    CAPTURE(model);
    CAPTURE(real);
    const Text dir;
    dir.must(real, "train text.txt --out r --steps 20 --lr 1e-2 --warmup 0 --quiet" + tiny(model));
    const Json look = dir.run(real, "look r --json", {.words = {"--text", text}}).json();
    const std::string one_line = text.substr(0, text.find('\n'));
    const std::vector<Json> scored = dir.run(real, "score r", {.in = one_line}).jsonl();
    REQUIRE(scored.size() == 1);
    const auto log_probs = scored[0]["log_probs"].get<std::vector<double>>();
    REQUIRE(look["tokens"].size() == characters(text));
    REQUIRE(log_probs.size() > 16);
    double nats = 0;
    for (size_t i = 0; i < look["tokens"].size(); ++i) {
      const Json& token = look["tokens"][i];
      if (i < log_probs.size()) CHECK(token["log_prob"].get<double>() == log_probs[i]);
      nats -= token["log_prob"].get<double>();
      const Json& best = token["candidates"];
      REQUIRE(best.size() == 5);
      size_t likelier = 0;
      for (size_t k = 0; k < 5; ++k) {
        if (k > 0) CHECK(best[k]["probability"].get<double>() <= best[k - 1]["probability"].get<double>());
        likelier += best[k]["probability"].get<double>() > std::exp(token["log_prob"].get<double>()) * (1 + 1e-12);
        if (best[k]["text"] == token["text"]) CHECK(token["rank"].get<int64_t>() <= int64_t(k) + 1);
      }
      CHECK(token["rank"].get<int64_t>() >= int64_t(likelier) + 1);
    }
    CHECK(near(look["nats_per_token"].get<double>(), nats / double(look["tokens"].size()), 1e-12));
  }
}

TEST_CASE("attention of each head sums to 1 over the inputs that are seen, and the window is that of scoring") {
  const Text dir;
  dir.must(f64, "train text.txt --out r --steps 5 --quiet" + tiny("transformer"));
  const Json look = dir.run(f64, "look r --json", {.words = {"--text", fables().substr(0, 30)}}).json();
  const Json config = dir.log("r").front().at("config");
  const int64_t context = config["context"].get<int64_t>(), kept = context / 2;
  REQUIRE(look["parts"].size() == size_t(config["layers"].get<int64_t>() * config["heads"].get<int64_t>()));
  int64_t first = 0;
  for (size_t i = 0; i < look["tokens"].size(); ++i) {
    const Json& token = look["tokens"][i];
    if (int64_t(i) - first == context) first = int64_t(i) - kept;
    CHECK(token["first"].get<int64_t>() == first);
    for (const Json& weights : token["parts"]) {
      CHECK(weights.size() == i - size_t(first) + 1);
      CHECK(near(sum(weights), 1, 1e-12));
    }
  }
}

TEST_CASE("an LSTM shows its gates and cells: c' = f c + i g and h = o tanh c at every place and unit") {
  const Text dir;
  dir.must(f64, "train text.txt --out r --steps 5 --quiet --layers 2" + tiny("lstm"));
  const Json look = dir.run(f64, "look r --json", {.words = {"--text", fables().substr(0, 20)}}).json();
  REQUIRE(look["parts"].size() == 12);
  for (size_t layer = 0; layer < 2; ++layer) {
    std::vector<double> before;
    for (const Json& token : look["tokens"]) {
      std::vector<std::vector<double>> part;
      for (size_t k = 6 * layer; k < 6 * layer + 6; ++k) part.push_back(token["parts"][k].get<std::vector<double>>());
      before.resize(part[0].size(), 0);
      for (size_t u = 0; u < before.size(); ++u) {
        CHECK(near(part[4][u], part[1][u] * before[u] + part[0][u] * part[2][u], 1e-14));
        CHECK(near(part[5][u], part[3][u] * std::tanh(part[4][u]), 1e-14));
      }
      before = part[4];
    }
  }
}

TEST_CASE("--ops composed and fused look the same, and every family can be looked into") {
  const Text dir;
  for (const std::string model : {"transformer", "lstm", "rnn"}) {
    CAPTURE(model);
    dir.must(f64, "train text.txt --steps 3 --quiet --out fused-" + model + tiny(model));
    dir.must(f64, "train text.txt --steps 3 --quiet --ops composed --out composed-" + model + tiny(model));
    const Json a = dir.run(f64, "look --json --text 'The miller' fused-" + model).json(),
               b = dir.run(f64, "look --json --text 'The miller' composed-" + model).json();
    REQUIRE(a["parts"] == b["parts"]);
    for (size_t i = 0; i < a["tokens"].size(); ++i)
      for (size_t k = 0; k < a["parts"].size(); ++k)
        for (size_t u = 0; u < a["tokens"][i]["parts"][k].size(); ++u)
          CHECK(near(a["tokens"][i]["parts"][k][u].get<double>(), b["tokens"][i]["parts"][k][u].get<double>(), 1e-9));
  }
  for (const std::string model : {"nnlm", "ngram", "tabular"}) {
    CAPTURE(model);
    dir.must(f64, "train text.txt --quiet --out " + model + " --model " + model +
                      (model == "nnlm"      ? " --steps 3 --embd 4 --hidden 8"
                       : model == "tabular" ? " --lines"
                                            : ""));
    const Json look = dir.run(f64, "look --json " + model).json();
    CHECK(look["parts"].size() == size_t(model == "nnlm"));
    CHECK(look["embeddings"]["tokens"].empty() == (model != "nnlm"));
    dir.must(f64, "look --quiet --html page.html " + model);
    CHECK(contains(dir.read("page.html"), ", counted") == (model != "nnlm"));
    CHECK(contains(dir.read("page.html"), " after 3 steps") == (model == "nnlm"));
  }
}

TEST_CASE("in a run of lines each line is a sequence with its end") {
  const Scratch dir;
  dir.write("four.txt", four_sentences());
  dir.must(f64, "train four.txt --out r --lines --model tabular --tokenizer word --quiet");
  dir.write("two.txt", "the cat\na dog\n");
  const Json look = dir.run(f64, "look r two.txt --json").json();
  REQUIRE(look["tokens"].size() == 6);
  const double p[] = {0.7, 4.0 / 7, 1, 0.3, 1.0 / 3, 1};
  for (size_t i = 0; i < 6; ++i) {
    CHECK(near(std::exp(look["tokens"][i]["log_prob"].get<double>()), p[i], 1e-12));
    CHECK(look["tokens"][i]["sequence"] == Json(i / 3));
    CHECK(look["tokens"][i]["at"] == Json(i % 3));
  }
  CHECK(look["inputs"][1] == Json(std::vector<std::string>{"<|endoftext|>", "a", "dog"}));
}

TEST_CASE("the log has the sizes of layers at each evaluation, whose gradients are those of the step") {
  const Text dir;
  dir.must(f64, "train text.txt --out r --steps 25 --eval-every 10 --quiet" + tiny("lstm"));
  const std::vector<Json> records = dir.log("r", "layers");
  REQUIRE(records.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(records[i]["step"] == Json(i < 2 ? 10 * (i + 1) : 25));
    double squares = 0;
    std::vector<std::string> names;
    for (const Json& layer : records[i]["layers"]) {
      squares += std::pow(layer["grad_norm"].get<double>(), 2);
      names.push_back(layer["name"].get<std::string>());
      CHECK(layer["update_ratio"].get<double>() > 0);
    }
    CHECK(names == std::vector<std::string>{"embedding", "lstm.0", "head"});
    const Json step = dir.log("r", "step")[size_t(records[i]["step"].get<int64_t>()) - 1];
    CHECK(near(std::sqrt(squares), step["grad_norm"].get<double>(), 1e-12));
  }
  CHECK(dir.run(f64, "look r --json").json()["training"] == Json(records));
  dir.must(f64, "train text.txt --out twice --steps 25 --eval-every 10 --stop-after 13 --quiet" + tiny("lstm"), {},
           130);
  dir.must(f64, "train --out twice --resume --quiet");
  CHECK(dir.same_logs("twice", "r"));
}

TEST_CASE("what there is no room for is left out at the end, and said") {
  const Text dir;
  dir.must(f64, "train text.txt --out r --steps 1 --quiet" + tiny("lstm"));
  dir.write("long.txt", repeated(fables().substr(0, 600), 3));
  const Run run = dir.run(f64, "look r long.txt --json");
  const Json look = run.json();
  CHECK(look["tokens"].size() == 1000);
  CHECK(look["left_out"] == Json(800));
  CHECK(contains(run.err, "the last 800 tokens of the text are left out"));
}

TEST_CASE("a terminal gets at most 80 columns, and on a pipe no colours") {
  const Text dir;
  dir.must(f64, "train text.txt --out r --steps 5 --quiet" + tiny("transformer"));
  const Run run = dir.run(f64, "look r --text 'The miller'");
  CHECK(exits(run, 0));
  CHECK(narrow(run.out, 80));
  CHECK(!contains(run.out, "\x1b"));
  CHECK(contains(run.out, "10 tokens, "));
  CHECK(contains(run.out, "layer 0 head 0"));
  CHECK(count(run.out, "\n") >= 12);
  dir.must(f64, "train text.txt --out lstm --steps 5 --quiet" + tiny("lstm"));
  const Run gates = dir.run(f64, "look lstm --text 'The miller'");
  CHECK(narrow(gates.out, 80));
  const Json look = dir.run(f64, "look lstm --json --text 'The miller'").json();
  for (size_t k = 0; k < look["parts"].size(); ++k) {
    const std::string name = look["parts"][k]["name"].get<std::string>();
    std::vector<double> all;
    for (const Json& token : look["tokens"])
      for (const Json& x : token["parts"][k]) all.push_back(x.get<double>());
    const auto n = double(all.size());
    const auto share = [&](auto is) { return 100 * double(std::count_if(all.begin(), all.end(), is)) / n; };
    std::istringstream line(between(gates.out, "\nlayer 0 " + name + " ", "\n"));
    std::string mean, size, low, high;
    CHECK(bool(line >> mean >> size >> low >> high));
    CHECK(near(std::stod(mean), std::accumulate(all.begin(), all.end(), 0.0) / n, 5.1e-4));
    const auto add_size = [](double sum, double x) { return sum + std::fabs(x); };
    CHECK(near(std::stod(size), std::accumulate(all.begin(), all.end(), 0.0, add_size) / n, 5.1e-4));
    const bool is_gate = name == "i" || name == "f" || name == "o";
    CHECK((low == "–") != is_gate);
    if (is_gate) CHECK(near(std::stod(low), share([](double x) { return x < 0.1; }), 0.51));
    if (is_gate) CHECK(near(std::stod(high), share([](double x) { return x > 0.9; }), 0.51));
  }
  const Run page = dir.run(f64, "look r --html page.html");
  CHECK(page.out == "Wrote page.html; open it in a browser.\n");
  CHECK(dir.valid_html("page.html"));
  CHECK(!contains(dir.read("page.html"), "checkpoint.safetensors"));
}

TEST_CASE("sample --top shows the likeliest tokens, which are those of look") {
  const Text dir;
  dir.must(f64, "train text.txt --out r --steps 20 --lr 1e-2 --warmup 0 --quiet" + tiny("transformer"));
  const Json sample = first_sample(dir.run(f64, "sample r --tokens 6 --top 5 --json"));
  REQUIRE(sample["candidates"].size() == 6);
  const Json look = dir.run(f64, "look r --json", {.words = {"--text", sample["text"].get<std::string>()}}).json();
  for (size_t i = 0; i < 6; ++i) CHECK(sample["candidates"][i] == look["tokens"][i]["candidates"]);
  const Json without = first_sample(dir.run(f64, "sample r --tokens 6 --json"));
  CHECK(!without.contains("candidates"));
  CHECK(without["tokens"] == sample["tokens"]);
  const Run shown = dir.run(f64, "sample r --tokens 6 --top 5 --count 2");
  CHECK(narrow(shown.out, 80));
  CHECK(count(shown.out, "place token") == 2);
  CHECK(lines(shown.out).size() >= 2 * 8);
  const Json all = first_sample(dir.run(f64, "sample r --tokens 2 --top 100 --json"))["candidates"];
  const Json run = dir.log("r").front();
  CHECK(all.at(0).size() == size_t(run["vocabulary"].get<int64_t>()));
  CHECK(refuses(dir.run(f64, "sample r --top 101"), 2, "from 0 to 100"));
}

TEST_CASE("a log with damaged sizes of layers is refused with its line") {
  const Text dir;
  dir.must(f64, "train text.txt --out r --steps 1 --quiet" + tiny("lstm"));
  const std::string log = dir.read("r/log.jsonl");
  for (const char* record : {R"({"type":"layers","step":1})", R"({"type":"layers","layers":[]})",
                             R"({"type":"layers","step":1,"layers":[{"name":3,"grad_norm":1,"update_ratio":1}]})",
                             R"({"type":"layers","step":1,"layers":[7]})"}) {
    dir.write("r/log.jsonl", log + record + "\n");
    CHECK(refuses(dir.run(f64, "look r"), 4, "log.jsonl: line " + std::to_string(lines(log).size() + 1)));
  }
}

TEST_CASE("look refuses two texts, an empty one, an unknown character with its place, and no run") {
  const Text dir;
  dir.must(f64, "train text.txt --out r --steps 1 --quiet" + tiny("lstm"));
  dir.write("other.txt", "The miller\nsaw a é\n");
  CHECK(refuses(dir.run(f64, "look r text.txt --text x"), 2, "FILE and --text"));
  CHECK(refuses(dir.run(f64, "look r --text ''"), 2, "--text is empty"));
  CHECK(refuses(dir.run(f64, "look r other.txt"), 4, "other.txt, line 2"));
  CHECK(refuses(dir.run(f64, "look r --text é"), 4, "'é' (U+00E9)"));
  CHECK(refuses(dir.run(f64, "look nothing-here"), 4, "nothing-here"));
  CHECK(refuses(dir.run(f64, "look r --html no/such/page.html"), 3, "no/such/page.html"));
}

TEST_SUITE_END();
