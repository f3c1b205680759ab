#include "models/vae_texts.h"

#include <algorithm>
#include <cmath>

#include "engine/long_loop.h"
#include "models/sampler.h"

namespace gradus {
namespace {

double log_add(double a, double b) {
  const double most = std::max(a, b);
  return most == -INFINITY ? most : most + std::log1p(std::exp(std::min(a, b) - most));
}

// q(z | x) of one text, in numbers.
struct Normal {
  std::vector<real> mean, log_variance;  // [D]
  double kl;
};
Normal posterior_of(const Vae& model, std::span<const int32_t> text) {
  const Tape::Mark mark(Tape::current(Loc::here()));
  const int32_t length = int32_t(text.size());
  const Vae::Posterior q = model.posterior(text, {&length, 1}, 1, length);
  const auto copy = [](const Tensor& x) { return std::vector<real>(x.span().begin(), x.span().end()); };
  return {.mean = copy(q.mean), .log_variance = copy(q.log_variance), .kl = double(model.kl(q).data()[0])};
}

// z = μ + σε for draws first .. first + n − 1, [n,D], and the logarithm of p(z) / q(z | x) of each, [n].
struct Draws {
  std::vector<real> z;
  std::vector<double> log_ratio;
};
Draws draw(const Normal& q, int64_t first, int64_t n, const Rng& rng) {
  const int64_t D = std::ssize(q.mean);
  Draws draws{.z = std::vector<real>(size_t(n * D)), .log_ratio = std::vector<double>(size_t(n))};
  for (int64_t k = 0; k < n; ++k)
    for (int64_t d = 0; d < D; ++d) {
      const double epsilon = rng.normal((first + k) * D + d), log_variance = double(q.log_variance[size_t(d)]);
      const double z = double(q.mean[size_t(d)]) + std::exp(log_variance / 2) * epsilon;
      draws.z[size_t(k * D + d)] = real(z);
      draws.log_ratio[size_t(k)] += (epsilon * epsilon + log_variance - z * z) / 2;
    }
  return draws;
}

// f(i) of each text on the threads, each on a tape of its own, and take(f(i)) in their order.
template <class Value, class F, class Take>
void each_text(int64_t count, Pool& pool, F f, Take take) {
  constexpr int64_t kBlock = 256;  // texts between two looks at Ctrl-C
  const LongLoop loop("evaluating sequences", count);
  for (int64_t first = 0; first < count; first += kBlock) {
    loop.at(first);
    std::vector<Value> of(size_t(std::min(kBlock, count - first)));
    pool.each(int(of.size()), [&](int i) {
      Tape tape;
      const Tape::Use use(tape);
      of[size_t(i)] = f(first + i);
    });
    for (const Value& value : of) take(value);
  }
}

}  // namespace

LatentScore score_text(const Vae& model, int32_t start, std::span<const int32_t> text, int64_t draws, const Rng& rng,
                       double temperature) {
  const Normal q = posterior_of(model, text);
  const size_t T = text.size(), V = size_t(model.vocabulary());
  std::vector<double> log_sum(T, -INFINITY), log_p(V);  // of Σ_k w_k of the first t + 1 tokens
  double log_likelihood = 0;
  for (int64_t first = 0; first < draws; first += kDrawsAtOnce) {
    const int64_t n = std::min(kDrawsAtOnce, draws - first);
    Draws part = draw(q, first, n, rng);
    std::vector<double>& log_w = part.log_ratio;
    State state = model.start_at(part.z);
    std::vector<int32_t> last(size_t(n), start);
    for (size_t t = 0; t < T; ++t) {
      const Tape::Mark mark(Tape::current(Loc::here()));
      const Tensor logits = model.next(state, last);
      std::ranges::fill(last, text[t]);
      for (size_t k = 0; k < size_t(n); ++k) {
        log_distribution(logits.span().subspan(k * V, V), temperature, log_p);
        require_numbers(log_p);
        const double here = log_p[size_t(text[t])];
        log_likelihood += here;
        log_w[k] += here;
        log_sum[t] = log_add(log_sum[t], log_w[k]);
      }
    }
  }
  LatentScore score{.bounds = {.elbo = log_likelihood / double(draws) - q.kl,
                               .kl = q.kl,
                               .importance = log_sum.back() - std::log(double(draws)),
                               .tokens = int64_t(T),
                               .texts = 1},
                    .log_probs = {}};
  double before = 0;
  for (const double sum : log_sum) {
    const double now = sum - std::log(double(draws));
    score.log_probs.push_back(now == -INFINITY ? now : now - before);
    before = now;
  }
  return score;
}

LatentBounds bounds_of_split(const Vae& model, const Corpus& corpus, Split split, int64_t draws, uint64_t seed,
                             Pool& pool) {
  const auto of_text = [&](int64_t i) {
    const Window text = corpus.window(split, i);
    return score_text(model, text.inputs[0], text.targets, draws, latent_rng(seed).at(i, 2)).bounds;
  };
  LatentBounds sum;
  each_text<LatentBounds>(corpus.windows(split), pool, of_text, [&](const LatentBounds& b) {
    sum.elbo += b.elbo;
    sum.kl += b.kl;
    sum.importance += b.importance;
    sum.tokens += b.tokens;
    sum.texts += b.texts;
  });
  return sum;
}

double mean_kl(const Vae& model, int64_t count, const std::function<std::span<const int32_t>(int64_t)>& text,
               Pool& pool) {
  double sum = 0;
  each_text<double>(
      count, pool, [&](int64_t i) { return posterior_of(model, text(i)).kl; }, [&](double kl) { sum += kl; });
  return sum / double(count);
}

std::vector<real> latent_mean(const Vae& model, std::span<const int32_t> text) {
  return posterior_of(model, text).mean;
}

std::vector<std::vector<int32_t>> greedy_texts(const Vae& model, std::span<const real> z, int32_t start, int32_t end_id,
                                               int64_t max_tokens) {
  State state = model.start_at(z);
  std::vector<std::vector<int32_t>> texts(size_t(state.rows));
  std::vector<int32_t> last(texts.size(), start);
  const LongLoop loop("drawing tokens", max_tokens);
  size_t ended = 0;
  for (int64_t t = 0; t < max_tokens && ended < texts.size(); ++t) {
    loop.at(t);
    const Tape::Mark mark(Tape::current(Loc::here()));
    const Tensor logits = model.next(state, last);
    for (size_t b = 0; b < texts.size(); ++b) {
      if (!texts[b].empty() && texts[b].back() == end_id) continue;
      const auto row = logits.rows(int64_t(b), 1).span();
      last[b] = int32_t(std::ranges::max_element(row) - row.begin());
      texts[b].push_back(last[b]);
      ended += last[b] == end_id;
    }
  }
  return texts;
}

}  // namespace gradus
