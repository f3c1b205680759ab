// What a VAE says of texts: bounds of their log-probability, their latent vectors, the texts of given vectors.
#pragma once

#include <functional>

#include "engine/parallel.h"
#include "models/text/corpus.h"
#include "models/vae.h"

namespace gradus {

// Of one text, or summed over several, in nats. With z_1..z_K from q(z | x):
//   elbo        1/K Σ_k log p(x | z_k) − kl, where kl = KL(q(z | x) ‖ N(0, I)) is exact
//   importance  log 1/K Σ_k w_k,  w_k = p(x | z_k) p(z_k) / q(z_k | x)
// The mean of both is at most log p(x); that of the second grows with K and has log p(x) for its limit (Burda, Grosse
// and Salakhutdinov, "Importance weighted autoencoders", 2016).
struct LatentBounds {
  double elbo = 0, kl = 0, importance = 0;
  int64_t tokens = 0, texts = 0;
};

struct LatentScore {
  LatentBounds bounds;
  // Of each token: the differences of the importance-weighted log p of the beginnings of the text, the empty one 0. So
  // they sum to that of the text, and in the limit of many draws each is log p(x_t | x_<t).
  std::vector<double> log_probs;
};
inline constexpr int64_t kDrawsAtOnce = 64;  // latent vectors that score_text() decodes side by side
// Of the text, its end mark among its tokens, after the token `start`, under softmax(logits / temperature). Number d of
// draw k is normal number k D + d of `rng`. On the current tape.
LatentScore score_text(const Vae& model, int32_t start, std::span<const int32_t> text, int64_t draws, const Rng& rng,
                       double temperature = 1);

// Draws of text i have rng.at(i, 2) of this stream.
inline Rng latent_rng(uint64_t seed) { return Rng(seed, Stream::kLatent); }
// Over the texts of a split, on the threads of the pool, of which nothing depends.
LatentBounds bounds_of_split(const Vae& model, const Corpus& corpus, Split split, int64_t draws, uint64_t seed,
                             Pool& pool);

// The mean of KL(q(z | x) ‖ N(0, I)) over texts 0 .. count - 1, in nats a text, on the threads of the pool. `text`
// gives one, its end mark among its tokens. REQUIRES: count > 0.
double mean_kl(const Vae& model, int64_t count, const std::function<std::span<const int32_t>(int64_t)>& text,
               Pool& pool);

// μ of q(z | x) of a text, its end mark among its tokens, [D]. On the current tape.
std::vector<real> latent_mean(const Vae& model, std::span<const int32_t> text);
// For each z of [B,D] the text of which each token is the most probable one (the lowest id of equal ones) after
// `start`: at most max_tokens with the end mark, and without it where they do not suffice. On the current tape.
std::vector<std::vector<int32_t>> greedy_texts(const Vae& model, std::span<const real> z, int32_t start, int32_t end_id,
                                               int64_t max_tokens);

}  // namespace gradus
