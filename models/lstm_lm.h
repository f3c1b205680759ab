// LSTM language model: embedding → LSTM layers → linear head. Weights are named and laid out as in PyTorch, with its
// two biases as one.
#pragma once

#include "models/language_model.h"

namespace gradus {

class LstmLm : public LanguageModel {
 public:
  LstmLm(const Config& config, int64_t vocabulary);
  Tensor features(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  Tensor head(const Tensor& features) const override;
  State start(int64_t B) const override;
  Tensor next(State& state, std::span<const int32_t> tokens) const override;

 private:
  void initialise() override;
  struct Layer {
    Tensor w_ih, w_hh, bias;  // [4H,in], [4H,H], [4H]
  };
  Tensor input_products(std::span<const int32_t> tokens) const;

  Tensor embedding_, head_w_, head_b_;
  std::vector<Layer> layers_;
};

}  // namespace gradus
