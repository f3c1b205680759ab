#include "models/lstm_lm.h"

#include <algorithm>
#include <cmath>

namespace gradus {

LstmLm::LstmLm(const Config& config, int64_t V) : LanguageModel(config, V) {
  const int64_t H = config.hidden;
  const Init uniform = Init::uniform(1 / std::sqrt(double(H)));
  embedding_ = params_.add("embedding.weight", {V, config.embd}, Init::normal(1));
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string n = std::to_string(l);
    layers_.push_back({params_.add("lstm.weight_ih_l" + n, {4 * H, l ? H : config.embd}, uniform),
                       params_.add("lstm.weight_hh_l" + n, {4 * H, H}, uniform),
                       params_.add("lstm.bias_l" + n, {4 * H}, uniform)});
  }
  head_w_ = params_.add("head.weight", {V, H}, uniform);
  head_b_ = params_.add("head.bias", {V}, uniform);
}

// A forget gate that begins open keeps the gradient alive (Jozefowicz, Zaremba, Sutskever 2015): its bias is 1, a
// memory of four tokens. --memory N spreads the cells over memories of 2 to N tokens instead, each letting in as much
// as it forgets: b_f = log u, b_i = −log u, u from 1 to N − 1 (Tallec and Ollivier, "Can recurrent neural networks warp
// time?", 2018; their u is drawn, ours evenly spaced). A cell then forgets 1/(u + 1) of itself a token.
void LstmLm::initialise() {
  LanguageModel::initialise();
  const int64_t H = config().hidden, N = config().memory;
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

// x W_ihᵀ + b of the first layer, [N,4H]. With fewer tokens in the vocabulary than in the batch it is computed once for
// each token of the vocabulary and looked up: the same sums, in a smaller product.
Tensor LstmLm::input_products(std::span<const int32_t> tokens) const {
  const Layer& first = layers_[0];
  if (vocabulary() < int64_t(tokens.size()))
    return embedding(add_rows(matmul_nt(embedding_, first.w_ih), first.bias), tokens);
  return add_rows(matmul_nt(embedding(embedding_, tokens), first.w_ih), first.bias);
}

Tensor LstmLm::features(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  const Tensor zero = constant({B, config().hidden}, 0);
  Tensor x;
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Tensor xw = l == 0 ? input_products(tokens) : add_rows(matmul_nt(x, layers_[l].w_ih), layers_[l].bias);
    x = rung().lstm_sequence(xw, {zero, zero}, layers_[l].w_hh, Loc::here()).h;
    x = dropout(x, config().dropout);
  }
  require(x.dim(0) == B * T, "features", Loc::here(), tokens.size(), " tokens for B = ", B, " and T = ", T);
  return x;
}

Tensor LstmLm::head(const Tensor& features) const { return add_rows(matmul_nt(features, head_w_), head_b_); }

// A row of the state holds h and c of each layer.
State LstmLm::start(int64_t B) const { return State(B, int64_t(layers_.size()) * 2 * config().hidden, 0); }

Tensor LstmLm::next(State& state, std::span<const int32_t> tokens) const {
  const NoGrad no_grad;
  const int64_t B = state.rows, H = config().hidden;
  const auto copy_state = [&](const Tensor& t, int64_t offset, bool load) {
    for (int64_t b = 0; b < B; ++b) {
      real *in_tensor = t.data() + b * H, *in_state = state.row(b) + offset;
      if (load)
        std::copy_n(in_state, H, in_tensor);
      else
        std::copy_n(in_tensor, H, in_state);
    }
  };
  Tensor x;
  for (size_t l = 0; l < layers_.size(); ++l) {
    const int64_t offset = int64_t(l) * 2 * H;
    const LstmState before{constant({B, H}, 0), constant({B, H}, 0)};
    copy_state(before.h, offset, true);
    copy_state(before.c, offset + H, true);
    const Tensor xw = l == 0 ? input_products(tokens) : add_rows(matmul_nt(x, layers_[l].w_ih), layers_[l].bias);
    const LstmState after = rung().lstm_cell(xw, before, layers_[l].w_hh, Loc::here());
    copy_state(after.h, offset, false);
    copy_state(after.c, offset + H, false);
    x = after.h;
  }
  for (int64_t& p : state.position) ++p;
  return head(x);
}

}  // namespace gradus
