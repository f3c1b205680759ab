#include <doctest/doctest.h>

#include <cmath>

#include "models/sampler.h"
#include "models/vae_texts.h"
#include "tests/line_world.h"
#include "tests/near.h"

namespace {

using namespace gradus;
using testing::LineWorld;
using Ids = std::vector<int32_t>;

// log p(x | z_g) of each z of [G,D]
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

// A grid on which Σ weight f(ε) is ∫ N(ε; 0, I) f(ε) dε.
struct Grid {
  std::vector<double> point, weight;  // [G,D], [G]
};
Grid grid_of(int64_t D) {
  const double h = D == 1 ? 1.0 / 32 : 1.0 / 5, end = 7;
  std::vector<double> x, w;
  for (double at = -end; at <= end + 1e-9; at += h) {
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

struct Exact {
  double log_p, elbo, kl;
};
Exact exact(const Vae& model, int32_t start, const Ids& text) {
  const int64_t D = model.latent();
  const Grid grid = grid_of(D);
  std::vector<double> mean, log_variance;
  double kl = 0;
  {
    Tape tape;
    const Tape::Use use(tape);
    const int32_t length = int32_t(text.size());
    const Vae::Posterior q = model.posterior(text, {&length, 1}, 1, length);
    for (int64_t d = 0; d < D; ++d) {
      const double mu = double(q.mean.data()[d]), lv = double(q.log_variance.data()[d]);
      mean.push_back(mu);
      log_variance.push_back(lv);
      kl += 0.5 * (mu * mu + std::exp(lv) - 1 - lv);
    }
  }
  std::vector<real> prior(grid.point.begin(), grid.point.end()), guide(prior.size());
  for (size_t i = 0; i < guide.size(); ++i)
    guide[i] = real(mean[i % size_t(D)] + std::exp(log_variance[i % size_t(D)] / 2) * grid.point[i]);
  double p = 0, elbo = -kl;
  const std::vector<double> of_prior = log_p_given(model, start, text, prior), of_guide = log_p_given(model, start, text, guide);
  for (size_t g = 0; g < grid.weight.size(); ++g) {
    p += grid.weight[g] * std::exp(of_prior[g]);
    elbo += grid.weight[g] * of_guide[g];
  }
  return {std::log(p), elbo, kl};
}

}  // namespace

TEST_SUITE("vae") {
  TEST_CASE("vae: experiment") {
    std::string lines;
    for (int code = 0; code < 16; ++code) {
      const int k = __builtin_popcount(unsigned(code));
      const int n[] = {8, 2, 1, 2, 8};
      for (int i = 0; i < n[k]; ++i) {
        for (int t = 0; t < 4; ++t) lines += code >> t & 1 ? 'a' : 'b';
        lines += '\n';
      }
    }
    const LineWorld world(lines, "char");
    for (const int64_t D : {1, 2})
    for (const int64_t H : {1, 2, 3, 4}) {
      const auto model = world.model("vae", [&](Config& c) { c.hidden = H; c.embd = 4; c.latent = D; c.kl_anneal = 300; });
      const Vae& vae = *vae_in(*model);
      const Corpus corpus = world.corpus("vae");
      for (int k = 1; k < 3; ++k) {
      const double nats = testing::fit(*model, corpus, 600*k, 0.03);
      double log_p = 0, elbo = 0, kl = 0, worst = 0;
      const int64_t n = corpus.lines(Split::kAll);
      for (int64_t i = 0; i < n; ++i) {
        const auto x = corpus.window(Split::kAll, i).targets;
        const Exact e = exact(vae, world.end_id(), {x.begin(), x.end()});
        log_p += e.log_p / n; elbo += e.elbo / n; kl += e.kl / n;
        worst = std::max(worst, e.log_p - e.elbo);
      }
      MESSAGE("D ", D, " H ", H, " nats ", nats, " log_p ", log_p, " elbo ", elbo, " gap ", log_p - elbo, " worst ", worst, " kl ", kl);
      }
    }
  }
}
