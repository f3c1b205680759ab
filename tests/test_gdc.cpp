// rl/gdc and the targets that f-DPG reaches: Λ of the worked numbers, exactly and from samples; what is out of reach;
// both targets by every divergence; a policy too small for its target. Long, because both targets meet every
// divergence.
#include <doctest/doctest.h>

#include "engine/ops.h"
#include "rl/gdc.h"
#include "rl/rewards/reward.h"
#include "rl/tables/posterior.h"
#include "tests/tuned_worlds.h"

#include "tests/line_world.h"
#include "tests/near.h"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr double kClose = kDouble ? 1e-11 : 1e-5;
const std::vector<std::string> kDivergences{"reverse-kl", "forward-kl",   "js",        "tv",
                                            "chi2",       "chi2-reverse", "hellinger", "alpha:0.5"};

// The ten sentences, q = (.4, .3, .2, .1), with features named by the words that they contain.
struct Sentences {
  LineWorld lines{kTwoWords, "word"};
  std::unique_ptr<LanguageModel> prior = lines.model("tabular");
  World world{{lines.end_id()}, lines.end_id(), 3, 1};
  gradus::Enumeration all = gradus::enumerate(*prior, world);
  Table q = Table::of_logs(all.log_prob[0]);

  Features features(const std::vector<std::pair<std::string, double>>& soft,
                    const std::vector<std::string>& hard = {}) {
    Features f;
    const auto add = [&](const std::string& word) {
      f.names.push_back("contains:" + word);
      f.of.push_back([this, word](const Sequences& s, std::span<const int32_t>) {
        std::vector<double> phi;
        for (int64_t i = 0; i < s.size(); ++i)
          phi.push_back(lines.tokenizer.decode(s.text(i)).find(word) != std::string::npos);
        return phi;
      });
    };
    for (const auto& [word, moment] : soft) add(word), f.moments.push_back(moment);
    for (const std::string& word : hard) add(word);
    return f;
  }
  std::vector<double> values(const Features& f) const {
    return f.values(all.sequences, std::vector<int32_t>(size_t(all.sequences.size()), 0));
  }
  // In the order the cat, the dog, a cat, a dog.
  std::vector<double> in_order(const Features& f) const {
    const Table p = posterior(q, f.rewards(values(f)), 1).table;
    std::vector<double> ordered;
    for (const char* sentence : {"the cat", "the dog", "a cat", "a dog"})
      for (size_t i = 0; i < p.size(); ++i)
        if (lines.tokenizer.decode(all.sequences.text(int64_t(i))) == sentence) ordered.push_back(p.p[i]);
    return ordered;
  }
};

TEST_SUITE_BEGIN("gdc");

TEST_CASE("Lambda and the target are the worked ones: one feature, two, hard constraints, and both") {
  Sentences w;
  struct Row {
    std::vector<std::pair<std::string, double>> soft;
    std::vector<std::string> hard;
    std::vector<double> lambda, target;
    double log_z;
  };
  for (const Row& row :
       {Row{{{"cat", 0.5}}, {}, {-0.405465108108164}, {1.0 / 3, 0.375, 1.0 / 6, 0.125}, std::log(0.8)},
        Row{{{"cat", 0.7}}, {}, {0.441832752279039}, {1.4 / 3, 0.225, 0.7 / 3, 0.075}, std::log(4.0 / 3)},
        Row{{{"cat", 0.9}}, {}, {1.79175946922806}, {0.6, 0.075, 0.3, 0.025}, std::log(4.0)},
        Row{{{"cat", 0.5}, {"the", 0.5}},
            {},
            {-0.4904146265059, -0.8958797346140},
            {0.2247448713916, 0.2752551286084, 0.2752551286084, 0.2247448713916},
            std::log(0.444948974278318)},
        Row{{{"cat", 0.5}}, {"the"}, {-0.287682072451781}, {0.5, 0.5, 0, 0}, std::log(0.6)},
        Row{{}, {"the"}, {}, {4.0 / 7, 3.0 / 7, 0, 0}, std::log(0.7)}}) {
    Features f = w.features(row.soft, row.hard);
    const MomentFit fit = f.fit(w.q, w.values(f), false);
    CHECK(near(f.lambda, row.lambda) <= kClose);
    CHECK(f.lambda_error.empty());
    CHECK(near(w.in_order(f), row.target) <= kClose);
    CHECK(std::fabs(fit.log_z - row.log_z) <= kClose);
    CHECK(std::fabs(posterior(w.q, f.rewards(w.values(f)), 1).log_z - fit.log_z) <= kClose);
  }
}

// |z| < 3 in each of 20 fits of two numbers: a false-alarm rate of 10 %; the seeds are fixed.
TEST_CASE("Lambda from samples is within three of its standard errors, and the errors are of the right size") {
  Sentences w;
  Features exact = w.features({{"cat", 0.5}, {"the", 0.5}});
  exact.fit(w.q, w.values(exact), false);
  double squares = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Features f = w.features({{"cat", 0.5}, {"the", 0.5}});
    const Rng rng(seed, Stream::kTest);
    const std::vector<double> all = w.values(f);
    std::vector<double> values;
    for (int64_t i = 0; i < 2000; ++i) {
      const size_t x = size_t(categorical(w.q.p, rng.uniform(i)));
      values.insert(values.end(), all.begin() + int64_t(2 * x), all.begin() + int64_t(2 * x + 2));
    }
    f.fit(Table::of(std::vector<double>(2000, 1 / 2000.0)), values, true);
    REQUIRE(f.lambda_error.size() == 2);
    for (size_t k = 0; k < 2; ++k) {
      const double z = (f.lambda[k] - exact.lambda[k]) / f.lambda_error[k];
      CHECK(std::fabs(z) < 3);
      squares += z * z;
    }
  }
  CHECK(squares / 40 > 0.6);
  CHECK(squares / 40 < 1.6);
}

// After "the" a cat follows in 4 of 7, after "a" in 2 of 3. With x = e^Λ the moment .8 is ½ (4x/(4x+3) + 2x/(2x+1)), so
// x = (6 + √97.44) / 6.4.
struct TwoPrompts : Sentences {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<gradus::Enumeration> listed;
  Table joint = Table::of({});
  std::vector<int32_t> prompt;
  TwoPrompts() {
    std::vector<double> log_q;
    for (const char* first : {"the", "a"}) {
      prompts.push_back({lines.end_id(), lines.tokenizer.encode(first)[0]});
      listed.push_back(gradus::enumerate(*prior, {prompts.back(), lines.end_id(), 2, 1}));
      for (const double x : listed.back().log_prob[0]) log_q.push_back(x - std::log(2.0));
      prompt.insert(prompt.end(), size_t(listed.back().sequences.size()), int32_t(listed.size() - 1));
    }
    joint = Table::of_logs(log_q);
    world.max_tokens = 2;
  }
  std::vector<double> values_of_all(const Features& f) const {
    std::vector<double> values;
    for (const gradus::Enumeration& one : listed) {
      const std::vector<double> part = f.values(one.sequences, std::vector<int32_t>(size_t(one.sequences.size()), 0));
      values.insert(values.end(), part.begin(), part.end());
    }
    return values;
  }
};

TEST_CASE("several prompts share Lambda, the moment is a mean over them, and f-DPG reaches the target of each") {
  TwoPrompts w;
  Features f = w.features({{"cat", 0.8}});
  f.fit(w.joint, w.values_of_all(f), false, w.prompt);
  const double x = (6 + std::sqrt(97.44)) / 6.4;
  CHECK(std::fabs(f.lambda[0] - std::log(x)) <= kClose);
  for (const std::string name : {"forward-kl", "js", "reverse-kl"}) {
    INFO(name);
    const auto policy = w.lines.model("tabular");
    const TuneConfig options = Tuning{.algorithm = "f-dpg", .divergence = name, .kl_coef = 1};
    Shards shards(2, 1);
    KnownWorlds known(*w.prior, w.prompts, w.world, f.reward(), 100);
    Tuner tuner(*policy, *w.prior, w.prompts, w.world, {}, options, shards, f);
    AdamW optimizer(policy->params(), {.weight_decay = 0});
    CHECK(*known.of(*policy, 1).kl_to_posterior > 0.01);
    for (int64_t step = 1; step <= 200; ++step) tuner.step(step, optimizer, Schedule{0.03, 0, 0, 200}.at(step), 1);
    CHECK(*known.of(*policy, 1).kl_to_posterior < 1e-3);
    const double wanted[] = {4 * x / (4 * x + 3), 2 * x / (2 * x + 1)};
    for (size_t c = 0; c < 2; ++c) {
      const gradus::Enumeration all = gradus::enumerate(*policy, {w.prompts[c], w.lines.end_id(), 2, 1});
      const Table pi = Table::of_logs(all.log_prob[0]);
      CHECK(std::fabs(pi.mean(f.of[0](all.sequences, {})) - wanted[c]) < 0.02);
    }
  }
  const auto refusal = [&](Features g) {
    try {
      g.fit(w.joint, w.values_of_all(g), false, w.prompt);
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  // Behind each prompt there is a cat, so that no moment is 1 before the mean over both is.
  CHECK(refusal(w.features({{"cat", 1.0}}))
            .find("between 0 and 1, the least and the largest value seen in the prior's "
                  "texts, their means over the prompts") != std::string::npos);
  // Behind the second prompt there is none, so that the mean over both is below one half.
  Features half = w.features({{"cat", 0.6}});
  std::vector<double> values = w.values_of_all(half);
  for (size_t i = 0; i < values.size(); ++i)
    if (w.prompt[i] == 1) values[i] = 0;
  CHECK_THROWS_WITH_AS(half.fit(w.joint, values, false, w.prompt), doctest::Contains("between 0 and 0.5, the least"),
                       DataError);
  Features second = w.features({}, {"cat"});
  second.of[0] = [](const Sequences& s, std::span<const int32_t>) {
    static int calls = 0;
    return std::vector<double>(size_t(s.size()), calls++ == 0 ? 1.0 : 0.0);
  };
  CHECK(refusal(second).find("no text that is allowed was seen in the prior's texts behind prompt 2") !=
        std::string::npos);
}

// As above: 20 fits, of 1000 draws behind each of two prompts.
TEST_CASE("Lambda from samples of several prompts is within its standard errors, which are of the right size") {
  TwoPrompts w;
  Features exact = w.features({{"cat", 0.8}});
  const std::vector<double> all = w.values_of_all(exact);
  exact.fit(w.joint, all, false, w.prompt);
  double squares = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Features f = w.features({{"cat", 0.8}});
    const Rng rng(seed, Stream::kTest);
    std::vector<double> values;
    std::vector<int32_t> prompt;
    for (int64_t i = 0; i < 2000; ++i) {
      const size_t c = size_t(i % 2),
                   x = size_t(categorical(Table::of_logs(w.listed[c].log_prob[0]).p, rng.uniform(i)));
      values.push_back(all[(c == 0 ? 0 : size_t(w.listed[0].sequences.size())) + x]);
      prompt.push_back(int32_t(c));
    }
    f.fit(Table::of(std::vector<double>(2000, 1 / 2000.0)), values, true, prompt);
    const double z = (f.lambda[0] - exact.lambda[0]) / f.lambda_error.at(0);
    CHECK(std::fabs(z) < 3);
    squares += z * z;
  }
  CHECK(squares / 20 > 0.4);
  CHECK(squares / 20 < 1.9);
}

TEST_CASE("a moment out of reach, a feature never seen and a constraint never kept are refused with what was seen") {
  Sentences w;
  const auto refusal = [&](Features f, bool sampled = false) {
    try {
      f.fit(w.q, w.values(f), sampled);
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(
      refusal(w.features({{"cat", 1.2}})) ==
      "--feature contains:cat=1.2: the moment is out of reach, it must lie between 0 and 1, the least and the largest "
      "value seen in the prior's texts");
  CHECK(
      refusal(w.features({{"cow", 0.5}}), true) ==
      "--feature contains:cow=0.5: it was 0 in every text seen in 4 samples of the prior, so no weight of it can move "
      "its mean");
  CHECK(refusal(w.features({{"cat", 1.0}})).find("out of reach") != std::string::npos);
  CHECK(refusal(w.features({{"cat", 0.0}})).find("out of reach") != std::string::npos);
  CHECK(refusal(w.features({{"cat", 0.5}}, {"cow"})).find("--pointwise contains:cow: no text") != std::string::npos);
  CHECK(refusal(w.features({{"cat", 0.5}}, {"the", "cow"})).find("--pointwise contains:cow: no text") !=
        std::string::npos);
  CHECK(
      refusal(w.features({{"the", 0.5}}, {"the cat", "dog"})).find("--pointwise of 2 constraints together: no text") !=
      std::string::npos);
  CHECK(refusal(w.features({{"cat", 0.5}}, {"cat"})).find("it was 1 in every text") != std::string::npos);
  CHECK(refusal(w.features({{"cat", 0.5}, {"the cat", 0.6}})) ==
        "these moments cannot be met together: contains:cat - contains:the cat lies between 0 and 1 in all that was "
        "seen, and the moments make it -0.1");
  CHECK(refusal(w.features({{"cat", 0.5}, {"dog", 0.6}})) ==
        "these moments cannot be met together: contains:cat + contains:dog is 1 in all that was seen, and the moments "
        "make it 1.1");
  Features half = w.features({}, {"cat"});
  half.of[0] = [](const Sequences& s, std::span<const int32_t>) { return std::vector<double>(size_t(s.size()), 0.5); };
  CHECK_THROWS_WITH_AS(w.values(half), doctest::Contains("--pointwise contains:cat is 0.5"), DataError);
}

// A text has a cat or a dog: only the difference of the two Lambda counts.
TEST_CASE("features that depend on each other are met by the smallest Lambda, which has an error from samples too") {
  Sentences w;
  for (const double cats : {0.5, 0.7}) {
    Features one = w.features({{"cat", cats}}), both = w.features({{"cat", cats}, {"dog", 1 - cats}}),
             same = w.features({{"cat", cats}, {"cat", cats}, {"the", 0.6}});
    const MomentFit alone = one.fit(w.q, w.values(one), false), fit = both.fit(w.q, w.values(both), false);
    CHECK(near(both.lambda, std::vector{one.lambda[0] / 2, -one.lambda[0] / 2}) <= kClose);
    CHECK(near(w.in_order(both), w.in_order(one)) <= kClose);
    CHECK(near(fit.log_z, posterior(w.q, both.rewards(w.values(both)), 1).log_z) <= kClose);
    CHECK(near(fit.table.p, alone.table.p) <= kClose);
    same.fit(w.q, w.values(same), false);
    Features two = w.features({{"cat", cats}, {"the", 0.6}});
    two.fit(w.q, w.values(two), false);
    CHECK(near(same.lambda, std::vector{two.lambda[0] / 2, two.lambda[0] / 2, two.lambda[1]}) <= kClose);
    one.fit(w.q, w.values(one), true);
    both.fit(w.q, w.values(both), true);
    CHECK(one.lambda_error[0] > 0);
    CHECK(near(both.lambda_error, std::vector{one.lambda_error[0] / 2, one.lambda_error[0] / 2}) <= kClose);
  }
}

TEST_CASE("a feature is a reward, an equals sign and a moment") {
  CHECK(split_feature("contains:a=b=0.25") == std::pair<std::string, double>("contains:a=b", 0.25));
  CHECK(split_feature("end=-1e3") == std::pair<std::string, double>("end", -1000));
  for (const char* wrong : {"contains:cat", "end=", "=1", "end=x", "end=0.5x", "end=nan", "end=inf"})
    CHECK_THROWS_AS(split_feature(wrong), UsageError);
}

// Trains a table that begins as `prior` towards the posterior of a reward at β = 1, or of features; returns KL(π‖p).
double trained(Sentences& w, const TuneConfig& options, const RewardFunction& reward, const Features& features,
               int64_t steps, double lr) {
  const auto policy = w.lines.model("tabular");
  Shards shards(2, 1);
  KnownWorlds known(*w.prior, {w.world.prompt}, w.world, reward, 100);
  Tuner tuner(*policy, *w.prior, {w.world.prompt}, w.world, reward, options, shards, features);
  AdamW optimizer(policy->params(), {.beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0});
  const Schedule schedule{lr, 0, 0, steps};
  CHECK(*known.of(*policy, 1).kl_to_posterior > 0.01);
  for (int64_t step = 1; step <= steps; ++step) tuner.step(step, optimizer, schedule.at(step), 1);
  if (!features.empty()) CHECK(std::fabs(tuner.metrics().moments.at(0) - 0.9) < 0.1);
  return *known.of(*policy, 1).kl_to_posterior;
}

TEST_CASE("both targets are reached by every divergence, from samples") {
  Sentences w;
  Features f = w.features({{"cat", 0.9}});
  f.fit(w.q, w.values(f), false);
  const Features cat = w.features({{"cat", 0.9}});
  const RewardFunction rl = [&](const Sequences& s, std::span<const int32_t> of) { return cat.of[0](s, of); };
  for (const std::string& name : kDivergences) {
    INFO(name);
    const TuneConfig options = Tuning{.algorithm = "f-dpg", .divergence = name, .kl_coef = 1};
    const double bound = name == "tv" ? 1e-2 : 1e-3;
    CHECK(trained(w, options, rl, {}, 300, 0.03) < bound);
    CHECK(trained(w, options, f.reward(), f, 300, 0.03) < bound);
  }
}

TEST_CASE("a hard constraint is kept, and the moment beside it met") {
  Sentences w;
  Features f = w.features({{"cat", 0.9}}, {"the"});
  f.fit(w.q, w.values(f), false);
  for (const std::string name : {"forward-kl", "js", "hellinger", "alpha:0.5"}) {
    INFO(name);
    const auto policy = w.lines.model("tabular");
    const TuneConfig options = Tuning{.algorithm = "f-dpg", .divergence = name, .kl_coef = 1};
    Shards shards(2, 1);
    Tuner tuner(*policy, *w.prior, {w.world.prompt}, w.world, {}, options, shards, f);
    AdamW optimizer(policy->params(), {.weight_decay = 0});
    for (int64_t step = 1; step <= 300; ++step) tuner.step(step, optimizer, Schedule{0.05, 0, 0, 300}.at(step), 1);
    const Table pi = Table::of_logs(gradus::enumerate(*policy, w.world).log_prob[0]);
    const Table p = posterior(w.q, f.rewards(w.values(f)), 1).table;
    CHECK(kl(p, pi) < 0.02);
    CHECK(pi.mean(f.of[1](w.all.sequences, std::vector<int32_t>(4, 0))) > 0.98);
  }
}

// Two words, each of two tokens and independent of the other: π(w1, w2) = u(w1) v(w2).
class ProductPolicy : public LanguageModel {
 public:
  ProductPolicy() : LanguageModel(ModelOptions{}, 2) {
    w_ = params_.add("words", {2, 2}, Init::constant(0));
    params_.init(1);
  }
  int64_t width() const override { return 2; }
  Tensor head(const Tensor& features) const override { return features; }
  State start(int64_t B) const override { return State(B, 0, 0); }

 protected:
  Tensor encode(std::span<const int32_t>, int64_t B, int64_t T) const override {
    std::vector<int32_t> place;
    for (int64_t i = 0; i < B * T; ++i) place.push_back(int32_t(i % T));
    return embedding(w_, place);
  }
  Tensor advance(State& state, std::span<const int32_t>) const override {
    std::vector<int32_t> place;
    for (int64_t& at : state.position) place.push_back(int32_t(at++));
    return embedding(w_, place);
  }

 private:
  Tensor w_;
};

// Fitted to (.45, .05, .05, .45), of which it can cover both modes or sit on one.
TEST_CASE("a product policy covers both modes of its target by forward-kl and seeks one by reverse-kl" *
          doctest::skip(!kDouble)) {
  struct Row {
    const char* divergence;
    double begin, u, value;
  };
  for (const Row& row : {Row{"forward-kl", 0.9, 0.5, 0.368064207168497}, Row{"reverse-kl", 0.5, 0.5, 0.510825623765991},
                         Row{"reverse-kl", 0.6, 0.75, 0.497796623481237},
                         Row{"reverse-kl", 0.4, 0.25, 0.497796623481237}, Row{"js", 0.7, 0.5, 0.203498450158393 / 2}}) {
    INFO(row.divergence << " from " << row.begin);
    ProductPolicy prior, policy;
    for (const size_t k : {0u, 2u}) policy.params().edit()[k] = real(std::log(row.begin / (1 - row.begin)));
    const World world{{0}, -1, 2, 1};
    const LanguageModel* const both[] = {&policy, &prior};
    gradus::Enumeration all = gradus::enumerate(both, world);
    std::vector<double> r, t;
    for (int64_t i = 0; i < 4; ++i) {
      t.push_back(all.sequences.draws(i)[0] == all.sequences.draws(i)[1] ? 0.45 : 0.05);
      r.push_back(std::log(4 * t.back()));
    }
    const auto method = make_method(Tuning{.algorithm = "f-dpg", .divergence = row.divergence});
    method->restore(std::vector<NamedNumbers>{{"normalisers", {0, 1, 0}}});
    Shards shards(1, 1);
    for (int step = 0; step < 500; ++step) {
      std::vector<real> descent;
      for (const double x : exact_gradient(*method, policy, prior, world, all.sequences, all.log_prob[0], r, 1, shards))
        descent.push_back(real(-x));
      sgd_step(policy.params(), descent, 1);
      all = gradus::enumerate(both, world);
    }
    const double value = f_divergence(divergence_named(row.divergence), Table::of_logs(all.log_prob[0]), Table::of(t));
    CHECK(near(value, row.value) <= 1e-9);
    const auto w = policy.params().data();
    for (const size_t k : {0u, 2u}) CHECK(std::fabs(1 / (1 + std::exp(double(w[k + 1] - w[k]))) - row.u) <= 1e-6);
  }
}

TEST_SUITE_END();

}  // namespace
