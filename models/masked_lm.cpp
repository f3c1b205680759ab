// Masked language model (Devlin, Chang, Lee and Toutanova, "BERT", 2019): a Transformer whose tokens see the whole
// text, of which some are masked, and which predicts those. The text of a sequence is its targets, the end mark too:
// position t of its features is target t, not what stands before it.
//
// One scored token of each sequence, each equally likely, is masked, and each of the others with probability mask_rate;
// a masked token is always shown as the mask, never as another token (as BERT's sometimes are), so that the optimum is
// the conditional distribution of a token given the others, exactly. Of m scored tokens each is masked with probability
//   π = 1/m + (1 − 1/m) mask_rate,
// and its loss counts 1/π times (Horvitz and Thompson 1952): on the average over masks the loss is that of masking each
// token, in nats a token.
#include <algorithm>

#include "engine/rng.h"
#include "models/classifier.h"
#include "models/transformer.h"

namespace gradus {

class MaskedLm : public Transformer {
 public:
  MaskedLm(const ModelOptions& options, int64_t V) : Transformer(options, V, V + 1) {}

  int32_t mask_id() const override { return int32_t(vocabulary()); }
  bool predicts_next() const override { return false; }
  State start(int64_t) const override {
    throw DataError("a masked model sees a text from both sides and does not say what follows it; gradus fill asks it");
  }

  // [B·T]; 0 where nothing is masked. The masks are a function of (seed, step, sequence of the whole batch).
  Tensor losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B,
                int64_t T) const override {
    Tape& tape = Tape::current(Loc::here());
    const int64_t N = B * T;
    int32_t *shown = tape.arena().array<int32_t>(N), *hidden = tape.arena().array<int32_t>(N);
    int32_t* lengths = tape.arena().array<int32_t>(B);
    real* weights = tape.arena().array<real>(N);
    std::fill_n(shown, N, 0);
    std::fill_n(hidden, N, kNoTarget);
    std::fill_n(weights, N, real(0));
    const Rng masks(tape.info().seed, Stream::kMask, tape.info().step);
    for (int64_t b = 0; b < B; ++b) {
      const std::span<const int32_t> x = tokens.subspan(size_t(b * T), size_t(T)), y = targets.subspan(size_t(b * T));
      const Places places = read(x, y.first(size_t(T)), shown + b * T);
      lengths[b] = places.length;
      const Rng rng = masks.at(tape.info().first_sequence + b);
      const int64_t m = places.scored, always = m > 0 ? rng.below(0, m) : -1;
      const double rate = options().mask_rate, probability = 1 / double(m) + (1 - 1 / double(m)) * rate;
      int64_t k = 0;  // among the scored
      for (int64_t t = 0; t < places.length; ++t) {
        if (y[size_t(t)] == kNoTarget) continue;
        const bool masked = k == always || rng.uniform(1 + k) < rate;
        ++k;
        if (!masked) continue;
        hidden[b * T + t] = y[size_t(t)];
        shown[b * T + t] = mask_id();
        weights[b * T + t] = real(1 / probability);
      }
    }
    const Tensor features = this->features({shown, size_t(N)}, {lengths, size_t(B)}, B, T);
    const Tensor loss = rung().softmax_cross_entropy(head(features), {hidden, size_t(N)}, Loc::here());
    return named("−log p / π", mul(loss, constant({N}, {weights, size_t(N)})));
  }

 private:
  struct Places {
    int32_t length;
    int64_t scored;
  };
  // Writes the text that ends with the last scored target: the targets, and where one is not scored, the token that
  // follows the input there. Without any, it is one token.
  static Places read(std::span<const int32_t> inputs, std::span<const int32_t> targets, int32_t* out) {
    int64_t last = std::ssize(targets) - 1;
    while (last > 0 && targets[size_t(last)] == kNoTarget) --last;
    Places places{.length = int32_t(last) + 1, .scored = 0};
    for (int64_t t = 0; t <= last; ++t) {
      const bool scored = targets[size_t(t)] != kNoTarget;
      out[t] = scored ? targets[size_t(t)] : inputs[size_t(std::min(t + 1, last))];
      places.scored += scored;
    }
    return places;
  }

  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override {
    int32_t* lengths = Tape::current(Loc::here()).arena().array<int32_t>(B);
    std::fill_n(lengths, B, int32_t(T));
    return encode_seeing(tokens, {lengths, size_t(B)}, B, T);
  }
  Tensor encode_padded(std::span<const int32_t> tokens, std::span<const int32_t> lengths, int64_t B,
                       int64_t T) const override {
    return encode_seeing(tokens, lengths, B, T);
  }
  Tensor advance(State& state, std::span<const int32_t>) const override { return start(state.rows), Tensor(); }
};

Family masked_family() {
  return {.name = "masked",
          .title = "a masked Transformer",
          .options = {"layers", "heads", "embd", "dropout", "bias", "mask_rate"},
          .windowed = true,
          .apart =
              "a masked model, which sees a text from both sides and says nothing of what follows; gradus fill asks "
              "it",
          .check = Transformer::check_heads,
          .declare = declare_stepped<MaskedLm>,
          .encoder = "transformer",
          .classify = declare_stepped<Classifier<MaskedLm>>};
}

}  // namespace gradus
