// gradus eval: losses known by hand, of streams and lines, in nats, bits of a character, and perplexity.
#include <cmath>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("eval");

struct Evaluated : Scratch {
  void counted(const std::string& text, const std::string& options) const {
    must(f64, "train " + text + " --model ngram --quiet " + options);
  }
  Json eval(const std::string& words) const { return must(f64, "eval --json " + words).json(); }
  double nats(const std::string& words) const { return eval(words)["nats_per_token"].get<double>(); }
  // A bigram of "abcabdab": after a always b; after b c or d; after c and d a. Of the 7 pairs two cost log 2.
  void bigram() const {
    write("abc.txt", "abcabdab");
    counted("abc.txt", "--out bigram --order 2 --context 4");
  }
};

static const double kLog2 = std::log(2.0);

TEST_CASE("eval of a text gives its loss in nats a token, bits a character and perplexity") {
  const Evaluated dir;
  dir.bigram();
  const Run run = dir.run(f64, "eval bigram abc.txt --json");
  CHECK(exits(run, 0));
  const Json said = run.json();
  CHECK(names(said) == std::vector<std::string>{"tokens", "nats_per_token", "bits_per_character", "perplexity"});
  CHECK(said["tokens"] == Json(7));
  CHECK(near(said["nats_per_token"].get<double>(), kLog2 * 2 / 7, 1e-9));
  CHECK(near(said["bits_per_character"].get<double>(), 2.0 / 7, 1e-9));
  CHECK(near(said["perplexity"].get<double>(), std::exp(kLog2 * 2 / 7), 1e-9));
  const Run text = dir.run(f64, "eval bigram abc.txt");
  CHECK(exits(text, 0));
  CHECK(text.out == "7 tokens, 0.1980 nats a token, 0.2857 bits a character, perplexity 1.219\n");
}

TEST_CASE("a text may be shorter than the next window, of two characters, or stand in two files") {
  const Evaluated dir;
  dir.bigram();
  dir.write("short.txt", "abcab");
  CHECK(near(dir.nats("bigram short.txt"), kLog2 / 4, 1e-9));
  dir.write("two.txt", "ab");
  const Json two = dir.eval("bigram two.txt");
  CHECK(two["tokens"] == Json(1));
  CHECK(near(two["nats_per_token"].get<double>(), 0, 1e-9));
  dir.write("front.txt", "abca");
  dir.write("back.txt", "bdab");
  const Json both = dir.eval("bigram front.txt back.txt");
  CHECK(both["tokens"] == Json(7));
  CHECK(near(both["nats_per_token"].get<double>(), kLog2 * 2 / 7, 1e-9));
}

TEST_CASE("windows of the context forget what came before, and --stride 1 gives all but the first the whole context") {
  // Two tokens say what follows a, one does not: each of three windows begins with one, and costs log 2.
  const Evaluated dir;
  dir.write("abac.txt", "abacabacabac");
  dir.counted("abac.txt", "--out trigram --order 3 --context 4");
  CHECK(near(dir.nats("trigram abac.txt"), kLog2 * 3 / 11, 1e-9));
  CHECK(near(dir.nats("trigram abac.txt --stride 1"), kLog2 / 11, 1e-9));
  CHECK(refuses(dir.run(f64, "eval trigram abac.txt --stride 5"), 2, "from 1 to the context"));
}

TEST_CASE("bits are counted by code points of Chinese whatever the tokens are, three bytes or one character") {
  const Evaluated dir;
  dir.write("zh.txt", "天地天人天地天人天");
  for (const std::string tokenizer : {"char", "byte"}) {
    CAPTURE(tokenizer);
    dir.counted("zh.txt", "--order 4 --context 8 --out " + tokenizer + " --tokenizer " + tokenizer);
    const Json said = dir.eval(tokenizer + " zh.txt");
    const double tokens = said["tokens"].get<double>();
    CHECK(near(said["nats_per_token"].get<double>() * tokens / kLog2, said["bits_per_character"].get<double>() * 8,
               1e-9));
    CHECK(tokens == (tokenizer == "char" ? 8 : 26));
  }
  dir.counted("zh.txt", "--order 2 --context 8 --out zh");
  CHECK(near(dir.eval("zh zh.txt")["bits_per_character"].get<double>(), 0.5, 1e-9));
}

TEST_CASE("tokens of lines are words and end marks, and their characters include spaces and line ends") {
  const Evaluated dir;
  dir.write("two_words.txt", four_sentences());
  dir.counted("two_words.txt", "--out lines --lines --tokenizer word");
  const Json said = dir.eval("lines two_words.txt");
  CHECK(said["tokens"] == Json(30));
  CHECK(near(said["nats_per_token"].get<double>(), 1.27985422583367 / 3, 1e-9));
  CHECK(
      near(said["bits_per_character"].get<double>(), 12.7985422583367 / kLog2 / double(four_sentences().size()), 1e-9));
  dir.write("zebra.txt", "the cat\na zebra\n");
  CHECK(refuses(dir.run(f64, "eval lines zebra.txt"), 4, "zebra.txt, line 2: the word 'zebra' at position 2"));
}

TEST_CASE("white space of lines counts as it stands in the file") {
  // Two of the four lines begin with x and end after a or b, the others end at once.
  const Evaluated dir;
  dir.write("spaces.txt", "x  a\r\n\n x b \n\n");
  dir.counted("spaces.txt", "--out spaces --lines --tokenizer word");
  const Json said = dir.eval("spaces spaces.txt");
  CHECK(said["tokens"] == Json(8));
  CHECK(near(said["nats_per_token"].get<double>(), 6 * kLog2 / 8, 1e-9));
  CHECK(near(said["bits_per_character"].get<double>(), 6.0 / 14, 1e-9));
}

TEST_CASE("bytes that are no UTF-8 are characters of their own") {
  // All seven but the first, which is not scored, and but two that continue a character.
  const Evaluated dir;
  dir.write("bytes.txt", "a\200\344\270\255a\200");
  dir.counted("bytes.txt", "--out bytes --order 2 --tokenizer byte --context 4");
  const Json said = dir.eval("bytes bytes.txt");
  CHECK(said["tokens"] == Json(6));
  CHECK(near(said["nats_per_token"].get<double>() * 6 / kLog2, said["bits_per_character"].get<double>() * 4, 1e-9));
}

TEST_CASE("a line that is cut counts up to the cut, and a last line without its end has none") {
  const Evaluated dir;
  dir.write("clipped.txt", "abcdabcdabcdabcda\nab");
  dir.must(f64, "train clipped.txt --out clipped --val-fraction 0 --lines --steps 1 --quiet" + tiny("lstm"));
  const Json said = dir.eval("clipped clipped.txt");
  CHECK(near(said["nats_per_token"].get<double>() * 19 / kLog2, said["bits_per_character"].get<double>() * 18, 1e-9));
}

TEST_CASE("--split divides a text as the run did: the validation loss is what training said") {
  const Evaluated dir;
  const std::string text = root() + "data/fables.txt";
  for (const std::string model : {"lstm", "rnn", "nnlm"}) {
    CAPTURE(model);
    const Run train =
        dir.must(f64, "train " + text + " --steps 3 --json --quiet --hidden 16 --embd 16 --layers 1 --context 16" +
                          " --batch 4 --shards 2 --out " + model + " --model " + model);
    const Run eval = dir.run(f64, "eval " + model + " " + text + " --split val --json --threads 1");
    CHECK(exits(eval, 0));
    CHECK(near(eval.json()["nats_per_token"].get<double>(), train.json()["val_loss"].get<double>(), 1e-9));
    CHECK(dir.eval(model + " " + text + " --split train")["tokens"] == Json(71630));
  }
}

TEST_CASE("eval refuses a split that there is not, unknown characters, and a text that predicts nothing") {
  const Evaluated dir;
  dir.bigram();
  CHECK(refuses(dir.run(f64, "eval bigram abc.txt --split val"), 4, "no validation split"));
  CHECK(refuses(dir.run(f64, "eval bigram abc.txt --split test"), 2, "must be one of all | train | val"));
  dir.write("x.txt", "abx");
  CHECK(refuses(dir.run(f64, "eval bigram x.txt"), 4, "'x' (U+0078)"));
  dir.write("one.txt", "a");
  CHECK(refuses(dir.run(f64, "eval bigram one.txt"), 4, "at least 2"));
}

TEST_SUITE_END();
