// Sampler: draws sequences from a model, a token at a time for a batch of them. Token t of sequence s is a function of
// (seed, step, s, t) and the model: how the sequences are split over samplers changes nothing.
#pragma once

#include "engine/rng.h"
#include "models/language_model.h"

namespace gradus {

struct SampleOptions {
  double temperature = 1;  // divides the logits; 0 takes the most probable token
  int64_t top_k = 0;       // only the k most probable tokens; 0: all
  double top_p = 1;        // only the most probable tokens that together reach this probability
};

// p = the distribution that a token is drawn from: softmax(logits / temperature), then top-k, then top-p, scaled to sum
// to 1. Equal probabilities at the edge of top-k or top-p: the lower id stays. Returns
// log Σ exp((logits - greatest logit) / temperature) (0 at temperature 0), in double. `order` is scratch of the same
// size.
double sampling_distribution(std::span<const real> logits, const SampleOptions& options, std::span<double> p,
                             std::span<int32_t> order);

// The natural log-probability of each token of a sequence that begins after `start`, under softmax(logits /
// temperature) (at temperature 0: 0 for the most probable token, else -inf): what a Sampler with the prompt {start}
// would say of it.
std::vector<double> score_sequence(const LanguageModel& model, int32_t start, std::span<const int32_t> tokens,
                                   const SampleOptions& options);

class Sampler {
 public:
  // One sequence for each prompt; none may be empty, and all must have the same length. Sequence i of this sampler is
  // sequence first_sequence + i to the random numbers.
  Sampler(const LanguageModel& model, std::span<const std::vector<int32_t>> prompts, const SampleOptions& options,
          const Rng& rng, int64_t first_sequence = 0);

  // Draws the next token of every sequence. Allocates nothing after the second call.
  void next();
  std::span<const int32_t> tokens() const { return token_; }  // drawn by the last call
  // Natural log-probability of each under softmax(logits / temperature): that of the model, before top-k and top-p.
  std::span<const double> log_probs() const { return log_prob_; }

 private:
  const LanguageModel& model_;
  SampleOptions options_;
  Rng rng_;
  int64_t first_sequence_, drawn_ = 0;
  Tape tape_;
  State state_;
  std::vector<int32_t> token_, order_;
  std::vector<double> log_prob_, p_;
};

}  // namespace gradus
