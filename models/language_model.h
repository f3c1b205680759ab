// Encoder and LanguageModel: the interface of a model to training, sampling and reinforcement learning. A table of four
// logits, an LSTM and a Transformer are interchangeable behind it.
//
// Letters: B sequences, T tokens of each, C width of the features, V vocabulary.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/params.h"
#include "engine/rung.h"
#include "models/model_options.h"

namespace gradus {

class Rng;

// What a model makes of its weights once for all tokens that a state reads; stale when the weights have changed.
struct Prepared {
  uint64_t version;  // Params::version() of the weights
  std::vector<real> numbers;
};

// What a model remembers of B growing sequences, one row each. Only its model reads the memory.
struct State {
  int64_t rows = 0;
  int64_t width = 0;              // reals a row
  int64_t window = 0;             // tokens a row, where the model needs to see them again (else 0)
  std::vector<real> memory;       // [rows, width]
  std::vector<int32_t> tokens;    // [rows, window]
  std::vector<int64_t> position;  // [rows], tokens that the memory holds; rows may differ

  std::shared_ptr<const Prepared> prepared;  // null where the model has made nothing yet, or makes nothing

  State(int64_t B, int64_t reals, int64_t window_tokens, int32_t before = 0);  // before: what windows hold at first
  real* row(int64_t r) { return memory.data() + r * width; }
  // Row r has read `token`, which joins its window; the oldest one leaves it. Returns the window.
  std::span<const int32_t> push(int64_t r, int32_t token);
  // The new row i is the old row which[i]; rows may be repeated and left out. Allocates only to grow.
  void select(std::span<const int64_t> which);

 private:
  std::vector<real> spare_memory_;
  std::vector<int32_t> spare_tokens_;
  std::vector<int64_t> spare_position_;
};

// A net that makes features of texts: the half of a model that a classifier or a value network needs too.
class Encoder {
 public:
  virtual ~Encoder() = default;
  Encoder(const Encoder&) = delete;

  // On the current tape, the text given: tokens [B,T] → [B·T,C], row b·T+t for token t of sequence b. ShapeError where
  // there are not B·T tokens, or more of a sequence than the net sees at once, or an id is not below vocabulary().
  Tensor features(std::span<const int32_t> tokens, int64_t B, int64_t T, Loc where = Loc::here()) const;
  // The same where sequence b has only lengths[b] of its T tokens, from 1 to T. What stands behind them is padding,
  // of which the features of the others know nothing, whatever it is.
  Tensor features(std::span<const int32_t> tokens, std::span<const int32_t> lengths, int64_t B, int64_t T,
                  Loc where = Loc::here()) const;
  virtual int64_t width() const = 0;  // C
  // The learned vector of each token v, row v of [V or more, E], for people who look; empty where a family has none.
  virtual Tensor token_vectors() const { return {}; }

  // A constructor only declares the parameters; this draws their values, from options().seed.
  virtual void initialise() { params_.init(uint64_t(options_.seed)); }

  Params& params() { return params_; }
  const Params& params() const { return params_; }
  const ModelOptions& options() const { return options_; }
  int64_t vocabulary() const { return vocabulary_; }
  // The id that stands for a token that is not shown, vocabulary(), where the net knows one; else -1.
  virtual int32_t mask_id() const { return -1; }
  const Rung& rung() const { return *rung_; }
  // From the next step on another one than options().ops says: to look at a step in smaller pieces.
  virtual void use_rung(const Rung& rung) { rung_ = &rung; }

 protected:
  Encoder(const ModelOptions& options, int64_t vocabulary);
  virtual Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const = 0;  // features(), checked
  // The same with lengths. A net whose features know nothing of later tokens knows nothing of padding either.
  virtual Tensor encode_padded(std::span<const int32_t> tokens, std::span<const int32_t> /*lengths*/, int64_t B,
                               int64_t T) const {
    return encode(tokens, B, T);
  }
  // ShapeError where there are not `wanted` tokens, or an id is neither below vocabulary() nor mask_id().
  void check_tokens(const char* what, std::span<const int32_t> tokens, int64_t wanted, Loc where) const;
  Params params_;

 private:
  ModelOptions options_;
  int64_t vocabulary_;
  const Rung* rung_;
};

class DirectScorer {
 public:
  virtual ~DirectScorer() = default;
  // Of one text: log p(targets[i]) after tokens[0..i], under softmax(logits / temperature). It may remember what it
  // found out for one text and use it for the next, so one thread at a time may call it.
  virtual std::vector<double> log_probs(std::span<const int32_t> tokens, std::span<const int32_t> targets) = 0;
};

class LanguageModel : public Encoder {
 public:
  virtual Tensor head(const Tensor& features) const = 0;  // [N,C] → [N,V]
  // The logits of the token after each: head(features()), [B·T,V]. Features of a token know nothing of those behind it.
  // A logit may be -inf, a token that cannot follow; never all of a row. ShapeError as features().
  virtual Tensor logits(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
    return head(features(tokens, B, T));
  }
  // Whether it says which token follows. If not (a masked model, a classifier), logits(), start() and next() are no use
  // to anybody, and start() throws DataError.
  virtual bool predicts_next() const { return true; }
  // Whether texts can be drawn from it, by begin() and next(): also from some that draw a text only as a whole.
  virtual bool draws_texts() const { return predicts_next(); }
  // What training lowers: −log p(target) in nats after each token, [B·T]; 0 where the target is kNoTarget. A family
  // that learns something else says what. The sum over all of them is the loss of the batch.
  virtual Tensor losses(std::span<const int32_t> tokens, std::span<const int32_t> targets, int64_t B, int64_t T) const;
  // The quicker way to score texts, of any length, where the family has one that makes no distributions; else null. At
  // temperature 0 none has. REQUIRES: the model outlives it.
  virtual std::unique_ptr<DirectScorer> direct_scorer(double /*temperature*/) const { return nullptr; }

  // Incremental, without gradients. next() takes one token for each row and returns the logits after it, [B,V], on the
  // current tape; put a Tape::Mark around each call. Up to rounding the logits are those of features() and head().
  // ShapeError where there are not as many tokens as rows, or an id is not below vocabulary().
  virtual State start(int64_t B) const = 0;
  // Texts first .. first + B − 1 of those that are drawn with `rng`, before their first token: what a Sampler begins
  // with. A model that draws more of a text than its tokens, such as a latent vector, draws it here.
  virtual State begin(int64_t B, const Rng& /*rng*/, int64_t /*first*/) const { return start(B); }
  // Takes from the current tape, which only measures, what making Prepared takes and what a State then holds of it.
  virtual void measure_prepared() const {}
  Tensor next(State& state, std::span<const int32_t> tokens, Loc where = Loc::here()) const;

  // The model with all its numbers in the parameters of its family: itself, or of one with an adapter the merged one.
  // Valid until its parameters change.
  virtual const LanguageModel& plain() const { return *this; }
  // clone() (models/families.h) of a model that is more than its family's; else null.
  virtual std::unique_ptr<LanguageModel> copy() const { return nullptr; }

  // What a family that is fitted by counting was fitted from (models/counted/count_trie.h): saved beside the
  // parameters.
  virtual std::span<const double> counts() const { return {}; }

 protected:
  using Encoder::Encoder;
  virtual Tensor advance(State& state, std::span<const int32_t> tokens) const = 0;  // next(), checked
};

}  // namespace gradus
