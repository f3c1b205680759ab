// train --posterior: runs with a posterior over the parameters, by a guide or by chains, through every command that
// reads them.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("posterior");

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
