#include "models/rnn_lm.h"

#include <algorithm>
#include <cmath>

namespace gradus {

RnnLm::RnnLm(const Config& config, int64_t V) : LanguageModel(config, V) {
  const int64_t H = config.hidden;
  const Init uniform = Init::uniform(1 / std::sqrt(double(H)));
  embedding_ = params_.add("embedding.weight", {V, config.embd}, Init::normal(1));
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string n = std::to_string(l);
    layers_.push_back({params_.add("rnn.weight_ih_l" + n, {H, l ? H : config.embd}, uniform),
                       params_.add("rnn.weight_hh_l" + n, {H, H}, uniform),
                       params_.add("rnn.bias_l" + n, {H}, uniform)});
  }
  head_w_ = params_.add("head.weight", {V, H}, uniform);
  head_b_ = params_.add("head.bias", {V}, uniform);
}

Tensor RnnLm::features(std::span<const int32_t> tokens, int64_t B, int64_t T) const {
  require(int64_t(tokens.size()) == B * T, "features", Loc::here(), tokens.size(), " tokens for B = ", B,
          " and T = ", T);
  const Tensor zero = constant({B, config().hidden}, 0);
  Tensor x = embedding(embedding_, tokens);
  for (const Layer& layer : layers_) {
    x = rung().rnn_sequence(add_rows(matmul_nt(x, layer.w_ih), layer.bias), zero, layer.w_hh, Loc::here());
    x = dropout(x, config().dropout);
  }
  return x;
}

Tensor RnnLm::head(const Tensor& features) const { return add_rows(matmul_nt(features, head_w_), head_b_); }

// A row of the state holds the output of each layer.
State RnnLm::start(int64_t B) const { return State(B, int64_t(layers_.size()) * config().hidden, 0); }

Tensor RnnLm::next(State& state, std::span<const int32_t> tokens) const {
  const NoGrad no_grad;
  const int64_t B = state.rows, H = config().hidden;
  require(int64_t(tokens.size()) == B, "next", Loc::here(), tokens.size(), " tokens for ", B, " rows");
  Tensor x = embedding(embedding_, tokens);
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Tensor before = constant({B, H}, 0);
    for (int64_t b = 0; b < B; ++b) std::copy_n(state.row(b) + int64_t(l) * H, H, before.data() + b * H);
    const Tensor xw = add_rows(matmul_nt(x, layers_[l].w_ih), layers_[l].bias);
    x = tanh(add(xw, matmul_nt(before, layers_[l].w_hh)));
    for (int64_t b = 0; b < B; ++b) std::copy_n(x.data() + b * H, H, state.row(b) + int64_t(l) * H);
  }
  for (int64_t& p : state.position) ++p;
  return head(x);
}

}  // namespace gradus
