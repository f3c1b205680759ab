// The common part of recurrent language models: embedding → layers that see their own last state → linear head. Weights
// are named and laid out as in PyTorch, with its two biases as one. A family adds its cell.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include "models/language_model.h"

namespace gradus {

class RecurrentLm : public LanguageModel {
 public:
  int64_t width() const override { return options().hidden; }
  Tensor head(const Tensor& features) const override {
    return named("logits", add_rows(matmul_nt(features, head_w_), head_b_));
  }
  Tensor token_vectors() const override { return embedding_; }
  // A row of the state holds the kept vectors of each layer, one after the other.
  State start(int64_t B) const override { return State(B, int64_t(layers_.size() * kept_) * options().hidden, 0); }
  void measure_prepared() const override {
    if (vocabulary() > kMostPrepared) return;
    Tape::current(Loc::here()).leaf({vocabulary(), layers_[0].bias.dim(0)}, "prepared", false);  // outlives the step
    const Tape::Mark mark(Tape::current(Loc::here()));
    products_of_all();
  }

 protected:
  struct Layer {
    Tensor w_ih, w_hh, bias;  // [GH,in], [GH,H], [GH]
  };
  // `name` begins the names of the weights; a cell has `gates` = G rows of weights for each of its H channels, and
  // keeps `kept` vectors [H] from token to token, of which the first is its output.
  RecurrentLm(const ModelOptions& options, int64_t V, const std::string& name, int64_t gates, int64_t kept)
      : LanguageModel(options, V), kept_(size_t(kept)), name_(name) {
    const int64_t H = options.hidden, E = options.embd;
    const Init uniform = Init::uniform(1 / std::sqrt(double(H)));
    const HiddenMaps maps{.down = gates, .across = 1};
    embedding_ = params_.add("embedding.weight", {V, E}, Init::normal(1));
    for (int64_t l = 0; l < options.layers; ++l) {
      const auto named = [&](const char* part) { return text(name, part, l); };
      layers_.push_back({.w_ih = params_.add(named(".weight_ih_l"), {gates * H, l ? H : E}, uniform, maps),
                         .w_hh = params_.add(named(".weight_hh_l"), {gates * H, H}, uniform, maps),
                         .bias = params_.add(named(".bias_l"), {gates * H}, uniform)});
    }
    if (options.labels > 0) return;  // a classifier predicts no tokens
    head_w_ = params_.add("head.weight", {V, H}, uniform);
    head_b_ = params_.add("head.bias", {V}, uniform);
  }

  // x W_ihᵀ + b of the first layer, [N,GH].
  virtual Tensor input_products(std::span<const int32_t> tokens) const {
    return add_rows(matmul_nt(embedding(embedding_, tokens), layers_[0].w_ih), layers_[0].bias);
  }
  // All tokens of a layer from the state `zero` [B,H].   xw [B·T,GH] = x W_ihᵀ + b → [B·T,H]
  virtual Tensor sequence(const Layer& layer, const Tensor& xw, const Tensor& zero) const = 0;
  // One token: replaces the vectors of the state, [B,H] each.   xw [B,GH]
  virtual void cell(const Layer& layer, const Tensor& xw, std::span<Tensor> state) const = 0;

  std::vector<Layer> layers_;
  Tensor embedding_;

 private:
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t) const override {
    const Tensor zero = named("0", constant({B, options().hidden}, 0));
    Tensor x;
    for (size_t l = 0; l < layers_.size(); ++l) x = layer(l, x, tokens, zero);
    return x;
  }

  Tensor layer(size_t l, const Tensor& x, std::span<const int32_t> tokens, const Tensor& zero) const {
    const Tape::Scope scope(name_.c_str(), int64_t(l));
    return dropout(sequence(layers_[l], products(l, x, tokens), zero), options().dropout);
  }

  Tensor advance(State& state, std::span<const int32_t> tokens) const override {
    const int64_t B = state.rows, H = options().hidden;
    std::array<Tensor, 2> vectors;
    const std::span<Tensor> kept = std::span(vectors).first(kept_);
    Tensor x;
    for (size_t l = 0; l < layers_.size(); ++l) {
      const auto place = [&](int64_t b, size_t k) { return state.row(b) + int64_t(l * kept_ + k) * H; };
      for (size_t k = 0; k < kept_; ++k) {
        kept[k] = constant({B, H}, 0);
        for (int64_t b = 0; b < B; ++b) std::copy_n(place(b, k), H, kept[k].edit().data() + b * H);
      }
      cell(layers_[l], l == 0 ? looked_up(state, tokens) : products(l, x, tokens), kept);
      for (size_t k = 0; k < kept_; ++k)
        for (int64_t b = 0; b < B; ++b) std::copy_n(kept[k].data() + b * H, H, place(b, k));
      x = kept[0];
    }
    for (int64_t& p : state.position) ++p;
    return head(x);
  }

  // products(0) of each token. With few tokens in the vocabulary those of all of them are computed once for the state:
  // of 64 sequences of 63 characters an LSTM of 256 cells then takes a third less time.
  Tensor looked_up(State& state, std::span<const int32_t> tokens) const {
    const int64_t GH = layers_[0].bias.dim(0);
    Tape& tape = Tape::current(Loc::here());
    if (vocabulary() > kMostPrepared || tape.binds()) return products(0, {}, tokens);
    if (!state.prepared || state.prepared->version != params_.version()) {
      const Tape::Mark mark(tape);
      const std::span<const real> rows = products_of_all().span();
      state.prepared =
          std::make_shared<Prepared>(Prepared{.version = params_.version(), .numbers = {rows.begin(), rows.end()}});
    }
    const Tensor xw = tape.leaf({state.rows, GH}, "x W_ihᵀ + b", false);
    for (int64_t b = 0; b < state.rows; ++b)
      std::copy_n(&state.prepared->numbers[size_t(tokens[size_t(b)] * GH)], GH, xw.edit().data() + b * GH);
    return xw;
  }

  Tensor products_of_all() const {  // of every token, [V,GH]
    std::array<int32_t, kMostPrepared> all;
    std::iota(all.begin(), all.end(), 0);
    return RecurrentLm::input_products(std::span(all).first(size_t(vocabulary())));
  }

  Tensor products(size_t layer, const Tensor& x, std::span<const int32_t> tokens) const {
    return named("x W_ihᵀ + b", layer == 0 ? input_products(tokens)
                                           : add_rows(matmul_nt(x, layers_[layer].w_ih), layers_[layer].bias));
  }

  static constexpr int64_t kMostPrepared = 256;  // tokens of a vocabulary whose products a state keeps
  const size_t kept_;
  const std::string name_;
  Tensor head_w_, head_b_;
};

}  // namespace gradus
