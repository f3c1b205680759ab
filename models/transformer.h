// The common part of the Transformers: GPT-2's pre-norm blocks, learned positions, tanh GELU and a head tied to wte,
// with GPT-2's names and layouts of weights. A family adds what its rows see and how it is trained.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "models/family.h"
#include "models/language_model.h"
#include "models/layers.h"

namespace gradus {

class Transformer : public LanguageModel {
 public:
  int64_t width() const override { return options().embd; }
  Tensor head(const Tensor& features) const override {
    return named("logits", matmul_nt(features, wte_.dim(0) == vocabulary() ? wte_ : wte_.rows(0, vocabulary())));
  }
  Tensor token_vectors() const override { return wte_; }

  // The usual Family::check.
  static void check_heads(const ModelOptions& options) {
    if (options.embd % options.heads != 0)
      throw DataError(text("embd ", options.embd, " is not a multiple of heads ", options.heads,
                           ": every head needs the same width"));
  }

 protected:
  struct Block {
    LayerNorm ln_1;
    Linear c_attn, attn_proj;
    LayerNorm ln_2;
    Linear c_fc, mlp_proj;
    Block(Params& p, const std::string& name, const ModelOptions& c)
        : ln_1(p, name + ".ln_1", c.embd, c.bias),
          c_attn(p, name + ".attn.c_attn", c.embd, 3 * c.embd, Init::normal(kDeviation), c.bias,
                 {.down = 1, .across = 3}),
          attn_proj(p, name + ".attn.c_proj", c.embd, c.embd, residual_init(c), c.bias),
          ln_2(p, name + ".ln_2", c.embd, c.bias),
          c_fc(p, name + ".mlp.c_fc", c.embd, 4 * c.embd, Init::normal(kDeviation), c.bias),
          mlp_proj(p, name + ".mlp.c_proj", 4 * c.embd, c.embd, residual_init(c), c.bias) {}
  };

  // `ids` tokens have a vector: V, or more where there are ids that no text has.
  Transformer(const ModelOptions& options, int64_t V, int64_t ids) : LanguageModel(options, V) {
    wte_ = params_.add("wte.weight", {ids, options.embd}, Init::normal(kDeviation));
    wpe_ = params_.add("wpe.weight", {options.context, options.embd}, Init::normal(kDeviation));
    for (int64_t l = 0; l < options.layers; ++l) blocks_.emplace_back(params_, text("h.", l), options);
    ln_f_ = std::make_unique<LayerNorm>(params_, "ln_f", options.embd, options.bias);
  }

  // The features of tokens [B,T]. What a row sees follows from the lengths, as in engine/ops.h's attention. A sequence
  // has at most options().context tokens.
  Tensor encode_seeing(std::span<const int32_t> tokens, std::span<const int32_t> lengths, int64_t B, int64_t T) const {
    const ModelOptions& c = options();
    require(T <= c.context, "features", Loc::here(), T, " tokens are more than the context of ", c.context);
    int32_t* position = Tape::current(Loc::here()).arena().array<int32_t>(B * T);
    for (int64_t i = 0; i < B * T; ++i) position[i] = int32_t(i % T);

    Tensor x = add(embedding(wte_, tokens), embedding(wpe_, {position, size_t(B * T)}));
    x = named("x", dropout(x, c.dropout));
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& block = blocks_[l];
      const Tape::Scope scope("h", int64_t(l));
      x = named("x + attn", add(x, dropout(self_attention(block, x, lengths, B, T), c.dropout)));
      x = named("x + mlp", add(x, dropout(mlp(block, x), c.dropout)));
    }
    return (*ln_f_)(rung(), x);
  }

  Tensor mlp(const Block& block, const Tensor& x) const {
    const Tensor normal = block.ln_2(rung(), x);
    const Tape::Scope scope("mlp");
    const Tensor hidden = rung().linear_gelu(normal, block.c_fc.w, block.c_fc.b, Loc::here());
    return block.mlp_proj(hidden);
  }

  Tensor wte_, wpe_;
  std::vector<Block> blocks_;
  std::unique_ptr<LayerNorm> ln_f_;

 private:
  static constexpr double kDeviation = 0.02;  // of every weight at the start, as GPT-2
  // Projections onto the residual stream begin smaller, so that its variance does not grow with the depth.
  static Init residual_init(const ModelOptions& options) {
    return Init::normal(kDeviation / std::sqrt(2.0 * double(options.layers)));
  }

  Tensor self_attention(const Block& block, const Tensor& x, std::span<const int32_t> lengths, int64_t B,
                        int64_t T) const {
    const Tensor normal = block.ln_1(rung(), x);
    const Tape::Scope scope("attn");
    return block.attn_proj(rung().attention(block.c_attn(normal), B, T, options().heads, lengths, Loc::here()));
  }
};

}  // namespace gradus
