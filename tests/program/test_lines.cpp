// Texts of lines, where each line is a sequence with an end mark; and texts of bytes.
#include <algorithm>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("lines");

static std::string small(const std::string& model) {
  return " --model " + model + " --embd 16 --hidden 16 --heads 2 --layers 1 --context 16 --batch 4 --shards 2 ";
}

TEST_CASE("a run on lines that was stopped and resumed on other threads is the whole run, byte for byte") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  for (const std::string model : {"transformer", "lstm", "rnn", "nnlm"}) {
    CAPTURE(model);
    const std::string whole = "whole-" + model, part = "part-" + model;
    const std::string train =
        "train two_words.txt --lines --dropout 0.2 --eval-every 4 --quiet --steps 12" + small(model) + "--out ";
    dir.must(f64, train + whole + " --threads 1");
    CHECK(exits(dir.run(f64, train + part + " --stop-after 7 --threads 2"), 130));
    CHECK(exits(dir.run(f64, "train --resume --quiet --out " + part), 0));
    CHECK(dir.same_weights(whole, part));
    CHECK(dir.same_logs(whole, part));
  }
}

TEST_CASE("the end mark of lines is the last token of the vocabulary, and a sample ends at its first mark or is cut") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  for (const std::string model : {"transformer", "lstm", "rnn", "nnlm"}) {
    CAPTURE(model);
    dir.must(f64, "train two_words.txt --lines --dropout 0.2 --quiet --steps 12" + small(model) + "--out " + model);
    const Json metadata = dir.must(f64, "inspect --json " + model).json()["metadata"];
    CHECK(Json::parse(metadata["config"].get<std::string>())["end_id"] == Json(9));
    const Json vocabulary = Json::parse(metadata["vocab"].get<std::string>());
    CHECK(vocabulary.size() == 10);
    CHECK(vocabulary[8] == Json("t"));
    CHECK(vocabulary[9] == Json("<|endoftext|>"));
    const Run sample = dir.run(f64, "sample " + model + " --count 20 --tokens 12 --json");
    CHECK(exits(sample, 0));
    const Json samples = sample.json()["samples"];
    CHECK(samples.size() == 20);
    for (const Json& drawn : samples) {
      const auto tokens = drawn["tokens"].get<std::vector<int64_t>>();
      CAPTURE(drawn.dump());
      const size_t first = size_t(std::find(tokens.begin(), tokens.end(), 9) - tokens.begin());
      CHECK((drawn["ended"].get<bool>() ? first + 1 == tokens.size() : first == 12 && tokens.size() == 12));
    }
  }
}

TEST_CASE("CRLF ends a line as LF does, and empty lines are none") {
  const Scratch dir;
  dir.write("crlf.txt", "ab\r\n\r\nabc\r\nb");
  dir.write("lf.txt", "ab\n\nabc\nb\n");
  for (const std::string model : {"transformer", "lstm", "rnn", "nnlm"}) {
    CAPTURE(model);
    for (const std::string ends : {"crlf", "lf"})
      dir.must(f64, "train --lines --steps 3 --quiet" + small(model) + ends + ".txt --out " + model + ends);
    CHECK(dir.same_steps(model + "crlf", model + "lf"));
  }
}

TEST_CASE("the last line of one file does not run into the next file, whose order a resumed run keeps") {
  const Scratch dir;
  dir.write("a.txt", "one line, no end");
  dir.write("b.txt", "another\n");
  const Run run = dir.run(f32, "train a.txt b.txt --out two --lines --steps 1" + small("lstm"));
  CHECK(contains(lines(run.out).at(0), "2 lines, 23 characters"));
  CHECK(refuses(dir.run(f32, "train b.txt a.txt --out two --resume --steps 2 --quiet"), 4,
                "a.txt, then " + dir / "b.txt; name them in that order, or name none"));
  CHECK(exits(dir.run(f32, "train a.txt b.txt --out two --resume --steps 2 --quiet"), 0));
  const Run cut = dir.run(f32, "train a.txt --out cut --lines --steps 1" + small("lstm"));
  CHECK(contains(between(cut.out, "note: ", "\n"),
                 "a.txt: 1 of 1 line cut to the context of 16 tokens, without an end mark"));
}

TEST_CASE("a prompt of a run on lines begins the line, and an empty one is allowed") {
  const Scratch dir;
  dir.write("a.txt", "one line, no end\nanother\n");
  dir.must(f32, "train a.txt --out two --lines --steps 1" + small("lstm"));
  CHECK(exits(dir.run(f32, "sample two --prompt '' --tokens 3"), 0));
  const Run run = dir.run(f32, "sample two --prompt one --tokens 3");
  CHECK(exits(run, 0));
  CHECK(run.out.starts_with("one"));
}

TEST_CASE("words and tables need lines, and the text of the end mark cannot be a word") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  dir.write("mark.txt", "a <|endoftext|>\n");
  CHECK(refuses(dir.run(f32, "train two_words.txt --out new --tokenizer word"), 2, "--tokenizer word needs --lines"));
  CHECK(refuses(dir.run(f32, "train two_words.txt --out new --model tabular"), 2,
                "a tabular model needs lines (--lines)"));
  CHECK(refuses(dir.run(f32, "train mark.txt --out new --lines --tokenizer word"), 4, "holds the word"));
}

TEST_CASE("any file can be learnt as bytes, and what is sampled from it is printed in UTF-8") {
  const Scratch dir;
  dir.write("program", bytes_of(program(f32)).substr(0, 100000));
  CHECK(exits(dir.run(f32, "train program --out binary --model ngram --tokenizer byte --order 2 --json --quiet"), 0));
  const Run json = dir.run(f32, "sample binary --tokens 200 --json");
  CHECK(exits(json, 0));
  CHECK(json.json()["samples"].size() == 1);
  CHECK(utf8(json.out));
  const Run text = dir.run(f32, "sample binary --tokens 200");
  CHECK(exits(text, 0));
  CHECK(utf8(text.out));
}

TEST_CASE("characters of several bytes come out whole, and the last one, cut by --tokens, as U+FFFD") {
  const Scratch dir;
  dir.write("poem.txt", repeated("床前明月光\n", 30));
  for (const std::string model : {"transformer", "rnn"}) {
    CAPTURE(model);
    dir.must(f32, "train poem.txt --tokenizer byte --steps 150 --lr 1e-2 --warmup 10 --quiet" + small(model) +
                      "--out " + model);
    const Run run = dir.run(f32, "sample --prompt 床前 --tokens 12 --temperature 0 " + model);
    CHECK(run.out == "床前明月光\n\uFFFD\n");
    const Json vocabulary =
        Json::parse(dir.must(f32, "inspect --json " + model).json()["metadata"]["vocab"].get<std::string>());
    CHECK(contains(vocabulary.dump(), "\"<0xE5>\""));
    CHECK(refuses(dir.run(f32, "sample --prompt 床z " + model), 4, "the byte 0x7A at position 4"));
  }
}

TEST_SUITE_END();
