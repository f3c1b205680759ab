// Fine-tuned runs that lie: the section of the tuning and the replayed batches with values that they cannot have, under
// a hash that agrees. `tune --resume` refuses each by a sentence that names the file, and goes on from what is right.
#include <doctest/doctest.h>

#include <cmath>

#include "apps/commands.h"
#include "engine/io/json.h"
#include "models/text/read_text.h"
#include "tests/scratch.h"
#include "tests/sealed.h"

namespace gradus {
namespace {

void run_program(std::vector<std::string> words) {
  words.insert(words.begin(), "gradus");
  words.insert(words.end(), {"--threads", "1", "--quiet"});
  std::vector<char*> argv;
  argv.reserve(words.size());
  for (std::string& word : words) argv.push_back(word.data());
  run_command_line(int(argv.size()), argv.data());
}

// A run of two steps of eight sequences of at most three draws, two batches remembered; its options allow three steps.
class TunedFolder {
 public:
  TunedFolder() {
    folder_.file("text", "the cat\na dog\nthe dog\na cat\n");
    run_program({"train", folder_ / "text", "--out", folder_ / "prior", "--lines", "--tokenizer", "word", "--model",
                 "rnn", "--steps", "2", "--batch", "2", "--context", "8", "--hidden", "4", "--embd", "4"});
    run_program({"tune",         folder_ / "prior",
                 "--out",        run(),
                 "--reward",     "contains:cat",
                 "--replay",     "2",
                 "--steps",      "3",
                 "--stop-after", "2",
                 "--batch",      "8",
                 "--max-tokens", "3",
                 "--baseline",   "moving",
                 "--exact",      "never"});
    good_ = read_bytes(file());
    log_ = read_bytes(run() + "/log.jsonl");
  }
  std::string run() const { return folder_ / "run"; }
  std::string file() const { return run() + "/checkpoint.safetensors"; }
  const std::string& good() const { return good_; }

  // What --resume says of this file in the place of the good one; "" where it goes on.
  std::string verdict(const std::string& bytes) const {
    folder_.file("run/checkpoint.safetensors", bytes);
    folder_.file("run/log.jsonl", log_);
    return complaint<DataError>([&] { run_program({"tune", "--out", run(), "--resume"}); });
  }
  // The same with one change to the section of the tuning.
  template <class Change>
  std::string with_tuning(const Change& change) const {
    return verdict(with_header_changed(good_, [&](SafetensorsHeader& header) {
      Json tuning = Json::parse(header.metadata.at("tuning"));
      change(tuning);
      header.metadata["tuning"] = tuning.dump();
    }));
  }
  std::string with_section(const std::string& content) const {
    return verdict(with_header_changed(good_, [&](SafetensorsHeader& header) { header.metadata["tuning"] = content; }));
  }
  std::string with_number(const std::string& name, size_t place, double number) const {
    std::string bytes = good_;
    const auto file = SafetensorsFile::parse(std::as_bytes(std::span(good_)));
    const TensorInfo& t = file.at(name);
    std::memcpy(bytes.data() + 8 + header_of(good_).size() + t.begin + 8 * place, &number, 8);
    return verdict(sealed(bytes));
  }
  // One number less of a list, or one that is no list of a batch any more.
  std::string without_last(const std::string& name) const {
    const std::string values = good_.substr(8 + header_of(good_).size());
    std::string left;
    const std::string bytes = with_header_changed(good_, [&](SafetensorsHeader& header) {
      uint64_t gone = 0;
      for (TensorInfo& t : header.tensors) {
        const uint64_t cut = t.name == name ? 8 : 0, begin = t.begin, end = t.end - cut;
        left += values.substr(begin, end - begin);
        if (cut) t.shape = {t.shape[0] - 1};
        t.begin -= gone;
        gone += cut;
        t.end -= gone;
      }
    });
    return verdict(sealed(with_json(header_of(bytes), left)));
  }

 private:
  Folder folder_;
  std::string good_, log_;
};

}  // namespace

TEST_SUITE_BEGIN("hostile tuning");

TEST_CASE("replayed batches are checked number by number") {
  const TunedFolder run;
  REQUIRE(run.verdict(run.good()) == "");
  const auto said = [&](const std::string& list, size_t place, double number) {
    const std::string sentence = run.with_number("replay.0." + list, place, number);
    if (!sentence.empty()) CHECK(sentence.starts_with(run.file() + ": replay.0." + list));
    return sentence;
  };
  for (const double prompt : {1.0, -1.0, 4294967296.0, 0.5, 1e300, std::nan("")})
    CHECK(has(said("prompts", 3, prompt), "which is not a whole number from 0 to 0"));
  for (const double length : {0.0, -1.0, 4.0, 1.5, 1e18, HUGE_VAL, std::nan("")})
    CHECK(has(said("lengths", 2, length), "which is not a whole number from 1 to 3"));
  for (const double token : {-1.0, 5.0, 2147483648.0, 0.25, -HUGE_VAL, std::nan("")})
    CHECK(has(said("tokens", 0, token), "which is not a whole number from 0 to 4"));
  CHECK(has(said("tokens", 0, 4), "replay.0.tokens holds a sequence that does not end at its end mark"));
  for (const double reward : {HUGE_VAL, -HUGE_VAL, 1e308, -1e308, std::nan("")})
    CHECK(has(said("reward", 1, reward), "which is out of range"));
  for (const double log_mu : {1.0, -HUGE_VAL, -1e300, -301.0, std::nan("")})
    CHECK(has(said("log_mu", 1, log_mu), "out of range"));
  for (const double log_q : {1.0, HUGE_VAL, -HUGE_VAL, -1e300, std::nan("")})
    CHECK(has(said("log_q", 1, log_q), "out of range"));
  CHECK(said("reward", 1, 0.5) == "");
  CHECK(said("log_mu", 1, -2.5) == "");
}

TEST_CASE("replayed batches that lack something are refused") {
  const TunedFolder run;
  CHECK(has(run.without_last("replay.1.lengths"), "are not of 8 sequences, a batch"));
  CHECK(has(run.without_last("replay.1.prompts"), "are not of 8 sequences, a batch"));
  CHECK(has(run.without_last("replay.1.tokens"), "replay.1.lengths does not add up to the "));
  CHECK(has(run.without_last("replay.1.reward"), "replay.1.reward has "));
  CHECK(has(run.without_last("replay.1.log_mu"), "replay.1.log_mu has "));
  CHECK(has(run.without_last("replay.1.log_q"), "replay.1.log_q has "));
  const auto renamed = [&](const std::string& name) {
    return run.verdict(with_header_changed(run.good(), [&](SafetensorsHeader& header) {
      for (TensorInfo& t : header.tensors)
        if (t.name == name) t.name = "x";
    }));
  };
  for (const char* list : {"tokens", "lengths", "prompts", "reward", "log_mu", "log_q"})
    CHECK(has(renamed(text("replay.1.", list)), text("the tensor replay.1.", list, " is missing")));
  CHECK(has(renamed("adam.m.head.bias"), "the tensor adam.m.head.bias [5] of this model is missing"));
}

TEST_CASE("every value of the tuning's section has a range") {
  const TunedFolder run;
  const auto set = [&](const char* field, const Json& value) {
    const std::string sentence = run.with_tuning([&](Json& tuning) { tuning[field] = value; });
    CHECK((sentence.empty() || sentence.starts_with(run.file() + ": ")));
    return sentence;
  };
  const auto set_state = [&](const Json& state) { return set("method", state); };
  const auto without = [&](const std::string& field) {
    return run.with_tuning([&](Json& tuning) {
      Json rest = Json::object();
      for (const auto& [name, value] : tuning.items())
        if (name != field) rest[name] = value;
      tuning = rest;
    });
  };
  for (const char* field : {"config", "prior", "prior_hash", "prompts", "kl_coef", "replayed"})
    CHECK(has(without(field), text("the metadata's 'tuning': lacks \"", field, "\"")));
  for (const char* field : {"config", "prior", "prior_hash", "prompts", "kl_coef", "replayed"})
    CHECK(set(field, nullptr) != "");
  CHECK(has(set("prompts", Json::array()), "'tuning': has no prompts"));
  CHECK(has(set("prompts", Json{1, 2}), "'tuning': \"prompts\" is not a text"));
  CHECK(has(set("prompts", "the"), "'tuning': \"prompts\" is not a list"));
  CHECK(has(set("prior_hash", 7), "'tuning': \"prior_hash\" is not a text"));
  CHECK(has(set("prior", 7), "'tuning': \"prior\" is not a text"));
  CHECK(has(set("prior", ""), "'tuning': \"prior\" is \"\", which is not the name of a file"));
  for (const std::string& nul : {std::string(1, '\0'), std::string("a\0b", 3), std::string("b\0", 2)})
    CHECK(has(set("prior", nul), "'tuning': \"prior\" is \""));
  CHECK(has(set("prompts", Json(std::vector<std::string>{"cow"})), "cow"));
  CHECK(has(set("kl_coef", -0.5), "\"kl_coef\" is -0.5, must be from 0 up"));
  CHECK(has(set("kl_coef", "much"), "'tuning': \"kl_coef\" is not a number"));
  CHECK(has(set("replayed", 3), "\"replayed\" is 3, must be from 0 to 2"));
  CHECK(has(set("replayed", -1), "\"replayed\" is -1"));
  CHECK(has(set("replayed", 1.5), "'tuning': \"replayed\" is not a whole number"));
  CHECK(has(set("replayed", 1e300), "is not a whole number"));
  CHECK(has(set_state(Json{{"moving", Json::array()}}), "\"moving\" is not a list of 2 numbers"));
  CHECK(has(set_state(Json{{"moving", std::vector<double>(1'000, 1.0)}}), "\"moving\" is not a list of 2 numbers"));
  CHECK(has(set_state(Json{{"moving", 1}}), "'tuning': \"moving\" is not a list"));
  CHECK(has(run.with_tuning([](Json& tuning) { tuning["config"]["reward"] = Json::array(); }),
            "'tuning': \"config\" has no reward"));
  for (const std::string& nul : {std::string("count:a\0b", 9), std::string(1, '\0'), std::string("contains:cat\0", 13)})
    CHECK(has(run.with_tuning([&](Json& tuning) { tuning["config"]["reward"] = Json(std::vector{nul}); }),
              "it must be a list of texts without NUL"));
  CHECK(has(set("config", Json::object()), "the configuration lacks 'reward'"));
  CHECK(
      has(run.with_tuning([](Json& tuning) { tuning["config"]["batch"] = 1 << 21; }), "'batch' in the configuration"));
  CHECK(has(run.with_tuning([](Json& tuning) { tuning["config"]["minibatches"] = 9; }),
            "its configuration is not valid"));
  CHECK(has(run.with_tuning([](Json& tuning) { tuning["config"]["target"] = "gdc"; }),
            "--target gdc needs --algorithm f-dpg, not reinforce"));
  CHECK(has(run.with_tuning([](Json& tuning) {
    tuning["config"]["target"] = "gdc";
    tuning["config"]["algorithm"] = "f-dpg";
  }),
            "--target gdc needs a --feature"));
  CHECK(has(run.with_tuning([](Json& tuning) { tuning["config"]["max_tokens"] = 1.5; }),
            "'max_tokens' in the configuration"));
  CHECK(has(run.with_section(""), "the metadata's 'tuning': line 1 is not JSON (column 1)"));
  CHECK(has(run.with_section("[]"), "lacks \"config\""));
  CHECK(has(run.with_section(std::string(20'000, '[')),
            "'tuning': is nested more than 64 levels deep (line 1, column 65)"));
  CHECK(has(run.with_section(R"({"config":{},"config":{}})"), "\"config\" occurs twice in one object"));
}

TEST_SUITE_END();

}  // namespace gradus
