// gradus tune and gradus exact by every method: the truth on the four sentences, a stopped run that is resumed, options
// that mean nothing or do not fit, values of prefixes, rewards watched, held out, paid by step and reached.
#include <algorithm>
#include <cmath>

#include "tests/program/priors.h"
#include "tests/program/program.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("algorithms");

static const std::vector<std::string> kMethods{"reinforce", "grpo", "ppo", "actor-critic", "f-dpg", "soft-q"};

TEST_CASE("on a table every method goes to the posterior, and both of action values to the best text") {
  const Scratch dir;
  table_prior(dir);
  for (const std::string& method : kMethods) {
    INFO(method);
    const std::string more = method == "grpo" ? " --no-divide-std --no-divide-length" : "";
    const Json said =
        dir.must(f64, "tune table --out run-" + method + " --algorithm " + method + more +
                          " --reward contains:cat --kl-coef 0.5 --max-tokens 3 --steps 120 --lr 0.05 --json")
            .json();
    CHECK(near(said["j_star"].get<double>(), 0.7877785588258, 1e-12));
    CHECK(said["kl_to_posterior"].get<double>() < 0.02);
    const Json last = dir.log("run-" + method, "step").back();
    const bool clips = method == "grpo" || method == "ppo", has_critic = method == "ppo" || method == "actor-critic";
    CHECK(last.contains("clip_share") == clips);
    CHECK(last.contains("explained_variance") == has_critic);
    CHECK(contains(dir.report("run-" + method), "Clipped draws") == clips);
    CHECK(contains(dir.report("run-" + method), "that the critic explains") == has_critic);
  }
  const std::string ppo = "tune table --algorithm ppo --reward contains:cat --max-tokens 3 --steps 2 --out ";
  CHECK(contains(dir.must(f64, ppo + "one").out, "with one update a step every ratio is 1"));
  CHECK(!contains(dir.must(f64, ppo + "four --epochs 4").out, "every ratio is 1"));
  for (const std::string method : {"q", "dqn"}) {
    INFO(method);
    const Json said =
        dir.must(f64, "tune table --out run-" + method + " --algorithm " + method +
                          " --reward contains:cat --max-tokens 3 --steps 60 --lr 0.1 --epsilon 0.5 --json")
            .json();
    CHECK(said["kl"] == Json(nullptr));
    CHECK(near(said["j_star"].get<double>(), 1, 1e-12));
    CHECK(near(said["objective_exact"].get<double>(), 1, 1e-12));
    const Json best = dir.must(f64, "sample run-" + method + " --tokens 3 --temperature 0 --json").json();
    CHECK(contains(best["samples"][0]["text"].get<std::string>(), "cat"));
    CHECK(
        contains(dir.must(f64, "sample run-" + method + " --tokens 3").err, "action values of --algorithm " + method));
    CHECK(contains(dir.must(f64, "exact sequences run-" + method + " --max-tokens 3").err, "action values"));
    CHECK(!contains(dir.must(f64, "sample run-" + method + " --tokens 3 --temperature 0").err, "note"));
  }
  const Run shown =
      dir.must(f64, "tune table --out shown --algorithm dqn --reward contains:cat --max-tokens 3 --steps 2");
  CHECK(contains(shown.out, "--temperature 0"));
  CHECK(!contains(shown.out, "KL 0."));
}

TEST_CASE("stopped in the middle and resumed, every method ends with the same bits") {
  const Scratch dir;
  lstm_prior(dir);
  table_prior(dir);
  for (const std::string& given :
       {std::string("grpo --epochs 2 --replay 1"), std::string("ppo --epochs 2 --minibatches 2 --replay 1"),
        std::string("ppo --epochs 4 --minibatches 2 --lr 0.03 --stop-kl 0.02"),
        std::string("actor-critic --replay 1 --pay step --gamma 0.9"), std::string("soft-q --replay 2 --pay step"),
        std::string("dqn --pay step --target-every 3"), std::string("q --replay 1")}) {
    INFO(given);
    const std::string from = given.starts_with("q ") ? "table" : "lstm";
    const auto tune = [&](const std::string& out, const std::string& more) {
      dir.must(f64,
               "tune " + from + " --out " + out + " --algorithm " + given +
                   " --reward count:cat --max-tokens 3 --batch 8 --group 4 --steps 8 --exact never --quiet" + more,
               {}, more.empty() ? 0 : 130);
    };
    for (const char* run : {"whole", "parts"}) dir.remove(run);
    tune("whole", "");
    tune("parts", " --stop-after 4");
    dir.must(f64, "tune --out parts --resume --quiet");
    CHECK(dir.same_weights("whole", "parts"));
    CHECK(dir.same_logs("whole", "parts"));
    if (given.find("stop-kl") == given.npos) continue;
    int64_t fewest = 8, most = 0;
    for (const Json& step : dir.log("whole", "step")) {
      fewest = std::min(fewest, step["updates"].get<int64_t>());
      most = std::max(most, step["updates"].get<int64_t>());
    }
    CHECK(fewest < 8);
    CHECK(most > 1);
    CHECK(contains(dir.report("whole"), "Updates of a step"));
  }
}

// What is paid with the third draw counts γ² = ¼: the optimum is that of exact values, not the posterior.
TEST_CASE(
    "with a discount every method goes to the optimum of exact values, which the log, the lines and the report name") {
  const Scratch dir;
  table_prior(dir);
  const Json values =
      dir.must(f64, "exact values table --max-tokens 3 --reward contains:cat --kl-coef 0.2 --gamma 0.5 --json").json();
  for (const std::string method : {"reinforce", "ppo", "soft-q"}) {
    INFO(method);
    const Run run =
        dir.must(f64, "tune table --out run-" + method + " --algorithm " + method +
                          " --reward contains:cat --kl-coef 0.2 --gamma 0.5 --max-tokens 3 --steps 150 --lr "
                          "0.05 --batch 128 --json");
    const Json said = run.json(), first = dir.log("run-" + method, "step").at(0);
    CHECK(near(said["j_star"].get<double>(), values["value"].get<double>(), 1e-12));
    CHECK(first["kl_to_posterior"].get<double>() > 0.05);
    CHECK(said["kl_to_posterior"].get<double>() < 0.03);
    CHECK(said["objective_exact"].get<double>() < said["j_star"].get<double>());
    CHECK(near(first["objective_exact"].get<double>(), 0.15, 1e-12));
    CHECK(near(first["objective"].get<double>(), 0.15, 0.05));
    const std::string page = dir.report("run-" + method);
    CHECK(contains(page, "KL(policy, optimum)"));
    CHECK(contains(page, "The optimum of discounted rewards"));
    CHECK(!contains(page, "osterior"));
  }
  CHECK(contains(dir.must(f64, "tune table --out one --reward contains:cat --gamma 0.5 --max-tokens 3 --steps 1").out,
                 "KL to optimum"));
  const Json q = dir.must(f64,
                          "tune table --out q --algorithm q --reward contains:cat --gamma 0.5 --max-tokens 3"
                          " --steps 40 --lr 0.1 --epsilon 0.5 --json")
                     .json();
  CHECK(near(q["j_star"].get<double>(), 0.25, 1e-12));
  CHECK(near(q["objective_exact"].get<double>(), 0.25, 1e-12));
  // f-DPG has no discount, and keeps none.
  const Run foreign = dir.must(
      f64,
      "tune table --out f --algorithm f-dpg --reward contains:cat --kl-coef 0.5 --gamma 0.5 --max-tokens 3 --steps 1"
      " --json");
  CHECK(contains(foreign.err, "--gamma has no meaning"));
  CHECK(near(foreign.json()["j_star"].get<double>(), 0.7877785588258, 1e-12));
}

TEST_CASE("exact values: the worked numbers, the greedy text, optimal probabilities, pay by step") {
  const Scratch dir;
  table_prior(dir);
  const std::string ask = "exact values table --max-tokens 3 --json ";
  const Json hard = dir.must(f64, ask + "--reward contains:cat").json();
  CHECK(names(hard) == std::vector<std::string>{"value", "greedy", "prefixes"});
  CHECK(hard["value"] == Json(1.0));
  CHECK(hard["greedy"]["text"] == Json("a cat"));  // as good as the other, and the first
  CHECK(hard["prefixes"].size() == 7);
  CHECK(hard["prefixes"][0]["text"] == Json(""));
  CHECK(hard["prefixes"][0]["tokens"].size() == 2);
  const Json soft = dir.must(f64, ask + "--reward contains:cat --kl-coef 0.5").json();
  CHECK(near(soft["value"].get<double>(), 0.7877785588258, 1e-12));
  for (const Json& prefix : soft["prefixes"]) {
    if (prefix["text"] == Json("the")) CHECK(near(prefix["value"].get<double>(), 0.7685292134965, 1e-12));
    if (prefix["text"] == Json("a")) CHECK(near(prefix["value"].get<double>(), 0.8300056935057, 1e-12));
    double sum = 0;
    for (const Json& token : prefix["tokens"]) {
      sum += token["p"].get<double>();
      if (prefix["text"] == Json("the") && token["text"] == Json("cat")) {
        CHECK(near(token["p"].get<double>(), 0.9078517224991, 1e-12));
        CHECK(near(token["q"].get<double>(), 1, 1e-12));
      }
    }
    CHECK(near(sum, 1, 1e-12));
  }
  const Json late = dir.must(f64, ask + "--reward count:cat --gamma 0.5").json(),
             early = dir.must(f64, ask + "--reward count:cat --gamma 0.5 --pay step").json();
  CHECK(late["value"] == Json(0.25));
  CHECK(early["value"] == Json(0.5));
  CHECK(contains(dir.must(f64, "exact values table --max-tokens 3 --reward contains:cat").out,
                 "The greedy policy writes \"a cat\""));
  CHECK(contains(dir.must(f64, "exact values table --max-tokens 3 --reward contains:cat --kl-coef 0.5").out,
                 "the optimum draws each token by its probability"));
  CHECK(refuses(dir.run(f64, ask + "--reward contains:cat --pay step"), 2, "count, length, blocklist"));
}

TEST_CASE("exact gradient: every method beside J, GRPO's bias, sampled ones in agreement") {
  const Scratch dir;
  table_prior(dir);
  dir.must(f64, "tune table --out moved --reward contains:cat --max-tokens 3 --steps 5 --lr 0.1 --quiet");
  const std::string ask = "exact gradient moved --prior table --kl-coef 0.5 --max-tokens 3 --out g --json ";
  const auto answer = [&](const std::string& more) { return dir.must(f64, ask + more).json(); };
  CHECK(!answer("--reward contains:cat --reward-to-go").contains("cosine_to_j"));  // it is that of J
  CHECK(answer("--reward contains:cat --reward-to-go --gamma 0.5")["norm_to_j"].get<double>() < 0.9);
  for (const std::string method : {"ppo", "actor-critic"}) {
    INFO(method);
    const Json said = answer("--reward contains:cat --algorithm " + method);
    CHECK(near(said["cosine_to_j"].get<double>(), 1, 1e-12));
    CHECK(near(said["norm_to_j"].get<double>(), 1, 1e-12));
  }
  const std::string grpo = "--reward contains:cat --algorithm grpo ";
  for (const int G : {2, 3}) {
    const Json plain = answer(grpo + "--no-divide-std --no-divide-length --group " + std::to_string(G));
    CHECK(near(plain["cosine_to_j"].get<double>(), 1, 1e-12));
    CHECK(near(plain["norm_to_j"].get<double>(), double(G - 1) / G, 1e-12));
  }
  const Json divided = answer(grpo + "--group 2 --no-divide-length");
  CHECK(divided["cosine_to_j"].get<double>() < 1 - 1e-4);
  CHECK(refuses(dir.run(f64,
                        "exact gradient moved --prior table --kl-coef 0.5 --max-tokens 3 --out g --reward count:t"
                        " --algorithm grpo --group 16"),
                4, "use --group 2"));
  for (const std::string method :
       {"ppo --gamma 0.8 --pay step --gae 0.5", "actor-critic --gamma 0.8", "grpo --group 2 --batch 16", "soft-q",
        "q --pay step", "dqn --gamma 0.9", "ppo --kl-estimator full"}) {
    INFO(method);
    const Json said = answer("--reward count:cat --estimator sampled --samples 4000 --algorithm " + method);
    CHECK(said["bias_z"].get<double>() < 4);
    CHECK(said["cosine"].get<double>() > 0.9);
  }
  CHECK(answer("--reward count:cat --algorithm q")["kl"] == Json(nullptr));
}

TEST_CASE("options without meaning are named, and those that do not fit are refused") {
  const Scratch dir;
  lstm_prior(dir);
  int runs = 0;
  const auto note = [&](const std::string& options) {
    return dir
        .must(f64, "tune lstm --out n" + std::to_string(++runs) + " --reward contains:cat --max-tokens 3 --steps 0 " +
                       options)
        .err;
  };
  CHECK(contains(note("--clip-ratio 0.1 --gae 0.5 --group 4"),
                 "--gae, --clip-ratio, --group have no meaning for --algorithm reinforce"));
  CHECK(contains(note("--algorithm dqn --kl-coef 1"), "--kl-coef has no meaning for --algorithm dqn"));
  CHECK(contains(note("--algorithm ppo --baseline value --no-divide-std"), "no meaning for --algorithm ppo"));
  CHECK(contains(note("--algorithm dqn --kl-target 1 --until-kl 2"),
                 "--kl-target, --until-kl have no meaning for --algorithm dqn"));
  CHECK(contains(note("--stop-kl 0.1 --epochs 2"), "--stop-kl has no meaning for --algorithm reinforce"));
  const std::string tune = "tune lstm --out new --max-tokens 3 --steps 1 ";
  CHECK(refuses(dir.run(f64, tune + "--reward contains:cat --algorithm q"), 4, "needs a table"));
  CHECK(refuses(dir.run(f64, tune + "--reward contains:cat --algorithm sarsa"), 2,
                "grpo | ppo | actor-critic | q | soft-q | dqn"));
  CHECK(refuses(dir.run(f64, tune + "--reward contains:cat --algorithm grpo --group 7"), 2,
                "--batch 64 in groups of --group 7"));
  CHECK(refuses(dir.run(f64, tune + "--reward contains:cat --algorithm ppo --stop-kl 0.1"), 2,
                "use more --epochs or --minibatches"));
  CHECK(refuses(dir.run(f64, tune + "--reward contains:cat --algorithm soft-q --kl-coef 0"), 2, "--kl-coef is 0"));
  CHECK(refuses(dir.run(f64, tune + "--reward contains:cat --pay step"), 2, "--pay step with the reward contains:cat"));
  CHECK(refuses(dir.run(f64, tune + "--reward contains:cat --gamma 1.5"), 2, "from 0 to 1"));
  CHECK(!dir.has("new"));
}

TEST_CASE("a reward that is watched, prompts that are held out, terms, and the ends of a run") {
  const Scratch dir;
  dir.write("q.txt", "the cat sat\nthe dog ran\na cat ran\na dog sat\n");
  dir.must(
      f64,
      "train q.txt --out tf --lines --tokenizer word --layers 1 --heads 2 --embd 8 --context 8 --steps 60 --lr 0.03"
      " --val-fraction 0 --quiet");
  dir.write("seen.txt", "the\n");
  dir.write("unseen.txt", "a\n");
  const Json said =
      dir.must(f64,
               "tune tf --out run --prompts seen.txt --held-out unseen.txt --watch length:2 --reward contains:cat"
               " --reward 0.5*end --max-tokens 4 --steps 12 --lr 0.02 --exact never --json")
          .json();
  for (const char* field : {"watch", "held_out_reward", "held_out_kl", "held_out_watch"})
    CHECK(said[field].is_number());
  CHECK(said["watch"].get<double>() <= 0);
  const std::vector<Json> steps = dir.log("run", "step");
  REQUIRE(steps.size() == 12);
  CHECK(near(steps[0]["held_out_kl"].get<double>(), 0, 1e-12));
  CHECK(steps[11]["held_out_kl"].get<double>() > 0);
  for (const Json& step : steps) {
    const double sum = step["terms"][0].get<double>() + step["terms"][1].get<double>();
    CHECK(near(sum, step["reward"].get<double>(), 1e-12));
  }
  const std::string page = dir.report("run");
  for (const char* title : {"Reward by term", "Reward of held-out prompts", "The reward that is watched", "--held-out"})
    CHECK(contains(page, title));
  CHECK(dir.valid_html("run/report.html"));

  // Drawn from the prior and measured for the policy, as the terms are.
  dir.must(f64,
           "tune tf --out fixed --algorithm f-dpg --proposal fixed --divergence forward-kl --reward contains:cat"
           " --reward end --watch contains:cat --max-tokens 4 --steps 20 --lr 0.03 --exact never --quiet");
  const Json last = dir.log("fixed", "step").back();
  CHECK(near(last["watch"].get<double>(), last["terms"][0].get<double>(), 1e-12));

  const Json by_reward =
      dir.must(f64,
               "tune tf --out r --reward contains:cat --max-tokens 4 --steps 200 --lr 0.05 --kl-coef 0"
               " --until-reward 0.9 --exact never --json")
          .json();
  CHECK(by_reward["steps"].get<int64_t>() < 200);
  CHECK(by_reward["reward"].get<double>() >= 0.9);
  CHECK(dir.log("r", "step").size() == size_t(by_reward["steps"].get<int64_t>()));
  const Json by_kl = dir.must(f64,
                              "tune tf --out k --reward contains:cat --max-tokens 4 --steps 200 --lr 0.05 --kl-coef 0"
                              " --until-kl 0.1 --exact never --json")
                         .json();
  CHECK(by_kl["steps"].get<int64_t>() < 200);
  CHECK(by_kl["kl"].get<double>() >= 0.1);
  // It is finished: resumed, it does nothing more, unless there are more steps.
  dir.must(f64, "tune --out k --resume --quiet");
  CHECK(dir.log("k", "step").size() == size_t(by_kl["steps"].get<int64_t>()));
}

TEST_CASE("where a watched reward fails, the step that is done has its record, and the run goes on") {
  const Scratch dir;
  dir.write("q.txt", "the cat\nthe dog\na cat\na dog\n");
  dir.must(f64, "train q.txt --out rnn --lines --tokenizer word --model rnn --embd 4 --hidden 4 --steps 5 --quiet");
  const std::string tune = "tune rnn --reward contains:cat --batch 4 --max-tokens 3 --steps 5 --exact never --quiet";
  dir.must(f64, tune + " --out whole");
  dir.write("some.sh", "n=0\nwhile read line; do n=$((n + 1)); [ $n -gt $(cat most) ] && exit 1; echo 1; done\n");
  dir.write("most", "10\n");  // it dies in the third step
  const std::string watch = " --watch 'command:sh some.sh'";
  CHECK(refuses(dir.run(f64, tune + " --out run" + watch), 4, "saved after step 3, continue with: "));
  CHECK(dir.log("run", "step").size() == 3);
  dir.write("most", "1000\n");
  dir.must(f64, "tune --out run --resume --quiet" + watch);
  const std::vector<Json> steps = dir.log("run", "step"), wanted = dir.log("whole", "step");
  REQUIRE(steps.size() == 5);
  for (size_t i = 0; i < 5; ++i) {
    CHECK(steps[i]["reward"] == wanted[i]["reward"]);
    CHECK(steps[i].contains("watch") == (i != 2));
  }
}

TEST_CASE("notes on rewards that cannot work, each once") {
  const Scratch dir;
  dir.write("s.txt", "abcabcabcabcabcabcabcabc\n");
  dir.must(f64, "train s.txt --out s --layers 1 --heads 1 --embd 4 --context 8 --steps 3 --val-fraction 0 --quiet");
  const auto said = [&](const std::string& rewards) {
    dir.remove("new");
    return dir.must(f64, "tune s --out new --batch 8 --exact never " + rewards).out;
  };
  CHECK(contains(said("--steps 3 --max-tokens 3 --reward contains:zebra"),
                 "can never change: the vocabulary has no \"z\""));
  CHECK(contains(said("--steps 3 --max-tokens 3 --reward end"), "can never change: the run has no end mark"));
  CHECK(contains(said("--steps 3 --max-tokens 3 --reward length:2"), "can never change"));
  const std::string constant = said("--steps 3 --max-tokens 3 --reward end");
  CHECK(count(constant, "all rewards of this batch are 0") == 1);
  CHECK(contains(said("--steps 3 --max-tokens 3 --reward 'contains:a + count:b'"),
                 "--reward contains:a --reward count:b"));
  CHECK(contains(said("--steps 3 --max-tokens 3 --reward contains:a,count:b"), "--reward contains:a --reward count:b"));
  CHECK(!contains(said("--steps 3 --max-tokens 3 --reward count:a"), "note:"));
  CHECK(contains(said("--reward count:a --lr 0.5 --steps 40 --kl-coef 0 --max-tokens 8"), "has passed the entropy"));
}

TEST_SUITE_END();
