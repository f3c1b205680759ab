// gradus tune: the truth in its log and JSON, what its report shows, prompts, and what it refuses.
#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("tune");

TEST_CASE("tuning a table reaches the exact posterior, and log, JSON and report say how near it came") {
  const Scratch dir;
  table_prior(dir);
  const Run run =
      dir.run(f64, "tune table --out t --reward contains:cat --kl-coef 0.5 --max-tokens 3 --lr 0.1 --steps 120 --json");
  CHECK(exits(run, 0));
  const Json said = run.json();
  for (const std::string field : {"steps", "reward", "kl", "kl_stderr", "entropy", "objective", "distinct_2", "seconds",
                                  "kl_exact", "objective_exact", "j_star", "kl_to_posterior"}) {
    CAPTURE(field);
    CHECK(said.contains(field));
  }
  CHECK(near(said["j_star"].get<double>(), 0.787778558825813, 1e-15));
  CHECK(near(said["kl_to_posterior"].get<double>(), 0.5e-3, 0.5e-3));
  CHECK(said["objective_exact"].get<double>() >= 0.7868);
  CHECK(said["objective_exact"].get<double>() <= 0.787778558825814);
  CHECK(near(said["kl_exact"].get<double>(), 0.26, 0.02));

  const std::vector<Json> steps = dir.log("t", "step");
  CHECK(steps.size() == 120);
  CHECK(steps.at(0)["kl"] == Json(0.0));
  CHECK(steps.at(0)["kl_stderr"] == Json(0.0));
  CHECK(steps.at(0)["kl_exact"] == Json(0.0));
  CHECK(dir.log("t", "sample").size() == 2);
  const Json bars = dir.log("t", "posterior").at(0)["bars"], &bar = bars[0];
  CHECK(names(bar) == std::vector<std::string>{"text", "policy", "prior", "posterior"});
  CHECK(bar["text"] == Json("the cat"));
  CHECK(near(bar["policy"].get<double>(), 0.6, 0.1));
  CHECK(near(bar["prior"].get<double>(), 0.4, 0.1));
  CHECK(near(bar["posterior"].get<double>(), 0.615, 0.005));
  CHECK(contains(dir.report("t"), "KL(policy, posterior)"));
  CHECK(dir.valid_html("t/report.html"));

  const Run compared = dir.run(f64, "exact compare t table --max-tokens 3 --json");
  CHECK(exits(compared, 0));
  CHECK(near(compared.json()["kl_ab"].get<double>(), 0.26, 0.02));
}

TEST_CASE("a feed-forward network is tuned towards the posterior, from a prior that knows its sentences") {
  const Scratch dir;
  dir.write("two_words.txt", four_sentences());
  dir.must(f64,
           "train two_words.txt --out prior --model nnlm --lines --tokenizer word --embd 16 --hidden 16 --quiet"
           " --batch 10 --steps 400 --lr 2e-2 --min-lr 2e-4 --warmup 5 --weight-decay 0 --val-fraction 0");
  const Json loss = dir.must(f64, "eval prior two_words.txt --json").json()["nats_per_token"];
  CHECK(near(3 * loss.get<double>(), 1.289, 0.01));  // of three tokens; the entropy of the sentences is 1.2798...
  const Json said = dir.must(f64,
                             "tune prior --out tuned --reward contains:cat --kl-coef 0.5 --max-tokens 3"
                             " --lr 0.01 --steps 60 --json")
                        .json();
  CHECK(said["kl_to_posterior"].get<double>() < 0.05);
  CHECK(said["objective_exact"].get<double>() <= said["j_star"].get<double>());
  const Json all = dir.must(f64, "exact sequences tuned --max-tokens 3 --json").json();
  CHECK(near(all["total_probability"].get<double>(), 1, 1e-12));
}

TEST_CASE("with --exact never no exact number is said") {
  const Scratch dir;
  table_prior(dir);
  const Run run = dir.run(f64, "tune table --out n --reward end --max-tokens 3 --steps 2 --exact never --json");
  CHECK(exits(run, 0));
  CHECK(!run.json().contains("j_star"));
}

TEST_CASE("the report of a tuned run shows its curves, and its command makes the same run") {
  const Scratch dir;
  lstm_prior(dir);
  CHECK(exits(
      dir.run(f64,
              "tune lstm --out r --reward contains:cat --entropy-coef 0.1 --max-tokens 4 --steps 3 --shards 2 --quiet",
              {.words = {"--reward", "0.5*count:'"}}),
      0));
  const std::string page = dir.report("r");
  for (const std::string curve :
       {"Sequences cut at the limit", "Length, tokens", "reward − β KL + α entropy", "Distinct n-grams"}) {
    CAPTURE(curve);
    CHECK(contains(page, curve));
  }
  CHECK(!contains(page, "KL coefficient β"));  // it stays what it is
  std::string command = between(page, "<code>" + program(f64) + " tune ", "<");
  const std::vector<std::pair<std::string, std::string>> escapes = {
      {"&#39;", "'"}, {"&quot;", "\""}, {"&gt;", ">"}, {"&lt;", "<"}, {"&amp;", "&"}};
  for (const auto& [escape, letter] : escapes)
    for (size_t at; (at = command.find(escape)) != command.npos;) command.replace(at, escape.size(), letter);
  CAPTURE(command);
  const Run again = dir.run({"sh", "-c", "\"$0\" tune " + command, program(f64)});  // quoted for a shell
  CHECK(exits(again, 0));
  CHECK(!contains(again.err, "note"));
  CHECK(dir.same_logs("r", "r-again"));
}

TEST_CASE("the report of a run with a KL target shows the coefficient that is steered") {
  const Scratch dir;
  lstm_prior(dir);
  CHECK(exits(dir.run(f64, "tune lstm --out r2 --reward end --kl-target 0.2 --max-tokens 4 --steps 3 --quiet"), 0));
  CHECK(contains(dir.report("r2"), "KL coefficient β"));
}

TEST_CASE("tune refuses options that contradict each other and models that have no parameters, and makes no folder") {
  struct Row {
    std::string options;
    int code;
    std::string message;
  };
  const Scratch dir;
  lstm_prior(dir);
  for (const Row& row : {Row{"", 2, "needs a --reward"},
                         {"--reward bliss", 2, "bliss"},
                         {"--reward x*end", 2, "not a finite number"},
                         {"--reward blocklist:nowhere", 4, "nowhere"},
                         {"--reward end --kl-target 0", 2, "--kl-target"},
                         {"--reward end --kl-target 1 --kl-horizon 0", 2, "--kl-horizon"},
                         {"--reward end --kl-target 1 --kl-horizon 12.8", 2, "must be above 12.8"},
                         {"--reward end --kl-target 1 --kl-coef 0", 2, "--kl-coef"},
                         {"--reward end --kl-coef -1", 2, "--kl-coef"},
                         {"--reward end --batch 1", 2, "at least 2"},
                         {"--reward end --baseline best", 2, "leave-one-out"},
                         {"--reward end --prompt a --prompts q.txt", 2, "both"},
                         {"--reward end --prompt cow", 4, "cow"}}) {
    CAPTURE(row.options);
    CHECK(refuses(dir.run(f64, "tune lstm --out new --max-tokens 4 --steps 1 " + row.options), row.code, row.message));
  }
  dir.must(f64, "train q.txt --out bigram --lines --model ngram --order 2 --tokenizer word --quiet");
  transformer_prior(dir);
  CHECK(refuses(dir.run(f64, "tune bigram --out new --reward end"), 4, "no parameters"));
  CHECK(
      refuses(dir.run(f64, "tune tf --out new --reward end --max-tokens 8 --prompt 'the cat'"), 2, "the context of 8"));
  CHECK(refuses(dir.run(f64, "tune lstm --out new --reward end --exact always --max-tokens 30"), 4,
                "too many to enumerate"));
  CHECK(refuses(dir.run(f64, "tune nowhere --out new --reward end"), 4, "nowhere"));
  CHECK(!dir.has("new"));
}

TEST_CASE("an option that means nothing to the chosen baseline is accepted and named in a note") {
  const Scratch dir;
  lstm_prior(dir);
  const Run run = dir.run(f64, "tune lstm --out noted --reward end --max-tokens 4 --steps 1 --value-lr 1");
  CHECK(exits(run, 0));
  CHECK(contains(run.err, "note: --value-lr"));
}

TEST_CASE("prompts of a file are its lines but for empty ones, and the truth and relevance are about all of them") {
  const Scratch dir;
  transformer_prior(dir);
  dir.write("prompts.txt", "the\na\n\nthe\n");
  const Run run = dir.run(
      f64, "tune tf --out p --reward contains:cat --prompts prompts.txt --max-tokens 3 --steps 3 --batch 12 --json");
  CHECK(exits(run, 0));
  CHECK(contains(dir.read("p/log.jsonl"), R"("prompts":["the","a","the"])"));
  CHECK(run.json().contains("j_star"));
  CHECK(exits(dir.run(f64, "tune tf --out relevant --reward relevance --prompt the --max-tokens 3 --steps 1 --quiet"),
              0));
}

TEST_SUITE_END();
