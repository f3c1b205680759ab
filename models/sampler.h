// Sampler: draws sequences from a model, a token at a time for a batch of them. Draw t of sequence s is a function of
// (seed, step, s, t) and the model: how the sequences are split over samplers changes nothing but the last bits of a
// logit, since a matrix product of more rows may round otherwise.
#pragma once

#include <functional>
#include <memory>

#include "engine/parallel.h"
#include "engine/rng.h"
#include "models/language_model.h"

namespace gradus {

struct SampleOptions {
  double temperature = 1;          // divides the logits; 0 takes the most probable token
  int64_t top_k = 0;               // only the k most probable tokens; 0: all
  double top_p = 1;                // only the most probable tokens that together reach this probability
  int32_t end_id = -1;             // the draw that ends a sequence; -1: none does
  int64_t max_tokens = INT64_MAX;  // largest number of draws in a sequence, including the end mark
  int64_t likeliest = 0;           // how many of the most probable tokens each draw names beside its own
};

// A token that could come next, and its natural log-probability.
struct Candidate {
  int32_t token;
  double log_prob;
};
// Fills `best` with the most probable tokens, the most probable first; of equal ones the lower id. REQUIRES: not more
// of them than of log_p.
void find_likeliest(std::span<const double> log_p, std::span<Candidate> best);

// log_p = log softmax(logits / temperature), in double; at temperature 0, 0 for the most probable token (the lowest id
// of equal ones) and -inf for the others. NaN where a logit is NaN.
void log_distribution(std::span<const real> logits, double temperature, std::span<double> log_p);

// DivergedError if that was so.
void require_numbers(std::span<const double> log_p);

// As log_distribution, and p = what a token is drawn from: exp(log_p) cut by top-k, then by top-p, and scaled to sum
// to 1. Equal probabilities at the edge of a cut: the lower id stays. `order` is scratch of the same size.
void sampling_distribution(std::span<const real> logits, const SampleOptions& options, std::span<double> log_p,
                           std::span<double> p, std::span<int32_t> order);

// The natural log-probability of each token of each sequence, which begins after `start`, under softmax(logits /
// temperature) (at temperature 0: 0 for the most probable token, else -inf): what a Sampler with the prompt {start}
// would say of it. The path is the sampler's, so a sequence may be longer than the context. REQUIRES: the model
// outlives the scorer.
class SequenceScorer {
 public:
  SequenceScorer(const LanguageModel& model, int32_t start, double temperature = 1);
  std::vector<std::vector<double>> operator()(std::span<const std::vector<int32_t>> sequences);

 private:
  void score_rows(std::span<const std::vector<int32_t>> sequences, std::span<const size_t> rows,
                  std::span<std::vector<double>> log_probs) const;
  const LanguageModel& model_;
  const int32_t start_;
  const double temperature_;
  const std::unique_ptr<DirectScorer> direct_;
};
std::vector<std::vector<double>> score_sequences(const LanguageModel& model, int32_t start,
                                                 std::span<const std::vector<int32_t>> sequences,
                                                 double temperature = 1);

class Sampler {
 public:
  // Sequence i continues prompts[of[i]] and is sequence first_sequence + i to the random numbers. Prompts may differ in
  // length and must outlive the sampler; an empty one is a ShapeError.
  Sampler(const LanguageModel& model, std::span<const std::vector<int32_t>> prompts, std::span<const int32_t> of,
          const SampleOptions& options, const Rng& rng, int64_t first_sequence = 0);

  // One token further, on the current tape, for every sequence that goes on: the next of its prompt, or a draw. False,
  // with nothing done, when none goes on. Allocates nothing after the second call.
  bool next();
  struct Draw {
    int64_t sequence;  // i of the constructor
    int32_t token;
    double log_prob;  // natural, under softmax(logits / temperature): that of the model, before top-k and top-p
    std::span<const Candidate> likeliest = {};  // options.likeliest of them, with such log-probabilities; until next()
  };
  std::span<const Draw> draws() const { return draws_; }  // made by the last call, in the order of the sequences

 private:
  // One sequence that still has a row in state_.
  struct Row {
    int64_t sequence;
    std::span<const int32_t> prompt;
  };
  bool goes_on(size_t row) const;
  void close_up();

  const LanguageModel& model_;
  SampleOptions options_;
  const Rng rng_;
  const int64_t first_sequence_;
  int64_t read_ = 0;  // tokens of every row that the model has seen
  State state_;
  std::vector<Row> rows_;
  std::vector<int32_t> token_, order_;  // token_[r] is what row r reads next
  std::vector<int64_t> open_;
  std::vector<Draw> draws_;
  std::vector<double> log_p_, p_;
  std::vector<Candidate> likeliest_;  // of each row
};

struct Drawn {
  std::vector<int32_t> tokens;                         // the end mark counted
  std::vector<double> log_probs;                       // of each, as Sampler::Draw has them
  std::vector<std::vector<Candidate>> likeliest = {};  // at each, where options.likeliest asks for them
};
// The sequences of a Sampler from beginning to end, on the current tape. `watch` is called with each draw of the first
// of them as it is made.
std::vector<Drawn> draw_sequences(const LanguageModel& model, std::span<const std::vector<int32_t>> prompts,
                                  std::span<const int32_t> of, const SampleOptions& options, const Rng& rng,
                                  int64_t first_sequence = 0,
                                  const std::function<void(const Sampler::Draw&)>& watch = {});

// The same behind one prompt, sequences first .. first + count - 1, on the threads of the pool: each takes
// side_by_side() sequences at a time, 32, or fewer where what the model remembers of them would take more than 64 MB.
int64_t side_by_side(const LanguageModel& model);
std::vector<Drawn> draw_sequences(const LanguageModel& model, const std::vector<int32_t>& prompt, int64_t first,
                                  int64_t count, const SampleOptions& options, const Rng& rng, Pool& pool,
                                  const std::function<void(const Sampler::Draw&)>& watch = {});

}  // namespace gradus
