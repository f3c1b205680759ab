// RNN language model: its cells are tanh units, h_t = tanh(W_ih x_t + b + W_hh h_{t-1}).
#pragma once

#include "models/recurrent_lm.h"

namespace gradus {

class RnnLm : public RecurrentLm {
 public:
  RnnLm(const ModelOptions& options, int64_t vocabulary);

 private:
  Tensor sequence(const Layer& layer, const Tensor& xw, const Tensor& zero) const override;
  void cell(const Layer& layer, const Tensor& xw, std::span<Tensor> state) const override;
};

}  // namespace gradus
