// Vae: a variational autoencoder of sentences (Kingma and Welling, "Auto-encoding variational Bayes", 2014; Bowman et
// al., "Generating sentences from a continuous space", 2016). Each text x has a latent vector z of its own:
//
//   p(x) = ∫ N(z; 0, I) Π_t p(x_t | x_<t, z) dz,      q(z | x) = N(z; μ(x), diag σ²(x))
//   log p(x) ≥ ELBO = E_q[log p(x | z)] − KL(q(z | x) ‖ N(0, I))
//
// An LSTM reads the text and makes μ and log σ² of its last state; another one is the decoder, to which z is an input
// beside each token. What follows the beginning of a text has no closed form, so predicts_next() is false: a text is
// drawn whole, with one z from the prior. models/vae_texts.h has what one asks of a trained model.
//
// Letters: B texts, T tokens of each, D numbers of z, H hidden, V vocabulary.
#pragma once

#include "models/language_model.h"

namespace gradus {

class Vae : public LanguageModel {
 public:
  Vae(const ModelOptions& options, int64_t V);
  void initialise() override;

  int64_t latent() const { return options().latent; }  // D
  struct Posterior {
    Tensor mean, log_variance;  // μ, log σ², [B,D] each
  };
  // q(z | x) of texts [B,T], of which b has lengths[b] tokens, its end mark among them. ShapeError as features().
  Posterior posterior(std::span<const int32_t> texts, std::span<const int32_t> lengths, int64_t B, int64_t T) const;
  // KL(q ‖ N(0, I)) = ½ Σ_d (σ_d² + μ_d² − 1 − log σ_d²) of each text, in nats, [B]
  Tensor kl(const Posterior& q) const;
  // The features before each token: inputs [B,T], the mark and then the text, and z [B,D] → [B·T,H]
  Tensor decode(std::span<const int32_t> inputs, const Tensor& z, int64_t B, int64_t T) const;
  // Texts of these latent vectors, z [B,D], before their first token; next() then is p(x_t | x_<t, z).
  State start_at(std::span<const real> z) const;

  int64_t width() const override { return options().hidden; }
  Tensor head(const Tensor& features) const override;
  Tensor token_vectors() const override { return embedding_; }
  // −log p(x_t | x_<t, z) with one z = μ + σε for each text, ε of (seed, step, sequence of the whole batch); the KL of
  // a text counts at its first scored token. The sum is −ELBO of this noise. While training, the KL counts
  // step / kl_anneal times until it counts whole, and each input token but the first is replaced by an unknown one with
  // probability word_dropout.
  Tensor losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B, int64_t T) const override;
  bool predicts_next() const override { return false; }
  bool draws_texts() const override { return true; }
  State start(int64_t B) const override;
  // From the prior, the z of a text that is drawn with `rng`, [D]: number d of rng.at(text, 1), which the draws of
  // tokens do not use.
  std::vector<real> drawn_z(const Rng& rng, int64_t text) const;
  State begin(int64_t B, const Rng& rng, int64_t first) const override;

 private:
  struct Lstm {
    Tensor w_ih, w_hh, bias;  // [4H,E], [4H,H], [4H]
  };
  Lstm add_lstm(const char* name);
  Tensor products(const Lstm& lstm, std::span<const int32_t> tokens) const;
  Tensor noise(int64_t B) const;
  std::span<const int32_t> shown(std::span<const int32_t> tokens, int64_t B, int64_t T) const;
  Tensor at_first_token(const Tensor& of_texts, std::span<const int32_t> targets, int64_t B, int64_t T) const;
  // The decoder at the mean of q of a text, which is given by itself, without marks.
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor encode_padded(std::span<const int32_t> tokens, std::span<const int32_t> lengths, int64_t B,
                       int64_t T) const override;
  Tensor advance(State& state, std::span<const int32_t> tokens) const override;

  Tensor embedding_;  // [V+1,E]; the last row is the unknown token
  Lstm encoder_, decoder_;
  Tensor mean_w_, mean_b_, variance_w_, variance_b_;  // [D,H], [D]
  Tensor latent_w_;                                   // [4H,D], from z into the decoder
  Tensor head_w_, head_b_;                            // [V,H], [V]
};

// The model as a VAE, of one with an adapter the merged one; null for another. Valid until its parameters change.
const Vae* vae_in(const LanguageModel& model);

}  // namespace gradus
