// gradus exact: the worked example's four sentences as runs; every answer against its worked number, within 1e-12.
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("exact");

static std::string sentences(int the_cat, int the_dog, int a_cat, int a_dog) {
  return repeated("the cat\n", the_cat) + repeated("the dog\n", the_dog) + repeated("a cat\n", a_cat) +
         repeated("a dog\n", a_dog);
}

// Tables of the runs q (.4 .3 .2 .1) and pi (.5 .2 .1 .2), made from q.txt and pi.txt.
struct Worlds : Scratch {
  Worlds() {
    table("q", sentences(4, 3, 2, 1));
    table("pi", sentences(5, 2, 1, 2));
  }
  void table(const std::string& run, const std::string& text) const {
    write(run + ".txt", text);
    must(f64, "train " + run + ".txt --out " + run + " --lines --model tabular --tokenizer word --quiet");
  }
};

static int64_t ended(const Json& sequences, bool yes) {
  int64_t n = 0;
  for (const Json& sequence : sequences) n += sequence["ended"] == Json(yes);
  return n;
}

// The sequence of this text.
static Json sequence(const Json& said, const char* text) {
  for (const Json& sequence : said["sequences"])
    if (sequence["text"] == Json(text)) return sequence;
  throw DataError(std::string("no sequence ") + text);
}

TEST_CASE("exact sequences lists every sentence of the run with its probability") {
  const Worlds dir;
  const Run run = dir.run(f64, "exact sequences q --max-tokens 3 --json");
  CHECK(exits(run, 0));
  const Json said = run.json();
  const Json the_cat = sequence(said, "the cat");
  CHECK(names(the_cat) == std::vector<std::string>{"text", "tokens", "log_prob", "ended"});
  CHECK(the_cat["tokens"].size() == 2);  // without the end mark
  for (const Json& token : the_cat["tokens"]) CHECK((token.get<int64_t>() >= 0 && token.get<int64_t>() <= 4));
  CHECK(near(the_cat["log_prob"].get<double>(), std::log(0.4), 1e-12));
  CHECK(the_cat["ended"] == Json(true));
  CHECK(said["sequences"].size() == 4);
  CHECK(near(said["total_probability"].get<double>(), 1, 1e-12));
}

TEST_CASE("a sentence without room for its end mark is listed as cut, and its probability counts") {
  const Worlds dir;
  const Run run = dir.run(f64, "exact sequences q --max-tokens 2 --json");
  CHECK(exits(run, 0));
  CHECK(ended(run.json()["sequences"], false) == 4);
  CHECK(near(run.json()["total_probability"].get<double>(), 1, 1e-12));
}

TEST_CASE("behind a prompt exact sequences lists the prompt's continuations") {
  const Worlds dir;
  const Run run = dir.run(f64, "exact sequences q --max-tokens 2 --prompt the --json");
  CHECK(exits(run, 0));
  CHECK(near(sequence(run.json(), "cat")["log_prob"].get<double>(), std::log(4.0 / 7), 1e-10));
}

TEST_CASE("for people exact sequences shows the most probable sentence first") {
  const Worlds dir;
  const Run run = dir.run(f64, "exact sequences q --max-tokens 3");
  CHECK(exits(run, 0));
  CHECK(contains(lines(run.out).at(1), "0.400000000000"));
  CHECK(contains(lines(run.out).at(1), "the cat"));
}

TEST_CASE("the sequences of a trained model sum to 1, and each has the log-probability that score gives it") {
  const Worlds dir;
  for (const std::string model : {"lstm", "transformer"}) {
    CAPTURE(model);
    CHECK(exits(dir.run(f64, "train q.txt --out " + model + " --model " + model +
                                 " --lines --tokenizer word --embd 8 --hidden 8 --heads 2 --layers 1 --context 6"
                                 " --steps 20 --lr 0.03 --warmup 0 --quiet"),
                0));
    const Run run = dir.run(f64, "exact sequences " + model + " --max-tokens 3 --json");
    CHECK(exits(run, 0));
    const Json said = run.json();
    CHECK(near(said["total_probability"].get<double>(), 1, 1e-12));
    CHECK(ended(said["sequences"], true) == 1 + 4 + 16);
    CHECK(ended(said["sequences"], false) == 64);
    std::string texts;
    std::vector<double> log_probs;
    for (const Json& sequence : said["sequences"]) {
      if (!sequence["ended"].get<bool>()) continue;
      texts += sequence["text"].get<std::string>() + "\n";
      log_probs.push_back(sequence["log_prob"].get<double>());
    }
    const Run score = dir.run(f64, "score " + model, {.in = texts});
    CHECK(exits(score, 0));
    const std::vector<Json> scored = score.jsonl();
    REQUIRE(scored.size() == log_probs.size());
    for (size_t i = 0; i < scored.size(); ++i) CHECK(near(scored[i]["log_prob"].get<double>(), log_probs[i], 1e-12));
  }
  const Run compared = dir.run(f64, "exact compare lstm transformer --max-tokens 3 --json");
  CHECK(exits(compared, 0));
  CHECK(compared.json()["kl_ab"].get<double>() > 1e-6);
}

TEST_CASE("exact compare of two runs gives the worked divergences") {
  struct Number {
    std::string name;
    double value;
  };
  const Worlds dir;
  const Run run = dir.run(f64, "exact compare pi q --max-tokens 3 --json");
  CHECK(exits(run, 0));
  const Json said = run.json();
  CHECK(said.is_object());
  for (const Number& number : {Number{"kl_ab", 0.0997934720914665},
                               {"kl_ba", 0.101696829962760},
                               {"js", 0.0248073038503919},
                               {"tv", 0.2},
                               {"chi2_ab", 0.208333333333333},
                               {"chi2_ba", 0.22},
                               {"hellinger2", 0.0249947177471052},
                               {"entropy_a", 1.22060726455302},
                               {"entropy_b", 1.27985422583367},
                               {"cross_entropy_ab", 1.32040073664448}}) {
    CAPTURE(number.name);
    CHECK(near(said[number.name].get<double>(), number.value, 1e-12));
  }
}

TEST_CASE("exact compare refuses another vocabulary, and a sequence that one run excludes makes its KL infinite") {
  const Worlds dir;
  dir.table("more", "the cat\nthe dog\na cow\n");
  CHECK(refuses(dir.run(f64, "exact compare q more --max-tokens 3"), 4, "different vocabularies"));
  dir.table("gap", "the cat\nthe dog\na\n");
  const Run run = dir.run(f64, "exact compare q gap --max-tokens 3 --json");
  CHECK(exits(run, 0));
  CHECK(run.json()["kl_ab"] == Json("inf"));
}

TEST_CASE("with the fluency of the prior itself as the reward the posterior is the prior to the power 1 + 1/beta") {
  const Worlds dir;
  for (const double beta : {0.5, 1.0, 3.0}) {
    CAPTURE(beta);
    double z = 0;
    for (const double q : {0.4, 0.3, 0.2, 0.1}) z += std::pow(q, 1 + 1 / beta);
    const std::string options = " --reward fluency:q --max-tokens 3 --json --kl-coef " + std::to_string(beta);
    const Json said = dir.must(f64, "exact posterior q" + options).json();
    CHECK(said["sequences"].size() == 4);
    for (const Json& sequence : said["sequences"]) {
      const double wanted = (1 + 1 / beta) * sequence["log_prior"].get<double>() - std::log(z);
      CHECK(near(sequence["log_posterior"].get<double>(), wanted, 1e-12));
    }
    CHECK(near(said["j_star"].get<double>(), beta * std::log(z), 1e-12));
  }
  // And a policy that is tuned gets there.
  const Json tuned = dir.must(f64,
                              "tune q --out t --reward fluency:q --max-tokens 3 --json --quiet --kl-coef 1 --batch 256 "
                              "--steps 200 --lr 0.05")
                         .json();
  CHECK(tuned["kl_to_posterior"].get<double>() < 1e-3);
  const Json score = dir.must(f64, "score t", {.in = "the cat\n"}).json();
  CHECK(near(score["log_prob"].get<double>(), std::log(0.16 / 0.30), 0.03));
}

TEST_CASE("exact posterior gives the worked log Z and J* for every KL coefficient") {
  struct Row {
    std::string beta;
    double log_z, j_star;
  };
  const Worlds dir;
  for (const Row& row : {Row{"0.1", 9.48920464239583, 0.948920464239583},
                         {"0.5", 1.57555711765163, 0.787778558825813},
                         {"1", 0.708513066862315, 0.708513066862315},
                         {"2", 0.328751625269407, 0.657503250538815}}) {
    CAPTURE(row.beta);
    const Run run = dir.run(f64, "exact posterior q --reward contains:cat --max-tokens 3 --json --kl-coef " + row.beta);
    CHECK(exits(run, 0));
    const Json said = run.json();
    CHECK(said.is_object());
    CHECK(near(said["log_z"].get<double>(), row.log_z, 1e-12));
    CHECK(near(said["j_star"].get<double>(), row.j_star, 1e-12));
    CHECK(said["sequences"].size() == 4);
    for (const Json& sequence : said["sequences"]) {
      CHECK(names(sequence) == std::vector<std::string>{"text", "log_prior", "reward", "log_posterior"});
      CHECK(sequence["log_prior"].get<double>() < 0);
      CHECK(sequence["log_posterior"].get<double>() < 0);
      CHECK(sequence["reward"].get<double>() == (contains(sequence["text"].get<std::string>(), "cat") ? 1 : 0));
    }
  }
  CHECK(refuses(dir.run(f64, "exact posterior q --reward end --kl-coef 0 --max-tokens 3"), 2, "--kl-coef"));
  CHECK(refuses(dir.run(f64, "exact posterior q --reward bliss --max-tokens 3"), 2, "contains:S"));
}

static const char* const kGradient = "exact gradient pi --prior q --reward contains:cat --kl-coef 0.5 --max-tokens 3 ";

TEST_CASE("numbers that are not finite are strings in every JSON, and an exact KL is never below 0") {
  const Scratch dir;
  dir.write("q.txt", four_sentences());
  dir.must(f64, "train q.txt --out q --lines --model tabular --tokenizer word --quiet");
  const Run run = dir.run(f64, "exact posterior q --max-tokens 3 --reward -1e308*contains:dog --kl-coef 0.001 --json");
  CHECK(exits(run, 0));
  CHECK(!contains(run.out, "null"));
  const Json said = run.json();
  CHECK(near(said["log_z"].get<double>(), std::log(0.6), 1e-12));
  for (const Json& sequence : said["sequences"]) {
    const bool cat = contains(sequence["text"].get<std::string>(), "cat");
    CHECK((cat ? sequence["log_posterior"].is_number() : sequence["log_posterior"] == Json("-inf")));
    CHECK(sequence["reward"].is_number());
  }
  const Json same = dir.must(f64, "exact compare q q --max-tokens 3 --json").json();
  for (const std::string field : {"kl_ab", "kl_ba", "js", "tv", "chi2_ab", "hellinger2"})
    CHECK(same[field].dump() == "0.0");
  CHECK(!contains(dir.must(f64, "exact compare q q --max-tokens 3").out, "-0.0"));
  // Of one line alone every entropy is 0, not minus 0.
  dir.write("one.txt", "the cat\n");
  dir.must(f64, "train one.txt --out one --lines --model tabular --tokenizer word --quiet");
  dir.must(f64, "tune one --out tuned --reward end --max-tokens 3 --steps 2 --quiet");
  CHECK(!contains(dir.read("tuned/log.jsonl"), "-0.0,"));
  CHECK(!contains(dir.must(f64, "exact sequences one --max-tokens 3 --json").out, "-0.0"));
  CHECK(!contains(dir.must(f64, "exact sequences one --max-tokens 3").out, "-0.0"));
}

// A file of numbers of one type, each list a tensor of its name.
static std::string safetensors(const std::vector<std::pair<std::string, std::vector<double>>>& lists) {
  std::string header = "{", body;
  for (const auto& [name, values] : lists) {
    header += (header == "{" ? "\"" : ",\"") + name + "\":{\"dtype\":\"F64\",\"shape\":[" +
              std::to_string(values.size()) + "],\"data_offsets\":[" + std::to_string(body.size()) + "," +
              std::to_string(body.size() + 8 * values.size()) + "]}";
    body.append(reinterpret_cast<const char*>(values.data()), 8 * values.size());
  }
  header += "}";
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + body;
}

TEST_CASE("inspect gives the norm of the largest and the smallest numbers, and names what is none") {
  const Scratch dir;
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  dir.write("x.safetensors", safetensors({{"big", {3e200, 4e200}},
                                          {"small", {3e-200, 4e-200}},
                                          {"infinite", {1, -inf}},
                                          {"none", {1, nan}},
                                          {"zero", {-0.0, 0}},
                                          {"most", {1.7e308, 1.7e308}}}));
  for (const Precision real : {f32, f64}) {
    const Json tensors = dir.must(real, "inspect x.safetensors --json").json()["tensors"];
    CHECK(near(tensors[0]["norm"].get<double>() / 5e200, 1, 1e-14));
    CHECK(near(tensors[1]["norm"].get<double>() / 5e-200, 1, 1e-14));
    CHECK(tensors[2]["norm"] == Json("inf"));
    CHECK(tensors[3]["norm"] == Json("nan"));
    CHECK(tensors[4]["norm"].dump() == "0.0");
    CHECK(tensors[5]["norm"] == Json("inf"));
    const std::string out = dir.must(real, "inspect x.safetensors").out;
    for (const std::string part : {"norm 5e+200\n", "norm 5e-200\n", "norm inf\n", "norm nan\n", "norm 0\n"})
      CHECK(contains(out, part));
  }
}

TEST_CASE("exact gradient gives the worked objective and writes the mean gradient of every parameter") {
  const Worlds dir;
  const Run run = dir.run(f64, std::string(kGradient) + "--out g.st --json");
  CHECK(exits(run, 0));
  const Json said = run.json();
  CHECK(names(said) == std::vector<std::string>{"objective", "reward", "kl", "entropy", "samples", "sequences"});
  CHECK(near(said["objective"].get<double>(), 0.550103263954267, 1e-12));
  CHECK(near(said["reward"].get<double>(), 0.6, 1e-12));
  CHECK(near(said["kl"].get<double>(), 0.0997934720914665, 1e-12));
  CHECK(near(said["entropy"].get<double>(), 1.22060726455302, 1e-12));
  const Run inspected = dir.run(f64, "inspect g.st --json");
  CHECK(exits(inspected, 0));
  const Json tensors = inspected.json()["tensors"];
  REQUIRE(tensors.size() == 1);
  CHECK(tensors[0]["name"] == Json("mean/table.weight"));
  CHECK(tensors[0]["dtype"] == Json("F64"));
  CHECK(tensors[0]["shape"].dump() == "[8,5]");
  CHECK(tensors[0]["norm"].is_number());
}

TEST_CASE("a sampled gradient takes whole groups, stores mean and variance, and does not depend on the threads") {
  const Worlds dir;
  for (const std::string baseline : {"none", "leave-one-out"}) {
    CAPTURE(baseline);
    const std::string command =
        kGradient + ("--estimator reinforce --baseline " + baseline) + " --batch 10 --samples 1005";
    const Run run = dir.run(f64, command + " --out s.st --json");
    CHECK(exits(run, 0));
    CHECK(run.json()["samples"].get<int64_t>() == (baseline == "none" ? 1005 : 1010));
    const Run inspected = dir.run(f64, "inspect s.st --json");
    CHECK(exits(inspected, 0));
    const Json tensors = inspected.json()["tensors"];
    CHECK(tensors[0]["name"] == Json("mean/table.weight"));
    CHECK(tensors[1]["name"] == Json("variance/table.weight"));
    dir.run(f64, command + " --out again.st --threads 1 --quiet");
    CHECK(dir.read("s.st") == dir.read("again.st"));
  }
}

TEST_CASE("exact gradient says which options have no meaning, and refuses what has no gradient or no place to go") {
  const Worlds dir;
  const std::string pi = "exact gradient pi --prior q --reward end --max-tokens 3 ";
  const Run foreign = dir.run(f64, pi + "--out g.st --batch 3");
  CHECK(exits(foreign, 0));
  CHECK(contains("\n" + foreign.err, "\nnote: --batch has no meaning for --estimator exact"));
  CHECK(refuses(dir.run(f64, pi + "--out new --estimator reinforce --baseline leave-one-out --batch 1"), 2,
                "at least 2"));
  CHECK(refuses(dir.run(f64, pi + "--out nowhere/g.st"), 3, "nowhere"));
  dir.must(f64, "train q.txt --out bigram --lines --model ngram --order 2 --tokenizer word --quiet");
  CHECK(refuses(dir.run(f64, "exact gradient bigram --prior q --reward end --max-tokens 3 --out new"), 4,
                "no parameters"));
  CHECK(exits(dir.run(f64, "exact gradient pi --prior bigram --reward end --max-tokens 3 --out g.st --json"), 0));
}

TEST_CASE("exact refuses a world too large, a missing question or length, unknown words and no run") {
  const Worlds dir;
  dir.write("abc.txt", "abcdefgh\n");
  const std::string least = " --embd 2 --context 4 --steps 0 --val-fraction 0 --quiet";
  dir.must(f64, "train abc.txt --out lstm --model lstm --hidden 2" + least);
  CHECK(refuses(dir.run(f64, "exact sequences lstm --max-tokens 7"), 4, "max_tokens 6 fits"));
  CHECK(refuses(dir.run(f64, "exact"), 2, "sequences | compare | posterior | gdc | values | gradient"));
  CHECK(refuses(dir.run(f64, "exact sequences q"), 2, "--max-tokens"));
  CHECK(refuses(dir.run(f64, "exact sequences q --max-tokens 3 --prompt cow"), 4, "cow"));
  CHECK(refuses(dir.run(f64, "exact sequences nowhere --max-tokens 3"), 4, "nowhere"));
  dir.must(f64, "train abc.txt --out tf --model transformer --layers 1 --heads 1" + least);
  CHECK(refuses(dir.run(f64, "exact gradient tf --prior tf --reward length:2 --max-tokens 5 --out new"), 2,
                "the context of 4"));
}

TEST_SUITE_END();
