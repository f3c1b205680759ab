// Steps of a posterior over parameters as a run takes them: random numbers that no two chains share, batches that stand
// for a text of lines of many lengths, steps that are interrupted, and what a state keeps from token to token.
#include <atomic>
#include <cmath>
#include <set>

#include "engine/long_loop.h"
#include "models/memory.h"
#include "models/sampler.h"
#include "tests/posterior_world.h"
#include "tests/scratch.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("posterior_steps");

namespace {

const char* const kManyLengths = "a\na\nb\nabababababab\nbbbbbbbbbbbbbbbbbbbb\nb\n";

// Ends every long loop in its round number `last`, counted over all of them.
class Impatient final : public Watcher {
 public:
  explicit Impatient(int64_t last) : last_(last) { watch_with(this); }
  ~Impatient() override { watch_with(nullptr); }
  void see(const LongLoop&, int64_t) override {
    if (++rounds == last_) throw Interrupted();
  }
  void see_end(const LongLoop&) noexcept override {}
  std::atomic<int64_t> rounds = 0;

 private:
  const int64_t last_;
};

ChainsModel& chains_of(PosteriorModel& model) { return dynamic_cast<ChainsModel&>(model); }

}  // namespace

TEST_CASE("no two chains share random numbers, of one seed or of two: neither where they begin nor in a step") {
  const LineWorld world(kManyLengths, "char");
  for (const std::string kind : {"hmc", "sgld"}) {
    CAPTURE(kind);
    std::set<std::vector<double>> begun, moved;
    for (const int64_t seed : {1, 2, 3}) {
      const Config c = world.config("nnlm", [&](Config& change) { change.seed = seed; });
      const Corpus corpus = world.corpus(c);
      PosteriorOptions options = options_of(kind, 6);
      options.chains = 3;
      const auto model = posterior(world, c, options);
      ChainsModel& chains = chains_of(*model);
      for (int64_t k = 0; k < 3; ++k) begun.insert(chains.state(k));
      const std::vector<double> same(chains.state(0).size(), 0.1);
      for (int64_t k = 0; k < 3; ++k) chains.set_state(k, same);
      Shards one(1, 1);
      ChainSampler(chains, options, corpus, one, 1, uint64_t(seed)).step(1, 10, 5, 0.01);
      for (int64_t k = 0; k < 3; ++k) {
        std::vector<double> step = chains.state(k);
        step.resize(3);  // as few as can be accepted or not: a chain that was rejected would be where it began
        moved.insert(step);
      }
    }
    CHECK(begun.size() == 9);
    CHECK(moved.size() == 9);
  }
  // Nor do they draw the same batches.
  const Config c = world.config("nnlm");
  const Corpus corpus = world.corpus(c);
  Batch a, b;
  const Rng rng(1, Stream::kBatch, 7);
  a.draw(corpus, Split::kTrain, rng, 0, 8);
  const auto net = make_model(c, world.tokenizer.size());
  Shards one(1, 1);
  TextPotential potential(*net, corpus, one, 8, 1);
  std::vector<double> q(size_t(net->params().size()), 0.2), gradient(q.size());
  CHECK(potential.of_batch(q, gradient, rng, 0) != potential.of_batch(q, gradient, rng, 1));
}

TEST_CASE("a step of SGLD at learning rate lr is one of gradient descent on U/N, and the noise that belongs to it") {
  const LineWorld world(kManyLengths, "char");
  const Config c = world.config("nnlm");
  const Corpus corpus = world.corpus(c);
  const PosteriorOptions options = options_of("sgld", 2);
  const auto model = posterior(world, c, options);
  ChainsModel& chains = chains_of(*model);
  Shards one(1, 1);
  const auto net = make_model(c, world.tokenizer.size());
  TextPotential potential(*net, corpus, one, 2, options.prior_scale);
  const double N = double(potential.tokens()), lr = 0.3;
  std::vector<std::vector<double>> wanted;
  for (int64_t k = 0; k < 2; ++k) {
    std::vector<double>& q = wanted.emplace_back(chains.state(k));
    std::vector<double> gradient(q.size());
    potential.of_batch(q, gradient, Rng(5, Stream::kBatch, 3), k);
    const Rng noise = Rng(5, Stream::kPosterior, 3).at(0, k);
    for (size_t i = 0; i < q.size(); ++i)
      q[i] += -lr * gradient[i] / N + std::sqrt(2 * lr / N) * noise.normal(int64_t(i));
  }
  ChainSampler(chains, options, corpus, one, 2, 5).step(3, 10, 5, lr);
  for (int64_t k = 0; k < 2; ++k)
    for (size_t i = 0; i < wanted[0].size(); ++i)
      CHECK(std::fabs(chains.state(k)[i] - wanted[size_t(k)][i]) < (sizeof(real) == 8 ? 1e-12 : 1e-5));
}

TEST_CASE("the random numbers of a transition are those of its chain") {
  const Potential U = [](std::span<const double> q, std::span<double> gradient) {
    gradient[0] = q[0];
    return q[0] * q[0] / 2;
  };
  for (const bool rejects : {true, false}) {
    std::set<double> places;
    for (const uint64_t seed : {4, 5, 6})
      for (int64_t chain = 0; chain < 4; ++chain) {
        double q = 0.3;
        const Rng rng(seed, Stream::kPosterior, 9);
        if (rejects)
          hmc_transition(U, {&q, 1}, 0.01, 2, rng, chain);
        else
          sgld_transition(U, {&q, 1}, 0.01, rng, chain);
        places.insert(q);
      }
    CHECK(places.size() == 12);
  }
}

// Batches of a text stand for all of it without bias, for chains and for a guide.
static void check_stands_for_all(const LineWorld& world, const Config& c, const Corpus& corpus) {
  const int64_t S = corpus.windows(Split::kTrain), N = targets_in(corpus, Split::kTrain);
  CHECK(sequences_in(corpus, Split::kTrain) == double(S));
  const auto net = make_model(c, world.tokenizer.size());
  Shards one(1, 1);
  TextPotential potential(*net, corpus, one, 1, 0.8);
  std::vector<double> q(size_t(net->params().size())), whole(q.size()), part(q.size()), sum(q.size());
  for (size_t i = 0; i < q.size(); ++i) q[i] = 0.5 * std::sin(double(i));
  // A batch of one sequence: the mean over those that can be drawn, each once, is the whole text.
  const double U = potential.whole(q, whole);
  double of_batches = 0;
  Batch drawn;
  std::set<const int32_t*> met;
  for (int64_t t = 0; std::ssize(met) < S && t < 1000; ++t) {
    const Rng rng(1, Stream::kBatch, t);
    draw_sequences(drawn, corpus, Split::kTrain, rng, 0, 1);
    if (!met.insert(drawn.windows[0].targets.data()).second) continue;
    of_batches += potential.of_batch(q, part, rng) / double(S);
    for (size_t i = 0; i < q.size(); ++i) sum[i] += part[i] / double(S);
  }
  REQUIRE(std::ssize(met) == S);
  const double close = sizeof(real) == 8 ? 1e-9 : 1e-3;
  CHECK(std::fabs(of_batches - U) < close);
  for (size_t i = 0; i < q.size(); ++i) CHECK(std::fabs(sum[i] - whole[i]) < close);

  const auto model = posterior(world, c, options_of("variational"));
  auto& guide = dynamic_cast<VariationalModel&>(*model);
  widen(guide, 0.3);
  guide.learn_from(N, sequences_in(corpus, Split::kTrain));
  BatchLoss loss(one);
  Batch batch;
  const auto weighted = [&](int64_t first, int64_t count) {
    batch.take(corpus, Split::kTrain, first, count);
    return guide.weight_of(batch) * loss.forward(guide, batch, {.seed = 1, .step = 3, .training = true}, false);
  };
  const double all = weighted(0, S);
  double mean = 0;
  for (int64_t i = 0; i < S; ++i) mean += weighted(i, 1) / double(S);
  CHECK(std::fabs(mean - all) < close);
  // And that is -ELBO/N of the step's draw: the likelihood of the text once, and the KL once.
  batch.take(corpus, Split::kTrain, 0, S);
  const double with_kl = loss.forward(guide, batch, {.seed = 1, .step = 3, .training = true}, false);
  guide.learn_from(N, 1e12);
  const double without = loss.forward(guide, batch, {.seed = 1, .step = 3, .training = true}, false);
  CHECK(std::fabs(with_kl - without - guide.kl()) < 1e4 * close);
  CHECK(std::fabs(all - with_kl / double(N)) < close);
}

TEST_CASE("a batch of lines of many lengths stands for the whole text without bias, for chains and for a guide") {
  const LineWorld world(kManyLengths, "char");
  const Config c = world.config("nnlm");
  check_stands_for_all(world, c, world.corpus(c));
}

TEST_CASE("and so does a batch of windows of one long text, at its edges as in its middle") {
  // Mostly a where few of the windows that begin anywhere reach, and b in the middle.
  const LineWorld world("aaabaaabbbbabbbbaaaba", "char");
  const Config c = world.config("nnlm", [](Config& change) {
    change.lines = false;
    change.end_id = -1;
  });
  const Corpus corpus(c.corpus(), world.tokenizer, world.content, "text");
  CHECK(targets_in(corpus, Split::kTrain) == 20);  // of contexts of 8: two and a half
  CHECK(corpus.windows(Split::kTrain) == 3);
  check_stands_for_all(world, c, corpus);
  Batch batch;
  double seen[3] = {};
  for (int64_t t = 0; t < 1000; ++t) {
    draw_sequences(batch, corpus, Split::kTrain, Rng(2, Stream::kBatch, t), 0, 3);
    for (const Window& w : batch.windows) ++seen[(w.inputs.data() - corpus.tokens(Split::kTrain).data()) / 8];
  }
  for (const double n : seen) CHECK(std::fabs(n - 1000) < 4 * std::sqrt(3000 * 2. / 9));
}

TEST_CASE("a step of chains that is interrupted, in whatever pass over the text, has moved none of them") {
  const LineWorld world(kManyLengths, "char");
  const Config c = world.config("nnlm");
  const Corpus corpus = world.corpus(c);
  PosteriorOptions options = options_of("hmc", 4);
  options.leapfrog = 3;
  Shards one(1, 1);
  const auto straight = posterior(world, c, options), other = posterior(world, c, options);
  ChainSampler sampler(chains_of(*straight), options, corpus, one, 2, 1);
  int64_t rounds = 0;
  {
    const Impatient patient(-1);
    sampler.step(1, 6, 3, 0.05);
    rounds = patient.rounds;
  }
  CHECK(rounds == 2 * (options.leapfrog + 1) * 3);  // every batch of every pass of both chains
  for (int64_t t = 2; t <= 6; ++t) sampler.step(t, 6, 3, 0.05);

  ChainSampler interrupted(chains_of(*other), options, corpus, one, 2, 1);
  for (int64_t t = 1; t <= 6; ++t) {
    const std::vector<real> before(other->params().data().begin(), other->params().data().end());
    {
      const Impatient watcher(1 + (7 * t) % rounds);
      CHECK_THROWS_AS(interrupted.step(t, 6, 3, 0.05), Interrupted);
    }
    CHECK(std::ranges::equal(before, other->params().data()));
    interrupted.step(t, 6, 3, 0.05);
  }
  CHECK(std::ranges::equal(straight->params().data(), other->params().data()));
}

TEST_CASE("chains that stop in the burn-in and go on in another process have the same bits, on any threads") {
  const LineWorld world(kManyLengths, "char");
  for (const std::string kind : {"hmc", "sgld"}) {
    const Config c = world.config("lstm");
    const Corpus corpus = world.corpus(c);
    const PosteriorOptions options = options_of(kind, 4);
    const auto run = [&](PosteriorModel& model, int64_t first, int64_t last, int threads) {
      Shards shards(2, threads);
      ChainSampler sampler(chains_of(model), options, corpus, shards, 3, 1);
      for (int64_t t = first; t <= last; ++t) sampler.step(t, 10, 6, 0.05);
    };
    const auto straight = posterior(world, c, options), halved = posterior(world, c, options);
    run(*straight, 1, 10, 1);
    run(*halved, 1, 4, 2);
    const auto copied = clone(*halved);
    run(dynamic_cast<PosteriorModel&>(*copied), 5, 10, 2);
    CHECK(std::ranges::equal(straight->params().data(), copied->params().data()));
    // HMC's step size was tuned in the burn-in and stands still behind it.
    const ChainsModel& chains = chains_of(*straight);
    CHECK((chains.log_step(0) != 0) == (kind == "hmc"));
    const double tuned = chains.log_step(0);
    run(*straight, 7, 10, 1);
    CHECK(chains.log_step(0) == tuned);
  }
}

TEST_CASE("of a run on its way it is known how many draws are states of the burn-in") {
  const LineWorld world(kManyLengths, "char");
  const Config c = world.config("nnlm");
  PosteriorOptions options = options_of("hmc", 6);
  for (const auto& [all, burn_in] : {std::pair<int64_t, int64_t>{12, 6}, {20, 9}, {9, 6}, {17, 1}}) {
    const int64_t steps = all;
    CAPTURE(steps);
    const auto model = posterior(world, c, options);
    ChainsModel& chains = chains_of(*model);
    std::vector<double> mark(chains.state(0).size(), 0);
    for (int64_t step = 0; step <= steps; ++step) {
      for (int64_t k = 0; k < 2; ++k) chains.set_state(k, std::vector<double>(mark.size(), double(step)));
      if (step == 0)
        for (int64_t slot = 0; slot < 3; ++slot) chains.keep(slot + 1, 3, 0);  // all draws are where they begin
      else
        chains.keep(step, steps, burn_in);
      int64_t before = 0;
      for (int64_t k = 0; k < 6; ++k) before += double(chains.draw(k).params().data()[0]) <= double(burn_in);
      CHECK(chains.draws_before(step, steps, burn_in) == before);
    }
    CHECK(chains.draws_before(steps, steps, burn_in) == 0);
  }
}

TEST_CASE("what a draw prepares for a state is made once, and anew when the parameters change") {
  std::string letters;
  for (char x = 'A'; x <= 'z'; ++x) letters += x;
  const LineWorld world(letters + "\n", "char");
  const Config c = world.config("lstm", [](Config& change) { change.hidden = 32; });
  const auto model = posterior(world, c, options_of("variational"));
  widen(*model, 0.3);
  State state = model->start(1);
  const auto bytes_of = [&](int32_t token) {  // that one more token takes from a tape
    Tape tape;
    const Tape::Use use(tape);
    const int32_t ids[] = {token};
    const Tape::Mark mark(tape);
    model->next(state, ids);
    return tape.bytes();
  };
  const size_t first = bytes_of(3), second = bytes_of(4);
  CHECK(first > 4 * second);
  CHECK(bytes_of(5) == second);
  for (real& x : model->params().edit(0)) x += real(0.5);
  CHECK(bytes_of(6) == first);
  // A state that has read the same with the new numbers says the same of what follows.
  Tape tape;
  const Tape::Use use(tape);
  State one = model->start(1), two = model->start(1);
  const int32_t a[] = {1}, b[] = {2};
  const Tape::Mark mark(tape);
  model->next(one, a);
  model->next(two, a);
  two.prepared.reset();  // all is made again
  const Tensor x = model->next(one, b), y = model->next(two, b);
  CHECK(std::ranges::equal(x.span(), y.span()));
}

TEST_CASE("the memory of sampling counts what states prepare, once for each draw of a posterior") {
  const auto bytes = [](int64_t V, int64_t draws) {
    ModelOptions options;
    options.model = "lstm";
    options.layers = 1;
    options.embd = 4;
    options.hidden = 64;
    auto net = declare_model(options, V);
    PosteriorOptions with = options_of(draws > 0 ? "variational" : kNoPosterior, draws);
    const auto model = with_posterior(std::move(net), with);
    model->initialise();
    return sampling_bytes(*model, 1, false);
  };
  // A vocabulary of 257 is too large for a table, which is all that 256 have beside it.
  const double table = 256. * 4 * 64 * sizeof(real);
  const auto extra = [&](int64_t draws) { return bytes(256, draws) - bytes(257, draws); };
  CHECK(extra(0) > 2.5 * table);  // itself, and two as large while it is made
  CHECK(extra(0) < 3.2 * table);
  CHECK(extra(8) > 9.5 * table);
  CHECK(extra(8) < 10.2 * table);
}

TEST_SUITE_END();
