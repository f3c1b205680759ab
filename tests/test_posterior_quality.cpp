// What a posterior over parameters buys, on 400 characters of a text of known entropy: a figure that takes minutes, for
// `make measure` (tests/measure/posteriors.sh). Skipped otherwise.
#include <cmath>
#include <cstdio>
#include <numeric>

#include "models/families.h"
#include "models/grammar/grammar.h"
#include "models/posterior/chains.h"
#include "models/sampler.h"
#include "tests/line_world.h"
#include "tests/scratch.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("posterior_quality");

namespace {

constexpr int kSeeds = 10, kBins = 5;
constexpr double kScale = 1;
constexpr int64_t kHeldOut = 400;  // lines

// Nats a token of held-out lines, and how often what was said to have a probability came true.
struct Measured {
  double nats = 0, tokens = 0;
  double said[kBins] = {}, came[kBins] = {}, number[kBins] = {};
};

Measured measure(const LanguageModel& model, const LineWorld& world, const std::vector<std::string>& lines) {
  Measured m;
  Tape tape;
  const Tape::Use use(tape);
  std::vector<double> log_p(static_cast<size_t>(model.vocabulary()));
  for (const std::string& line : lines) {
    const Tape::Mark mark(tape);
    std::vector<int32_t> inputs{world.end_id()}, targets = world.ids(line);
    inputs.insert(inputs.end(), targets.begin(), targets.end());
    targets.push_back(world.end_id());
    const Tensor logits = model.logits(inputs, 1, std::ssize(inputs));
    for (size_t t = 0; t < targets.size(); ++t) {
      log_distribution(logits.rows(int64_t(t), 1).span(), 1, log_p);
      m.nats -= log_p[size_t(targets[t])];
      ++m.tokens;
      for (size_t v = 0; v < log_p.size(); ++v) {
        const double p = std::exp(log_p[v]);
        const size_t bin = std::min(size_t(p * kBins), size_t(kBins - 1));
        m.said[bin] += p, m.came[bin] += int32_t(v) == targets[t], ++m.number[bin];
      }
    }
  }
  m.nats /= m.tokens;
  return m;
}

// Adam on -log p(data | θ), with or without -log p(θ), until it is flat.
std::unique_ptr<LanguageModel> optimum(const Config& c, const LineWorld& world, const Corpus& corpus, bool with_prior) {
  auto net = make_model(c, world.tokenizer.size());
  Shards one(1, 1);
  TextPotential potential(*net, corpus, one, 64, with_prior ? kScale : 1e6);
  AdamW optimizer(net->params(), {.weight_decay = 0});
  std::vector<double> q(size_t(net->params().size())), gradient(q.size());
  std::vector<real> mean(q.size());
  for (int64_t step = 1; step <= 3000; ++step) {
    std::ranges::copy(net->params().data(), q.begin());
    potential.whole(q, gradient);
    for (size_t i = 0; i < q.size(); ++i) mean[i] = real(gradient[i] / double(potential.tokens()));
    optimizer.step(net->params(), mean, step < 2000 ? 0.01 : 0.001);
  }
  return net;
}

std::unique_ptr<PosteriorModel> sampled(const Config& c, const LineWorld& world, const Corpus& corpus, uint64_t seed) {
  PosteriorOptions options;
  options.posterior = "hmc";
  options.draws = 64;
  options.chains = 2;
  options.leapfrog = 20;
  options.prior_scale = kScale;
  std::unique_ptr<LanguageModel> model = with_posterior(declare_model(c, world.tokenizer.size()), options);
  model->initialise();
  auto& chains = dynamic_cast<ChainsModel&>(*model);
  Shards one(1, 1);
  ChainSampler sampler(chains, options, corpus, one, 64, seed);
  for (int64_t t = 1; t <= 300; ++t) sampler.step(t, 300, 150, 0.02);
  return std::unique_ptr<PosteriorModel>(dynamic_cast<PosteriorModel*>(model.release()));
}

// Mean and standard error of differences.
void tell(const char* name, const std::vector<double>& differences) {
  const double n = double(differences.size());
  const double mean = std::accumulate(differences.begin(), differences.end(), 0.0) / n;
  double squares = 0;
  for (const double x : differences) squares += (x - mean) * (x - mean);
  const double error = std::sqrt(squares / (n - 1) / n);
  std::printf("  %s: predictive lower by %.4f ± %.4f nats a token\n", name, mean, error);
  CHECK(mean > 2 * error);
}

}  // namespace

TEST_CASE("on 400 characters the averaged predictive is better than the MLE and than the MAP" * doctest::skip()) {
  const Grammar grammar = Grammar::read("data/arithmetic.grammar");
  const LineEntropy entropy = grammar.entropy(Rng(1, Stream::kSample));
  CHECK(entropy.exact);
  std::vector<double> over_mle, over_map;
  Measured all[3];
  const char* const names[] = {"MLE", "MAP", "predictive"};
  double tokens = 0, lines_measured = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    std::string content;
    for (int64_t i = 0; content.size() < 400; ++i)
      content += grammar.derive(Rng(uint64_t(seed), Stream::kSample).at(i)) + "\n";
    std::vector<std::string> held_out;
    for (int64_t i = 0; i < kHeldOut; ++i) held_out.push_back(grammar.derive(Rng(100, Stream::kSample).at(i)));
    const LineWorld world(content, "char");
    const Config c = world.config("nnlm", [&](Config& change) {
      change.context = 12;
      change.order = 4;
      change.embd = 4;
      change.hidden = 8;
      change.seed = seed;
    });
    const Corpus corpus = world.corpus(c);
    const auto mle = optimum(c, world, corpus, false), map = optimum(c, world, corpus, true);
    const auto predictive = sampled(c, world, corpus, uint64_t(seed));
    const LanguageModel* const models[] = {mle.get(), map.get(), predictive.get()};
    double nats[3];
    for (int i = 0; i < 3; ++i) {
      const Measured m = measure(*models[i], world, held_out);
      nats[i] = m.nats;
      all[i].nats += m.nats / kSeeds;
      for (int b = 0; b < kBins; ++b)
        all[i].said[b] += m.said[b], all[i].came[b] += m.came[b], all[i].number[b] += m.number[b];
      tokens = m.tokens;
    }
    lines_measured = double(held_out.size());
    std::printf("  seed %2d: MLE %.4f, MAP %.4f, predictive %.4f nats a token\n", seed, nats[0], nats[1], nats[2]);
    std::fflush(stdout);
    over_mle.push_back(nats[0] - nats[2]);
    over_map.push_back(nats[1] - nats[2]);
  }
  std::printf("  exact entropy rate %.4f nats a token\n", entropy.nats * lines_measured / tokens);
  tell("MLE", over_mle);
  tell("MAP", over_map);
  std::printf("  reliability: what was said to have a probability, and how often it came (all seeds)\n");
  double worst[3] = {};
  for (int i = 0; i < 3; ++i) {
    std::printf("  %-10s", names[i]);
    double error = 0, number = 0;
    for (int b = 0; b < kBins; ++b) {
      std::printf("  %.3f %.3f", all[i].said[b] / all[i].number[b], all[i].came[b] / all[i].number[b]);
      if (b == 0) continue;  // where most tokens are that nobody expects
      error += std::fabs(all[i].said[b] - all[i].came[b]), number += all[i].number[b];
    }
    worst[i] = error / number;
    std::printf("  mean error above 0.2: %.3f\n", worst[i]);
  }
  CHECK(worst[2] < worst[0]);
}

TEST_SUITE_END();
