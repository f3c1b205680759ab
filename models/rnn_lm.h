// RNN language model: embedding → layers of tanh units that see their own last output → linear head. Weights are named
// and laid out as in PyTorch, with its two biases as one.
#pragma once

#include "models/language_model.h"

namespace gradus {

class RnnLm : public LanguageModel {
 public:
  RnnLm(const Config& config, int64_t vocabulary);
  Tensor features(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor head(const Tensor& features) const override;
  State start(int64_t B) const override;
  Tensor next(State& state, std::span<const int32_t> tokens) const override;

 private:
  struct Layer {
    Tensor w_ih, w_hh, bias;  // [H,in], [H,H], [H]
  };
  Tensor embedding_, head_w_, head_b_;
  std::vector<Layer> layers_;
};

}  // namespace gradus
