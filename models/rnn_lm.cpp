#include "models/rnn_lm.h"

namespace gradus {

RnnLm::RnnLm(const ModelOptions& options, int64_t V) : RecurrentLm(options, V, "rnn", 1, 1) {}

Tensor RnnLm::sequence(const Layer& layer, const Tensor& xw, const Tensor& zero) const {
  return rung().rnn_sequence(xw, zero, layer.w_hh, Loc::here());
}

void RnnLm::cell(const Layer& layer, const Tensor& xw, std::span<Tensor> state) const {
  state[0] = tanh(add(xw, matmul_nt(state[0], layer.w_hh)));
}

}  // namespace gradus
