// Posteriors over the parameters of language models (models/posterior/): the predictive against the mean of its draws,
// the guide against finite differences and numerical integrals, chains against the same integrals. Guide and chains are
// tested on one small world, whose integrals are at the top, so they stand in one long file.
#include <cmath>
#include <numeric>

#include "engine/gradcheck.h"
#include "models/posterior/diagnostics.h"
#include "models/posterior/gaussian_toy.h"
#include "models/sampler.h"
#include "tests/posterior_world.h"
#include "tests/scratch.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("bayesian");

namespace {

constexpr double kClose = sizeof(real) == 8 ? 1e-12 : 1e-5;

// The smallest Bayesian softmax: lines of one letter, of which five are a, two b and one c. The logits of the first
// token, z ~ N(0, s²) each, are all that the likelihood looks at; the mark ends every line with certainty.
const LineWorld& letters() {
  static const LineWorld world("a\na\na\na\na\nb\nb\nc\n", "char");
  return world;
}
constexpr double kCounts[] = {5, 2, 1};

// Its posterior, by the trapezoid rule in three dimensions, which for such functions is exact to rounding.
struct Integrals {
  double log_evidence = 0, mean[3] = {}, variance[3] = {}, predictive[3] = {};
};
template <class F>  // weighs each point beside the density of the prior
Integrals integrate(double s, const F& log_likelihood) {
  constexpr double kStep = 0.2;
  Integrals all;
  double mass = 0, second[3] = {};
  const double reach = 7 * s;
  for (double x = -reach; x <= reach; x += kStep * s)
    for (double y = -reach; y <= reach; y += kStep * s)
      for (double w = -reach; w <= reach; w += kStep * s) {
        const double z[] = {x, y, w}, log_sum = std::log(std::exp(x) + std::exp(y) + std::exp(w));
        const double f = std::exp(log_likelihood(z, log_sum) - (x * x + y * y + w * w) / (2 * s * s));
        mass += f;
        for (int i = 0; i < 3; ++i) {
          all.mean[i] += f * z[i];
          second[i] += f * z[i] * z[i];
          all.predictive[i] += f * std::exp(z[i] - log_sum);
        }
      }
  for (int i = 0; i < 3; ++i) {
    all.mean[i] /= mass;
    all.predictive[i] /= mass;
    all.variance[i] = second[i] / mass - all.mean[i] * all.mean[i];
  }
  all.log_evidence = std::log(mass) + 3 * std::log(kStep / std::sqrt(2 * M_PI));
  return all;
}
Integrals letters_integrated(double s) {
  return integrate(s, [](const double* z, double log_sum) {
    double sum = 0;
    for (int i = 0; i < 3; ++i) sum += kCounts[i] * (z[i] - log_sum);
    return sum;
  });
}

double log_prob(const LanguageModel& model, const LineWorld& world, const std::string& line) {
  std::vector<int32_t> ids = world.ids(line);
  ids.push_back(world.end_id());
  const std::vector<double> log_p = score_sequences(model, world.end_id(), {&ids, 1})[0];
  return std::accumulate(log_p.begin(), log_p.end(), 0.0);
}

// The sum of the losses of all lines in a training step of this number, which fixes the noise.
double loss_of_step(const LanguageModel& model, const Corpus& corpus, int64_t step, int64_t first, int64_t count,
                    int64_t shards = 1) {
  Shards cut(int(shards), 1);
  BatchLoss loss(cut);
  Batch batch;
  batch.take(corpus, Split::kTrain, first, count);
  return loss.forward(model, batch, {.seed = 1, .step = step, .training = true}, false);
}

}  // namespace

TEST_CASE("the predictive of a sequence is the mean of what the draws give it, in every family and both ways") {
  const LineWorld world(kTwoWords, "word");
  for (const std::string& family : generative_families())
    for (const std::string kind : {"variational", "hmc"}) {
      CAPTURE(family);
      CAPTURE(kind);
      const auto model = posterior(world, world.config(family), options_of(kind));
      widen(*model, 0.5);
      const Enumeration all = enumerate(*model, world.end_id(), 3);
      CHECK(std::fabs(all.total() - 1) < 10 * kClose);
      std::vector<Enumeration> parts;
      for (int64_t k = 0; k < model->draws(); ++k) parts.push_back(enumerate(model->draw(k), world.end_id(), 3));
      double worst = 0, apart = 0;
      for (const auto& [tokens, log_p] : all.ended) {
        double mean = 0;
        for (const Enumeration& part : parts) mean += std::exp(part.ended.at(tokens)) / double(parts.size());
        worst = std::max(worst, std::fabs(std::exp(log_p) - mean));
        apart = std::max(apart, std::fabs(std::exp(parts[0].ended.at(tokens)) - mean));
      }
      CHECK(worst < kClose);
      CHECK(apart > 1e-3);  // the draws differ, so that their mean is something
      // Teacher forcing says the same as one token at a time.
      Shards one(1, 1);
      const Corpus corpus = world.corpus(family);
      double by_steps = 0;
      for (const char* line : {"the cat", "the dog", "a cat", "a dog"})
        by_steps -= log_prob(*model, world, line) * (std::string(line) == "the cat"   ? 4
                                                     : std::string(line) == "the dog" ? 3
                                                     : line[2] == 'c'                 ? 2
                                                                                      : 1);
      CHECK(std::fabs(loss_of_split(*model, corpus, Split::kAll, one, 10).nats - by_steps) < 1e3 * kClose);
    }
}

TEST_CASE("of pairs only the reply moves the weights of the draws") {
  const std::string content = "the\tcat\nthe\tdog\na\tcat\na\tdog dog\n";
  LineWorld world("the cat\nthe dog\na cat\na dog dog\n", "word");
  const Config c = world.config("lstm", [](Config& change) { change.pairs = true; });
  const auto model = posterior(world, c, options_of("variational"));
  widen(*model, 0.8);
  const Corpus pairs(c.corpus(), world.tokenizer, content, "pairs");
  for (int64_t i = 0; i < pairs.lines(Split::kAll); ++i) {
    const Window window = pairs.window(Split::kAll, i);
    const std::vector<int32_t> sequence(window.targets.begin(), window.targets.end());
    const auto reply = [&](const LanguageModel& of) {
      const std::vector<double> log_p = score_sequences(of, world.end_id(), {&sequence, 1})[0];
      return std::exp(std::accumulate(log_p.begin() + window.first_scored, log_p.end(), 0.0));
    };
    double mean = 0;
    for (int64_t k = 0; k < model->draws(); ++k) mean += reply(model->draw(k)) / double(model->draws());
    CHECK(std::fabs(reply(*model) - mean) < kClose);
  }
}

TEST_CASE("every parameter of the net has its site, and every site a gradient; the data have none") {
  const LineWorld world(kTwoWords, "word");
  for (const std::string& family : generative_families()) {
    CAPTURE(family);
    const Config c = world.config(family, [](Config& change) { change.context = 3; });
    const auto model = posterior(world, c, options_of("variational"));
    dynamic_cast<VariationalModel&>(*model).learn_from(30, 10);
    widen(*model, 0.3);
    const Params& sites = model->params();
    CHECK(sites.count() == 2 * model->net_params().count());
    for (int64_t i = 0; i < model->net_params().count(); ++i) {
      CHECK(sites.name(2 * i) == model->net_params().name(i) + ".mean");
      CHECK(sites.name(2 * i + 1) == model->net_params().name(i) + ".log_deviation");
      CHECK(sites.shape(2 * i) == model->net_params().shape(i));
    }
    Shards one(1, 1);
    BatchLoss loss(one);
    Batch batch;
    batch.take(world.corpus(c), Split::kTrain, 0, 10);
    loss.forward(*model, batch, {.seed = 1, .step = 1, .training = true});
    loss.backward(1);
    const auto gradient = one.gradient(sites);
    for (int64_t i = 0; i < sites.count(); ++i) {
      double squares = 0;
      for (int64_t j = 0; j < sites.shape(i).numel(); ++j)
        squares += std::pow(gradient[size_t(sites.offset(i) + j)], 2);
      CAPTURE(sites.name(i));
      CHECK(squares > 0);
    }
    // The draws that are used are those of the guide: another mean gives another prediction.
    const double before = log_prob(*model, world, "the cat");
    for (real& x : model->params().edit(0)) x += real(0.5) * (&x == model->params().edit(0).data() ? 1 : -1);
    CHECK(std::fabs(log_prob(*model, world, "the cat") - before) > 1e-6);
  }
}

TEST_CASE("the gradient of the ELBO is that of finite differences, under fixed noise") {
  const LineWorld world("ab\nba\naab\n", "char");
  for (const std::string& family : generative_families()) {
    CAPTURE(family);
    const Config c = world.config(family, [](Config& change) {
      change.embd = 4;
      change.hidden = 4;
      change.context = 6;  // more than the lines have: rows of what is bound must pass their gradient on
    });
    const auto model = posterior(world, c, options_of("variational", 2, 0.7));
    dynamic_cast<VariationalModel&>(*model).learn_from(10, 3);
    widen(*model, 0.2);
    const Corpus corpus = world.corpus(c);
    const GradCheck check = check_parameters("elbo", model->params(),
                                             [&](std::span<const Tensor>) {
                                               Batch batch;
                                               batch.take(corpus, Split::kTrain, 0, 3);
                                               return token_losses(*model, batch, 0, 3);
                                             },
                                             {.retries = 2, .info = {.seed = 3, .step = 5, .training = true}});
    CHECK_MESSAGE(check.passes(), check);
  }
}

TEST_CASE("a step's noise is one draw for all of it: batches and shards add up to the loss of the whole text") {
  const LineWorld world("the cat\nthe\na cat and a dog\na dog\nthe dog\n\na\na cat\nthe cat\nthe dog and a cat\n",
                        "word");  // of many lengths: padding has no part in the KL
  const Config c = world.config("nnlm");
  const Corpus corpus = world.corpus(c);
  const auto model = posterior(world, c, options_of("variational"));
  auto& guide = dynamic_cast<VariationalModel&>(*model);
  guide.learn_from(targets_in(corpus, Split::kTrain), sequences_in(corpus, Split::kTrain));
  CHECK(targets_in(corpus, Split::kTrain) == 32);
  CHECK(sequences_in(corpus, Split::kTrain) == 10);
  widen(*model, 0.4);
  const double whole = loss_of_step(*model, corpus, 7, 0, 10);
  CHECK(std::fabs(loss_of_step(*model, corpus, 7, 0, 10, 3) - whole) < 100 * kClose);
  CHECK(std::fabs(loss_of_step(*model, corpus, 7, 0, 4) + loss_of_step(*model, corpus, 7, 4, 6) - whole) <
        100 * kClose);
  CHECK(std::fabs(loss_of_step(*model, corpus, 8, 0, 10) - whole) > 1e-3);  // another step, another draw
  // All tokens once have the whole KL, so the loss is that of the draw and the KL: a text of no surprise has only it.
  guide.learn_from(32, 1e7);
  const double of_data = loss_of_step(*model, corpus, 7, 0, 10);
  CHECK(std::fabs(whole - of_data - guide.kl()) < (sizeof(real) == 8 ? 1e-3 : 0.1));
  guide.learn_from(0, 0);
  CHECK(has(complaint<ShapeError>([&] { loss_of_step(*model, corpus, 7, 0, 10); }), "learn_from() has not said"));
}

TEST_CASE("what follows a token changes nothing of what is said before it") {
  const LineWorld world(kTwoWords, "word");
  const auto model = posterior(world, world.config("transformer"), options_of("variational"));
  widen(*model, 0.5);
  Tape tape;
  const Tape::Use use(tape);
  const std::vector<int32_t> one{world.end_id(), 0, 1}, other{world.end_id(), 0, 2};
  const Tensor a = model->logits(one, 1, 3), b = model->logits(other, 1, 3);
  const int64_t V = model->vocabulary();
  for (int64_t i = 0; i < 2 * V; ++i) CHECK(a.span()[size_t(i)] == b.span()[size_t(i)]);
  CHECK(a.rows(2, 1).span()[0] != b.rows(2, 1).span()[0]);
}

TEST_CASE("the Gaussian toy: the ELBO is the evidence less the gap, and the engine's draw agrees") {
  namespace toy = gaussian_toy;
  CHECK(std::fabs(toy::log_evidence(1) + 1.51551212348465) < 1e-13);
  struct Guide {
    double mean, deviation, elbo, gap;
  };
  for (const Guide& g : {Guide{0, 1, -1.918938533205, 0.4034264097200},
                         {0.5, std::sqrt(0.5), -1.51551212348465, 0},
                         {1, 0.5, -1.862085713765, 0.3465735902800}}) {
    CHECK(std::fabs(toy::elbo(1, g.mean, g.deviation) - g.elbo) < 1e-11);
    CHECK(std::fabs(toy::kl_from_posterior(1, g.mean, g.deviation) - g.gap) < 1e-11);
    CHECK(std::fabs(toy::log_evidence(1) - toy::elbo(1, g.mean, g.deviation) - g.gap) < 1e-11);
    CHECK(toy::elbo(1, g.mean, g.deviation) <= toy::log_evidence(1) + 1e-15);
  }
}

TEST_CASE("a guide of a softmax: below the evidence by its KL from the posterior, exactly and from samples") {
  for (const double s : {1.0, 0.5}) {
    const Integrals truth = letters_integrated(s);
    const Config c = letters().config("tabular");
    const Corpus corpus = letters().corpus(c);
    const auto model = posterior(letters(), c, options_of("variational", 2, s));
    auto& guide = dynamic_cast<VariationalModel&>(*model);
    const int64_t N = targets_in(corpus, Split::kTrain);
    guide.learn_from(N, 8);
    // The three logits of the first token; everything else stays as the prior, where it adds nothing.
    const int64_t V = letters().tokenizer.size();
    std::ranges::fill(guide.params().edit(0), real(0));
    std::ranges::fill(guide.params().edit(1), real(std::log(s)));
    const int32_t id[] = {letters().ids("a")[0], letters().ids("b")[0], letters().ids("c")[0]};
    const double mean[] = {0.8 * s, 0.1, -0.3}, deviation[] = {0.6 * s, 0.7 * s, 0.9 * s};
    CHECK(V == 4);
    for (int i = 0; i < 3; ++i) {
      guide.params().edit(0)[size_t(id[i])] = real(mean[i]);
      guide.params().edit(1)[size_t(id[i])] = real(std::log(deviation[i]));
    }
    // E_q[log p(data | z)] and KL(q ‖ posterior) by the same rule, under q.
    double likelihood = 0, gap = 0, mass = 0;
    for (double x = -7; x <= 7; x += 0.2)
      for (double y = -7; y <= 7; y += 0.2)
        for (double w = -7; w <= 7; w += 0.2) {
          const double e[] = {x, y, w}, q = std::exp(-(x * x + y * y + w * w) / 2);
          double z[3], log_sum = 0, log_q = 0, log_joint = 0;
          for (int i = 0; i < 3; ++i) z[i] = mean[i] + deviation[i] * e[i], log_sum += std::exp(z[i]);
          log_sum = std::log(log_sum);
          double log_p = 0;
          for (int i = 0; i < 3; ++i) {
            log_p += kCounts[i] * (z[i] - log_sum);
            log_q += -e[i] * e[i] / 2 - std::log(deviation[i] * std::sqrt(2 * M_PI));
            log_joint += -z[i] * z[i] / (2 * s * s) - std::log(s * std::sqrt(2 * M_PI));
          }
          mass += q;
          likelihood += q * log_p;
          gap += q * (log_q - log_p - log_joint + truth.log_evidence);
        }
    likelihood /= mass;
    gap /= mass;
    const double elbo = likelihood - guide.kl();
    const double bound = sizeof(real) == 8 ? 1e-6 : 1e-4;
    CHECK(elbo <= truth.log_evidence);
    CHECK(std::fabs(truth.log_evidence - elbo - gap) < bound);
    CHECK(gap > 0.01);
    // What a training step computes, over its noise.
    double sum = 0, squares = 0;
    constexpr int kSteps = 2000;
    for (int t = 1; t <= kSteps; ++t) {
      const double nats = -loss_of_step(guide, corpus, t, 0, 8);
      sum += nats;
      squares += nats * nats;
    }
    const double error = std::sqrt((squares / kSteps - std::pow(sum / kSteps, 2)) / kSteps);
    CHECK(std::fabs(sum / kSteps - elbo) < 4 * error);
    CHECK(sum / kSteps < truth.log_evidence + 4 * error);
  }
}

TEST_CASE("fitting a guide raises its ELBO, to near the evidence, and moves its mean to the posterior's") {
  const Integrals truth = letters_integrated(1);
  const Config c = letters().config("tabular");
  const Corpus corpus = letters().corpus(c);
  const auto model = posterior(letters(), c, options_of("variational", 400));
  auto& guide = dynamic_cast<VariationalModel&>(*model);
  guide.learn_from(targets_in(corpus, Split::kTrain), sequences_in(corpus, Split::kTrain));
  const auto elbo = [&] {
    double sum = 0;
    for (int t = 1; t <= 400; ++t) sum -= loss_of_step(guide, corpus, 100'000 + t, 0, 8) / 400;
    return sum;
  };
  const double before = elbo();
  Shards one(1, 1);
  BatchLoss loss(one);
  Batch batch;
  AdamW optimizer(guide.params(), {.weight_decay = 0});
  for (int64_t step = 1; step <= 3000; ++step) {
    batch.take(corpus, Split::kTrain, 0, 8);
    loss.forward(guide, batch, {.seed = 1, .step = step, .training = true});
    loss.backward(1 / double(batch.scored));
    optimizer.step(guide.params(), one.gradient(guide.params()), step < 2000 ? 0.02 : 0.002);
  }
  const double after = elbo();
  CHECK(after > before + 1);
  CHECK(after < truth.log_evidence + 0.1);
  CHECK(after > truth.log_evidence - 0.35);  // what a guide without correlations can reach
  std::vector<double> mean(static_cast<size_t>(model->net_params().size())), deviation(mean.size());
  model->moments(mean, deviation);
  const char* names[] = {"a", "b", "c"};
  for (int i = 0; i < 3; ++i) {
    CHECK(std::fabs(mean[size_t(letters().ids(names[i])[0])] - truth.mean[i]) < 0.1);
    CHECK(std::fabs(std::exp(log_prob(*model, letters(), names[i])) - truth.predictive[i]) < 0.03);
  }
}

TEST_CASE("HMC and SGLD have the mean, the variance and the predictive of the integrals") {
  const Integrals truth = letters_integrated(1);
  const Config c = letters().config("tabular");
  const Corpus corpus = letters().corpus(c);
  for (const std::string kind : {"hmc", "sgld"}) {
    CAPTURE(kind);
    PosteriorOptions options = options_of(kind, 800);
    options.chains = 4;
    options.leapfrog = 8;
    const auto model = posterior(letters(), c, options);
    auto& chains = dynamic_cast<ChainsModel&>(*model);
    for (int64_t k = 0; k < 4; ++k)  // apart: a table begins where it was counted
      chains.set_state(k, std::vector<double>(chains.state(k).size(), double(k) - 1.5));
    Shards one(1, 1);
    ChainSampler sampler(chains, options, corpus, one, 8, 1);
    const bool exact = kind == "hmc";
    const int64_t steps = exact ? 2500 : 12000, burn_in = steps / 5;
    const char* names[] = {"a", "b", "c"};
    std::vector<std::vector<Trace>> traces(3, std::vector<Trace>(4));
    double acceptance = 0;
    for (int64_t t = 1; t <= steps; ++t) {
      const ChainSampler::Step step = sampler.step(t, steps, burn_in, exact ? 0.3 : 0.4);
      if (t <= burn_in) continue;
      CHECK(step.acceptance.empty() == !exact);
      if (exact) acceptance += step.acceptance[0] / double(steps - burn_in);
      for (size_t chain = 0; chain < 4; ++chain) {
        const std::vector<double> q = chains.state(int64_t(chain));
        for (size_t i = 0; i < 3; ++i) traces[i][chain].push_back(q[size_t(letters().ids(names[i])[0])]);
      }
    }
    if (exact) CHECK(std::fabs(acceptance - 0.8) < 0.12);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(r_hat(traces[i]) < (exact ? 1.01 : 1.05));
      double sum = 0, n = 0, squares = 0;
      std::vector<Trace> deviations = traces[i];
      for (const Trace& trace : traces[i])
        for (const double x : trace) sum += x, squares += x * x, ++n;
      for (Trace& trace : deviations)
        for (double& x : trace) x = std::pow(x - truth.mean[i], 2);
      const double mean = sum / n, variance = squares / n - mean * mean;
      const double error = std::sqrt(variance / effective_sample_size(traces[i]));
      const double of_variance = variance * std::sqrt(2.5 / effective_sample_size(deviations));
      const double bias = exact ? 0 : 0.15;  // SGLD's, of a batch that is drawn and of a step that is not small
      CHECK(std::fabs(mean - truth.mean[i]) < 4 * error + bias);
      CHECK(std::fabs(variance - truth.variance[i]) < 4 * of_variance + bias);
      const double said = std::exp(log_prob(*model, letters(), names[i]));
      CHECK(std::fabs(said - truth.predictive[i]) < (exact ? 0.02 : 0.04));
    }
  }
}

TEST_CASE("the gradient of a random batch, which stands for the whole text, is that of the whole text on the average") {
  const Config c = letters().config("tabular");
  const Corpus corpus = letters().corpus(c);
  const auto net = make_model(c, letters().tokenizer.size(), INT64_MAX, count_tokens(c, corpus));
  Shards one(1, 1);
  TextPotential potential(*net, corpus, one, 3, 0.8);
  CHECK(potential.tokens() == 16);
  std::vector<double> q(size_t(net->params().size()), 0.3), whole(q.size()), part(q.size()), sum(q.size()),
      squares(q.size());
  const double U = potential.whole(q, whole);
  double of_batches = 0;
  constexpr int kBatches = 4000;
  for (int t = 0; t < kBatches; ++t) {
    of_batches += potential.of_batch(q, part, Rng(1, Stream::kBatch, t)) / kBatches;
    for (size_t i = 0; i < q.size(); ++i) sum[i] += part[i] / kBatches, squares[i] += part[i] * part[i] / kBatches;
  }
  CHECK(std::fabs(of_batches - U) < 0.01 * U);
  for (size_t i = 0; i < q.size(); ++i) {
    const double error = std::sqrt(std::max(0.0, squares[i] - sum[i] * sum[i]) / kBatches);
    CHECK(std::fabs(sum[i] - whole[i]) <= 4 * error + (sizeof(real) == 8 ? 1e-9 : 1e-4));
  }
}

TEST_CASE("the draws that are kept are spread over what is behind the burn-in, wherever a run was interrupted") {
  const LineWorld world(kTwoWords, "word");
  const Config c = world.config("nnlm");
  const Corpus corpus = world.corpus(c);
  Shards one(1, 1);
  PosteriorOptions options = options_of("hmc", 6);
  options.leapfrog = 2;
  const auto straight = posterior(world, c, options);
  const auto run = [&](PosteriorModel& model, int64_t first, int64_t last) {
    auto& chains = dynamic_cast<ChainsModel&>(model);
    ChainSampler sampler(chains, options, corpus, one, 5, 1);
    for (int64_t t = first; t <= last; ++t) sampler.step(t, 12, 6, 0.05);
  };
  run(*straight, 1, 12);
  const auto halved = posterior(world, c, options);
  run(*halved, 1, 5);
  const auto copied = clone(*halved);
  run(dynamic_cast<PosteriorModel&>(*copied), 6, 12);
  CHECK(std::ranges::equal(straight->params().data(), copied->params().data()));
  // The last state of chain 0 is its draw 0, and all draws differ.
  const std::vector<double> last = dynamic_cast<ChainsModel&>(*straight).state(0);
  CHECK(real(last[0]) == straight->draw(0).params().data()[0]);
  for (int64_t k = 1; k < 6; ++k)
    CHECK(straight->draw(k).params().data()[0] != straight->draw(k - 1).params().data()[0]);
}

TEST_CASE("a model that says nothing of what follows, and one without parameters, have no such posterior") {
  const LineWorld world(kTwoWords, "word");
  const auto refused = [&](const std::string& family) {
    return complaint<DataError>([&] { posterior(world, world.config(family), options_of("variational")); });
  };
  CHECK(has(refused("masked"), "says nothing of what follows"));
  CHECK(has(refused("ngram"), "has no parameters"));
  Config c = world.config("lstm");
  c.posterior = "hmc";
  c.draws = 30;
  c.chains = 4;
  CHECK(has(complaint<DataError>([&] { c.check(); }), "use a multiple of 4"));
  c.model = "tabular";
  CHECK(has(complaint<DataError>([&] { c.check(); }), "gradus bayes"));
}

TEST_SUITE_END();
