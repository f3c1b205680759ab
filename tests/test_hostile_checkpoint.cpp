// Checkpoints that lie: every section of the metadata and every option with values that it cannot have, under a hash
// that agrees. A file is loaded as it says and can then be used, or it is refused by a sentence that names it.
// Long for the table of values.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>

#include "engine/io/json.h"
#include "models/run/checkpoint.h"
#include "models/sampler.h"
#include "models/text/read_text.h"
#include "tests/alloc_count.h"
#include "tests/scratch.h"
#include "tests/sealed.h"

namespace gradus {
namespace {

using testing::most_held;

std::string repeat(std::string_view s, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += s;
  return out;
}

// A small run as a file. `lines`: with an end mark.
std::string checkpoint_of(const std::string& family, bool lines = false, const std::string& tokenizer = "char") {
  Config config;
  config.model = family;
  config.tokenizer = tokenizer;
  config.lines = lines;
  config.embd = 4;
  config.heads = 2;
  config.hidden = 3;
  config.context = 5;
  config.layers = 1;
  const std::string_view texts[] = {"abc"};
  Tokenizer vocabulary = lines ? Tokenizer::from_lines(tokenizer, texts) : Tokenizer::from_text(tokenizer, "abc\n");
  config.end_id = vocabulary.end_id();
  config.resolve(2);
  const Corpus corpus(config.corpus(), vocabulary,
                      tokenizer == "word" ? "abc\nabc abc\n"
                      : lines             ? "ab\ncab\n"
                                          : "abc\nabcabc\n",
                      "text");
  auto model = make_model(config, vocabulary.size(), INT64_MAX, count_tokens(config, corpus));
  Checkpoint run{.config = config,
                 .tokenizer = std::move(vocabulary),
                 .model = std::move(model),
                 .optimizer = {},
                 .step = 7,
                 .best_val_loss = 1.25,
                 .start_id = lines ? int32_t(config.end_id) : 0,
                 .corpus = {"a.txt"},
                 .corpus_hash = "0123456789abcdef",
                 .blas_core = "core"};
  if (!config.counts()) run.optimizer.emplace(run.model->params(), adamw_options(config));
  const Folder folder;
  run.save(folder / "f");
  return read_bytes(folder / "f");
}

// Uses a checkpoint as `sample` and `score` do.
void use(const Checkpoint& run) {
  Tape tape;
  const Tape::Use current(tape);
  const std::vector<int32_t> prompt{run.start_id}, of{0};
  Sampler sampler(*run.model, {&prompt, 1}, of, {.end_id = run.tokenizer.end_id(), .max_tokens = 3},
                  Rng(1, Stream::kSample, 0));
  try {
    while (sampler.next()) {
    }
    const std::vector<int32_t> text(4, 0);
    score_sequences(*run.model, run.start_id, {&text, 1}, 1);
  } catch (const DivergedError&) {  // a weight that is not a number
  }
}

ArchiveReader open(const std::string& bytes) {
  return ArchiveReader(SafetensorsFile::parse(std::as_bytes(std::span(bytes)), "F"));
}

// What is said of a file; "" where it is loaded. It is used then.
std::string verdict(const std::string& bytes) {
  return complaint<DataError>([&] {
    ArchiveReader in = open(bytes);
    const Checkpoint run = read_checkpoint(in);
    in.refuse_rest();
    use(run);
  });
}

// The file with another section; with content "-" without it.
std::string with_section(const std::string& file, const std::string& key, const std::string& content) {
  return with_header_changed(file, [&](SafetensorsHeader& header) {
    if (content == "-")
      header.metadata.erase(key);
    else
      header.metadata[key] = content;
  });
}

std::string with_option(const std::string& file, const std::string& name, const std::string& json) {
  return with_header_changed(file, [&](SafetensorsHeader& header) {
    Json config = Json::parse(header.metadata.at("config"));
    config[name] = Json::parse(json);
    header.metadata["config"] = config.dump();
  });
}

struct Row {
  const char* key;
  std::string content;
  const char* expected;  // "" where it is loaded
};

const std::string deep_list = repeat("[", 20'000) + repeat("]", 20'000), deep_object = repeat("{\"a\":", 20'000);

const std::vector<Row>& hostile_sections() {
  static const std::vector<Row> rows = {
      {"version", "1", ""},
      {"version", "1.9", "1.9 is not a whole number from 1 to"},
      {"version", "2", "written by version 2 of the format, this program reads 1"},
      {"version", "-1", "-1 is not a whole number"},
      {"version", "0", "0 is not a whole number"},
      {"version", "4294967297", "4294967297 is not a whole number"},
      {"version", "true", "true is not a whole number"},
      {"version", "\"1\"", "\"1\" is not a whole number"},
      {"version", "", "'version': line 1 is not JSON (column 1)"},
      {"version", "1 ", ""},
      {"version", "1x", "'version': line 1 is not JSON (column 2)"},
      {"version", "-", "its metadata lack 'version'"},
      {"version", deep_list, "'version': is nested more than 64 levels deep (line 1, column 65)"},
      {"step", "1.5", "'step': 1.5 is not a whole number from 0 to 1000000000"},
      {"step", "-1", "-1 is not"},
      {"step", "1000000000", ""},
      {"step", "1000000001", "1000000001 is not"},
      {"step", "9223372036854775807", "is not a whole number"},
      {"step", "9223372036854775808", "is not a whole number"},
      {"step", "5e24", "5e24 is not a whole number"},
      {"step", "1e3", "1e3 is not a whole number"},
      {"step", "null", "null is not a whole number"},
      {"step", "[7]", "[7] is not a whole number"},
      {"step", "[" + repeat("0,", 1'000'000) + "0]", "'step': holds too many values (line 1, column "},
      {"step", "-", "lack 'step'"},
      {"step", deep_object, "'step': is nested more than 64 levels deep"},
      {"start_id", "3", ""},
      {"start_id", "4", "'start_id': 4 is not a whole number from 0 to 3"},
      {"start_id", "-1", "-1 is not"},
      {"start_id", "4294967297", "4294967297 is not"},
      {"start_id", "5e24", "5e24 is not"},
      {"start_id", "0.0", "0.0 is not"},
      {"start_id", "1e999", "'start_id': holds a number that is out of range"},
      {"start_id", "\"\\u001b[2J\"", "\"\\u001b[2J\" is not"},
      {"start_id", std::string(1'000'000, '1'), "'start_id': holds a number that is out of range"},
      {"start_id", deep_list, "nested more than 64"},
      {"vocab", R"(["\n","a","b","c"])", ""},
      {"vocab", "[]", "'vocab': the vocabulary is empty"},
      {"vocab", "{}", "'vocab': is not a list of texts (line 1, column 1)"},
      {"vocab", "null", "is not a list of texts"},
      {"vocab", R"(["a","b"])", "this model needs [2,4]"},
      {"vocab", R"(["\n","a","b","c","d"])", "this model needs [5,4]"},
      {"vocab", R"(["\n","a","b","b"])", "tokens 2 and 3 of the vocabulary are the same: 'b'"},
      {"vocab", R"(["\n","a","b","bc"])",
       "token 3 of the vocabulary is \"bc\"; a token of this vocabulary is one character"},
      {"vocab", R"(["\n","a","b",""])", "token 3 of the vocabulary is \"\""},
      {"vocab", R"(["\n","a","b","\u0000"])", "token 3 of the vocabulary is not text"},
      {"vocab", R"(["\n","a","b","<|endoftext|>"])", "the end mark of the configuration, -1, and of the vocabulary, 3"},
      {"vocab", R"(["<|endoftext|>","a","b","c"])", "only the last may be <|endoftext|>"},
      {"vocab", R"(["\n","a","b",3])", "element 3 is none"},
      {"vocab", R"(["\n","a","b",["c"]])", "element 3 is none"},
      {"vocab", R"(["\n","a","b","\ud800"])", "'vocab': line 1 is not JSON"},
      {"vocab", "[\"\n\"]", "'vocab': line 1 is not JSON"},
      {"vocab", R"(["\n","a","b","c",])", "is not JSON"},
      {"vocab", "[" + repeat("\"a\",", 100'000) + "\"b\"]", "'vocab': lists more than "},
      {"vocab", "[" + repeat(",", 100'000) + "]", "'vocab': line 1 is not JSON"},
      {"vocab", "[\"" + std::string(1'000'000, 'a') + "\"]", "token 0 of the vocabulary is \"aaaaa"},
      {"vocab", "-", "lack 'vocab'"},
      {"vocab", deep_list, "element 0 is none"},
      {"corpus", R"(["a","b"])", ""},
      {"corpus", "[]", ""},
      {"corpus", R"([""])", "'corpus': \"\" is not the name of a file"},
      {"corpus", R"(["a\u0000b"])", "is not the name of a file"},
      {"corpus", R"("a")", "is not a list of texts"},
      {"corpus", "[1]", "element 0 is none"},
      {"corpus", "[" + repeat("\"a\",", 65536) + "\"a\"]", "lists more than 65536 texts"},
      {"corpus", "-", "lack 'corpus'"},
      {"corpus", deep_list, "element 0 is none"},
      {"corpus_hash", "0123456789abcdef", ""},
      {"corpus_hash", std::string(65, 'a'), "'corpus_hash': "},
      {"corpus_hash", "\x1b[2J", "'corpus_hash': "},
      {"corpus_hash", "-", "lack 'corpus_hash'"},
      {"blas_core", "Haswell", ""},
      {"blas_core", "\x1b]0;x\x07", "'blas_core': "},
      {"blas_core", std::string(1'000'000, 'x'), "'blas_core': "},
      {"blas_core", "-", "lack 'blas_core'"},
      {"best_val_loss", "0", ""},
      {"best_val_loss", "1e300", ""},
      {"best_val_loss", "-", ""},
      {"best_val_loss", "-1", "'best_val_loss': -1 is not a number from 0 up"},
      {"best_val_loss", "1e999", "holds a number that is out of range"},
      {"best_val_loss", "NaN", "is not JSON"},
      {"best_val_loss", "true", "'best_val_loss': is not a number"},
      {"best_val_loss", "null", "'best_val_loss': is not a number"},
      {"best_val_loss", "", "is not JSON"},
      {"best_val_loss", deep_object, "nested more than 64"},
      {"config", "-", "lack 'config'"},
      {"config", "", "the configuration: line 1 is not JSON (column 1)"},
      {"config", "[]", "the configuration is not a JSON object"},
      {"config", "{}", "the configuration lacks 'model'"},
      {"config", R"({"model":"lstm","model":"rnn"})", "\"model\" occurs twice in one object (line 1, column 25)"},
      {"config", "[" + repeat("0,", 1'000'000) + "0]", "the configuration has 2000003 bytes, more than 1048576"},
      {"config", R"({"model":")" + std::string(5'000'000, 'x') + "\"}",
       "the configuration has 5000012 bytes, more than 1048576"},
      {"config", deep_list, "the configuration: is nested more than 64 levels deep (line 1, column 65)"},
      {"config", deep_object, "the configuration: is nested more than 64 levels deep"},
      {"format", "-", ""},  // the hash agrees, so nothing is damaged
      {"format", "gradur", ""},
      {"format", "gradus", ""},
      {"format", "pt", "has the metadata of a gradus checkpoint without its format and hash"},
      {"hash", "-", "its metadata lack the hash"},
      {"hash", "", "hash mismatch"},
  };
  return rows;
}

}  // namespace

TEST_SUITE_BEGIN("hostile checkpoint");

TEST_CASE("every section has a range, which is checked where it is read") {
  const std::string good = checkpoint_of("lstm");
  REQUIRE(verdict(good) == "");
  for (const Row& row : hostile_sections()) {
    const std::string bytes = with_section(good, row.key, row.content);
    std::string said;
    const int64_t held = most_held([&] { said = verdict(bytes); });
    INFO(text(row.key, " = ", row.content.substr(0, 60)));
    if (*row.expected) {
      CHECK(said.starts_with("F: "));
      CHECK_MESSAGE(has(said, row.expected), said);
      CHECK(said.size() < 400);
      CHECK(held <= 4 * int64_t(bytes.size()) + (1 << 20));
    } else {
      CHECK(said == "");
    }
  }
}

TEST_CASE("a line begins with the mark, and vocabularies of bytes and words hold nothing else") {
  const std::string lines = checkpoint_of("rnn", true), bytes = checkpoint_of("rnn", false, "byte"),
                    words = checkpoint_of("rnn", true, "word");
  for (const std::string& good : {lines, bytes, words}) REQUIRE(verdict(good) == "");
  CHECK(has(verdict(with_section(lines, "start_id", "0")), "'start_id': 0 is not a whole number from 3 to 3"));
  CHECK(has(verdict(with_section(lines, "vocab", R"(["a","b","c","d"])")), "the end mark of the configuration, 3"));
  CHECK(has(verdict(with_section(lines, "vocab", R"(["a","b","<|endoftext|>","c"])")), "only the last may be"));
  CHECK(has(verdict(with_section(bytes, "vocab", R"(["\n","a","b","<0xZZ>"])")),
            "token 3 of the vocabulary is \"<0xZZ>\""));
  CHECK(has(verdict(with_section(bytes, "vocab", R"(["\n","a","b","<0x41>"])")), "token 3 of the vocabulary"));
  CHECK(has(verdict(with_section(bytes, "vocab", R"(["\n","a","b","ä"])")), "token 3 of the vocabulary is \"ä\""));
  CHECK(verdict(with_section(bytes, "vocab", R"(["\n","a","b","<0xE5>"])")) == "");
  CHECK(
      has(verdict(with_section(words, "vocab", R"(["a b","<|endoftext|>"])")), "token 0 of the vocabulary is \"a b\""));
  CHECK(has(verdict(with_section(words, "vocab", R"([" ","<|endoftext|>"])")), "token 0 of the vocabulary"));
  CHECK(has(verdict(with_section(words, "vocab", R"(["\u001b[2J\u001b[31mred","x y"])")), "token 1 of the vocabulary"));
}

TEST_CASE("H61: options that do not agree with the arrays are refused before anything of their size is made") {
  const struct {
    const char *family, *option, *value, *expected;
  } rows[] = {
      {"lstm", "hidden", "1048576", "lstm.weight_ih_l0 is [12,4], this model needs [4194304,4]"},
      {"lstm", "hidden", "4", "lstm.weight_ih_l0 is [12,4], this model needs [16,4]"},
      {"lstm", "embd", "1048576", "embedding.weight is [4,4], this model needs [4,1048576]"},
      {"lstm", "layers", "2", "lstm.weight_ih_l1 [12,3] of this model is missing"},
      {"lstm", "layers", "1000", "its configuration has 1000 layers, but it holds 18 tensors"},
      {"lstm", "model", "\"rnn\"", "rnn.weight_ih_l0 [3,4] of this model is missing"},
      {"lstm", "model", "\"gru\"", "'model' in the configuration is \"gru\", it must be one of"},
      {"transformer", "layers", "2", "h.1.ln_1.weight [4] of this model is missing"},
      {"transformer", "layers", "1000", "its configuration has 1000 layers"},
      {"transformer", "context", "1048576", "wpe.weight is [5,4], this model needs [1048576,4]"},
      {"transformer", "heads", "3", "embd 4 is not a multiple of heads 3"},
      {"transformer", "embd", "1048576", "wte.weight is [4,4], this model needs [4,1048576]"},
      {"transformer", "bias", "false", "tensors, this model has"},
      {"nnlm", "order", "100", "this model needs"},
      {"nnlm", "hidden", "1048576", "this model needs"},
      {"rnn", "tokenizer", "\"word\"", "--tokenizer word needs --lines"},
      {"rnn", "tokenizer", "\"byte\"", ""},
      {"rnn", "end_id", "3", "the configuration has no use for 'end_id'"},
      {"rnn", "lines", "true", "the configuration lacks 'end_id'"},
      {"rnn", "shards", "0", "--shards 0"},
      {"rnn", "shards", "256", "--shards 256"},
      {"rnn", "batch", "1.5", "'batch' in the configuration is 1.5, it must be a whole number from 1 to 1048576"},
      {"rnn", "lr", "\"x\"", "'lr' in the configuration is \"x\", it must be a number from 0 to 1000"},
      {"rnn", "seed", "18446744073709551616", "'seed' in the configuration"},
      {"rnn", "steps", "-1", "'steps' in the configuration"},
      {"rnn", "beta1", "1", "'beta1' in the configuration is 1"},
      {"rnn", "unheard_of", "1", "the configuration has options this version does not know"},
      {"ngram", "order", "101", "'order' in the configuration is 101"},
      {"ngram", "order", "100", ""},
      {"ngram", "model", "\"tabular\"", "a tabular model needs lines (--lines)"},
      {"ngram", "smoothing", "\"kneser-ney\"", ""},
      {"tabular", "model", "\"ngram\"", "tensors, this model has"},
  };
  for (const auto& row : rows) {
    const std::string bytes =
        with_option(checkpoint_of(row.family, row.family == std::string("tabular")), row.option, row.value);
    std::string said;
    const int64_t held = most_held([&] { said = verdict(bytes); });
    INFO(text(row.family, " ", row.option, " = ", row.value));
    CHECK_MESSAGE((*row.expected ? has(said, row.expected) : said == ""), said);
    if (*row.expected) CHECK(held <= 4 * int64_t(bytes.size()) + (1 << 20));
  }
  const std::string long_word = with_option(checkpoint_of("rnn"), "ops", '"' + std::string(5'000'000, 'x') + '"');
  CHECK(verdict(long_word).size() < 400);
}

TEST_CASE("counts and moments that cannot be are refused") {
  const Folder folder;
  const auto with_numbers = [&](const std::string& file, const std::string& name, size_t place, auto number) {
    const SafetensorsFile parsed = SafetensorsFile::parse(std::as_bytes(std::span(file)));
    std::string bytes = file;
    std::memcpy(bytes.data() + 8 + header_of(file).size() + parsed.at(name).begin + place * sizeof number, &number,
                sizeof number);
    return verdict(sealed(bytes));
  };
  const std::string ngram = checkpoint_of("ngram"), lstm = checkpoint_of("lstm");
  CHECK(with_numbers(ngram, "counts", 2, 3.0) == "");
  for (const double count : {0.0, -1.0, 1.5, std::nan(""), HUGE_VAL})
    CHECK(has(with_numbers(ngram, "counts", 2, count), "F: counts: row 0 is"));
  for (const double token : {4.0, -1.0, 0.5, 4294967296.0})
    CHECK(has(with_numbers(ngram, "counts", 1, token), "F: counts: row 0 is"));
  for (const double parent : {1.0, -1.0, 1e300})
    CHECK(has(with_numbers(ngram, "counts", 0, parent), "F: counts: row 0"));
  CHECK(with_numbers(lstm, "adam.v.head.bias", 1, real(2)) == "");
  for (const real number : {real(-1), real(NAN), real(INFINITY)})
    CHECK(has(with_numbers(lstm, "adam.v.head.bias", 1, number),
              "F: adam.v.head.bias holds a number that is negative, or not finite"));
  for (const real number : {real(NAN), real(INFINITY), -real(INFINITY)})
    CHECK(has(with_numbers(lstm, "adam.m.head.bias", 0, number),
              "F: adam.m.head.bias holds a number that is not finite"));
  CHECK(with_numbers(lstm, "head.bias", 0, real(NAN)) == "");  // H62: it loads, and training refuses to go on from it
}

TEST_CASE("arrays of another shape, dtype or name are refused, and so are half the moments") {
  const std::string good = checkpoint_of("lstm");
  const auto changed = [&](const std::string& name, const auto& change) {
    return verdict(with_header_changed(good, [&](SafetensorsHeader& header) {
      for (TensorInfo& t : header.tensors)
        if (t.name == name) change(t);
    }));
  };
  CHECK(has(changed("head.weight",
                    [](TensorInfo& t) {
                      t.shape = {3, 4};
                    }),
            "head.weight is [3,4], this model needs [4,3]"));
  CHECK(has(changed("head.weight", [](TensorInfo& t) { t.shape = {12}; }), "head.weight is [12]"));
  CHECK(has(changed("head.weight", [](TensorInfo& t) { t.dtype = sizeof(real) == 8 ? "I64" : "I32"; }),
            "gradus reads F64"));
  CHECK(has(changed("head.weight", [](TensorInfo& t) { t.name = "tail.weight"; }),
            "head.weight [4,3] of this model is missing"));
  CHECK(has(changed("adam.v.head.bias", [](TensorInfo& t) { t.name = "x"; }),
            "adam.v.head.bias [4] of this model is missing"));
  CHECK(has(changed("adam.m.embedding.weight", [](TensorInfo& t) { t.name = "x"; }), "tensors, this model has"));
}

TEST_CASE(
    "H63 and H64 of a whole checkpoint: every prefix, every bit of the header with and without its hash, the body") {
  const auto seconds = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  for (const std::string family : {"ngram", "rnn"}) {
    const std::string good = checkpoint_of(family, family == "ngram");
    REQUIRE(verdict(good) == "");
    for (size_t n = 0; n < good.size(); ++n)
      if (verdict(good.substr(0, n)).empty()) FAIL(family, " of ", n, " bytes");
    const size_t header_bits = 8 * (8 + header_of(good).size());
    size_t loaded = 0;
    double slowest = 0;
    for (size_t bit = 0; bit < header_bits; ++bit) {
      std::string bad = good;
      bad[bit / 8] = char(bad[bit / 8] ^ (1 << bit % 8));
      if (verdict(bad).empty()) FAIL(family, " with bit ", bit, " flipped");
      const double begin = seconds();
      loaded += verdict(sealed(bad)).empty();
      slowest = std::max(slowest, seconds() - begin);
    }
    CHECK(loaded > 0);  // another seed or learning rate is nothing to refuse
    CHECK(slowest < 5);
    const Rng rng(1, Stream::kInit, 0);
    for (int64_t i = 0; i < 2000; ++i) {
      const size_t bit = header_bits + size_t(rng.below(i, int64_t(8 * good.size() - header_bits)));
      std::string bad = good;
      bad[bit / 8] = char(bad[bit / 8] ^ (1 << bit % 8));
      if (!has(verdict(bad), "hash mismatch")) FAIL(family, " with bit ", bit, " flipped");
      verdict(sealed(bad));
    }
  }
}

TEST_SUITE_END();

}  // namespace gradus
