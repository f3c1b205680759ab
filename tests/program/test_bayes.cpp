// gradus bayes: the posterior of counted probabilities, and its predictive.
#include <algorithm>
#include <cmath>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("bayes");

TEST_CASE("the posterior of four sentences has a row for each beginning, over all tokens and the end mark") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  for (const Precision real : {f32, f64})
    for (const std::string model : {"tabular", "ngram"}) {
      CAPTURE(model);
      const Run run = dir.run(
          real, "bayes two_words.txt --lines --tokenizer word --order 2 --prior dirichlet:1 --json --model " + model);
      CHECK(exits(run, 0));
      const Json said = run.json();
      // the, cat, dog, a and the mark: 5 tokens. Rows of the table: start, the, a, and four whole lines.
      CHECK(said["rows"].size() == (model == "tabular" ? 7 : 5));
      const Json& start = said["rows"][0];
      CHECK(start["history"].empty());
      CHECK(start["tokens"].size() == 5);
      double total = 0;
      for (const Json& token : start["tokens"]) {
        const double c = token["text"] == Json("the") ? 7 : token["text"] == Json("a") ? 3 : 0, m = (c + 1) / 15;
        CHECK(near(token["mean"].get<double>(), m, 1e-12));
        CHECK(near(token["predictive"].get<double>(), m, 1e-12));
        CHECK(near(token["variance"].get<double>(), m * (1 - m) / 16, 1e-12));
        total += token["mean"].get<double>();
      }
      CHECK(near(total, 1, 1e-12));
      // The rows are independent: Γ(5)/Γ(5+N) Π Γ(1+c) of each.
      const auto row = [](std::vector<double> counts) {
        double N = 0, sum = 0;
        for (const double c : counts) N += c, sum += std::lgamma(1 + c);
        return sum + std::lgamma(5) - std::lgamma(5 + N);
      };
      double evidence = row({7, 3}) + row({4, 3}) + row({2, 1});
      for (const double n : model == "tabular" ? std::vector<double>{4, 3, 2, 1} : std::vector<double>{6, 4})
        evidence += row({n});
      CHECK(near(said["log_evidence"].get<double>(), evidence, 1e-9));
    }
}

TEST_CASE("of lines never seen the predictive has a finite cost, and the maximum of the likelihood has none") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  dir.write("other.txt", "cat the\nthe cat\n");
  const Run run = dir.run(f64, "bayes two_words.txt --lines --tokenizer word --held-out other.txt --json");
  const Json held = run.json()["held_out"];
  CHECK(held["lines"] == Json(2));
  CHECK(held["tokens"] == Json(6));
  CHECK(held["mle"] == Json("inf"));
  // Start row 1/15, then rows that nobody has seen, 1/5 each; then 8/15, 5/12, 5/9.
  const double cost = -std::log(1. / 15) + 2 * std::log(5.) - std::log(8. / 15 * 5 / 12 * 5 / 9);
  CHECK(near(held["predictive"].get<double>(), cost, 1e-9));
  // --smoothing add is the predictive of one more token.
  CHECK(exits(dir.run(f64,
                      "train two_words.txt --lines --tokenizer word --model ngram --order 2 --smoothing add "
                      "--alpha 1 --out run"),
              0));
  const Json score = dir.run(f64, "score run", {.in = "the cat\n"}).json();
  CHECK(near(std::exp(score["log_probs"][0].get<double>()), 8. / 15, 1e-9));
  CHECK(near(std::exp(score["log_probs"][1].get<double>()), 5. / 12, 1e-9));
}

TEST_CASE("for a person: the evidence, the rows, and where else the predictive is met") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  const Run run = dir.run(f64, "bayes two_words.txt --lines --tokenizer word --model ngram --order 2");
  CHECK(exits(run, 0));
  CHECK(contains(run.out, "log evidence -"));
  CHECK(contains(run.out, "at the beginning"));
  CHECK(contains(run.out, "after \"the\""));
  CHECK(contains(run.out + run.err, "--smoothing add --alpha 1"));
  const Run stream = dir.run(f64, "bayes two_words.txt --model ngram --order 2 --json");
  CHECK(exits(stream, 0));
  CHECK(stream.json()["rows"].size() == 10);  // every character but none before the first
  dir.write("short.txt", "a b");
  const Run brief = dir.run(f64, "bayes short.txt --model ngram --order 2");
  CHECK(exits(brief, 0));
  CHECK(contains(brief.out, "  \" \"                      1"));  // a blank can be seen
}

TEST_CASE("for a person the most frequent histories stand first, and in each the most probable token") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  const Run run = dir.run(f64, "bayes two_words.txt --lines --tokenizer word --model ngram --order 2");
  // Four sentences of 7 the and 6 cat: (count + 1) / (total + 5), and √(m (1 - m) / (total + 6)).
  const std::vector<std::string> said = lines(run.out);
  const auto after = [&](const std::string& heading) {
    const auto at = std::ranges::find(said, heading);
    return at + 2 < said.end() ? at[2] : "";
  };
  CHECK(after("at the beginning") == "  \"the\"                    7    0.533333    0.124722");
  CHECK(after("after \"the\"") == "  \"cat\"                    4    0.416667    0.136735");
  CHECK(after("after \"a\"") == "  \"cat\"                    2    0.375000    0.161374");
  std::vector<std::string> headings;
  for (const std::string& line : said)
    if (line.starts_with("at ") || line.starts_with("after ")) headings.push_back(line);
  CHECK(headings ==
        std::vector<std::string>{"at the beginning", "after \"the\"", "after \"cat\"", "after \"dog\"", "after \"a\""});
  // A history is named as a text has it; and of many rows those that are seldom are left out.
  std::string letters;
  for (char x = 'a'; x <= 'z'; ++x) letters += std::string("q") + x + "\n";
  dir.write("letters.txt", letters + "zyx\nzyx\nzyx\n");
  const Run many = dir.run(f64, "bayes letters.txt --lines --model ngram --order 3");
  CHECK(contains(many.out, "after \"zy\"\n"));
  CHECK(contains(many.out, "rows of histories no more frequent"));
  CHECK_FALSE(contains(many.out, "after \"qt\""));
}

TEST_CASE("one line of a megabyte is counted in seconds and told in a page; what JSON would hold is refused") {
  const Scratch dir;
  std::string line(1 << 20, 'a');
  for (size_t i = 0; i < line.size(); i += 7) line[i] = char('a' + i % 26);
  dir.write("long.txt", line + "\n");
  for (const std::string model : {"tabular", "ngram --order 5"}) {
    const Run run = dir.run(f64, "bayes long.txt --lines --model " + model + " --held-out long.txt", {.seconds = 30});
    CHECK(exits(run, 0));
    CHECK(run.out.size() < 10'000);
    CHECK(run.cpu < 15);
    for (const std::string& printed : lines(run.out)) CHECK_MESSAGE(characters(printed) <= 80, printed);
  }
  CHECK(refuses(dir.run(f64, "bayes long.txt --lines --json"), 2, "the rows as JSON needs about"));
}

TEST_CASE("a file that is none, is empty or holds other bytes than a text is refused") {
  const Scratch dir;
  dir.write("empty.txt", "");
  dir.write("nul.txt", std::string("a\0b\n\0\n", 6));
  dir.make_folder("folder");
  CHECK(refuses(dir.run(f64, "bayes empty.txt --lines"), 4, "empty"));
  CHECK(refuses(dir.run(f64, "bayes nul.txt --lines --json"), 4, "the byte 0x00, which no text contains"));
  CHECK(refuses(dir.run(f64, "bayes nothing.txt --lines"), 4, "nothing.txt"));
  CHECK(refuses(dir.run(f64, "bayes folder --lines"), 4, "folder"));
}

TEST_CASE("what is no prior, no counted family and no text of lines is refused") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  for (const std::string prior : {"dirichlet", "dirichlet:", "dirichlet:0", "dirichlet:-1", "dirichlet:nan",
                                  "dirichlet:inf", "dirichlet:1e308", "dirichlet:1e999", "dirichlet:1x", "gamma:1"})
    CHECK(refuses(dir.run(f64, "bayes two_words.txt --lines --prior " + prior), 2, "must be dirichlet:A"));
  CHECK(refuses(dir.run(f64, "bayes two_words.txt --model lstm"), 2, "must be one of ngram | tabular"));
  CHECK(refuses(dir.run(f64, "bayes two_words.txt"), 2, "a tabular model needs lines (--lines)"));
  CHECK(refuses(dir.run(f64, "bayes"), 2, "bayes needs a text"));
  dir.write("other.txt", "the cow\n");
  CHECK(refuses(dir.run(f64, "bayes two_words.txt --lines --tokenizer word --held-out other.txt"), 4, "cow"));
  CHECK(refuses(dir.run(f64, "bayes two_words.txt --model ngram --held-out other.txt"), 2, "needs --lines"));
}

TEST_CASE("the lesson has the worked numbers, in lines of 80 characters, and names every defect") {
  const Scratch dir;
  const Run run = dir.run(f64, "bayes --lesson");
  CHECK(exits(run, 0));
  for (const std::string& line : lines(run.out)) CHECK_MESSAGE(characters(line) <= 80, line);
  for (const char* number :
       {"0.357143", "0.285714", "0.214286", "0.142857", "-15.0974439037594", "-12.7985422583367", "-1.51551212348465",
        "-1.918938533205", "-1.862085713765", "0.403426409720", "0.346573590280", "0.066667", "0.123718"})
    CHECK_MESSAGE(contains(run.out, number), number);
  for (const char* defect : {"D51", "D52", "D53", "D54", "D55", "D56", "D57", "--model vae", "D58", "D59", "D60"})
    CHECK_MESSAGE(contains(run.out, defect), defect);
  CHECK(refuses(dir.run(f64, "bayes --lesson x.txt"), 2, "--lesson takes no file"));
  CHECK(refuses(dir.run(f64, "bayes --lesson --json"), 2, "is a page to read"));
}

TEST_SUITE_END();
