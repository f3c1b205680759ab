// models/run/options, models/families, models/table: the tables of options, their ranges and their owners.
#include <doctest/doctest.h>

#include "models/language_model.h"
#include "models/run/config.h"
#include "rl/tune_config.h"

namespace {

using namespace gradus;

struct Small {
  int64_t size = 3;
  double rate = 0.1;
  bool quick = false, bias = true;
  std::string kind = "plain";
  std::vector<std::string> extras;
  int64_t late = 7;
};
std::vector<Option> options(Small& s) {
  return {option("size", s.size, 1, 9, "how large"),
          option("start_rate", s.rate, 0, 1, "how fast", {"kind", {"fast", "faster"}}),
          option("quick", s.quick, false, "at once"),
          option("bias", s.bias, true, "without it"),
          option("kind", s.kind, {"plain", "fast", "faster"}, "which"),
          option("extras", s.extras, "what else"),
          newer(option("late", s.late, 0, 9, "came later", {"size"}))};
}
std::string json_of(Small s) {
  Small usual;
  return options_to_json(options(s), options(usual));
}
Small read(const std::string& json) {
  Small s;
  options_from_json(options(s), json, "a file");
  return s;
}

std::string error_of(void (*f)()) {
  try {
    f();
  } catch (const DataError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_SUITE("options") {
  TEST_CASE("options: names are written with dashes on the command line, and no- turns off what is on") {
    Small s;
    std::vector<std::string> names;
    for (const Option& row : options(s)) names.push_back(option_name(row));
    CHECK(joined(names) == "--size, --start-rate, --quick, --no-bias, --kind, --extras, --late");
    s.bias = false;  // the name of the option stays
    CHECK(option_name(row_of(options(s), "bias")) == "--no-bias");
  }

  TEST_CASE("options: values come back from a file; what came later may be absent there") {
    Small s;
    CHECK(json_of(s) == R"({"size":3,"start_rate":0.1,"quick":false,"bias":true,"kind":"plain","extras":[]})");
    s = {.size = 9, .rate = 0.1 + 0.2, .quick = true, .bias = false, .kind = "fast", .extras = {"a", "b"}, .late = 8};
    CHECK(json_of(s).ends_with(R"("extras":["a","b"],"late":8})"));
    const Small back = read(json_of(s));
    CHECK(json_of(back) == json_of(s));
    CHECK(back.rate == s.rate);
    CHECK(read(json_of(Small())).late == 7);
  }

  TEST_CASE("options: a file with another type, a number out of range or an unknown name is refused by name") {
    CHECK(error_of([] { read("7"); }) == "a file: the configuration is not a JSON object");
    CHECK(error_of([] { read("{}"); }) == "a file: the configuration lacks 'size'");
    CHECK(error_of([] { read(R"({"size":10})"); }) ==
          "a file: 'size' in the configuration is 10, it must be a whole number from 1 to 9");
    CHECK(error_of([] { read(R"({"size":1.5})"); }).find("must be a whole number") != std::string::npos);
    CHECK(error_of([] { read(R"({"size":3,"start_rate":"x"})"); }).find("a number from 0 to 1") != std::string::npos);
    CHECK(error_of([] { read(R"({"size":3,"start_rate":1,"quick":1})"); }).find("true or false") != std::string::npos);
    CHECK(error_of([] {
            std::string json = json_of({});
            read(json.replace(json.find("plain"), 5, "best"));
          }).find("is \"best\", it must be one of plain, fast, faster") != std::string::npos);
    CHECK(error_of([] {
            std::string json = json_of({});
            read(json.replace(json.find("[]"), 2, "[1]"));
          }).find("a list of texts") != std::string::npos);
    CHECK(error_of([] { read(R"({"new":1,)" + json_of({}).substr(1)); }) ==
          "a file: the configuration has options this version does not know");
  }

  TEST_CASE("options: one that means nothing beside the others is named, and no other") {
    Small s;
    const std::vector<Option> rows = options(s);
    CHECK(without_meaning(rows, {"size", "start_rate", "late"}) == "--start-rate has no meaning for --kind plain");
    CHECK(without_meaning(rows, {"size", "late"}) == "");
    s.kind = "faster";
    s.size = 0;
    CHECK(without_meaning(rows, {"start_rate", "late"}) == "--late has no meaning without --size");
    s.kind = "plain";
    CHECK(without_meaning(rows, {"late", "start_rate"}) ==
          "--start-rate has no meaning for --kind plain; --late has no meaning without --size");
  }

  TEST_CASE("options: a family owns what its row lists, and every listed name is an option") {
    for (const Family& family : families()) {
      INFO(std::string(family.name));
      Config config;
      config.model = family.name;
      config.lines = true;
      config.smoothing = "add";
      const std::vector<Option> rows = options(config);
      for (const std::string& name : family.options) CHECK(has_meaning(row_of(rows, name), rows));
      for (const Option& row : rows) {
        if (row.owners.option == "posterior") continue;  // without one they mean nothing to any family
        const std::vector<std::string> owners = families_with(row.name);
        const bool own = owners.empty() || family.has(row.name);
        const bool stepped = row.owners.words != stepped_families() || !family.counted();
        CHECK(has_meaning(row, rows) == (own && stepped));
      }
    }
    Config lstm;
    lstm.model = "lstm";
    CHECK(without_meaning(options(lstm), {"heads", "hidden", "order", "lr", "bias"}) ==
          "--heads, --no-bias, --order have no meaning for --model lstm");
    lstm.model = "tabular";
    CHECK(without_meaning(options(lstm), {"heads", "lr", "order", "batch"}) ==
          "--heads, --order, --batch, --lr have no meaning for --model tabular");
    lstm.model = "ngram";
    CHECK(without_meaning(options(lstm), {"alpha", "order"}) == "--alpha has no meaning for --smoothing none");
  }

  TEST_CASE("options: what training and tuning share has one row, and defaults of its own in each") {
    Config train;
    TuneConfig tune;
    const std::vector<Option> a = options(train), b = options(tune);
    for (const char* name :
         {"steps", "lr", "min_lr", "warmup", "decay_steps", "clip", "save_every", "shards", "seed"}) {
      INFO(std::string(name));
      CHECK(row_of(a, name).help == row_of(b, name).help);
      CHECK(wanted(row_of(a, name)) == wanted(row_of(b, name)));
    }
    CHECK(value_text(row_of(a, "steps")) == "2000");
    CHECK(value_text(row_of(b, "steps")) == "200");
    CHECK(has_meaning(row_of(b, "lr"), b));
    CHECK(without_meaning(b, {"kl_horizon", "value_lr", "lr"}) ==
          "--kl-horizon has no meaning without --kl-target; --value-lr has no meaning for --baseline leave-one-out");
    tune.kl_target = 1;
    tune.baseline = "value";
    CHECK(without_meaning(b, {"kl_horizon", "value_lr"}) == "");
  }

  TEST_CASE("options: every table of words refuses an unknown one and lists those it knows") {
    CHECK(error_of([] { family_of("gpt"); }) ==
          "there is no model 'gpt'; it must be one of transformer, masked, lstm, rnn, nnlm, vae, ngram, tabular");
    CHECK(error_of([] { row_named(kSmoothings, "some", "smoothing"); }) ==
          "there is no smoothing 'some'; it must be one of none, add, kneser-ney");
    for (const char* field : {"smoothing", "ops"}) {
      Config config;
      config.model = std::string(field) == "ops" ? "lstm" : "ngram";
      (std::string(field) == "ops" ? config.ops : config.smoothing) = "";
      CHECK_THROWS_AS(make_model(config, 3, INT64_MAX, {0, 1, 1}), DataError);
    }
  }
}
