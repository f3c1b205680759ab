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

// log_p = log softmax(logits / temperature), in double; at temperature 0, 0 for the most probable token (the lowest id
// of equal ones) and -inf for the others. NaN where a logit is NaN.
void log_distribution(std::span<const real> logits, double temperature, std::span<double> log_p);

// The same, and p = what a token is drawn from: exp(log_p) cut by top-k, then by top-p, and scaled to sum to 1. Equal
// probabilities at the edge of a cut: the lower id stays. `order` is scratch of the same size.
void sampling_distribution(std::span<const real> logits, const SampleOptions& options, std::span<double> log_p,
                           std::span<double> p, std::span<int32_t> order);

// The natural log-probability of each token of a sequence that begins after `start`, under softmax(logits /
// temperature) (at temperature 0: 0 for the most probable token, else -inf): what a Sampler with the prompt {start}
// would say of it.
std::vector<double> score_sequence(const LanguageModel& model, int32_t start, std::span<const int32_t> tokens,
                                   double temperature = 1);

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
  std::vector<double> log_prob_, log_p_, p_;
};

}  // namespace gradus
