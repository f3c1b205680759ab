// gradus step as text and as JSON, and what it and train --trace refuse. Its keys and its page are in
// tests/test_step.sh.
#include <cmath>

#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("step");

TEST_CASE("every gradient of every example agrees with finite differences, in double precision from both builds") {
  const Scratch dir;
  for (const std::string example : {"scalar", "neuron", "lstm", "attention", "kl", "elbo", "reinforce", "ppo"}) {
    CAPTURE(example);
    const Run run = dir.run(f64, "step " + example);
    CHECK(exits(run, 0));
    CHECK(!contains(run.out, "DOES NOT MATCH"));
    CHECK(dir.run(f64, "step --all " + example).out == run.out);
    const Run json = dir.run(f64, "step --json " + example);
    CHECK(exits(json, 0));
    CHECK(json.json().at("precision") == "f64");
    // The float program hands over, so a zero is a zero there too.
    CHECK(dir.run(f32, "step " + example).out == run.out);
    CHECK(dir.run(f32, "step --json " + example).out == json.out);
  }
}

TEST_CASE("the steps of the example kl show each op, where it was called, its formula and its numbers") {
  const Scratch dir;
  const std::string text = dir.run(f64, "step kl").out;
  for (const std::string part :
       {"forward 1/5, op 0: π = softmax(z)", "apps/step/examples.cpp:", "Backward begins. The loss is 0.09979",
        "π, element [0,0]: e^u_j / Σ_k e^u_k = e^-0.6931 / (e^-0.6931 + ", "backward 4/5, op 1: log π = log_softmax(z)",
        "  ∂z += [1,4]                      0         0         0         0\n", "backward 5/5, op 0: π = softmax(z)",
        "∂u += y ∘ (∂y − y·∂y) (u = z, y = π)", "∂z, element", "0.06168   -0.1011  -0.07929    0.1187"}) {
    CAPTURE(part);
    CHECK(contains(text, part));
  }
}

TEST_CASE("where gradus-f64 is not beside it the float program says that it steps in single precision") {
  const Scratch dir;
  CHECK(exits(dir.run({"cp", program(f32), "alone"}), 0));
  const Run run = dir.run({"./alone", "step", "kl", "--json"});
  CHECK(exits(run, 0));
  CHECK(run.json().at("precision") == "f32");
  CHECK(contains(run.err, "single precision"));
  CHECK(exits(dir.run({"cp", program(f64), "gradus-f64"}), 0));
  CHECK(dir.run({"./alone", "step", "kl", "--json"}).json().at("precision") == "f64");
}

TEST_CASE("without a name gradus step shows the scalar example, and refuses unknown names and folders") {
  const Scratch dir;
  const Run run = dir.run(f64, "step");
  CHECK(exits(run, 0));
  CHECK(contains("\n" + run.out, "\nscalar: "));
  CHECK(refuses(dir.run(f64, "step nobody"), 2, "scalar | neuron | lstm | attention | kl | elbo | reinforce | ppo"));
  CHECK(refuses(dir.run(f64, "step kl --html nowhere/step.html"), 3, "nowhere"));
}

TEST_CASE("--trace refuses a model too large for a page and steps that will not be") {
  const Scratch dir;
  dir.write("few.txt", repeated("abab cabba bacab abba cab ", 6));
  const std::string train = "train few.txt --out new --steps 4 --quiet --trace ";
  const Run large = dir.run(f64, train + "1 step.html --batch 7 --shards 2");
  CHECK(refuses(large, 2, "a page holds"));
  // The command that it proposes fits, and has what was typed and as few other options as will do.
  CHECK(contains(large.err, "--trace 1 step.html --batch 1 --shards 1"));
  CHECK_FALSE(contains(large.err, "--hidden"));
  CHECK(exits(dir.run({"sh", "-c", between(large.err, "a smaller one fits: ", "\n")}), 0));
  CHECK(contains(dir.read("step.html"), "of training a Transformer on a batch of 1 sequence"));
  dir.remove("new");
  CHECK(refuses(dir.run(f64, train + "5 step.html"), 2, "steps 1 to 4"));
  CHECK(refuses(dir.run(f64, train + "0 step.html"), 2, "1 or later"));
  CHECK(refuses(dir.run(f64, train + "2 --model lstm"), 2, "--trace 2 --model: needs a step and a file name"));
  CHECK(refuses(dir.run(f64, train + "2"), 2, "gradus: --trace needs two values: STEP FILE\n"));
}

static const std::string kTraced =
    "train few.txt --out new --model lstm --embd 4 --hidden 3 --context 4 --batch 2 --shards 2 --dropout 0.1"
    " --ops composed --eval-every 0 ";

TEST_CASE("a traced page that cannot be written is refused before the run begins, which leaves nothing") {
  const Scratch dir;
  dir.write("few.txt", repeated("abab cabba bacab abba cab ", 6));
  dir.make_folder("folder");
  for (const std::string page : {"nowhere/step.html", "few.txt/step.html", "folder"}) {
    CAPTURE(page);
    CHECK(refuses(dir.run(f64, kTraced + "--steps 4 --trace 1 " + page), 3, page));
  }
  CHECK(exits(dir.run(f64, kTraced + "--steps 4 --trace 1 folder/step.html"), 0));
  CHECK(dir.has("folder/step.html"));
}

TEST_CASE("a traced page whose folder goes during the run ends no run, but is told in the end") {
  const Scratch dir;
  dir.write("few.txt", repeated("abab cabba bacab abba cab ", 6));
  dir.make_folder("pages");
  Child child = dir.start(f64, kTraced + "--steps 3000 --trace 2999 pages/step.html");
  CHECK(wait_until([&] { return dir.logged_steps("new") >= 1; }));
  dir.remove("pages");
  const Run run = child.wait();
  CHECK(exits(run, 3));
  CHECK(dir.saved_steps("new") == 3000);
  CHECK(contains(run.err, "gradus: pages/step.html"));
  CHECK(contains(run.out, "warning: pages/step.html"));
}

// The page's trace.
static Json trace_of_page(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"trace\">";
  const size_t at = page.find(begin);
  CHECK(at != page.npos);
  return at == page.npos ? Json::object()
                         : Json::parse(page.substr(at + begin.size(), page.find("</script>", at) - at - begin.size()));
}

static std::vector<double> column(const Json& table, const std::string& name) {
  std::vector<double> x;
  for (size_t c = 0; c < table.at("columns").size(); ++c)
    for (const Json& row : table.at("rows"))
      if (table.at("columns")[c] == name) x.push_back(row[c].get<double>());
  return x;
}

TEST_CASE(
    "the steps of reinforce and ppo show the draws, what they are paid, weights, and the policy before and after") {
  const Scratch dir;
  for (const std::string example : {"reinforce", "ppo"}) {
    CAPTURE(example);
    const std::string text = dir.run(f64, "step " + example).out;
    for (const std::string part : {"draws 4 texts", "log π/q", "cₜ = rₜ − β (log πₜ − log qₜ)", "π before",
                                   "Backward begins.", "change of w", "π*"}) {
      CAPTURE(part);
      CHECK(contains(text, part));
    }
    const Json trace = dir.run(f64, "step --json " + example).json();
    const size_t updates = example == "ppo" ? 3 : 1;
    CHECK(trace.at("opening").size() == 4 + (example == "ppo" ? 2 : 1) * updates);
    CHECK(trace.at("closing").size() == 2);
    // The policy is a distribution before and after; J is that of the documents' sums over it, and the step raises it.
    const Json &exact = trace.at("closing")[1].at("tables")[0], &all = trace.at("closing")[1].at("tables")[1];
    const std::vector<double> q = column(all, "q"), r = column(all, "reward"), J = column(exact, "J");
    for (const size_t i : {0, 1}) {
      const std::vector<double> pi = column(all, i == 0 ? "π before" : "π after");
      double wanted = 0;
      for (size_t k = 0; k < pi.size(); ++k) wanted += pi[k] * (r[k] - 0.5 * std::log(pi[k] / q[k]));
      CHECK(near(J.at(i), wanted, 1e-12));
    }
    CHECK(J.at(1) < 0.787778558825813);
    for (const char* name : {"q", "π before", "π after", "π*"}) {
      double sum = 0;
      for (const double p : column(all, name)) sum += p;
      CHECK(near(sum, 1, 1e-12));
    }
    // Ratios are 1 in the first pass over the batch, and the clip acts in a later one.
    if (example == "reinforce") continue;
    for (const double ratio : column(trace.at("opening")[4].at("tables")[0], "ρ")) CHECK(ratio == 1);
    CHECK(contains(trace.at("opening")[8].dump(), "\"held\""));
  }
}

static const std::string kTuned =
    "tune table --out new --reward contains:cat --kl-coef 0.5 --max-tokens 3 --batch 6"
    " --lr 0.05 --quiet --steps 5 ";

TEST_CASE("tune --trace writes a step of the run, which goes on as without it, with the loss, KL and J of the log") {
  const Scratch dir;
  table_prior(dir);
  for (const std::string algorithm :
       {"reinforce", "ppo", "grpo --group 3", "actor-critic", "f-dpg", "soft-q", "dqn --replay 0"}) {
    CAPTURE(algorithm);
    const std::string run = kTuned + "--algorithm " + algorithm;
    CHECK(exits(dir.run(f64, run), 0));
    const std::string weights = dir.read("new/checkpoint.safetensors");
    dir.remove("new");
    const Run traced = dir.run(f64, run + " --trace 4 step.html");
    CHECK(exits(traced, 0));
    CHECK(dir.read("new/checkpoint.safetensors") == weights);
    const Json trace = trace_of_page(dir.read("step.html")), step = dir.log("new", "step").at(3);
    CHECK(dir.valid_html("step.html"));
    const Json& texts = trace.at("opening")[0].at("tables")[0];
    double reward = 0, kl = 0;
    const std::vector<double> r = column(texts, "reward"), pi = column(texts, "log π"), q = column(texts, "log q");
    for (const double x : r) reward += x / double(r.size());
    for (size_t i = 0; i < pi.size(); ++i) kl += (pi[i] - q[i]) / double(pi.size());
    CHECK(near(reward, step["reward"].get<double>(), 1e-12));
    if (!step["kl"].is_null()) CHECK(near(kl, step["kl"].get<double>(), 1e-12));
    CHECK(trace.at("closing").size() == 2);
    dir.remove("new");
  }
}

TEST_CASE("tune --trace refuses a run too large for a page, replayed batches and steps that will not be") {
  const Scratch dir;
  table_prior(dir);
  lstm_prior(dir);
  CHECK(refuses(dir.run(f64, kTuned + "--trace 6 step.html"), 2, "steps 1 to 5"));
  CHECK(refuses(dir.run(f64, kTuned + "--trace 0 step.html"), 2, "1 or later"));
  CHECK(refuses(dir.run(f64, kTuned + "--trace 2 nowhere/step.html"), 3, "nowhere"));
  CHECK(refuses(dir.run(f64, "tune lstm --out new --reward contains:a --steps 2 --trace 1 step.html"), 2,
                "a page holds"));
  const Run replayed = dir.run(f64, kTuned + "--algorithm dqn --trace 2 step.html");
  CHECK(refuses(replayed, 2, "--replay 0"));
  CHECK(!dir.has("new"));
  // What the sentence proposes works.
  CHECK(exits(dir.run(f64, kTuned + "--algorithm dqn --trace 2 step.html --replay 0"), 0));
  CHECK(dir.has("step.html"));
}

TEST_SUITE_END();
