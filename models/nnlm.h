// Feed-forward language model (Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model", JMLR 3,
// 2003). The embeddings of the last n = order − 1 tokens side by side are x; the logits of the next token are
//   y = b + W x + U tanh(d + H x),
// W the paper's direct connections. A place before the first token has an embedding of its own.
#pragma once

#include "models/language_model.h"

namespace gradus {

class Nnlm : public LanguageModel {
 public:
  Nnlm(const ModelOptions& options, int64_t vocabulary);
  static void check(const ModelOptions& options);  // DataError for an order that sees no token
  // A feature is what y is linear in: x and tanh(d + H x) side by side.
  int64_t width() const override { return seen() * options().embd + options().hidden; }
  Tensor head(const Tensor& features) const override;
  // A row of the state holds the last n tokens.
  State start(int64_t B) const override;
  int64_t numbers_per_token() const override;

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor advance(State& state, std::span<const int32_t> tokens) const override;
  int64_t seen() const { return options().order - 1; }                      // n
  int32_t nothing() const { return int32_t(vocabulary()); }                 // id of a place before the first token
  Tensor features_of(std::span<const int32_t> histories, int64_t N) const;  // [N,n] → [N,C]

  Tensor embedding_, hidden_w_, hidden_b_;  // [V+1,E], H [hidden,nE], d [hidden]
  Tensor head_w_, head_b_;                  // [W U] [V,C], b [V]
};

}  // namespace gradus
