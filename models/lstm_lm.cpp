// LSTM language model: its cells are LSTMs, gate order i f g o.
#include <algorithm>
#include <cmath>

#include "models/classifier.h"
#include "models/recurrent_lm.h"

namespace gradus {

class LstmLm : public RecurrentLm {
 public:
  LstmLm(const ModelOptions& options, int64_t V) : RecurrentLm(options, V, "lstm", 4, 2) {}

  // A forget gate that begins open keeps the gradient alive (Jozefowicz, Zaremba, Sutskever 2015): its bias is 1, a
  // memory of four tokens. The option memory = N spreads the cells over memories of 2 to N tokens instead, each letting
  // in as much as it forgets: b_f = log u, b_i = −log u, u from 1 to N − 1 (Tallec and Ollivier, "Can recurrent neural
  // networks warp time?", 2018; their u is drawn, ours evenly spaced). A cell then forgets 1/(u + 1) of itself a token.
  void initialise() override {
    LanguageModel::initialise();
    const int64_t H = options().hidden, N = options().memory;
    for (const Layer& layer : layers_) {
      real *b_i = params_.edit(layer.bias).data(), *b_f = b_i + H;
      std::fill_n(b_f, H, real(1));
      for (int64_t k = 0; N > 0 && k < H; ++k) {
        const double u = 1 + double(std::max<int64_t>(N - 2, 0)) * (double(k) + 0.5) / double(H);
        b_f[k] = real(std::log(u));
        b_i[k] = -b_f[k];
      }
    }
  }

 private:
  // With fewer tokens in the vocabulary than in the batch the products are computed once for each token of the
  // vocabulary and looked up: the same sums, in a smaller product.
  Tensor input_products(std::span<const int32_t> tokens) const override {
    if (vocabulary() >= int64_t(tokens.size())) return RecurrentLm::input_products(tokens);
    return embedding(add_rows(matmul_nt(embedding_, layers_[0].w_ih), layers_[0].bias), tokens);
  }

  Tensor sequence(const Layer& layer, const Tensor& xw, const Tensor& zero) const override {
    return rung().lstm_sequence(xw, {zero, zero}, layer.w_hh, Loc::here()).h;
  }

  void cell(const Layer& layer, const Tensor& xw, std::span<Tensor> state) const override {
    const LstmState after = rung().lstm_cell(xw, {.h = state[0], .c = state[1]}, layer.w_hh, Loc::here());
    state[0] = after.h;
    state[1] = after.c;
  }
};

Family lstm_family() {
  return {.name = "lstm",
          .title = "an LSTM",
          .options = {"layers", "embd", "hidden", "memory", "dropout"},
          .layers = 1,
          .declare = declare_stepped<LstmLm>,
          .encoder = "lstm",
          .classify = declare_stepped<Classifier<LstmLm>>};
}

}  // namespace gradus
