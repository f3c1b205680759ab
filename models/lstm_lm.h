// LSTM language model: its cells are LSTMs, gate order i f g o.
#pragma once

#include "models/recurrent_lm.h"

namespace gradus {

class LstmLm : public RecurrentLm {
 public:
  LstmLm(const ModelOptions& options, int64_t vocabulary);
  void initialise() override;

 private:
  Tensor input_products(std::span<const int32_t> tokens) const override;
  Tensor sequence(const Layer& layer, const Tensor& xw, const Tensor& zero) const override;
  void cell(const Layer& layer, const Tensor& xw, std::span<Tensor> state) const override;
};

}  // namespace gradus
