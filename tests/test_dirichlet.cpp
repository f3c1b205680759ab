// models/counted/dirichlet.h: the posterior of counts against sums worked out by hand, numerical integrals, the chain
// rule of the evidence, and the additive n-gram model.
#include <cmath>
#include <numeric>

#include "models/counted/dirichlet.h"
#include "models/families.h"
#include "models/sampler.h"
#include "tests/line_world.h"
#include "tests/scratch.h"

using namespace gradus;
using namespace gradus::testing;

TEST_SUITE_BEGIN("dirichlet");

TEST_CASE("four sentences as outcomes: mean, variance, evidence and predictive are the worked numbers") {
  const std::vector<double> counts{4, 3, 2, 1};
  const DirichletPosterior posterior = dirichlet_posterior(counts, 1);
  CHECK(std::fabs(posterior.log_evidence + 15.0974439037594) < 1e-12);
  const double variance[] = {0.01530612244898, 0.01360544217687, 0.01122448979592, 0.008163265306122};
  for (size_t k = 0; k < 4; ++k) {
    CHECK(std::fabs(posterior.mean[k] - (counts[k] + 1) / 14) < 1e-15);
    CHECK(std::fabs(posterior.variance[k] - variance[k]) < 1e-13);
  }
}

TEST_CASE("on random counts the evidence is the product of predictives, and two outcomes are a Beta integral") {
  const Rng rng(3, Stream::kTest);
  for (int trial = 0; trial < 50; ++trial) {
    const int64_t K = 2 + rng.at(trial).below(0, 6);
    const double A = 0.05 + 3 * rng.at(trial).uniform(1);
    std::vector<double> counts(static_cast<size_t>(K));
    double by_draws = 0, N = 0;
    for (int64_t i = 0; i < 40; ++i) {  // each draw from what was known before it
      const size_t k = size_t(rng.at(trial).below(10 + i, K));
      by_draws += std::log((A + counts[k]) / (A * double(K) + N));
      ++counts[k], ++N;
    }
    const DirichletPosterior posterior = dirichlet_posterior(counts, A);
    CHECK(std::fabs(posterior.log_evidence - by_draws) < 1e-9);
    CHECK(std::fabs(std::accumulate(posterior.mean.begin(), posterior.mean.end(), 0.0) - 1) < 1e-12);
  }
  // ∫ θ^(a-1) (1-θ)^(b-1) dθ by the midpoint rule, for Dirichlet(2) and counts 5 and 3.
  const DirichletPosterior beta = dirichlet_posterior(std::vector<double>{5, 3}, 2);
  double mass = 0, first = 0, second = 0;
  constexpr int kPoints = 200'000;
  for (int i = 0; i < kPoints; ++i) {
    const double x = (i + 0.5) / kPoints, f = std::pow(x, 6) * std::pow(1 - x, 4);
    mass += f, first += f * x, second += f * x * x;
  }
  CHECK(std::fabs(beta.mean[0] - first / mass) < 1e-9);
  CHECK(std::fabs(beta.variance[0] - (second / mass - first / mass * first / mass)) < 1e-9);
  CHECK(std::fabs(beta.log_evidence - std::log(6 * mass / kPoints)) < 1e-9);  // the prior is 6 θ (1-θ)
}

static DirichletRows rows_of(const LineWorld& world, int64_t longest, double A) {
  return DirichletRows(world.corpus("tabular"), Split::kAll, world.tokenizer.size(), longest, A);
}

TEST_CASE("under a prior of any strength the evidence is the product of predictives to the last digits") {
  for (const double A : {1e-9, 1e-3, 1., 999., 1e3, 1001., 1e6, 1e9, 1e12})
    for (const double n : {0., 1., 2., 7., 300.}) {
      double sum = 0;
      for (int i = 0; i < n; ++i) sum += std::log(A + i);
      CAPTURE(A);
      CHECK(std::fabs(log_rising(A, n) - sum) < 3e-12 * std::max(1.0, std::fabs(sum)));
    }
  // Of a prior that is sure of ½ ten flips are worth log ½ each.
  CHECK(std::fabs(dirichlet_posterior(std::vector<double>{7, 3}, 1e9).log_evidence + 10 * std::log(2.)) < 1e-7);
}

TEST_CASE("a line of many tokens, each after all of the line before it, is counted in a moment") {
  std::string line(300'000, 'a');
  for (size_t i = 0; i < line.size(); i += 3) line[i] = 'b';
  const LineWorld world(line + "\nab\n", "char");
  const Config c = world.config("tabular", [](Config& change) { change.context = 1 << 20; });
  const DirichletRows rows(world.corpus(c), Split::kAll, world.tokenizer.size(), INT64_MAX, 1);
  CHECK(rows.size() == 300'003);  // "", all that begins the first line, and "a" and "ab"
  std::vector<int32_t> ids = world.ids(line);
  ids.push_back(world.end_id());
  CHECK(std::isfinite(rows.log_predictive(ids)));
  CHECK(std::isfinite(rows.log_likelihood(ids)));
}

TEST_CASE("rows: the evidence of a text and one line more is its evidence and the predictive of that line") {
  const Rng rng(5, Stream::kTest);
  for (int trial = 0; trial < 20; ++trial)
    for (const int64_t longest : {int64_t(0), int64_t(1), int64_t(2), INT64_MAX}) {
      std::string content = "abc\n";  // all tokens, so that a line more brings no new one
      for (int64_t i = 0; i < 30; ++i) content += "abc\n"[rng.at(trial).below(i, 4)];
      content += "\n";
      const std::string line = trial % 2 ? "aabab" : "bbbbbb";  // a row of a short history is met many times
      const double A = 0.3 + trial;
      const LineWorld before(content, "char"), after(content + line + "\n", "char");
      const DirichletRows rows = rows_of(before, longest, A);
      std::vector<int32_t> ids = before.ids(line);
      ids.push_back(before.end_id());
      const double gain = rows_of(after, longest, A).log_evidence() - rows.log_evidence();
      CAPTURE(longest);
      CHECK(std::fabs(gain - rows.log_predictive(ids)) < 1e-9);
      CHECK(std::isfinite(rows.log_predictive(ids)));
    }
}

TEST_CASE("a row is the closed form of its counts, and its mean what --smoothing add says") {
  const LineWorld world(kTwoWords, "word");
  for (const double alpha : {0.5, 1.0, 3.0}) {
    const Config c = world.config("ngram", [&](Config& change) {
      change.order = 2;
      change.smoothing = "add";
      change.alpha = alpha;
    });
    const auto model = make_model(c, world.tokenizer.size(), INT64_MAX, count_tokens(c, world.corpus(c)));
    const DirichletRows rows = rows_of(world, 1, alpha);
    CHECK(rows.size() == 5);  // the beginning, the, a, cat, dog
    rows.each([&](int64_t row) {
      const DirichletPosterior posterior = dirichlet_posterior(rows.counts(row), alpha);
      for (int32_t token = 0; token < world.tokenizer.size(); ++token) {
        std::vector<int32_t> sequence = rows.history(row);
        sequence.push_back(token);
        const double log_p = score_sequences(*model, world.end_id(), {&sequence, 1})[0].back();
        CHECK(std::fabs(std::exp(log_p) - posterior.mean[size_t(token)]) < (sizeof(real) == 8 ? 1e-12 : 1e-6));
      }
      return true;
    });
  }
}

TEST_CASE("a line that was never seen has a finite loss under the predictive and an infinite one without") {
  const LineWorld world(kTwoWords, "word");
  for (const int64_t longest : {int64_t(1), INT64_MAX}) {
    const DirichletRows rows = rows_of(world, longest, 1);
    std::vector<int32_t> unseen = world.ids("cat the"), seen = world.ids("the cat");
    unseen.push_back(world.end_id());
    seen.push_back(world.end_id());
    CHECK(rows.log_likelihood(unseen) == -INFINITY);
    CHECK(std::isfinite(rows.log_predictive(unseen)));
    CHECK(std::fabs(rows.log_likelihood(seen) - std::log(.4)) < 1e-12);
  }
}

TEST_CASE("counts that are none, and a prior that is none, are refused") {
  CHECK(has(complaint<ShapeError>([] { dirichlet_posterior({}, 1); }), "there are no counts"));
  CHECK(has(complaint<ShapeError>([] { dirichlet_posterior(std::vector<double>{1, -1}, 1); }), "a count is -1"));
  CHECK(has(complaint<ShapeError>([] { dirichlet_posterior(std::vector<double>{1}, 0); }), "must be above 0"));
}

TEST_SUITE_END();
