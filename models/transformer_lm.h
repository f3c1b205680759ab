// Transformer language model: GPT-2's decoder (pre-norm blocks, learned positions, tanh GELU, head tied to wte) with
// GPT-2's names and layouts of weights.
#pragma once

#include "models/language_model.h"
#include "models/layers.h"

namespace gradus {

class TransformerLm : public LanguageModel {
 public:
  TransformerLm(const Config& config, int64_t vocabulary);
  Tensor features(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;  // REQUIRES: T ≤ context
  Tensor head(const Tensor& features) const override;
  State start(int64_t B) const override;
  // When a row holds `context` tokens, the older half of them is dropped and the rest is encoded again from position 0
  // on: on average a token then costs two.
  Tensor next(State& state, std::span<const int32_t> tokens) const override;

 private:
  struct Block {
    LayerNorm ln_1;
    Linear c_attn, attn_proj;
    LayerNorm ln_2;
    Linear c_fc, mlp_proj;
    Block(Params& params, const std::string& name, const Config& config);
  };
  Tensor mlp(const Block& block, const Tensor& x) const;
  Tensor advance(State& state, std::span<const int32_t> rows, std::span<const int32_t> tokens) const;
  Tensor attend(State& state, std::span<const int32_t> rows, const Tensor& qkv, int64_t layer) const;

  Tensor wte_, wpe_;
  std::vector<Block> blocks_;
  std::unique_ptr<LayerNorm> ln_f_;
};

}  // namespace gradus
