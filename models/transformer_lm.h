// Transformer language model: GPT-2's decoder (pre-norm blocks, learned positions, tanh GELU, head tied to wte) with
// GPT-2's names and layouts of weights.
#pragma once

#include "models/language_model.h"
#include "models/layers.h"

namespace gradus {

class TransformerLm : public LanguageModel {
 public:
  TransformerLm(const ModelOptions& options, int64_t vocabulary);
  static void check(const ModelOptions& options);  // DataError for a width that the heads cannot share
  int64_t width() const override { return options().embd; }
  Tensor head(const Tensor& features) const override;
  State start(int64_t B) const override;
  int64_t numbers_per_token() const override;

 private:
  // A sequence has at most options().context tokens.
  Tensor encode(std::span<const int32_t> tokens, int64_t B, int64_t T) const override;
  // When a row holds `context` tokens, the older half of them is dropped and the rest is encoded again from position 0
  // on: on average a token then costs two.
  Tensor advance(State& state, std::span<const int32_t> tokens) const override;
  struct Block {
    LayerNorm ln_1;
    Linear c_attn, attn_proj;
    LayerNorm ln_2;
    Linear c_fc, mlp_proj;
    Block(Params& params, const std::string& name, const ModelOptions& options);
  };
  Tensor mlp(const Block& block, const Tensor& x) const;
  Tensor advance_rows(State& state, std::span<const int32_t> rows, std::span<const int32_t> tokens) const;
  Tensor attend(State& state, std::span<const int32_t> rows, const Tensor& qkv, int64_t layer) const;

  Tensor wte_, wpe_;
  std::vector<Block> blocks_;
  std::unique_ptr<LayerNorm> ln_f_;
};

}  // namespace gradus
