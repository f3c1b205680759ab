#include "models/vae.h"

#include <algorithm>
#include <cmath>

#include "engine/checks.h"
#include "engine/rng.h"
#include "models/classifier.h"
#include "models/family.h"

namespace gradus {

Vae::Vae(const ModelOptions& options, int64_t V) : LanguageModel(options, V) {
  const int64_t H = options.hidden, D = options.latent;
  const Init uniform = Init::uniform(1 / std::sqrt(double(H)));
  embedding_ = params_.add("embedding.weight", {V + 1, options.embd}, Init::normal(1));
  encoder_ = add_lstm("encoder");
  mean_w_ = params_.add("latent.mean.weight", {D, H}, uniform);
  mean_b_ = params_.add("latent.mean.bias", {D}, Init::constant(0));
  variance_w_ = params_.add("latent.log_variance.weight", {D, H}, uniform);
  variance_b_ = params_.add("latent.log_variance.bias", {D}, Init::constant(0));
  decoder_ = add_lstm("decoder");
  latent_w_ = params_.add("decoder.weight_z", {4 * H, D}, uniform);
  head_w_ = params_.add("head.weight", {V, H}, uniform);
  head_b_ = params_.add("head.bias", {V}, uniform);
}

Vae::Lstm Vae::add_lstm(const char* name) {
  const int64_t H = options().hidden;
  const Init uniform = Init::uniform(1 / std::sqrt(double(H)));
  const HiddenMaps gates{.down = 4, .across = 1};
  return {.w_ih = params_.add(text(name, ".weight_ih_l0"), {4 * H, options().embd}, uniform, gates),
          .w_hh = params_.add(text(name, ".weight_hh_l0"), {4 * H, H}, uniform, gates),
          .bias = params_.add(text(name, ".bias_l0"), {4 * H}, uniform)};
}

// Forget gates begin open, as those of the family lstm.
void Vae::initialise() {
  LanguageModel::initialise();
  const int64_t H = options().hidden;
  for (const Lstm& lstm : {encoder_, decoder_}) std::fill_n(params_.edit(lstm.bias).data() + H, H, real(1));
}

Tensor Vae::products(const Lstm& lstm, std::span<const int32_t> tokens) const {
  return named("x W_ihᵀ + b", add_rows(matmul_nt(embedding(embedding_, tokens), lstm.w_ih), lstm.bias));
}

Vae::Posterior Vae::posterior(std::span<const int32_t> texts, std::span<const int32_t> lengths, int64_t B,
                              int64_t T) const {
  check_tokens("posterior", texts, B * T, Loc::here());
  require_lengths("posterior", lengths, B, T, Loc::here());
  const Tape::Scope scope("encoder");
  const Tensor zero = named("0", constant({B, options().hidden}, 0));
  const Tensor states = rung().lstm_sequence(products(encoder_, texts), {zero, zero}, encoder_.w_hh, Loc::here()).h;
  const Tensor end = pooled(states, lengths, B, T, Pooling::kEnd);
  return {.mean = named("μ", add_rows(matmul_nt(end, mean_w_), mean_b_)),
          .log_variance = named("log σ²", add_rows(matmul_nt(end, variance_w_), variance_b_))};
}

Tensor Vae::kl(const Posterior& q) const {
  const Tensor terms = sub(add(exp(q.log_variance), mul(q.mean, q.mean)), q.log_variance);
  const double half = 0.5 * double(latent());
  return named("KL", add(scale(row_means(terms), half), constant({q.mean.dim(0)}, -half)));
}

Tensor Vae::decode(std::span<const int32_t> inputs, const Tensor& z, int64_t B, int64_t T) const {
  const Tape::Scope scope("decoder");
  int32_t* text_of = Tape::current(Loc::here()).arena().array<int32_t>(B * T);
  for (int64_t i = 0; i < B * T; ++i) text_of[i] = int32_t(i / T);
  const Tensor of_z = embedding(matmul_nt(z, latent_w_), {text_of, size_t(B * T)});
  const Tensor xw = named("x W_ihᵀ + z W_zᵀ + b", add(products(decoder_, inputs), of_z));
  const Tensor zero = named("0", constant({B, options().hidden}, 0));
  return dropout(rung().lstm_sequence(xw, {zero, zero}, decoder_.w_hh, Loc::here()).h, options().dropout);
}

Tensor Vae::head(const Tensor& features) const {
  return named("logits", add_rows(matmul_nt(features, head_w_), head_b_));
}

Tensor Vae::noise(int64_t B) const {
  Tape& tape = Tape::current(Loc::here());
  const int64_t D = latent();
  real* epsilon = tape.arena().array<real>(B * D);
  const Rng rng(tape.info().seed, Stream::kLatent, tape.info().step);
  for (int64_t b = 0; b < B; ++b) {
    const Rng of_text = rng.at(tape.info().first_sequence + b);
    for (int64_t d = 0; d < D; ++d) epsilon[b * D + d] = real(of_text.normal(d));
  }
  return named("ε", constant({B, D}, {epsilon, size_t(B * D)}));
}

// The inputs as the decoder sees them. The mark before a text is always shown.
std::span<const int32_t> Vae::shown(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  Tape& tape = Tape::current(Loc::here());
  const double rate = options().word_dropout;
  if (!tape.info().training || rate == 0) return tokens;
  int32_t* out = tape.arena().array<int32_t>(B * T);
  const Rng rng(tape.info().seed, Stream::kLatent, tape.info().step);
  for (int64_t b = 0; b < B; ++b) {
    const Rng of_text = rng.at(tape.info().first_sequence + b, 1);
    for (int64_t t = 0; t < T; ++t)
      out[b * T + t] = t > 0 && of_text.uniform(t) < rate ? int32_t(vocabulary()) : tokens[size_t(b * T + t)];
  }
  return {out, size_t(B * T)};
}

// [B] → [B·T]: at the first scored target of each text, 0 elsewhere.
Tensor Vae::at_first_token(const Tensor& of_texts, std::span<const int32_t> targets, int64_t B, int64_t T) const {
  Arena& arena = Tape::current(Loc::here()).arena();
  const int64_t N = B * T;
  int32_t* text_of = arena.array<int32_t>(N);
  real* once = arena.array<real>(N);
  for (int64_t b = 0; b < B; ++b) {
    bool found = false;
    for (int64_t i = b * T; i < (b + 1) * T; ++i) {
      const bool first = !found && targets[size_t(i)] != kNoTarget;
      found |= first;
      text_of[i] = int32_t(b);
      once[i] = real(first);
    }
  }
  const Tensor everywhere = embedding(of_texts.reshape({B, 1}), {text_of, size_t(N)}).reshape({N});
  return mul(everywhere, constant({N}, {once, size_t(N)}));
}

Tensor Vae::losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B, int64_t T) const {
  check_tokens("losses", tokens, B * T, Loc::here());
  Tape& tape = Tape::current(Loc::here());
  // A text is its targets, which are the inputs one place further, up to its last one.
  int32_t *texts = tape.arena().array<int32_t>(B * T), *lengths = tape.arena().array<int32_t>(B);
  std::fill_n(texts, B * T, 0);
  for (int64_t b = 0; b < B; ++b) {
    const std::span<const int32_t> x = tokens.subspan(size_t(b * T), size_t(T)), y = targets.subspan(size_t(b * T));
    int64_t last = T - 1;
    while (last > 0 && y[size_t(last)] == kNoTarget) --last;
    std::copy_n(x.begin() + 1, last, texts + b * T);
    texts[b * T + last] = y[size_t(last)] == kNoTarget ? x[size_t(last)] : y[size_t(last)];
    lengths[b] = int32_t(last) + 1;
  }
  const Posterior q = posterior({texts, size_t(B * T)}, {lengths, size_t(B)}, B, T);
  const Tensor z = named("z", add(q.mean, mul(exp(scale(q.log_variance, 0.5)), noise(B))));
  const Tensor logits = head(decode(shown(tokens, B, T), z, B, T));
  const Tensor nll = named("−log p(x|z)", rung().softmax_cross_entropy(logits, targets, Loc::here()));
  const double steps = double(options().kl_anneal);
  const double weight = tape.info().training && steps > 0 ? std::min(1.0, double(tape.info().step) / steps) : 1;
  return named("−ELBO", add(nll, at_first_token(scale(kl(q), weight), targets, B, T)));
}

Tensor Vae::encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  int32_t* lengths = Tape::current(Loc::here()).arena().array<int32_t>(B);
  std::fill_n(lengths, B, int32_t(T));
  return encode_padded(tokens, {lengths, size_t(B)}, B, T);
}

Tensor Vae::encode_padded(std::span<const int32_t> tokens, std::span<const int32_t> lengths, int64_t B,
                          int64_t T) const {
  return decode(tokens, posterior(tokens, lengths, B, T).mean, B, T);
}

State Vae::start(int64_t) const {
  throw DataError("a VAE draws a text from a latent vector of its own, and says nothing of what follows without one");
}

// A row of the state holds h [H], c [H] and z [D].
State Vae::start_at(std::span<const real> z) const {
  const int64_t H = options().hidden, D = latent(), B = std::ssize(z) / D;
  require(B * D == std::ssize(z), "start_at", Loc::here(), z.size(), " numbers are no vectors of ", D);
  State state(B, 2 * H + D, 0);
  for (int64_t b = 0; b < B; ++b) std::copy_n(z.begin() + b * D, D, state.row(b) + 2 * H);
  return state;
}

std::vector<real> Vae::drawn_z(const Rng& rng, int64_t text) const {
  std::vector<real> z(static_cast<size_t>(latent()));
  for (size_t d = 0; d < z.size(); ++d) z[d] = real(rng.at(text, 1).normal(int64_t(d)));
  return z;
}

State Vae::begin(int64_t B, const Rng& rng, int64_t first) const {
  std::vector<real> all;
  for (int64_t b = 0; b < B; ++b) {
    const std::vector<real> z = drawn_z(rng, first + b);
    all.insert(all.end(), z.begin(), z.end());
  }
  return start_at(all);
}

Tensor Vae::advance(State& state, std::span<const int32_t> tokens) const {
  const int64_t B = state.rows, H = options().hidden;
  const auto part = [&](int64_t at, int64_t n) {
    const Tensor x = constant({B, n}, 0);
    for (int64_t b = 0; b < B; ++b) std::copy_n(state.row(b) + at, n, x.edit().data() + b * n);
    return x;
  };
  const Tensor xw = add(products(decoder_, tokens), matmul_nt(part(2 * H, latent()), latent_w_));
  const LstmState after = rung().lstm_cell(xw, {.h = part(0, H), .c = part(H, H)}, decoder_.w_hh, Loc::here());
  for (int64_t b = 0; b < B; ++b) {
    std::copy_n(after.h.data() + b * H, H, state.row(b));
    std::copy_n(after.c.data() + b * H, H, state.row(b) + H);
  }
  for (int64_t& p : state.position) ++p;
  return head(after.h);
}

const Vae* vae_in(const LanguageModel& model) { return dynamic_cast<const Vae*>(&model.plain()); }

static void check_texts(const ModelOptions& options) {
  if (!options.lines || options.pairs)
    throw DataError("--model vae learns whole lines, each with a latent vector of its own, and not --pairs");
}

Family vae_family() {
  return {.name = "vae",
          .title = "a sentence VAE",
          .options = {"embd", "hidden", "dropout", "latent", "kl_anneal", "word_dropout", "importance"},
          .layers = 1,
          .apart =
              "a VAE, which draws a text whole from a latent vector and says nothing of what follows the "
              "beginning of one; use gradus sample without --prompt, score or eval",
          .check = check_texts,
          .declare = declare_stepped<Vae>};
}

}  // namespace gradus
