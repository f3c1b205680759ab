// LanguageModel: what training, sampling and reinforcement learning know of a model. A table of four logits, an LSTM
// and a Transformer are interchangeable behind it.
//
// Letters: B sequences, T tokens of each, C width of the features, V vocabulary.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/rung.h"
#include "engine/params.h"
#include "models/config.h"

namespace gradus {

// What a model remembers of B growing sequences, one row each. Only its model reads the memory.
struct State {
  int64_t rows = 0;
  int64_t width = 0;              // reals a row
  int64_t window = 0;             // tokens a row, where the model needs to see them again (else 0)
  std::vector<real> memory;       // [rows, width]
  std::vector<int32_t> tokens;    // [rows, window]
  std::vector<int64_t> position;  // [rows], tokens that the memory holds; rows may differ

  State(int64_t B, int64_t reals, int64_t window_tokens);
  real* row(int64_t r) { return memory.data() + r * width; }
  // The new row i is the old row which[i]; rows may be repeated and left out. Allocates only to grow.
  void select(std::span<const int64_t> which);

 private:
  std::vector<real> spare_memory_;
  std::vector<int32_t> spare_tokens_;
  std::vector<int64_t> spare_position_;
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  LanguageModel(const LanguageModel&) = delete;

  // Teacher-forced, on the current tape. tokens [B,T] → what the head sees, [B·T,C], row b·T+t after token t.
  virtual Tensor features(std::span<const int32_t> tokens, int64_t B, int64_t T) const = 0;
  virtual Tensor head(const Tensor& features) const = 0;  // [N,C] → [N,V]
  // Both. A logit may be -inf, a token that cannot follow; never all of a row.
  virtual Tensor logits(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
    return head(features(tokens, B, T));
  }

  // Incremental, without gradients. next() takes one token for each row and returns the logits after it, [B,V], on the
  // current tape; put a Tape::Mark around each call. Up to rounding the logits are those of features() and head().
  virtual State start(int64_t B) const = 0;
  virtual Tensor next(State& state, std::span<const int32_t> tokens) const = 0;

  // What a family that is fitted by counting was fitted from (models/counted/count_trie.h): saved beside the parameters.
  virtual std::span<const double> counts() const { return {}; }

  Params& params() { return params_; }
  const Params& params() const { return params_; }
  const Config& config() const { return config_; }
  int64_t vocabulary() const { return vocabulary_; }
  const Rung& rung() const { return rung_; }

 protected:
  LanguageModel(const Config& config, int64_t vocabulary);
  // A constructor only declares the parameters; this draws their values.
  virtual void initialise() { params_.init(uint64_t(config_.seed)); }
  friend std::unique_ptr<LanguageModel> make_model(const Config&, int64_t, int64_t, std::vector<double>);
  Params params_;

 private:
  Config config_;
  int64_t vocabulary_;
  const Rung& rung_;
};

// Builds the family that config.model names, with values drawn from config.seed; ngram and tabular from `counts`, which
// count_tokens (models/counted/count_trie.h) or a checkpoint gives. REQUIRES: a resolved config.
// Throws DataError, before it allocates them, if that takes more than max_parameters numbers.
std::unique_ptr<LanguageModel> make_model(const Config& config, int64_t vocabulary, int64_t max_parameters = INT64_MAX,
                                          std::vector<double> counts = {});

}  // namespace gradus
