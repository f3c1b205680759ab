// RNN language model: its cells are tanh units, h_t = tanh(W_ih x_t + b + W_hh h_{t-1}).
#include "models/classifier.h"
#include "models/recurrent_lm.h"

namespace gradus {

class RnnLm : public RecurrentLm {
 public:
  RnnLm(const ModelOptions& options, int64_t V) : RecurrentLm(options, V, "rnn", 1, 1) {}

 private:
  Tensor sequence(const Layer& layer, const Tensor& xw, const Tensor& zero) const override {
    return rung().rnn_sequence(xw, zero, layer.w_hh, Loc::here());
  }
  void cell(const Layer& layer, const Tensor& xw, std::span<Tensor> state) const override {
    state[0] = tanh(add(xw, matmul_nt(state[0], layer.w_hh)));
  }
};

Family rnn_family() {
  return {.name = "rnn",
          .title = "an RNN",
          .options = {"layers", "embd", "hidden", "dropout"},
          .layers = 1,
          .declare = declare_stepped<RnnLm>,
          .encoder = "rnn",
          .classify = declare_stepped<Classifier<RnnLm>>};
}

}  // namespace gradus
