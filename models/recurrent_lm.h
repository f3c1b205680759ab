// The common part of recurrent language models: embedding → layers that see their own last state → linear head. Weights
// are named and laid out as in PyTorch, with its two biases as one. A family adds its cell.
#pragma once

#include "models/language_model.h"

namespace gradus {

class RecurrentLm : public LanguageModel {
 public:
  int64_t width() const override { return options().hidden; }
  Tensor head(const Tensor& features) const override;
  State start(int64_t B) const override;
  int64_t numbers_per_token() const override;

 protected:
  struct Layer {
    Tensor w_ih, w_hh, bias;  // [GH,in], [GH,H], [GH]
  };
  // `name` begins the names of the weights; a cell has `gates` = G rows of weights for each of its H channels, and
  // keeps `kept` vectors [H] from token to token, of which the first is its output.
  RecurrentLm(const ModelOptions& options, int64_t vocabulary, const std::string& name, int64_t gates, int64_t kept);

  // x W_ihᵀ + b of the first layer, [N,GH].
  virtual Tensor input_products(std::span<const int32_t> tokens) const;
  // All tokens of a layer from the state `zero` [B,H].   xw [B·T,GH] = x W_ihᵀ + b → [B·T,H]
  virtual Tensor sequence(const Layer& layer, const Tensor& xw, const Tensor& zero) const = 0;
  // One token: replaces the vectors of the state, [B,H] each.   xw [B,GH]
  virtual void cell(const Layer& layer, const Tensor& xw, std::span<Tensor> state) const = 0;

  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor advance(State& state, std::span<const int32_t> tokens) const override;

  std::vector<Layer> layers_;
  Tensor embedding_;

 private:
  Tensor products(size_t layer, const Tensor& x, std::span<const int32_t> tokens) const;

  const size_t kept_;
  Tensor head_w_, head_b_;
};

}  // namespace gradus
