// gradus bayes: the posterior of counted probabilities, and its predictive.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>

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

static const std::string kSmall =
    " --lines --tokenizer word --model nnlm --embd 4 --hidden 4 --context 4 --val-fraction 0 --batch 5 --draws 8 "
    "--shards 1";
static std::string train_with(const std::string& posterior, const std::string& out) {
  return "train two_words.txt --out " + out + kSmall + " --posterior " + posterior +
         (posterior == "variational" ? " --steps 60 --lr 0.03" : " --chains 2 --steps 60 --lr 0.05");
}

// Of small parameters each number is told, with its sign; and of chains a parameter is traced.
static void check_listed(const Scratch& dir, const Json& parameters, const std::string& posterior) {
  int64_t listed = 0, negative = 0;
  const std::string page = dir.read("whole/report.html"), told = dir.run(f64, "inspect whole").out;
  for (const Json& p : parameters) {
    int64_t n = 1;
    for (const Json& size : p["shape"]) n *= size.get<int64_t>();
    CHECK(p.contains("means") == (n <= 16));
    if (n > 16) continue;
    ++listed;
    double squares = 0, spreads = 0;
    for (size_t i = 0; i < size_t(n); ++i) {
      const double mean = p["means"][i].get<double>(), spread = p["deviations"][i].get<double>();
      squares += mean * mean, spreads += spread * spread;
      negative += mean < 0;
      char shown[80];
      std::snprintf(shown, sizeof shown, "%.4g ± %.4g", mean, spread);
      CHECK(contains(page, shown));
      std::snprintf(shown, sizeof shown, "%.3g ± %.3g", mean, spread);
      CHECK(contains(told, shown));
    }
    CHECK(near(std::sqrt(squares / double(n)), p["mean"].get<double>(), 1e-9));
    CHECK(near(std::sqrt(spreads / double(n)), p["spread"].get<double>(), 1e-9));
  }
  CHECK(listed > 0);
  CHECK(negative > 0);
  CHECK(contains(page, "First number of the first parameter, of each chain") == (posterior != "variational"));
}

TEST_CASE("the report has a curve of every chain, of up to 16") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  CHECK(exits(dir.run(f64,
                      "train two_words.txt --out whole --lines --tokenizer word --model nnlm --embd 2 --hidden 2 "
                      "--posterior sgld --chains 16 --draws 16 --steps 8 --lr 0.01"),
              0));
  const std::string page = dir.read("whole/report.html");
  CHECK(contains(page, "chain 16"));
}

TEST_CASE(
    "a run with a posterior is scored, sampled, measured and listed by its predictive, and goes on where it was") {
  for (const std::string posterior : {"variational", "sgld", "hmc"}) {
    CAPTURE(posterior);
    const Scratch dir;
    dir.write("two_words.txt", four_sentences());
    const Run train = dir.run(f64, train_with(posterior, "whole") + " --json");
    CHECK(exits(train, 0));
    const Json said = train.json()["posterior"];
    CHECK(said["draws"] == Json(8));
    CHECK(said.contains("elbo") == (posterior == "variational"));
    CHECK(said.contains("r_hat") == (posterior != "variational"));
    if (posterior != "variational") CHECK(said["acceptance"].is_null() == (posterior == "sgld"));
    if (posterior == "hmc") CHECK(said["r_hat"].get<double>() > 0.9);

    const Json world = dir.run(f64, "exact sequences whole --max-tokens 3 --json").json();
    CHECK(near(world["total_probability"].get<double>(), 1, 1e-9));
    double nats = 0;
    for (const Json& sequence : world["sequences"]) {
      if (sequence["ended"] == Json(false)) continue;
      const Json score = dir.run(f64, "score whole", {.in = sequence["text"].get<std::string>() + "\n"}).json();
      CHECK(near(score["log_prob"].get<double>(), sequence["log_prob"].get<double>(), 1e-9));
      const std::string text = sequence["text"].get<std::string>();
      const int n = text == "the cat" ? 4 : text == "the dog" ? 3 : text == "a cat" ? 2 : text == "a dog" ? 1 : 0;
      nats -= n * score["log_prob"].get<double>();
    }
    const Json eval = dir.run(f64, "eval whole two_words.txt --json").json();
    CHECK(near(30 * eval["nats_per_token"].get<double>(), nats, 1e-8));
    const Json sample = dir.run(f32, "sample whole --count 2 --json").json();  // the float build reads it too
    CHECK(sample["samples"].size() == 2);

    // Stopped and resumed, the same bits, and as many threads as one likes.
    CHECK(exits(dir.run(f64, train_with(posterior, "halves") + " --stop-after 25"), 130));
    CHECK(exits(dir.run(f64, "train --out halves --resume --threads 2"), 0));
    CHECK(dir.same_weights("whole", "halves"));

    const Json inside = dir.run(f64, "inspect whole --json").json();
    CHECK(inside["posterior"].size() > 3);
    for (const Json& p : inside["posterior"]) CHECK(p["spread"].get<double>() > 0);
    CHECK(contains(dir.run(f64, "inspect whole").out, "the posterior of each parameter"));
    CHECK(exits(dir.run(f64, "report whole"), 0));
    CHECK(dir.valid_html("whole/report.html"));
    CHECK(contains(dir.read("whole/report.html"), "Posterior over the parameters"));
    check_listed(dir, inside["posterior"], posterior);

    // The mean alone is a run like any other.
    CHECK(refuses(dir.run(f64, "tune whole --out t --reward end"), 2, "gradus merge"));
    CHECK(exits(dir.run(f64, "merge whole --out mean"), 0));
    CHECK(exits(dir.run(f64, "tune mean --out t --reward end --steps 1 --batch 2"), 0));
    CHECK(exits(dir.run(f64, "exact compare whole mean --max-tokens 3"), 0));
  }
}

TEST_CASE("a run that has ended and is resumed, or begins without steps, tells everything once and burns in") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  for (const std::string posterior : {"variational", "hmc"}) {
    CAPTURE(posterior);
    CHECK(exits(dir.run(f64, train_with(posterior, posterior)), 0));
    const std::vector<Json> before = dir.log(posterior);
    CHECK(exits(dir.run(f64, "train --out " + posterior + " --resume"), 0));
    CHECK(dir.log(posterior).size() == before.size());
  }
  CHECK(exits(
      dir.run(f64, "train two_words.txt --out none" + kSmall + " --posterior hmc --chains 2 --steps 0 --lr 0.05"), 0));
  const Run few = dir.run(f64, "train two_words.txt --out none --resume --steps 6");
  CHECK(refuses(few, 2, "leaves 3 of --steps 6"));
  CHECK(exits(dir.run(f64, "train --out none --resume --steps 60"), 0));
  CHECK(dir.same_steps("none", "hmc"));
}

TEST_CASE("Ctrl-C ends a trajectory that would take hours at once, and the last whole step is saved") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  CHECK(exits(dir.run(f64, "train two_words.txt --out run" + kSmall +
                               " --posterior hmc --chains 2 --leapfrog 1000000 --steps 0"),
              0));
  Child child = dir.start(f64, "train --out run --resume --steps 60", {.seconds = 20});
  ::usleep(1500000);
  child.kill(SIGINT);
  const Run run = child.wait();
  CHECK(exits(run, 130));
  CHECK(dir.saved_steps("run") == 0);
  CHECK(dir.logged_steps("run") == 0);
}

TEST_CASE("a guide's loss is an estimate for the whole text, in which a long line counts by its length") {
  const Scratch dir;
  dir.write("lines.txt", "a\na\nb b a b a b a a b b a b a b a b a\na\nb\n");
  CHECK(exits(dir.run(f64,
                      "train lines.txt --out run --lines --tokenizer word --model nnlm --embd 4 --hidden 4 "
                      "--context 32 --val-fraction 0 --batch 1 --steps 30 --lr 0 --min-lr 0 --posterior variational"),
              0));
  double least = INFINITY, most = -INFINITY;
  for (const Json& step : dir.log("run", "step")) {
    least = std::min(least, step["loss"].get<double>());
    most = std::max(most, step["loss"].get<double>());
  }
  // Of 26 targets in 5 lines a line has 2 or 18: some 5/26 · 16 · log 3 nats between them, and the same KL.
  CHECK(std::fabs(most - least - 5. / 26 * 16 * std::log(3.)) < 1.5);
}

TEST_CASE("of one long text a guide's step sees one of the windows that it is cut into, the last one shorter") {
  const Scratch dir;
  dir.write("text.txt", "abbababaabbbababaabab");  // 20 targets: 8, 8 and 4
  CHECK(exits(dir.run(f64,
                      "train text.txt --out run --model nnlm --embd 4 --hidden 4 --context 8 --val-fraction 0 "
                      "--batch 1 --steps 20 --lr 0 --min-lr 0 --posterior variational"),
              0));
  std::vector<double> losses;
  for (const Json& step : dir.log("run", "step")) losses.push_back(step["loss"].get<double>());
  std::ranges::sort(losses);
  // The short one costs some 3/20 · 4 · log 2 less: a gap between two groups, and none where all have 8 targets.
  double gap = 0;
  for (size_t i = 1; i < losses.size(); ++i) gap = std::max(gap, losses[i] - losses[i - 1]);
  CHECK(gap > 0.25);
}

TEST_CASE("a chain that never moved is worth no draw, and the sentence says what to do") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  const std::string begin =
      "train two_words.txt --lines --tokenizer word --model nnlm --embd 4 --hidden 4 --json --out ";
  int runs = 0;
  for (const std::string more : {"--steps 65 --chains 1 --draws 4", "--steps 9 --chains 4 --draws 8",
                                 "--steps 65 --chains 4 --draws 8", "--steps 65 --chains 2 --draws 8"}) {
    CAPTURE(more);
    const bool rejects = ++runs < 4;
    const std::string out = "run" + std::to_string(runs);
    const Run train = dir.run(f32, begin + out + (rejects ? " --posterior hmc --lr 50 " : " --posterior sgld --lr 0 ") +
                                       (rejects ? "" : "--min-lr 0 ") + "--burn-in 1 " + more);
    CHECK(exits(train, 0));
    CHECK(contains(train.err, rejects
                                  ? "acceptance 0.000: chain 1 has not moved; use a smaller --lr or a longer --burn-in."
                                  : "2 chains: chain 1 has not moved; use a larger --lr."));
    CHECK(contains(train.err, runs == 1 ? "Posterior: 1 chain, " : " chains"));
    CHECK_FALSE(contains(train.err, "R̂"));
    const Json said = train.json()["posterior"];
    CHECK(said["ess"] == Json(0.0));
    CHECK(said["r_hat"].is_null());
  }
}

TEST_CASE("what reads a run that stopped in its burn-in says that its draws are none of the posterior") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  const std::string note =
      "note: run/checkpoint.safetensors is of step 25 of 60: 8 of its 8 draws are states of the "
      "burn-in (to step 30)";
  CHECK(exits(dir.run(f64, train_with("sgld", "run") + " --stop-after 25"), 130));
  for (const std::string command :
       {"eval run two_words.txt", "inspect run", "sample run", "score run", "exact sequences run --max-tokens 3",
        "exact compare run run --max-tokens 3", "compare run run --samples 2", "merge run --out mean"}) {
    CAPTURE(command);
    CHECK(contains(dir.run(f64, command, {.in = "the cat\n"}).err, note));
  }
  CHECK_FALSE(contains(dir.run(f64, "eval run two_words.txt --quiet").err, "note"));
  CHECK(exits(dir.run(f64, "train --out run --resume --stop-after 50"), 130));  // of four draws each, three are there
  CHECK(contains(dir.run(f64, "eval run two_words.txt").err, "2 of its 8 draws"));
  CHECK(exits(dir.run(f64, "train --out run --resume"), 0));
  CHECK_FALSE(contains(dir.run(f64, "eval run two_words.txt").err, "burn-in"));
}

TEST_CASE("a run without a posterior says nothing of one in its files") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  CHECK(exits(dir.run(f64, "train two_words.txt --out plain" + kSmall + " --steps 2"), 0));
  const std::string config = dir.run(f64, "inspect plain --json").json()["metadata"]["config"].get<std::string>();
  for (const char* name : {"posterior", "prior_scale", "burn_in", "chains", "leapfrog"})
    CHECK_FALSE(contains(config, name));
  CHECK_FALSE(dir.run(f64, "inspect plain --json").json().contains("posterior"));
}

TEST_CASE("options of posteriors that mean nothing are named, and those that do not fit are refused") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  const Run note = dir.run(f64, train_with("variational", "a") + " --weight-decay 0.1 --leapfrog 3 --chains 2");
  CHECK(exits(note, 0));
  CHECK(contains(note.err, "--chains, --leapfrog, --weight-decay have no meaning for --posterior variational"));
  CHECK(contains(dir.run(f64, "train two_words.txt --out b" + kSmall + " --steps 1").err,
                 "--draws has no meaning for --posterior none"));
  const std::string lines = "train two_words.txt --lines --tokenizer word --out c ";
  CHECK(refuses(dir.run(f64, lines + "--model tabular --posterior hmc"), 2, "gradus bayes"));
  CHECK(refuses(dir.run(f64, lines + "--model masked --posterior hmc"), 2, "says nothing of what follows"));
  CHECK(refuses(dir.run(f64, lines + "--posterior mcmc"), 2, "none | variational | sgld | hmc"));
  CHECK(refuses(dir.run(f64, lines + "--posterior sgld --draws 30"), 2, "use a multiple of 4"));
  CHECK(refuses(dir.run(f64, lines + "--posterior hmc --steps 20 --burn-in 13"), 2, "leaves 7 of --steps 20"));
  CHECK(refuses(dir.run(f64, lines + "--posterior sgld --steps 20 --burn-in 30"), 2, "leaves 0 of --steps 20"));
  for (const std::string kind : {"variational", "sgld", "hmc"})
    CHECK(refuses(dir.run(f64, lines + "--model lstm --dropout 0.1 --posterior " + kind), 2,
                  "makes the likelihood of the same parameters another one each time; leave it out"));
  CHECK(refuses(dir.run(f64, lines + "--posterior hmc --lr 0 --steps 64"), 2,
                "--lr 0: the step size of a trajectory must be above 0"));
  CHECK(refuses(dir.run(f64, lines + "--posterior hmc --adapter lora:2"), 2, "--adapter"));
  std::string small = kSmall;
  small.replace(small.find("--draws 8"), 9, "--draws 1");
  const Run one_draw = dir.run(f64, "train two_words.txt --out g" + small + " --posterior variational --steps 3");
  CHECK(contains(one_draw.out, "ELBO -"));
  CHECK_FALSE(contains(one_draw.out, "nan"));
  CHECK(exits(dir.run(f64, "train two_words.txt --out f" + kSmall + " --posterior hmc --chains 2 --lr 1e-5 --steps 20"),
              0));  // below the usual --min-lr
  const Run of_chain =
      dir.run(f64, train_with("hmc", "e") + " --min-lr 0.01 --decay-steps 9 --warmup 3 --clip 2 --beta1 0.5");
  CHECK(exits(of_chain, 0));
  CHECK(
      contains(of_chain.err, "--min-lr, --warmup, --decay-steps, --beta1, --clip have no meaning for --posterior hmc"));
  CHECK(refuses(dir.run(f64, lines + "--posterior sgld --trace 1 x.html"), 2, "shows a step of one set of parameters"));
  CHECK(refuses(dir.run(f64, "train two_words.txt --from a --posterior hmc --out d"), 2, "do not go together"));
}

TEST_SUITE_END();
