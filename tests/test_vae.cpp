// models/vae.h, models/vae_texts.h: the ELBO by hand and by finite differences, its bounds against log p(x) by
// quadrature over z, samples against that distribution, noise and word dropout. The mistakes that such models are known
// for would show: a guide that learns nothing (a parameter of the encoder without a gradient), a label that leaks (the
// decoder and what stands behind a token), one latent vector for a whole batch or a new one at each token (the loss by
// hand, samples), an ELBO that nobody computes (it rises, and is below log p). One long file, since nearly all of its
// tests stand on the same quadrature.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "engine/gradcheck.h"
#include "models/memory.h"
#include "models/sampler.h"
#include "models/vae_texts.h"
#include "tests/line_world.h"
#include "tests/near.h"
#include "tests/scratch.h"

namespace {

using namespace gradus;
using testing::LineWorld;
using Ids = std::vector<int32_t>;

constexpr double kClose = kDouble ? 1e-10 : 2e-4;

// --- a model by itself ---------------------------------------------------------------------------------------------

// log p(x_t | x_<t, z_g) of each z of [G,D], summed over the text.
std::vector<double> log_p_given(const Vae& model, int32_t start, const Ids& text, const std::vector<real>& z) {
  Tape tape;
  const Tape::Use use(tape);
  State state = model.start_at(z);
  std::vector<double> sum(size_t(state.rows)), log_p(size_t(model.vocabulary()));
  Ids last(sum.size(), start);
  for (const int32_t token : text) {
    const Tape::Mark mark(tape);
    const Tensor logits = model.next(state, last);
    for (size_t g = 0; g < sum.size(); ++g) {
      log_distribution(logits.rows(int64_t(g), 1).span(), 1, log_p);
      sum[g] += log_p[size_t(token)];
    }
    std::ranges::fill(last, token);
  }
  return sum;
}

struct Normal {
  std::vector<double> mean, log_variance;
  double kl() const {
    double sum = 0;
    for (size_t d = 0; d < mean.size(); ++d)
      sum += 0.5 * (mean[d] * mean[d] + std::exp(log_variance[d]) - 1 - log_variance[d]);
    return sum;
  }
  std::vector<real> at(const std::vector<double>& epsilon) const {  // [G,D]
    std::vector<real> z;
    for (size_t i = 0; i < epsilon.size(); ++i)
      z.push_back(real(mean[i % mean.size()] + std::exp(log_variance[i % mean.size()] / 2) * epsilon[i]));
    return z;
  }
};
Normal posterior(const Vae& model, const Ids& text) {
  Tape tape;
  const Tape::Use use(tape);
  const auto length = int32_t(text.size());
  const Vae::Posterior q = model.posterior(text, {&length, 1}, 1, length);
  CHECK(q.mean.shape() == Shape{1, model.latent()});
  CHECK(q.log_variance.shape() == Shape{1, model.latent()});
  const auto copy = [](const Tensor& x) { return std::vector<double>(x.span().begin(), x.span().end()); };
  Normal normal{copy(q.mean), copy(q.log_variance)};
  CHECK(std::fabs(double(model.kl(q).data()[0]) - normal.kl()) <= kClose * (1 + normal.kl()));
  return normal;
}

// --- quadrature ----------------------------------------------------------------------------------------------------

// Σ_g weight[g] f(point[g]) = ∫ N(ε; 0, I) f(ε) dε for one or two dimensions. The rule of trapezoids, whose error for
// such integrands falls faster than any power of its step.
struct Grid {
  std::vector<double> point, weight;  // [G,D], [G]
};
Grid grid_of(int64_t D) {
  const double h = D == 1 ? 1.0 / 32 : 1.0 / 6;
  constexpr double kEnd = 7;
  std::vector<double> x, w;
  const auto steps = std::lround(2 * kEnd / h);
  for (int64_t i = 0; i <= steps; ++i) {
    const double at = -kEnd + h * double(i);
    x.push_back(at);
    w.push_back(h * std::exp(-at * at / 2) / std::sqrt(2 * M_PI));
  }
  Grid grid;
  for (size_t i = 0; i < x.size(); ++i)
    for (size_t j = 0; j < (D == 1 ? 1 : x.size()); ++j) {
      grid.point.push_back(x[i]);
      if (D == 2) grid.point.push_back(x[j]);
      grid.weight.push_back(D == 1 ? w[i] : w[i] * w[j]);
    }
  return grid;
}

double log_p_of(const Vae& model, int32_t start, const Ids& text, const Grid& grid) {
  const std::vector<double> log_p = log_p_given(model, start, text, {grid.point.begin(), grid.point.end()});
  double p = 0;
  for (size_t g = 0; g < log_p.size(); ++g) p += grid.weight[g] * std::exp(log_p[g]);
  return std::log(p);
}

struct Exact {
  double log_p, elbo, kl;
};
Exact exact(const Vae& model, int32_t start, const Ids& text, const Grid& grid) {
  const Normal q = posterior(model, text);
  const std::vector<double> log_p = log_p_given(model, start, text, q.at(grid.point));
  double elbo = -q.kl();
  for (size_t g = 0; g < log_p.size(); ++g) elbo += grid.weight[g] * log_p[g];
  return {log_p_of(model, start, text, grid), elbo, q.kl()};
}

// --- worlds --------------------------------------------------------------------------------------------------------

// Four coins of one bias: all 16 texts, those with more of one side more often.
const LineWorld& coins() {
  static const LineWorld world = [] {
    std::string lines;
    const int often[] = {8, 2, 1, 2, 8};
    for (unsigned code = 0; code < 16; ++code)
      for (int i = 0; i < often[__builtin_popcount(code)]; ++i) {
        for (int t = 0; t < 4; ++t) lines += code >> t & 1 ? 'a' : 'b';
        lines += '\n';
      }
    return LineWorld(lines, "char");
  }();
  return world;
}

// Mixed lengths, an empty text among them.
const LineWorld& mixed() {
  static const LineWorld world("abca\nb\n\ncab\n", "char");
  return world;
}

// A model of which z decides much, and the texts decide on z.
std::unique_ptr<LanguageModel> lively(const LineWorld& world, const std::function<void(Config&)>& change) {
  auto model = world.model("vae", [&](Config& c) {
    c.hidden = 5;
    c.embd = 3;
    c.latent = 2;
    change(c);
  });
  Params& p = model->params();
  const auto times = [&](const char* name, double factor) {
    for (real& w : p.edit(p.find(name))) w *= real(factor);
  };
  times("decoder.weight_z", 5);
  times("head.weight", 4);
  times("latent.mean.weight", 6);
  times("latent.log_variance.weight", 4);
  p.edit(p.find("latent.log_variance.bias"))[0] = real(-0.7);
  return model;
}
std::unique_ptr<LanguageModel> lively(const LineWorld& world) {
  return lively(world, [](Config&) {});
}

Ids text_of(const LineWorld& world, const char* line) {
  Ids ids = world.ids(line);
  ids.push_back(world.end_id());
  return ids;
}

std::vector<real> losses_of(const LanguageModel& model, Batch& batch, const StepInfo& info) {
  Tape tape;
  const Tape::Use use(tape);
  tape.new_step(info);
  const auto loss = model.losses(batch.inputs, batch.targets, batch.B, batch.T).span();
  return {loss.begin(), loss.end()};
}

// The bounds of the corpus's texts, each by itself with the draws that bounds_of_split(.., K, 11, ..) gives it.
LatentBounds sum_of_scores(const Vae& vae, const Corpus& corpus, int64_t texts, int64_t K) {
  LatentBounds sum;
  Tape tape;
  const Tape::Use use(tape);
  for (int64_t i = 0; i < texts; ++i) {
    const Window text = corpus.window(Split::kAll, i);
    const LatentBounds b = score_text(vae, text.inputs[0], text.targets, K, latent_rng(11).at(i, 2)).bounds;
    sum.importance += b.importance;
    sum.elbo += b.elbo;
    sum.kl += b.kl;
    sum.tokens += b.tokens;
  }
  return sum;
}

}  // namespace

TEST_SUITE("vae") {
  TEST_CASE("vae: the loss of a text is −log p(x|z) + weight · KL with a noise of its own, worked out by hand") {
    const LineWorld& world = mixed();
    const Corpus corpus = world.corpus("vae");
    Batch batch;
    batch.take(corpus, Split::kAll, 0, 4);
    for (const double rate : {0.0, 0.5, 1.0}) {
      const auto model = lively(world, [&](Config& c) {
        c.kl_anneal = 10;
        c.word_dropout = rate;
      });
      const Vae& vae = *vae_in(*model);
      std::vector<real> of_eval;
      for (const int step : {-1, 0, 3, 10, 50}) {  // −1: of an evaluation
        const bool training = step >= 0;
        CAPTURE(rate);
        CAPTURE(step);
        const StepInfo info{
            .seed = 5, .step = std::max(step, 0), .training = training, .first_sequence = 7, .sequences = 4};
        const std::vector<real> loss = losses_of(*model, batch, info);
        if (!training) of_eval = loss;
        for (int64_t b = 0; b < 4; ++b) {
          const auto window = corpus.window(Split::kAll, b);
          const Ids text(window.targets.begin(), window.targets.end());
          Ids inputs(window.inputs.begin(), window.inputs.end());
          const auto T = std::ssize(text), D = vae.latent();
          const Normal q = posterior(vae, text);
          CHECK(q.kl() > 0.05);
          const Rng rng(5, Stream::kLatent, std::max(step, 0));
          std::vector<double> epsilon;
          for (int64_t d = 0; d < D; ++d) epsilon.push_back(rng.at(7 + b).normal(d));
          for (int64_t t = 1; t < T && training; ++t)
            if (rng.at(7 + b, 1).uniform(t) < rate) inputs[size_t(t)] = int32_t(vae.vocabulary());
          double wanted = (training ? std::min(step / 10.0, 1.0) : 1.0) * q.kl();
          Tape tape;
          const Tape::Use use(tape);
          const std::vector<real> z = q.at(epsilon);
          const Tensor logits = vae.head(vae.decode(inputs, constant({1, D}, z), 1, T));
          std::vector<double> log_p(size_t(vae.vocabulary()));
          for (int64_t t = 0; t < T; ++t) {
            log_distribution(logits.rows(t, 1).span(), 1, log_p);
            const double here = -log_p[size_t(text[size_t(t)])];
            wanted += here;
            if (t > 0) CHECK(std::fabs(double(loss[size_t(b * batch.T + t)]) - here) <= kClose * 10);
          }
          double got = 0;
          for (int64_t t = 0; t < batch.T; ++t) {
            const double here = double(loss[size_t(b * batch.T + t)]);
            if (t >= T) CHECK(here == 0);
            got += here;
          }
          CHECK(std::fabs(got - wanted) <= kClose * (1 + wanted));
        }
        CHECK(first_difference(loss, losses_of(*model, batch, info)) == -1);
        const StepInfo other{.seed = 5, .step = step + 2, .training = training, .first_sequence = 7, .sequences = 4};
        CHECK(near(loss, losses_of(*model, batch, other)) > 1e-3);
      }
      if (rate > 0) {  // it is off where nothing is trained
        const auto plain = lively(world, [](Config& c) { c.word_dropout = 0; });
        const StepInfo info{.seed = 5, .step = 0, .training = false, .first_sequence = 7, .sequences = 4};
        CHECK(first_difference(of_eval, losses_of(*plain, batch, info)) == -1);
      }
    }
  }

  TEST_CASE("vae: the gradient of the ELBO is that of differences at every parameter under fixed noise" *
            doctest::skip(!kDouble)) {
    const LineWorld& world = mixed();
    const Corpus corpus = world.corpus("vae");
    Batch batch;
    batch.take(corpus, Split::kAll, 0, 4);
    for (const bool composed : {false, true}) {
      const auto model = lively(world, [&](Config& c) {
        c.kl_anneal = 10;
        c.word_dropout = 0.4;
        c.dropout = 0.3;
        if (composed) c.ops = "composed";
      });
      for (const bool training : {true, false}) {
        const StepInfo info{.seed = 3, .step = training ? 4 : 0, .training = training, .sequences = 4};
        const GradCheck check = check_parameters(
            "vae", model->params(),
            [&](std::span<const Tensor>) { return model->losses(batch.inputs, batch.targets, batch.B, batch.T); },
            {.retries = 1, .info = info});
        INFO(check);
        CHECK(check.passes(1e-8));
        CHECK(check.elements == model->params().size());
      }
      // What the encoder learns is used: each of its parameters has a gradient.
      Tape tape;
      const Tape::Use use(tape);
      tape.new_step({.seed = 3, .step = 4, .training = true, .sequences = 4});
      tape.backward(sum(model->losses(batch.inputs, batch.targets, batch.B, batch.T)));
      for (int64_t i = 0; i < model->params().count(); ++i) {
        const auto g = model->params().tensor(i).grad();
        INFO(model->params().name(i));
        CHECK(std::ranges::any_of(g, [](real x) { return std::fabs(double(x)) > 1e-6; }));
      }
    }
  }

  TEST_CASE("vae: the decoder sees only what stands before a token, and the latent vector of its own text") {
    const auto model = lively(mixed());
    const Vae& vae = *vae_in(*model);
    Tape tape;
    const Tape::Use use(tape);
    const Ids inputs{3, 0, 1, 2, 3, 1, 1, 0};
    const std::vector<real> z{real(0.3), real(-1), real(1.2), real(0.4)};
    const auto states = [&](const Ids& seen, const std::vector<real>& latent) {
      const auto x = vae.head(vae.decode(seen, constant({2, 2}, latent), 2, 4)).span();
      return std::vector<real>(x.begin(), x.end());
    };
    const std::vector<real> before = states(inputs, z);
    const auto V = size_t(vae.vocabulary());
    Ids later = inputs;
    later[2] = 0;  // of the first text
    const std::vector<real> after = states(later, z);
    CHECK(first_difference(std::span(before).first(2 * V), std::span(after).first(2 * V)) == -1);
    CHECK(near(std::span(before).subspan(2 * V, V), std::span(after).subspan(2 * V, V)) > 1e-3);
    CHECK(first_difference(std::span(before).subspan(4 * V), std::span(after).subspan(4 * V)) == -1);
    const std::vector<real> moved = states(inputs, {z[0], z[1], real(0), z[3]});
    CHECK(first_difference(std::span(before).first(4 * V), std::span(moved).first(4 * V)) == -1);
    for (size_t t = 4; t < 8; ++t)
      CHECK(near(std::span(before).subspan(t * V, V), std::span(moved).subspan(t * V, V)) > 1e-3);
    // Token by token it says the same.
    State state = vae.start_at(z);
    for (size_t t = 0; t < 4; ++t) {
      const Tensor logits = vae.next(state, Ids{inputs[t], inputs[4 + t]});
      for (size_t b = 0; b < 2; ++b)
        CHECK(near(logits.rows(int64_t(b), 1).span(), std::span(before).subspan((4 * b + t) * V, V)) <=
              (kDouble ? 1e-12 : 1e-4));
    }
    CHECK_FALSE(vae.predicts_next());
    CHECK(vae.draws_texts());
    CHECK(has(complaint<DataError>([&] { vae.start(1); }), "says nothing of what follows"));
    CHECK_THROWS_AS(vae.start_at(std::vector<real>(3)), ShapeError);
    CHECK_THROWS_AS(vae.posterior(Ids{0, 9}, Ids{2}, 1, 2), ShapeError);
    CHECK_THROWS_AS(vae.posterior(Ids{0, 1}, Ids{3}, 1, 2), ShapeError);
  }

  TEST_CASE("vae: the KL in closed form is ∫ q log q/p, and the probabilities of all texts sum to 1") {
    for (const int64_t D : {1, 2}) {
      const auto model = lively(mixed(), [&](Config& c) { c.latent = D; });
      const Vae& vae = *vae_in(*model);
      const Grid grid = grid_of(D);
      const Normal q = posterior(vae, text_of(mixed(), "cab"));
      double kl = 0;
      for (size_t g = 0; g < grid.weight.size(); ++g)
        for (size_t d = 0; d < size_t(D); ++d) {
          const double e = grid.point[g * size_t(D) + d], z = q.mean[d] + std::exp(q.log_variance[d] / 2) * e;
          kl += grid.weight[g] * (z * z - e * e - q.log_variance[d]) / 2;
        }
      CHECK(std::fabs(kl - q.kl()) <= 1e-6);
      double total = 0;
      const int32_t V = int32_t(vae.vocabulary()), end = mixed().end_id();
      for (int32_t a = 0; a < V; ++a)
        for (int32_t b = 0; b < (a == end ? 1 : V); ++b)
          total += std::exp(log_p_of(vae, end, a == end ? Ids{a} : Ids{a, b}, grid));
      CHECK(std::fabs(total - 1) <= (kDouble ? 1e-9 : 1e-5));
    }
  }

  TEST_CASE("vae: trained, its ELBO is at most log p and within 0.02 nats of it, and its KL has not collapsed") {
    const LineWorld& world = coins();
    for (const int64_t D : {1, 2}) {
      CAPTURE(D);
      const auto model = world.model("vae", [&](Config& c) {
        c.hidden = 2;
        c.embd = 4;
        c.latent = D;
        c.kl_anneal = 300;
      });
      const Vae& vae = *vae_in(*model);
      const Corpus corpus = world.corpus("vae");
      const Grid grid = grid_of(D);
      std::map<Ids, double> texts;  // and how often each is there
      const auto n = corpus.lines(Split::kAll);
      for (int64_t i = 0; i < n; ++i) {
        const auto x = corpus.window(Split::kAll, i).targets;
        texts[Ids(x.begin(), x.end())] += 1 / double(n);
      }
      double entropy = 0;
      for (const auto& [text, share] : texts) entropy -= share * std::log(share);
      const auto means = [&] {
        Exact mean{};
        for (const auto& [text, share] : texts) {
          const Exact e = exact(vae, world.end_id(), text, grid);
          CHECK(e.elbo <= e.log_p + (kDouble ? 1e-9 : 1e-4));
          mean.log_p += share * e.log_p;
          mean.elbo += share * e.elbo;
          mean.kl += share * e.kl;
        }
        return mean;
      };
      const Exact before = means();
      testing::fit(*model, corpus, 1200, 0.03);
      const Exact after = means();
      INFO("log p ", after.log_p, ", ELBO ", after.elbo, ", KL ", after.kl, ", entropy ", entropy);
      CHECK(after.elbo > before.elbo + 1);
      CHECK(after.log_p - after.elbo <= 0.02);
      CHECK(after.kl >= 0.1);
      CHECK(after.log_p <= -entropy + 1e-9);
      CHECK(after.log_p >= -entropy - 0.1);
      if (std::getenv("GRADUS_FIGURES"))
        MESSAGE("D ", D, ": log p ", after.log_p, ", ELBO ", after.elbo, ", KL ", after.kl, ", entropy ", entropy);
    }
  }

  TEST_CASE("vae: the importance-weighted log p is log 1/K Σ w, begins at the ELBO in the mean and rises to log p") {
    const LineWorld& world = mixed();
    const auto model = lively(world);
    const Vae& vae = *vae_in(*model);
    const Ids text = text_of(world, "cab");
    const int32_t start = world.end_id();
    const Exact truth = exact(vae, start, text, grid_of(2));
    const double gap = truth.log_p - truth.elbo;
    CHECK(gap > 0.05);
    Tape tape;
    const Tape::Use use(tape);

    // One estimate by hand, from densities.
    const int64_t K = 70;  // more than are decoded side by side
    const Rng rng(3, Stream::kTest);
    const Normal q = posterior(vae, text);
    std::vector<double> epsilon;
    for (int64_t i = 0; i < 2 * K; ++i) epsilon.push_back(rng.normal(i));
    const std::vector<real> z = q.at(epsilon);
    const std::vector<double> log_p = log_p_given(vae, start, text, z);
    double sum = 0, log_likelihood = 0;
    for (size_t k = 0; k < size_t(K); ++k) {
      double w = std::exp(log_p[k]);
      for (size_t d = 0; d < 2; ++d) {
        const double x = double(z[2 * k + d]), sd = std::exp(q.log_variance[d] / 2), u = (x - q.mean[d]) / sd;
        w *= std::exp(-x * x / 2) / (std::exp(-u * u / 2) / sd);
      }
      sum += w;
      log_likelihood += log_p[k] / double(K);
    }
    const LatentScore score = score_text(vae, start, text, K, rng);
    CHECK(std::fabs(score.bounds.importance - std::log(sum / double(K))) <= kClose * 10);
    CHECK(std::fabs(score.bounds.elbo - (log_likelihood - q.kl())) <= kClose * 10);
    CHECK(std::fabs(score.bounds.kl - q.kl()) <= kClose);
    CHECK(score.bounds.tokens == 4);
    CHECK(score.log_probs.size() == 4);
    double total = 0;
    for (const double x : score.log_probs) total += x;
    CHECK(std::fabs(total - score.bounds.importance) <= 1e-9);

    // Means over 300 estimates with their standard errors. False alarms 4 · 6e-5.
    double before = -INFINITY, before_error = 0;
    for (const int64_t draws : {1, 4, 16, 64}) {
      CAPTURE(draws);
      constexpr int64_t kTimes = 300;
      double mean = 0, square = 0, elbo = 0, elbo_square = 0;
      for (int64_t i = 0; i < kTimes; ++i) {
        const LatentBounds b = score_text(vae, start, text, draws, Rng(4, Stream::kTest).at(i)).bounds;
        mean += b.importance / kTimes;
        square += b.importance * b.importance / kTimes;
        elbo += b.elbo / kTimes;
        elbo_square += b.elbo * b.elbo / kTimes;
      }
      const double error = std::sqrt((square - mean * mean) / kTimes);
      const double elbo_error = std::sqrt((elbo_square - elbo * elbo) / kTimes);
      INFO("mean ", mean, " ± ", error, ", ELBO ", truth.elbo, ", log p ", truth.log_p);
      CHECK(std::fabs(elbo - truth.elbo) <= 4 * elbo_error);
      if (draws == 1) CHECK(std::fabs(mean - truth.elbo) <= 4 * error);
      CHECK(mean <= truth.log_p + 4 * error);
      CHECK(mean >= before - 4 * std::hypot(error, before_error));
      if (draws == 64) {
        CHECK(mean > truth.elbo + 0.8 * gap);
        CHECK(truth.log_p - mean < 0.1 * gap + 4 * error);
      }
      before = mean;
      before_error = error;
    }
    // With many draws each token has log p(x_t | x_<t).
    const LatentScore many = score_text(vae, start, text, 20000, Rng(6, Stream::kTest));
    const Grid grid = grid_of(2);
    CHECK(std::fabs(many.bounds.importance - truth.log_p) <= 0.05 * gap + 0.01);
    double shorter = 0;
    for (size_t t = 0; t < text.size(); ++t) {
      const double longer = log_p_of(vae, start, Ids(text.begin(), text.begin() + int64_t(t) + 1), grid);
      CHECK(std::fabs(many.log_probs[t] - (longer - shorter)) <= 0.05);
      shorter = longer;
    }
  }

  TEST_CASE("vae: texts are drawn from the prior, one latent vector for a whole text") {
    const LineWorld& world = coins();
    const auto model = lively(world);
    const Vae& vae = *vae_in(*model);
    const int32_t end = world.end_id();
    constexpr int64_t kMost = 3, kCount = 6000;
    const Grid grid = grid_of(2);
    std::map<Ids, double> expected;
    std::vector<Ids> open{{}};
    for (int64_t t = 0; t < kMost; ++t) {
      std::vector<Ids> longer;
      for (const Ids& begun : open)
        for (int32_t v = 0; v < int32_t(vae.vocabulary()); ++v) {
          Ids text = begun;
          text.push_back(v);
          if (v == end || t + 1 == kMost)
            expected[text] = double(kCount) * std::exp(log_p_of(vae, end, text, grid));
          else
            longer.push_back(text);
        }
      open = longer;
    }
    Pool pool(2);
    const Rng rng(9, Stream::kSample);
    const SampleOptions options{.end_id = end, .max_tokens = kMost};
    const std::vector<Drawn> drawn = draw_sequences(*model, Ids{end}, 100, kCount, options, rng, pool);
    std::map<Ids, double> found;
    for (int64_t i = 0; i < kCount; ++i) {
      const Drawn& d = drawn[size_t(i)];
      ++found[d.tokens];
      if (i % 50 > 0) continue;  // its tokens are those of the vector that it is said to have
      double log_p = 0;
      for (const double x : d.log_probs) log_p += x;
      CHECK(std::fabs(log_p - log_p_given(vae, end, d.tokens, vae.drawn_z(rng, 100 + i))[0]) <=
            (kDouble ? 1e-10 : 1e-4));
    }
    double chi = 0, cells = 0, rest = kCount, rest_found = kCount;
    for (const auto& [text, wanted] : expected) {
      if (wanted < 8) continue;  // the rest is one cell
      chi += (found[text] - wanted) * (found[text] - wanted) / wanted;
      ++cells;
      rest -= wanted;
      rest_found -= found[text];
    }
    if (rest > 1) chi += (rest_found - rest) * (rest_found - rest) / rest;
    // Exceeded with probability 1e-4 (Wilson and Hilferty 1931), of `cells` degrees of freedom at most.
    const double a = 2 / (9 * cells), bound = cells * std::pow(1 - a + 3.719 * std::sqrt(a), 3);
    INFO("chi squared ", chi, " of ", cells, " cells");
    CHECK(cells >= 8);
    CHECK(chi <= bound);
    // The latent vectors: mean 0, variance 1, those of two texts independent. 4.5 standard errors.
    double mean = 0, square = 0, product = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      const double x = double(vae.drawn_z(rng, i)[0]), y = double(vae.drawn_z(rng, i + 1)[0]);
      mean += x / kCount;
      square += x * x / kCount;
      product += x * y / kCount;
    }
    CHECK(std::fabs(mean) <= 4.5 / std::sqrt(double(kCount)));
    CHECK(std::fabs(square - 1) <= 4.5 * std::sqrt(2.0 / kCount));
    CHECK(std::fabs(product) <= 4.5 / std::sqrt(double(kCount)));
  }

  TEST_CASE("vae: bounds of a split are the sums over its texts, on any number of threads") {
    const LineWorld& world = mixed();
    const auto model = lively(world);
    const Vae& vae = *vae_in(*model);
    const Corpus corpus = world.corpus("vae");
    LatentBounds sums[2];
    for (int i = 0; i < 2; ++i) {
      Pool pool(i + 1);
      sums[i] = bounds_of_split(vae, corpus, Split::kAll, 5, 11, pool);
    }
    CHECK(sums[0].importance == sums[1].importance);
    CHECK(sums[0].elbo == sums[1].elbo);
    const LatentBounds sum = sum_of_scores(vae, corpus, 4, 5);
    CHECK(sums[0].importance == sum.importance);
    CHECK(sums[0].elbo == sum.elbo);
    CHECK(sums[0].kl == sum.kl);
    CHECK(sums[0].tokens == 12);
    CHECK(sum.tokens == 12);
    CHECK(sums[0].texts == 4);
  }

  TEST_CASE("vae: of many texts each counts once, with draws of its own, and so does its KL in the mean") {
    std::string lines;
    for (int i = 0; i < 300; ++i) lines += i % 7 == 0 ? "abca\n" : i % 3 == 0 ? "b\n" : i % 2 == 0 ? "cab\n" : "\n";
    const LineWorld world(lines, "char");
    const auto model = lively(world);
    const Vae& vae = *vae_in(*model);
    const Corpus corpus = world.corpus("vae");
    Pool pool(2);
    const LatentBounds sums = bounds_of_split(vae, corpus, Split::kAll, 2, 11, pool);
    const LatentBounds sum = sum_of_scores(vae, corpus, 300, 2);
    CHECK(sums.importance == sum.importance);
    CHECK(sums.elbo == sum.elbo);
    CHECK(sums.kl == sum.kl);
    CHECK(sums.tokens == sum.tokens);
    CHECK(sums.texts == 300);
    const auto text = [&](int64_t i) { return corpus.window(Split::kAll, i).targets; };
    CHECK(mean_kl(vae, 300, text, pool) == sum.kl / 300);
    CHECK(std::fabs(mean_kl(vae, 1, text, pool) - posterior(vae, text_of(world, "abca")).kl()) <= kClose);
  }

  TEST_CASE("vae: a temperature divides the logits of every token of every draw") {
    const LineWorld& world = mixed();
    const auto model = lively(world);
    const Vae& vae = *vae_in(*model);
    const Ids text = text_of(world, "cab");
    constexpr int64_t K = 3;
    const Rng rng(3, Stream::kTest);
    const Normal q = posterior(vae, text);
    std::vector<double> epsilon;
    for (int64_t i = 0; i < 2 * K; ++i) epsilon.push_back(rng.normal(i));
    Tape tape;
    const Tape::Use use(tape);
    State state = vae.start_at(q.at(epsilon));
    const auto V = size_t(vae.vocabulary());
    double log_likelihood = 0;
    Ids last(K, world.end_id());
    for (const int32_t token : text) {
      const Tensor logits = vae.next(state, last);
      for (size_t k = 0; k < K; ++k) {
        const auto row = logits.span().subspan(k * V, V);
        double sum = 0;
        for (const real x : row) sum += std::exp(2 * double(x));
        log_likelihood += (2 * double(row[size_t(token)]) - std::log(sum)) / K;
      }
      std::ranges::fill(last, token);
    }
    const LatentScore score = score_text(vae, world.end_id(), text, K, rng, 0.5);
    CHECK(std::fabs(score.bounds.elbo - (log_likelihood - q.kl())) <= kClose * 10);
    CHECK(std::fabs(score.bounds.elbo - score_text(vae, world.end_id(), text, K, rng).bounds.elbo) > 0.1);
  }

  TEST_CASE("vae: features are the decoder's at the mean of q, and what it takes to draw texts is estimated") {
    const auto model = lively(mixed());
    const Vae& vae = *vae_in(*model);
    {
      Tape tape;
      const Tape::Use use(tape);
      const Ids text{0, 1};
      const Tensor z = vae.posterior(text, Ids{2}, 1, 2).mean;
      CHECK(first_difference(vae.features(text, 1, 2).span(), vae.decode(text, z, 1, 2).span()) == -1);
    }
    const double few = sampling_bytes(vae, 10, false), many = sampling_bytes(vae, 1000, false);
    const double of_state = 1000 * (2 * 5 + 2) * sizeof(real);
    CHECK(few > 0);
    CHECK(many > of_state + 1000 * (4 * 5 + 5) * sizeof(real));  // gates, state and logits of a step
    CHECK(many < 20 * of_state);
  }

  TEST_CASE("vae: where the KL hardly counts texts are reconstructed, each from the mean of its own vector") {
    const LineWorld world("aaaa\nbbbb\nab\n\n", "char");
    const auto model = world.model("vae", [](Config& c) {
      c.latent = 2;
      c.kl_anneal = 1000000;
    });
    testing::fit(*model, world.corpus("vae"), 300, 0.02);
    const Vae& vae = *vae_in(*model);
    Tape tape;
    const Tape::Use use(tape);
    std::vector<real> z;
    std::vector<Ids> wanted;
    for (const char* line : {"aaaa", "", "ab", "bbbb"}) {
      wanted.push_back(text_of(world, line));
      const std::vector<real> mean = latent_mean(vae, wanted.back());
      z.insert(z.end(), mean.begin(), mean.end());
    }
    CHECK(greedy_texts(vae, z, world.end_id(), world.end_id(), 20) == wanted);
    for (const Ids& text : greedy_texts(vae, z, world.end_id(), world.end_id(), 2)) CHECK(text.size() <= 2);
  }

  TEST_CASE("vae: the noise of a text in an evaluation is its own, and not that of its place in a batch") {
    const LineWorld world("ab\nab\nab\nab\nab\nab\n", "char");
    const auto model = lively(world);
    const Corpus corpus = world.corpus("vae");
    Shards shards(1, 1);
    const double by_two = loss_of_split(*model, corpus, Split::kAll, shards, 2).nats;
    const double at_once = loss_of_split(*model, corpus, Split::kAll, shards, 6).nats;
    CHECK(std::fabs(by_two - at_once) <= kClose * at_once);
    Batch batch;
    batch.take(corpus, Split::kAll, 0, 2);
    double first = 0;
    for (const real x : losses_of(*model, batch, {.sequences = 2})) first += double(x);
    CHECK(std::fabs(3 * first - at_once) > 1e-3);
  }
}
